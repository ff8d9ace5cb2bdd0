import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Secret } from "@sallyport/kit";
import { createSrtpSender, suites } from "../src/index.ts";
import { deriveSessionKeys } from "../src/derivation.ts";
import { transformFrom } from "../src/transform.ts";
import { codeOf, keyFor, masterFor, packetOf, receiverOf, rtcp, rtp, senderOf, suiteNames } from "./support.ts";

const name = "AES_CM_128_HMAC_SHA1_80";

describe("sender", () => {
  it.each(suiteNames)("RFC 3711 3.1, 3.4: %s adds its SRTP tag, and for SRTCP the index and its own tag", (suite) => {
    const sender = senderOf(suite);
    const { srtpTagLength, srtcpTagLength } = suites[suite];
    expect(packetOf(sender.protectRtp(rtp(1))).length).toBe(rtp(1).length + srtpTagLength);
    const sealed = packetOf(sender.protectRtcp(rtcp()));
    expect(sealed.length).toBe(rtcp().length + 4 + srtcpTagLength);
    expect(sealed.subarray(0, 8)).toEqual(rtcp().subarray(0, 8));
    expect(sealed.subarray(8, 20)).not.toEqual(rtcp().subarray(8, 20));
  });

  it("RFC 3711 9.1, invariant 4: an index goes out once; an unused one within 127 below may still go; a wrap advances the ROC", () => {
    const sender = senderOf(name);
    const send = (sequence: number) => {
      const result = sender.protectRtp(rtp(sequence));
      return result.ok ? result.index : result.code;
    };
    expect([65530, 65531, 65531, 65533, 65532, 65532].map(send)).toEqual([
      65530,
      65531,
      "index-reuse",
      65533,
      65532,
      "index-reuse",
    ]);
    expect([65535, 1, 65534, 0].map(send)).toEqual([65535, 65537, 65534, 65536]);
    // A source that starts again lower down: refused until it is past what was used.
    expect(send(20_000)).toBe(65536 + 20_000);
    expect([1000, 1002, 19_873].map(send)).toEqual(["index-reuse", "index-reuse", 65536 + 19_873]);
    expect(send(19_872)).toBe("index-reuse");
    expect(sender.counters.refused["index-reuse"]).toBe(5);
  });

  it.each(suiteNames)(
    "RFC 3550 A.1, invariant 4: %s carries a source that starts again forward, and its receiver follows",
    (suite) => {
      const sender = senderOf(suite);
      const receiver = receiverOf(suite);
      const send = (sequence: number) => {
        const result = sender.protectRtp(rtp(sequence, `${sequence}`));
        if (!result.ok) return result.code;
        const opened = packetOf(receiver.unprotectRtp(result.packet));
        expect(opened.subarray(12).toString()).toBe(`${sequence}`);
        expect([result.packet.readUInt16BE(2), opened.readUInt16BE(2)]).toEqual(Array(2).fill(result.index % 65536));
        return result.index;
      };
      expect([65_534, 65_535, 0].map(send)).toEqual([65_534, 65_535, 65_536]);
      // The first packet below the window is refused; the next tells that it was no straggler.
      expect([62_000, 62_001, 62_002, 62_004, 62_003].map(send)).toEqual([
        "index-reuse",
        65_537,
        65_538,
        65_540,
        65_539,
      ]);
      // A straggler does not.
      expect([62_005, 61_000, 62_006, 61_001].map(send)).toEqual([65_541, "index-reuse", 65_542, "index-reuse"]);
      // What is inside the window was used: no restart is seen there, however regular it looks.
      expect([62_004, 62_005, 62_006, 62_007].map(send)).toEqual(["index-reuse", "index-reuse", "index-reuse", 65_543]);
      expect([50_000, 50_001, 50_002].map(send)).toEqual(["index-reuse", 65_544, 65_545]);
      expect(sender.counters.carriedForward).toBe(2);
    },
  );

  it("RFC 3550 A.1: what comes a hundred packets late, one after the other, is late and no source that started again", () => {
    const sender = senderOf(name);
    const send = (sequence: number) => {
      const result = sender.protectRtp(rtp(sequence));
      return result.ok ? result.index : result.code;
    };
    expect([1000, 1100, 1001, 1002, 1003, 1101].map(send)).toEqual([1000, 1100, 1001, 1002, 1003, 1101]);
    expect(sender.counters.carriedForward).toBe(0);
  });

  it("RFC 3711 3.3.1: at ROC 0 nothing is sent that a receiver takes for one of before it: late at the start, or a long jump", () => {
    const run = (sequences: readonly number[]) => {
      const sender = senderOf(name);
      return sequences.map((sequence) => {
        const result = sender.protectRtp(rtp(sequence));
        return result.ok ? result.index : result.code;
      });
    };
    expect(run([0, 65_535, 1])).toEqual([0, "index-reuse", 1]);
    expect(run([5, 50_000, 50_001, 50_002])).toEqual([5, "index-reuse", 6, 7]);
    expect(run([5, 32_773])).toEqual([5, 32_773]);
    expect(run([5, 32_774, 6])).toEqual([5, "index-reuse", 6]);
    expect(run([65_535, 0, 65_534, 40_000])).toEqual([65_535, 65_536, 65_534, "index-reuse"]);
  });

  it("invariant 4: whoever may not carry forward sends nothing of a source that started again", () => {
    let asked = 0;
    const sender = senderOf(name, {
      mayCarryForward: () => {
        asked++;
        return asked > 2;
      },
    });
    const codes = [500, 1, 2, 3, 4].map((sequence) => codeOf(sender.protectRtp(rtp(sequence))));
    expect(codes).toEqual(["ok", "index-reuse", "index-reuse", "index-reuse", "ok"]);
    expect(sender.counters.carriedForward).toBe(1);
  });

  it("RFC 3711 9.2: the user hears once that 7/8 of a lifetime are used, of SRTP or of SRTCP", () => {
    const heard: string[] = [];
    const told = (what: string) => () => void heard.push(what);
    const sender = senderOf(name, { lifetime: 16n, onExpiring: told("rtp") });
    for (let sequence = 1; sequence <= 13; sequence++) sender.protectRtp(rtp(sequence));
    expect(heard).toEqual([]);
    for (let sequence = 14; sequence <= 20; sequence++) sender.protectRtp(rtp(sequence));
    expect(heard).toEqual(["rtp"]);
    const reports = senderOf(name, { lifetime: 8n, onExpiring: told("rtcp") });
    for (let count = 0; count < 6; count++) reports.protectRtcp(rtcp());
    expect(heard).toEqual(["rtp"]);
    reports.protectRtcp(rtcp());
    expect(heard).toEqual(["rtp", "rtcp"]);
    const receiver = receiverOf(name, { keys: [{ ...keyFor(name), lifetime: 4n }], onExpiring: told("in") });
    const source = senderOf(name);
    for (let sequence = 1; sequence <= 3; sequence++) receiver.unprotectRtp(packetOf(source.protectRtp(rtp(sequence))));
    expect(heard).toEqual(["rtp", "rtcp"]);
    receiver.unprotectRtp(packetOf(source.protectRtp(rtp(4))));
    expect(heard).toEqual(["rtp", "rtcp", "in"]);
  });

  it("invariant 4: no script of sequence numbers makes one (SSRC, index) protect two packets", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(1, 2),
            fc.oneof(
              fc.integer({ min: 0, max: 65535 }),
              fc.integer({ min: 65500, max: 65535 }),
              fc.integer({ min: 0, max: 40 }),
            ),
          ),
          {
            maxLength: 80,
          },
        ),
        (script) => {
          const sender = senderOf(name);
          const used = new Set<string>();
          for (const [ssrc, sequence] of script) {
            const result = sender.protectRtp(rtp(sequence, "x", ssrc));
            if (!result.ok) continue;
            const place = `${ssrc}/${result.index}`;
            expect(used.has(place)).toBe(false);
            expect(result.packet.readUInt16BE(2)).toBe(result.index % 65536);
            used.add(place);
          }
          expect(sender.counters.rtp).toBe(used.size);
        },
      ),
      { seed: 91, numRuns: 150 },
    );
  });

  it("invariant 4: a sender that takes up a key again goes on above what was used", () => {
    const first = senderOf(name);
    packetOf(first.protectRtp(rtp(500)));
    packetOf(first.protectRtcp(rtcp()));
    const second = senderOf(name, { resume: first.indices() });
    expect(codeOf(second.protectRtp(rtp(500)))).toBe("index-reuse");
    expect(codeOf(second.protectRtp(rtp(499)))).toBe("index-reuse");
    expect(second.protectRtp(rtp(501))).toMatchObject({ ok: true, index: 501 });
    expect(second.protectRtcp(rtcp())).toMatchObject({ ok: true, index: 1 });
    const third = senderOf(name, { resume: second.indices(), lifetime: 3n });
    expect([502, 503].map((sequence) => codeOf(third.protectRtp(rtp(sequence))))).toEqual(["ok", "lifetime"]);
    expect([1, 2].map(() => codeOf(third.protectRtcp(rtcp())))).toEqual(["ok", "lifetime"]);
  });

  it("RFC 3711 9.2: a key is spent after its lifetime, SRTP and SRTCP counted apart", () => {
    const sender = senderOf(name, { lifetime: 2n });
    expect([1, 2, 3].map((sequence) => codeOf(sender.protectRtp(rtp(sequence))))).toEqual(["ok", "ok", "lifetime"]);
    expect([1, 2, 3].map(() => codeOf(sender.protectRtcp(rtcp())))).toEqual(["ok", "ok", "lifetime"]);
    const nearEnd = senderOf(name, {
      resume: new Map([[0xcafebabe, { rtp: 2 ** 48 - 2, rtcp: 2 ** 31 - 2, rtpPackets: 9 }]]),
    });
    expect(nearEnd.protectRtp(rtp(65535))).toMatchObject({ ok: true, index: 2 ** 48 - 1 });
    expect(codeOf(nearEnd.protectRtp(rtp(0)))).toBe("lifetime");
    expect(nearEnd.protectRtcp(rtcp())).toMatchObject({ ok: true, index: 2 ** 31 - 1 });
    expect(codeOf(nearEnd.protectRtcp(rtcp()))).toBe("lifetime");
  });

  it("contexts are bounded in number and none is forgotten", () => {
    const sender = senderOf(name, { maxSources: 2 });
    const codes = [1, 2, 3, 1].map((ssrc, at) => codeOf(sender.protectRtp(rtp(at, "x", ssrc))));
    expect(codes).toEqual(["ok", "ok", "sources", "ok"]);
    expect(codeOf(sender.protectRtcp(rtcp(4)))).toBe("sources");
    expect(sender.counters.sources).toBe(2);
  });

  it("RFC 3711 3.4: SRTCP goes out with E = 0 and in clear only when told", () => {
    const sealed = packetOf(senderOf(name, { unencryptedSrtcp: true }).protectRtcp(rtcp()));
    expect(sealed.subarray(0, rtcp().length)).toEqual(rtcp());
    expect(sealed.readUInt32BE(rtcp().length)).toBe(0);
    expect(codeOf(receiverOf(name, { unencryptedSrtcp: true }).unprotectRtcp(sealed))).toBe("ok");
  });

  it("the input is left as it was", () => {
    for (const suite of suiteNames) {
      const packet = rtp(7);
      const report = rtcp();
      const sender = senderOf(suite);
      packetOf(sender.protectRtp(packet));
      packetOf(sender.protectRtcp(report));
      expect([packet, report]).toEqual([rtp(7), rtcp()]);
    }
  });

  it("invariant 7: after release nothing is protected, and the caller's master is untouched", () => {
    const key = keyFor(name);
    const sender = senderOf(name, { key });
    packetOf(sender.protectRtp(rtp(1)));
    sender.release();
    sender.release();
    expect([codeOf(sender.protectRtp(rtp(2))), codeOf(sender.protectRtcp(rtcp()))]).toEqual(["released", "released"]);
    expect(key.master.released).toBe(false);
  });

  it.each(suiteNames)("invariant 7: %s zeroises the session keys it was given, at once or at the end", (suite) => {
    const derived = masterFor(suite).use((octets) => ({
      srtp: deriveSessionKeys(suites[suite], octets, "srtp"),
      srtcp: deriveSessionKeys(suites[suite], octets, "srtcp"),
      mki: Buffer.alloc(0),
    }));
    const buffers = [derived.srtp, derived.srtcp].map(({ encryption, authentication }) => [encryption, authentication]);
    const salts = [derived.srtp.salt, derived.srtcp.salt];
    const zero = (buffer: Buffer) => buffer.every((octet) => octet === 0);
    const transform = transformFrom(suites[suite], derived);
    const [srtp, srtcp] = buffers;
    // The key of the protocol that is used goes into node:crypto, the other stays where it can be zeroised.
    transform.sealRtp(rtp(1), 12, 0, 1);
    expect(srtp?.every(zero)).toBe(true);
    expect(srtcp?.some((buffer) => buffer.length > 0 && zero(buffer))).toBe(false);
    expect(salts.some(zero)).toBe(false);
    transform.wipe();
    expect([...buffers.flat(), ...salts].every(zero)).toBe(true);
  });

  it("RFC 4568 6.1, 6.2: keys that do not fit are refused with their code, never shown", () => {
    const master = Secret.take(Buffer.from("just28octetsofkeymaterial!!!"));
    const suite = suites[name];
    expect(() => createSrtpSender({ suite, key: { master } })).toThrow(
      expect.objectContaining({ code: "SALLY_SRTP_KEY_LENGTH", message: expect.not.stringContaining("octetsof") }),
    );
    for (const mki of [Buffer.alloc(0), Buffer.alloc(129)]) {
      expect(() => senderOf(name, { key: { ...keyFor(name), mki } })).toThrow(
        expect.objectContaining({ code: "SALLY_SRTP_KEYS" }),
      );
    }
    for (const lifetime of [0n, 2n ** 48n + 1n]) {
      expect(() => senderOf(name, { lifetime })).toThrow(expect.objectContaining({ code: "SALLY_SRTP_LIFETIME" }));
    }
    expect(() => senderOf(name, { maxSources: 0 })).toThrow(expect.objectContaining({ code: "SALLY_SRTP_LIMIT" }));
  });
});
