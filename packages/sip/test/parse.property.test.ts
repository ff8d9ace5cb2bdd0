import { readFileSync, readdirSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createResponse,
  defaultSipLimits,
  filterHeaderList,
  formatNameAddr,
  formatSipUri,
  formatVia,
  headerList,
  parseChallenge,
  parseCredentials,
  parseCSeq,
  parseMessage,
  parseNameAddr,
  parseParams,
  parseSecurityMechanism,
  parseSipUri,
  parseVia,
  removeTopListElement,
  sameUri,
  setHeader,
  splitList,
  tagOf,
  validateRequest,
  validateResponse,
  writeMessage,
} from "@sallyport/sip";

const run = { numRuns: 1500, seed: 3261 };
const own = new URL("./vectors/rfc4475/", import.meta.url);
const corpus = readdirSync(own)
  .filter((name) => name.endsWith(".sip"))
  .map((name) => readFileSync(new URL(name, own)));

/** Torture messages with some octets changed, cut out or doubled: near enough to SIP to reach every branch. */
const damaged = fc
  .record({
    base: fc.constantFrom(...corpus),
    hits: fc.array(
      fc.record({
        at: fc.nat(),
        kind: fc.constantFrom("set", "cut", "double"),
        octet: fc.oneof(fc.constantFrom(...Buffer.from('\r\n\t ,;:<>"\\@%/=[]\0')), fc.integer({ min: 0, max: 255 })),
        length: fc.integer({ min: 1, max: 40 }),
      }),
      { maxLength: 8 },
    ),
  })
  .map(({ base, hits }) => {
    let octets = Buffer.from(base);
    for (const { at, kind, octet, length } of hits) {
      if (octets.length === 0) break;
      const from = at % octets.length;
      const piece = octets.subarray(from, from + length);
      if (kind === "set") octets[from] = octet;
      else if (kind === "cut") octets = Buffer.concat([octets.subarray(0, from), octets.subarray(from + length)]);
      else octets = Buffer.concat([octets.subarray(0, from), piece, octets.subarray(from)]);
    }
    return octets;
  });

const useEverything = (octets: Uint8Array): void => {
  const result = parseMessage(octets);
  const request = result.ok ? (result.message.kind === "request" ? result.message : undefined) : result.answerable;
  if (result.ok) {
    const { message, surplus } = result;
    const start = octets.length - surplus - writeMessage(message).length;
    expect(start % 2).toBe(0);
    expect(Buffer.from(octets.slice(0, start)).toString("latin1")).toBe("\r\n".repeat(start / 2));
    expect(writeMessage(message).equals(octets.slice(start, octets.length - surplus))).toBe(true);
    expect(message.headers.length).toBeLessThanOrEqual(defaultSipLimits.maxHeaders);
    tagOf(message, "from");
    for (const field of message.headers) headerList(message, field.name);
    const edited = writeMessage(setHeader(removeTopListElement(message, "via"), "subject", "edited"));
    expect(parseMessage(edited).ok).toBe(true);
    if (message.kind === "response") validateResponse(message, { role: "proxy" });
  } else {
    expect(result.offset).toBeGreaterThanOrEqual(0);
    expect(result.offset).toBeLessThanOrEqual(octets.length);
  }
  if (request === undefined) return;
  validateRequest(request, { role: "registrar" });
  // Whatever can be answered gives an answer that can be read.
  const response = writeMessage(createResponse(request, 400, undefined, { toTag: "x" }));
  const again = parseMessage(response);
  expect(again.ok).toBe(true);
};

describe("any octets", () => {
  it("invariant: any octets never throw, and what was read is written back unchanged", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), useEverything), run);
  });

  it("invariant: damaged SIP never throws, and what was read is written back unchanged", () => {
    fc.assert(fc.property(damaged, useEverything), run);
  });

  it("invariant: any value never throws in any grammar, and what was read keeps its meaning when written", () => {
    const characters = '";,<>\\ \r\n\t:@%=[]/?*aZ09-.~\0\u00e4sipSIP';
    const fragments = fc.constantFrom(
      "sip:",
      "<sip:a@b>",
      ";tag=",
      '"',
      "\\",
      "SIP/2.0/UDP ",
      "[::1]",
      ":5060",
      ",",
      "Digest ",
      "a=b",
    );
    const text = fc
      .array(fc.oneof(fragments, fc.constantFrom(...characters.split(""))), { maxLength: 60 })
      .map((pieces) => pieces.join(""));
    const check = (value: string): void => {
      const uri = parseSipUri(value);
      if (uri !== undefined) {
        expect(parseSipUri(formatSipUri(uri))).toEqual(uri);
        expect(sameUri(uri, formatSipUri(uri))).toBe(true);
      }
      const address = parseNameAddr(value);
      if (address !== undefined) expect(parseNameAddr(formatNameAddr(address))).toEqual(address);
      const via = parseVia(value);
      if (via !== undefined) expect(parseVia(formatVia(via))).toEqual(via);
      const elements = splitList(value);
      expect(splitList(elements.join(", "))).toEqual(elements);
      parseParams(value);
      parseCSeq(value);
      parseSecurityMechanism(value);
      parseChallenge(value);
      parseCredentials(value);
    };
    fc.assert(fc.property(text, check), { ...run, numRuns: 6000 });
  });

  it("invariant: filtering a list and keeping all gives the same message", () => {
    fc.assert(
      fc.property(damaged, fc.constantFrom("via", "route", "contact", "accept"), (octets, name) => {
        const result = parseMessage(octets);
        if (result.ok) expect(filterHeaderList(result.message, name, () => true)).toBe(result.message);
      }),
      { ...run, numRuns: 300 },
    );
  });
});

describe("floods", () => {
  const filled = (piece: string, before = "", after = ""): Buffer => {
    const room = defaultSipLimits.maxMessage - before.length - after.length;
    return Buffer.from(before + piece.repeat(Math.floor(room / piece.length)) + after, "latin1");
  };
  const start = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n";

  // Linear work on 64 KiB is about a millisecond; quadratic work is seconds.
  it.each([
    ["spaces", filled(" ")],
    ["CRLFs", filled("\r\n")],
    ["CRs", filled("\r")],
    ["folds", filled("\r\n ", `${start}X: a`, "\r\n\r\n")],
    ["empty folds in one name", filled("\r\n ", `${start}X`, "\r\n\r\n")],
    ["short fields", filled("a:\r\n", start, "\r\n")],
    ["junk lines", filled("\u0001\r\n", start, "\r\n")],
    ["quotes", filled('"', `${start}To: `, "\r\n\r\n")],
    ["an endless start line", filled("A ", "", "\r\n\r\n")],
    ["Content-Lengths", filled("l:0\r\n", start, "\r\n")],
    ["no end", filled("a: b\r\n", start)],
  ])("RFC 3261 26.3.2.4: a flood of %s is cheap", (_name, octets) => {
    const before = process.cpuUsage();
    for (let round = 0; round < 10; round += 1) useEverything(octets);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 10_000, "CPU milliseconds a message").toBeLessThan(100);
  });

  it.each(['"', "<", ",", ";a", ";a=", "\\", '"a",', "<sip:a>,", " ", "%41", ":", "@", "[", "a=b,", ":::"])(
    "RFC 3261 26.3.2.4: a value of many %j is cheap in every grammar",
    (piece) => {
      const value = piece.repeat(Math.floor(60_000 / piece.length));
      const before = process.cpuUsage();
      for (const text of [
        value,
        `sip:${value}`,
        `<sip:a@b>${value}`,
        `"${value}`,
        `Digest ${value}`,
        `sip:a@[${value}`,
      ]) {
        splitList(text);
        parseNameAddr(text);
        parseSipUri(text);
        parseVia(`SIP/2.0/UDP h${text}`);
        parseSecurityMechanism(text);
        parseParams(text);
        parseCSeq(text);
        sameUri(text, text);
        parseCredentials(text);
      }
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1000).toBeLessThan(1000);
    },
  );
});
