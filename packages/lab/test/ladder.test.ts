import { parseSdp, type SdpDocument } from "@sallyport/sdp";
import { createRequest, createResponse, writeMessage } from "@sallyport/sip";
import { describe, expect, it } from "vitest";
import { chipsBetween, ladderOf, type Cast } from "../src/ladder/ladder.ts";
import { ladderPicture } from "../src/ladder/picture.ts";
import { ladderText } from "../src/ladder/text.ts";
import { searchCoreLegs } from "../src/verdict/leaks.ts";
import { createRecorder, type Recorder } from "../src/watch/recorder.ts";

const cast: Cast = {
  ueA: "alice",
  edgeA: "edge-a",
  gatewayA: "gw-a",
  core: "core",
  gatewayB: "gw-b",
  edgeB: "edge-b",
  ueB: "bob",
};

const secured = [
  "v=0",
  "o=- 1 1 IN IP4 192.0.2.1",
  "s=-",
  "c=IN IP4 192.0.2.1",
  "t=0 0",
  "m=audio 40000 RTP/SAVP 8",
  "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk",
  "a=3ge2ae:requested",
  "",
].join("\r\n");
const plain = secured
  .replace("RTP/SAVP", "RTP/AVP")
  .replace("40000", "20000")
  .split("\r\n")
  .filter((line) => !/^a=(crypto|3ge2ae)/.test(line))
  .join("\r\n");

const read = (text: string): SdpDocument => {
  const parsed = parseSdp(text);
  if (!parsed.ok) throw new Error(parsed.code);
  return parsed.document;
};

const invite = (body: string, extra: readonly (readonly [string, string])[] = []) =>
  createRequest({
    method: "INVITE",
    uri: "sip:bob@home.example",
    headers: [
      ["Via", "SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1"],
      ["From", "<sip:alice@home.example>;tag=a"],
      ["To", "<sip:bob@home.example>"],
      ["Call-ID", "call-1"],
      ["CSeq", "1 INVITE"],
      ["Content-Type", "application/sdp"],
      ...extra,
    ],
    body: Buffer.from(body),
  });

let at = 0;
const pass = (recorder: Recorder, from: string, to: string, octets: Buffer): void => {
  at += 1;
  recorder.sip(from)({ direction: "out", octets, at });
  recorder.sip(to)({ direction: "in", octets, at });
};

const shortCall = (): Recorder => {
  const recorder = createRecorder();
  pass(recorder, "alice", "edge-a", writeMessage(invite(secured)));
  pass(recorder, "edge-a", "core", writeMessage(invite(plain)));
  pass(recorder, "edge-a", "alice", writeMessage(createResponse(invite(""), 100)));
  return recorder;
};

describe("the recorder", () => {
  it("joins what left one element to what reached another, whichever note comes first", () => {
    const recorder = createRecorder();
    const octets = writeMessage(invite(plain));
    recorder.sip("core")({ direction: "in", octets, at: 1 });
    expect(recorder.sightings).toHaveLength(0);
    recorder.sip("edge-a")({ direction: "out", octets, at: 2 });
    expect(recorder.sightings.map(({ from, to }) => [from, to])).toEqual([["edge-a", "core"]]);
  });

  it("does not show a message that was sent and never arrived", () => {
    const recorder = createRecorder();
    recorder.sip("alice")({ direction: "out", octets: writeMessage(invite(plain)), at: 1 });
    expect(recorder.sightings).toHaveLength(0);
  });
});

describe("the ladder", () => {
  it("TS 33.328 7.2.1 step 3: shows on the wire what the P-CSCF changed in the offer", () => {
    expect(chipsBetween(read(secured), read(plain))).toEqual(["SAVP->AVP", "-crypto x1", "-3ge2ae:requested"]);
    expect(chipsBetween(read(plain), read(secured))).toEqual(["AVP->SAVP", "+crypto x1", "+3ge2ae:requested"]);
    expect(chipsBetween(read(plain), read(plain))).toEqual([]);
  });

  it("draws in 80 columns, numbers the steps and leaves out 100 Trying", () => {
    const rows = ladderOf(cast, "call-1", shortCall().sightings);
    expect(rows.map(({ steps }) => steps)).toEqual([["o1"], ["o3", "t1"]]);
    const text = ladderText(cast, rows);
    expect(Math.max(...text.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text.join("\n")).toMatchInlineSnapshot(`
      "     alice    P-CSCF A     GW A       core       GW B     P-CSCF B      bob
      o1     |--INVITE->|          |          |          |          |          |
      o3 t1  |          |-------INVITE------->|          |          |          |
             |          | [SAVP->AVP] [-crypto x1] [-3ge2ae:requested]         |"
    `);
  });

  it("draws a picture that carries no key", () => {
    const picture = ladderPicture(cast, ladderOf(cast, "call-1", shortCall().sightings), [
      { from: "alice", to: "gw-a", protected: true, label: "SRTP <K11>" },
    ]);
    expect(picture).toMatch(/^<svg [^>]+>/);
    expect(picture).toContain("SRTP &lt;K11&gt;");
    expect(picture).not.toContain("inline");
  });
});

describe("the search of the core legs", () => {
  it("invariant 1: finds nothing behind a P-CSCF that does its work", () => {
    expect(searchCoreLegs("core", shortCall().sightings)).toEqual({ messages: 1, legs: 1, found: [] });
  });

  it.each([
    ["a crypto attribute", invite(secured)],
    ["an indication", invite(plain.replace("m=audio", "m=audio").concat("a=3GE2AE:applied\r\n"))],
    ["a Security-Verify header", invite(plain, [["Security-Verify", "sdes-srtp"]])],
    ["an option tag", invite(plain, [["Require", "mediasec"]])],
    [
      "a key in another spelling",
      invite(plain, [["X", Buffer.from("0123456789abcdef0123456789abcd").toString("hex")]]),
    ],
  ])("invariant 1: finds %s", (_, message) => {
    const recorder = shortCall();
    pass(recorder, "edge-a", "core", writeMessage(message));
    expect(searchCoreLegs("core", recorder.sightings).found.length).toBeGreaterThan(0);
  });
});
