import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { classifyPacket, findSuite, parseRtpHeader, rtpHeaderLength, suites } from "../src/index.ts";
import { hex, rtcp, rtp } from "./support.ts";

describe("RTP header", () => {
  it("RFC 3550 5.1: fixed header", () => {
    expect(parseRtpHeader(hex("80880001000000a0cafebabe0102"))).toEqual({
      ok: true,
      version: 2,
      padding: false,
      extension: false,
      csrcCount: 0,
      marker: true,
      payloadType: 8,
      sequence: 1,
      timestamp: 160,
      ssrc: 0xcafebabe,
      headerLength: 12,
      payloadLength: 2,
    });
  });

  it("RFC 3550 5.1, 5.3.1: CSRC list and header extension belong to the header", () => {
    const packet = hex("b2000001000000a0cafebabe0000000100000002bede00021122334455667788ff01");
    expect(parseRtpHeader(packet)).toMatchObject({
      padding: true,
      extension: true,
      csrcCount: 2,
      headerLength: 32,
      payloadLength: 2,
    });
  });

  it.each([
    ["short", "8000"],
    ["malformed", "40880001000000a0cafebabe"],
    ["malformed", "8f880001000000a0cafebabe"],
    ["malformed", "90880001000000a0cafebabebede"],
    ["malformed", "90880001000000a0cafebabebede0002aabbccdd"],
  ])("RFC 3550 5.1: %s header %s is refused", (code, packet) => {
    expect(parseRtpHeader(hex(packet))).toEqual({ ok: false, code });
  });

  it("any octets: never throws, and no header reaches past the end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
        const parsed = parseRtpHeader(octets);
        if (parsed.ok) expect(parsed.headerLength + parsed.payloadLength).toBe(octets.length);
        expect(rtpHeaderLength(octets, octets.length)).toBeLessThanOrEqual(octets.length);
        expect(["rtp", "rtcp", "stun", "dtls", "unknown"]).toContain(classifyPacket(octets));
      }),
      { seed: 3550, numRuns: 2000 },
    );
  });
});

describe("what shares the port", () => {
  it("RFC 7983 7, RFC 5761 4: by the first octet, RTCP by the second", () => {
    const filled = (first: number, second = 0) => Buffer.concat([Buffer.from([first, second]), Buffer.alloc(30)]);
    const kinds = (firsts: readonly number[], second?: number) =>
      firsts.map((first) => classifyPacket(filled(first, second)));
    expect(kinds([0, 3])).toEqual(["stun", "stun"]);
    expect(kinds([4, 19, 64, 127, 192, 255])).toEqual(Array(6).fill("unknown"));
    expect(kinds([20, 63])).toEqual(["dtls", "dtls"]);
    expect(kinds([128, 191], 191)).toEqual(["rtp", "rtp"]);
    expect(kinds([128, 191], 192)).toEqual(["rtcp", "rtcp"]);
    expect(kinds([128, 191], 223)).toEqual(["rtcp", "rtcp"]);
    expect(kinds([128, 191], 224)).toEqual(["rtp", "rtp"]);
    expect(classifyPacket(rtp(1))).toBe("rtp");
    expect(classifyPacket(rtcp())).toBe("rtcp");
    expect(classifyPacket(rtp(1).subarray(0, 11))).toBe("unknown");
    expect(classifyPacket(Buffer.alloc(7))).toBe("unknown");
  });

  it("RFC 3551 6: on a port of its own RTP keeps away from payload types 72 to 76 only", () => {
    const kinds = [191, 192, 199, 200, 204, 205, 223, 224].map((second) =>
      classifyPacket(Buffer.concat([Buffer.from([128, second]), Buffer.alloc(10)]), true),
    );
    expect(kinds).toEqual(["rtp", "rtp", "rtp", "rtcp", "rtcp", "rtp", "rtp", "rtp"]);
  });
});

describe("suites", () => {
  it("RFC 4568 6.2, RFC 6188 4, RFC 7714 12: key, salt, master and tag lengths", () => {
    const facts = Object.values(suites).map((suite) =>
      [
        suite.name,
        suite.keyLength,
        suite.saltLength,
        suite.masterLength,
        suite.srtpTagLength,
        suite.srtcpTagLength,
      ].join(" "),
    );
    expect(facts).toEqual([
      "AES_CM_128_HMAC_SHA1_80 16 14 30 10 10",
      "AES_CM_128_HMAC_SHA1_32 16 14 30 4 10",
      "AES_192_CM_HMAC_SHA1_80 24 14 38 10 10",
      "AES_192_CM_HMAC_SHA1_32 24 14 38 4 10",
      "AES_256_CM_HMAC_SHA1_80 32 14 46 10 10",
      "AES_256_CM_HMAC_SHA1_32 32 14 46 4 10",
      "AEAD_AES_128_GCM 16 12 28 16 16",
      "AEAD_AES_256_GCM 32 12 44 16 16",
    ]);
  });

  it("RFC 4568 9: names in any case; the swapped names of drafts; nothing else", () => {
    expect(findSuite("aes_cm_128_hmac_sha1_80")).toBe(suites.AES_CM_128_HMAC_SHA1_80);
    expect(findSuite("AES_CM_256_HMAC_SHA1_32")).toBe(suites.AES_256_CM_HMAC_SHA1_32);
    for (const name of ["F8_128_HMAC_SHA1_80", "SEED_CTR_128_HMAC_SHA1_80", "AEAD_AES_128_GCM_8", "", "constructor"]) {
      expect(findSuite(name)).toBeUndefined();
    }
  });
});
