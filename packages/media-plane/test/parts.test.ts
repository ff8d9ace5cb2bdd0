// The pure parts of the portable engine: latching, recognition of clear media, ports, events.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom, VirtualClock } from "@sallyport/kit";
import { suites } from "@sallyport/srtp";
import { looksClearRtcp, looksClearRtp } from "../src/portable/clear.ts";
import { EventQueue } from "../src/portable/events.ts";
import { applyLatch, canonicalAddress, hears, learn, movedRemote, noLatch } from "../src/portable/latch.ts";
import { PortPairs } from "../src/portable/ports.ts";
import { SendKeys } from "../src/portable/send-keys.ts";
import { freshKeys, rtcp, rtp, ueContexts } from "./fixture.ts";

const [one, two] = [
  { address: "192.0.2.1", port: 1 },
  { address: "192.0.2.2", port: 1 },
];

describe("latching", () => {
  it("H.248.37: off, latch, relatch and off again", () => {
    expect([
      hears(noLatch, "192.0.2.1", one),
      hears(noLatch, "192.0.2.1", two),
      hears(noLatch, undefined, one),
    ]).toEqual([true, false, false]);
    expect(learn(noLatch, one)).toBe(noLatch);
    const waiting = applyLatch(noLatch, "latch");
    expect(hears(waiting, undefined, two)).toBe(true);
    const learned = learn(waiting, one);
    expect(learned).toEqual({ rule: "latch", learned: one, waiting: false });
    expect([hears(learned, undefined, one), hears(learned, "192.0.2.2", two)]).toEqual([true, false]);
    expect(hears(learned, undefined, { ...one, port: 2 })).toBe(false);
    expect(learn(learned, two)).toBe(learned);
    expect(applyLatch(learned, "latch")).toEqual(learned);
    const again = applyLatch(learned, "relatch");
    expect(learn(again, one)).toBe(again);
    expect(learn(again, two)).toEqual({ rule: "relatch", learned: two, waiting: false });
    expect(applyLatch(learned, "off")).toBe(noLatch);
    expect(movedRemote(learned)).toEqual({ rule: "latch", learned: undefined, waiting: true });
    expect(movedRemote(noLatch)).toBe(noLatch);
  });

  it("addresses compare in the system's form", () => {
    expect(canonicalAddress("2001:DB8:0:0::1")).toBe("2001:db8::1");
    expect(canonicalAddress("fe80:0::1%eth0")).toBe("fe80::1%eth0");
    expect(canonicalAddress("192.0.2.1")).toBe("192.0.2.1");
    expect(canonicalAddress("not an address")).toBe("not an address");
  });
});

describe("clear media", () => {
  const random = seededRandom("payloads");

  it("invariant 3: silence, tones and short packets are recognised, RTCP by its lengths", () => {
    const tone = Buffer.from(Array.from({ length: 160 }, (_, at) => 128 + Math.round(60 * Math.sin(at / 3))));
    expect(looksClearRtp(rtp(1, tone), 12, 22)).toBe(true);
    expect(looksClearRtp(rtp(1, Buffer.alloc(160, 0xd5)), 12, 22)).toBe(true);
    expect(looksClearRtp(rtp(1, "1234"), 12, 22)).toBe(true);
    expect(looksClearRtp(rtp(1, "1234"), -1, 22)).toBe(false);
    expect(looksClearRtcp(rtcp())).toBe(true);
    expect(looksClearRtcp(Buffer.concat([rtcp(), rtcp()]))).toBe(true);
    expect(looksClearRtcp(rtcp().subarray(0, 24))).toBe(false);
  });

  it("what is protected is never taken for clear", () => {
    for (const suite of ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"] as const) {
      const ue = ueContexts(freshKeys(suite));
      const shortest = 12 + suites[suite].srtpTagLength;
      for (let sequence = 0; sequence < 3000; sequence++) {
        const sealed = ue.seal("rtp", rtp(sequence, Buffer.alloc(sequence % 400, 0xd5)));
        expect(looksClearRtp(sealed, 12, shortest)).toBe(false);
        if (sequence % 10 === 0) expect(looksClearRtcp(ue.seal("rtcp", Buffer.concat([rtcp(), rtcp()])))).toBe(false);
      }
    }
  });

  it("any octets: never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: -1, max: 300 }), (octets, headerLength) => {
        looksClearRtp(Buffer.from(octets), headerLength, 22);
        looksClearRtcp(Buffer.from(octets));
      }),
      { seed: 5, numRuns: 1000 },
    );
    expect(looksClearRtp(rtp(1, random.bytes(160)), 12, 22)).toBe(false);
  });
});

describe("bounds", () => {
  it("events: at most 1,024 between two polls", () => {
    const queue = new EventQueue();
    for (let leg = 0; leg < 2000; leg++) queue.push({ kind: "inactive", leg, direction: "in" });
    expect(queue.drain()).toHaveLength(1024);
    expect(queue.drain()).toEqual([]);
  });

  it("ports: a pair is never given twice, and rests before it is given again", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 200 }), (script) => {
        const clock = new VirtualClock();
        const ports = new PortPairs(clock, { first: 100, last: 115 }, 50);
        const taken: number[] = [];
        const freedAt = new Map<number, number>();
        for (const step of script) {
          if (step < 5) {
            const port = ports.take();
            if (port === undefined) {
              const resting = [...freedAt].filter(([, at]) => clock.now() - at < 50);
              expect(taken.length + resting.length).toBe(8);
              continue;
            }
            expect(port % 2 === 0 && port >= 100 && port <= 114 && !taken.includes(port)).toBe(true);
            expect(clock.now() - (freedAt.get(port) ?? -50)).toBeGreaterThanOrEqual(50);
            freedAt.delete(port);
            taken.push(port);
          } else if (step < 8) {
            const port = taken.shift();
            if (port === undefined) continue;
            ports.give(port, step === 7);
            freedAt.set(port, clock.now());
          } else clock.advance(20);
          expect(ports.taken).toBe(taken.length);
        }
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  it("ports: a pair whose sockets were kept goes first, but not before it has rested, nor when they are gone", () => {
    const clock = new VirtualClock();
    const ports = new PortPairs(clock, { first: 100, last: 199 }, 50);
    expect([ports.take(), ports.take(), ports.take()]).toEqual([100, 102, 104]);
    ports.give(102, true);
    ports.give(100);
    ports.give(104, true);
    clock.advance(49);
    expect(ports.take()).toBe(106);
    clock.advance(1);
    expect([ports.take(), ports.take(), ports.take()]).toEqual([102, 104, 108]);
    ports.give(108, true);
    clock.advance(6000);
    expect(ports.take()).toBe(110);
  });

  it("invariant 4: keys of closed legs are remembered, 16,384 of them", () => {
    const keys = new SendKeys();
    const inUse = expect.objectContaining({ code: "SALLY_PLANE_KEY_IN_USE" });
    keys.own("a", 1);
    expect(() => keys.check("a", 2)).toThrow(inUse);
    keys.check("a", 1);
    keys.retire(["a"]);
    expect(() => keys.check("a", 1)).toThrow(inUse);
    keys.retire(Array.from({ length: 16_384 }, (_, at) => `other ${at}`));
    keys.check("a", 3);
    expect(() => keys.check("other 0", 3)).toThrow(inUse);
  });
});
