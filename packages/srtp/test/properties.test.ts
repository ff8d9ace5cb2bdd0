import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { codeOf, keyFor, packetOf, receiverOf, rtcp, rtp, senderOf, suiteNames } from "./support.ts";

type Step =
  | { readonly kind: "send"; readonly gap: number }
  | { readonly kind: "deliver" | "forge"; readonly which: number };

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("send" as const), gap: fc.constantFrom(1, 1, 1, 2, 40, 3000, 20_000) }),
    },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("deliver" as const), which: fc.nat(30) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("forge" as const), which: fc.nat(30) }) },
  ),
  { maxLength: 120 },
);

const window = 128;

describe("scripts of loss, reordering, duplication, forgery and wrap", () => {
  it.each(["AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"] as const)(
    "RFC 3711 3.3: %s agrees with a list of indices received",
    (suite) => {
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 65535 }), steps, (start, script: readonly Step[]) => {
          const sender = senderOf(suite);
          const receiver = receiverOf(suite, { window });
          const sent: { readonly index: number; readonly plain: Buffer; readonly sealed: Buffer }[] = [];
          const received = new Set<number>();
          let highest = -1;
          let next = start;
          for (const step of script) {
            if (step.kind === "send") {
              const plain = rtp(next % 65536, `packet ${next}`);
              const result = sender.protectRtp(plain);
              expect(result).toMatchObject({ ok: true, index: next });
              sent.push({ index: next, plain, sealed: packetOf(result) });
              next += step.gap;
              continue;
            }
            const one = sent.at(-1 - step.which);
            if (one === undefined) continue;
            if (step.kind === "forge") {
              const forged = Buffer.from(one.sealed);
              forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
              expect(receiver.unprotectRtp(forged).ok).toBe(false);
              continue;
            }
            // The model: the ROC is recoverable within 2^15 of the highest index received, or of the first cycle.
            const reachable = highest < 0 ? one.index < 65536 + 32768 : Math.abs(one.index - highest) < 32768;
            const opened = receiver.unprotectRtp(one.sealed);
            if (!reachable) {
              expect(opened.ok).toBe(false);
            } else if (highest - one.index >= window) {
              expect(codeOf(opened)).toBe("too-old");
            } else if (received.has(one.index)) {
              expect(codeOf(opened)).toBe("replay");
            } else {
              expect(packetOf(opened)).toEqual(one.plain);
              received.add(one.index);
              highest = Math.max(highest, one.index);
            }
            expect(receiver.indices().get(0xcafebabe)?.rtp ?? -1).toBe(highest);
          }
        }),
        { seed: 33, numRuns: 150 },
      );
    },
  );
});

describe("any octets", () => {
  // Mostly things that look like RTP or RTCP, so that every check is reached.
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc
      .tuple(fc.constantFrom(0x80, 0x90, 0xb1, 0x8f), fc.uint8Array({ maxLength: 80 }))
      .map(([first, rest]) => Uint8Array.from([first, ...rest])),
  );

  it.each(suiteNames)("%s: never throw, never verify, and nothing is learned (invariant 3)", (suite) => {
    const receiver = receiverOf(suite);
    const withMki = receiverOf(suite, { keys: [{ ...keyFor(suite), mki: Buffer.from("abcd") }] });
    fc.assert(
      fc.property(octets, (some) => {
        for (const target of [receiver, withMki]) {
          expect(target.unprotectRtp(Buffer.from(some)).ok).toBe(false);
          expect(target.unprotectRtcp(Buffer.from(some)).ok).toBe(false);
          expect(target.counters).toMatchObject({ rtp: 0, rtcp: 0, sources: 0 });
        }
      }),
      { seed: 7, numRuns: 300 },
    );
    const sender = senderOf(suite);
    expect(codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(1)))))).toBe("ok");
    expect(codeOf(receiver.unprotectRtcp(packetOf(sender.protectRtcp(rtcp()))))).toBe("ok");
  });

  it.each(suiteNames)("%s: whatever the sender takes, the receiver gives back", (suite) => {
    const sender = senderOf(suite, { maxSources: 1000 });
    const receiver = receiverOf(suite, { maxSources: 1000 });
    fc.assert(
      fc.property(octets, (some) => {
        const packet = Buffer.from(some);
        const sealed = sender.protectRtp(packet);
        if (sealed.ok && sealed.index < 65536) expect(packetOf(receiver.unprotectRtp(sealed.packet))).toEqual(packet);
        const report = sender.protectRtcp(packet);
        if (report.ok) expect(packetOf(receiver.unprotectRtcp(report.packet))).toEqual(packet);
      }),
      { seed: 8, numRuns: 200 },
    );
  });
});
