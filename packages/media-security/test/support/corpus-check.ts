// What holds for every body that leaves, whoever wrote it: a strict reading of its own, which shares no code with what it
// judges. RFC 4566 5 and 9, RFC 3264 5 to 8, TS 33.328 7.2.1 and 7.3.1, invariants 1, 2, 7 and 9.
import { expect } from "vitest";
import { summarise } from "../../src/index.ts";
import { body, localAddress } from "./call.ts";
import { sectionsOf, type Played } from "./corpus.ts";

const sessionOrder = "vosiuepcbtrzka";
const mediaOrder = "micbka";

const linesOf = (section: string): readonly string[] => section.split(/\r?\n/).filter((line) => line !== "");

/** Letters in the order of RFC 4566 5; t, r and repeats of one letter stand together. */
const inOrder = (section: string, order: string): boolean => {
  const places = linesOf(section).map((line) => order.indexOf(line.charAt(0) === "r" ? "t" : line.charAt(0)));
  return places.every((place, at) => place >= 0 && place >= (places[at - 1] ?? 0));
};

/** Every fault of a description that the one it was made of does not have. */
const faultsOf = (text: string, of: string): readonly string[] => {
  const faults: string[] = [];
  const [session = "", ...media] = sectionsOf(text);
  const [wasSession = "", ...was] = sectionsOf(of);
  // eslint-disable-next-line no-control-regex
  if (/[\0\v\f]|\r(?!\n)/.test(text) && !/[\0\v\f]|\r(?!\n)/.test(of)) faults.push("a forbidden character");
  if (!/^v=0\s/.test(text)) faults.push("no v=0");
  for (const line of linesOf(text)) if (!/^[a-z]=/.test(line)) faults.push(`no line: ${line}`);
  if (/\r\n/.test(text) && /[^\r]\n/.test(text) && !(/\r\n/.test(of) && /[^\r]\n/.test(of)))
    faults.push("line ends mixed");
  if (of.endsWith("\n") !== text.endsWith("\n") && media.length === 0) faults.push("the end of the body");
  if (media.length !== was.length) faults.push(`${media.length} m-lines for ${was.length}`);
  if (inOrder(wasSession, sessionOrder) && !inOrder(session, sessionOrder)) faults.push("session lines out of order");
  for (const [at, section] of media.entries()) {
    const before = was[at] ?? "";
    if (inOrder(before, mediaOrder) && !inOrder(section, mediaOrder)) faults.push(`section ${at} out of order`);
    const grammar = /^m=\S+ \d{1,5}(\/\d+)? \S+( \S+)+\r?$/m;
    if (grammar.test(before) && !grammar.test(section)) faults.push(`section ${at}: ${linesOf(section)[0]}`);
    const word = (of: string): string | undefined => /^m=(\S+)/.exec(of)?.[1];
    if (word(section) !== word(before)) faults.push(`section ${at} is another medium`);
    const formats = (of: string): string =>
      linesOf(of)[0]
        ?.trim()
        .split(/[ \t]+/)
        .slice(3)
        .join(" ") ?? "";
    if (formats(section) !== formats(before)) faults.push(`section ${at} has other formats`);
    for (const name of ["c=", "a=rtcp:", "a=rtcp-mux", "a=3ge2ae"]) {
      const count = (of: string): number => linesOf(of).filter((line) => line.startsWith(name)).length;
      if (count(section) > Math.max(1, count(before))) faults.push(`section ${at}: several ${name}`);
    }
  }
  return faults;
};

// What may go with the hop it speaks of; everything else of a body stays where it is, in its order.
const mayGo =
  /^(?:m=|c=|o=|k=|a=\s*(?:crypto|3ge2ae|key-mgmt|cryptex|fingerprint|setup|tls-id|dtls-id|zrtp-hash|identity|[trm]?cap|acap|pcfg|acfg|csup|creq|lcfg|[a-z]*cap|x-cap|x-cpar|x-sqn|cdsc|cpar|sqn|ice-|ice2|candidate|remote-candidates|end-of-candidates|rtcp\b(?!-fb|-rsize|-xr)|rtcp-mux|bundle-only|group:\s*BUNDLE|altc|alt\b|source-filter|extmap:\S+ urn:ietf:params:rtp-hdrext:encrypt))/i;
const mayCome = /^(?:m=|c=IN IP[46] |o=|a=rtcp:\d+$|a=rtcp-mux$|a=crypto:\d+ \S+ inline:\S+$|a=3ge2ae:applied$)/;

/** What is taken out in one place and set in another. */
const isHop = (line: string): boolean => line === "a=rtcp-mux" || line.startsWith("a=rtcp:");

const keysIn = (text: string): readonly string[] => text.match(/(?<=inline:)[A-Za-z0-9+/=]{20,}/gi) ?? [];

const isOurs = (section: string, towards: "access" | "core", stream: number): boolean =>
  section.startsWith("m=") && new RegExp(`^m=\\S+ ${localAddress(towards, stream).port} `).test(section);

export const checkPlayed = ({ from, kind, input, call, effects }: Played, at: string): void => {
  const evidence = JSON.stringify([call.evidence, summarise(call.state)]);
  for (const key of keysIn(input)) expect(evidence, `invariant 7: evidence, ${at}`).not.toContain(key);
  const forward = effects.findLast((effect) => effect.kind === "forward");
  if (forward?.kind !== "forward") return;
  const text = body(forward.sdp);
  const towards = from === "access" ? "core" : "access";
  expect(faultsOf(text, input), `${at}\n${text}`).toEqual([]);
  const streams = summarise(call.state).streams;
  const before = sectionsOf(input);
  const secret = before.flatMap((section, index) => {
    const keyed = linesOf(section).filter((line) => /^a=[ \t]*crypto/i.test(line));
    return streams[index - 1]?.security === "e2ae" ? keysIn(keyed.join("\n")) : [];
  });
  for (const [index, section] of sectionsOf(text).entries()) {
    const was = linesOf(before[index] ?? "");
    const is = linesOf(section);
    const kept = is.filter((line) => was.includes(line) && !isHop(line));
    expect(kept, `lines keep their order, ${at}`).toEqual(was.filter((line) => kept.includes(line)));
    for (const line of was.filter((each) => !is.includes(each))) {
      const gone = mayGo.test(line) || /inline:|savp/i.test(line) || keysIn(input).some((key) => line.includes(key));
      expect(gone, `a line that has to stay is gone, ${at}: ${line}`).toBe(true);
    }
    for (const line of is.filter((each) => !was.includes(each))) {
      expect(line, `a line of ours, ${at}`).toMatch(mayCome);
    }
    const ours = streams[index - 1]?.security === "e2ae" && isOurs(section, towards, index);
    const marks = section.match(/3ge2ae/gi) ?? [];
    if (towards === "core") {
      expect(marks, `invariant 1: ${at}`).toEqual([]);
      if (ours) expect(section, `invariant 1: ${at}`).not.toMatch(/crypto:|inline:|savp|rtp-hdrext:encrypt|a=cryptex/i);
      for (const key of secret) expect(section, `invariant 1: a key of the access, ${at}`).not.toContain(key);
    } else {
      const due = ours && /^m=\S+ [1-9]\d* RTP\/SAVP/i.test(section) && at.endsWith("e2ae") ? 1 : undefined;
      if (due !== undefined) expect(marks, `invariant 2: ${at}`).toHaveLength(due);
      expect(marks.length, `invariant 2: ${at}`).toBeLessThanOrEqual(ours ? 1 : 0);
    }
    if (!ours) continue;
    // Nothing may name another place for the media than the gateway's.
    expect(section, `invariant 8: ${at}`).not.toMatch(/^a=(?:candidate|altc|alt|source-filter|remote-candidates):/im);
    const { address } = localAddress(towards, index);
    const { address: six } = localAddress(towards, index, "::1");
    const [named = ""] = /(?<=^c=IN IP[46] )\S+/m.exec(section) ?? [];
    expect([address, six, "0.0.0.0", "::"], `invariant 8: ${at}`).toContain(named);
  }
  const touched = streams.some(({ security }) => security === "e2ae");
  const odd = /crypto|3ge2ae|inline|cap:|pcfg|acfg/i.test(input);
  const port0 = /^m=\S+ 0 /m.test(text);
  if (!touched && !odd && !port0 && kind === "offer") expect(text, `untouched octets, ${at}`).toBe(input);
};
