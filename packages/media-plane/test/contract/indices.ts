// Invariant 4 under sources and keys that change: carry-forward, trials of the ROC, keys near their end.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSrtpReceiver, createSrtpSender, suites } from "@sallyport/srtp";
import { freshKeys, protectionOf, rtp, ueContexts, type Keys, type World } from "../fixture.ts";
import { counted, tick, type Harness } from "./harness.ts";

export const indicesContract = ({ bothWays, end, open }: Harness): void => {
  /** Sends this from the core; the sealed packet the UE hears, or nothing when it was refused. */
  const through = async (world: World, octets: Buffer) => {
    const { leg } = world.access;
    const before = world.plane.counters(leg);
    world.core.send("rtp", octets, world.port("core", "rtp"));
    for (;;) {
      const { indexReuse, rtpOut } = world.plane.counters(leg);
      if (rtpOut > before.rtpOut) return world.ue.next("rtp");
      if (indexReuse > before.indexReuse) return undefined;
      await tick();
    }
  };

  describe("invariant 4: sources that start again", () => {
    it("RFC 3550 A.1, invariant 4: a restarted source is carried forward after one packet, and the UE's receiver goes on", async () => {
      const world = await open();
      const sequences = [500, 501, 7, 8, 9, 11, 10];
      const heard: unknown[] = [];
      for (const sequence of sequences) {
        const sealed = await through(world, rtp(sequence, `${sequence}`));
        if (sealed === undefined) heard.push("refused");
        else {
          const opened = world.ue.open("rtp", sealed);
          heard.push([opened.readUInt16BE(2), opened.subarray(12).toString()]);
        }
      }
      expect(heard).toEqual([[500, "500"], [501, "501"], "refused", [502, "8"], [503, "9"], [505, "11"], [504, "10"]]);
      expect(counted(world.plane.counters(world.access.leg))).toEqual({ rtpOut: 6, indexReuse: 1, carriedForward: 1 });
    });

    it("RFC 3550 A.1: packets of the core that come a hundred late, one after the other, go on to the UE as they are", async () => {
      const world = await open();
      for (const sequence of [1000, 1100, 1001, 1002, 1101]) {
        const sealed = await through(world, rtp(sequence));
        expect(sealed?.readUInt16BE(2)).toBe(sequence);
      }
      expect(world.plane.counters(world.access.leg)).toMatchObject({ carriedForward: 0, indexReuse: 0 });
    });

    it("RFC 3711 3.3.1: a core source that starts at the wrap, its first packet late, stays at the ROC its receivers guess", async () => {
      const world = await open();
      const heard: unknown[] = [];
      for (const sequence of [0, 65_535, 1]) {
        const sealed = await through(world, rtp(sequence));
        heard.push(sealed === undefined ? "refused" : world.ue.open("rtp", sealed).readUInt16BE(2));
      }
      expect(heard).toEqual([0, "refused", 1]);
    });

    it("invariant 4: two sources of one SSRC may not jump for ever: eight times in ten seconds, then dropped and alarmed", async () => {
      const world = await open();
      let sent = 0;
      for (let round = 0; round < 12; round++) {
        // Each of them seen from where the other was.
        const base = 60_000 - 4000 * round;
        for (let step = 0; step < 2; step++) {
          if ((await through(world, rtp(base + step))) !== undefined) sent += 1;
        }
      }
      const counters = world.plane.counters(world.access.leg);
      expect([sent, counters.carriedForward, counters.indexReuse]).toEqual([10, 8, 14]);
      const alarm = { kind: "alarm", leg: world.access.leg, what: "index-reuse", count: 1 };
      expect(world.plane.events()).toEqual([alarm]);
    });

    it("invariant 4: a new SSRC of the core has a key stream of its own under the same key, and one that returns goes on", async () => {
      const world = await open();
      const seen: Buffer[] = [];
      for (const [sequence, ssrc] of [
        [9, 1],
        [9, 2],
        [10, 1],
        [10, 2],
        [9, 1],
      ] as const) {
        const sealed = await through(world, rtp(sequence, Buffer.alloc(16), ssrc));
        if (sealed !== undefined) seen.push(sealed.subarray(12, 28));
      }
      expect(new Set(seen.map((octets) => octets.toString("hex"))).size).toBe(4);
      expect(world.plane.counters(world.access.leg).indexReuse).toBe(1);
    });

    it("invariant 4: whatever sources and keys do, one (key, SSRC, index) never seals two different packets", async () => {
      const step = fc.oneof(
        {
          weight: 12,
          arbitrary: fc.record({
            kind: fc.constant("packet" as const),
            ssrc: fc.constantFrom(1, 1, 2),
            sequence: fc.oneof(
              fc.integer({ min: 0, max: 65_535 }),
              fc.integer({ min: 65_500, max: 65_535 }),
              fc.integer({ min: 0, max: 90 }),
            ),
            run: fc.integer({ min: 1, max: 4 }),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({ kind: fc.constant("key" as const), which: fc.integer({ min: 0, max: 2 }) }),
        },
      );
      const property = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 30 }), async (script) => {
        const world = await open();
        const all: Keys[] = [world.keys, freshKeys(), freshKeys()];
        let current = 0;
        const used = new Map<string, string>();
        let payload = 0;
        for (const one of script) {
          if (one.kind === "key") {
            current = one.which;
            world.plane.update(world.access.leg, { protection: protectionOf(all[current] ?? world.keys) });
            continue;
          }
          for (let count = 0; count < one.run; count++) {
            const plain = rtp(one.sequence + count, Buffer.alloc(24, ++payload), one.ssrc);
            const sealed = await through(world, plain);
            if (sealed === undefined) continue;
            // The key stream itself: what came out, less what went in. Two packets that share it share an index.
            const stream = Buffer.from(sealed.subarray(12, 36).map((octet) => octet ^ (payload & 0xff))).toString(
              "hex",
            );
            expect(used.get(stream)).toBeUndefined();
            used.set(stream, `${current}/${one.ssrc}/${one.sequence + count}`);
          }
        }
        await end(world);
      });
      await fc.assert(property, { seed: 410, numRuns: 12 });
    });
  });

  describe("RFC 3711 3.3.1: the ROC after a change of keys", () => {
    it("RFC 3711 3.3.1: a UE that starts its ROC again, or wrapped meanwhile, is followed by its tag alone and counted", async () => {
      const world = await open();
      // Into ROC 1 under the first key.
      for (const sequence of [65_535, 65_536, 65_537 + 30_000]) await world.fromUe("rtp", rtp(sequence));
      const { leg } = world.access;
      const rekeyed = (rtpIndex: number) => {
        const keys = freshKeys();
        world.plane.update(leg, { protection: protectionOf(keys) });
        const sender = createSrtpSender({
          suite: suites[keys.suite],
          key: keys.fromUe,
          resume: new Map([[0x1111_1111, { rtp: rtpIndex, rtcp: -1, rtpPackets: 0 }]]),
        });
        return async (sequence: number, payload: string) => {
          const sealed = sender.protectRtp(rtp(sequence, payload));
          if (!sealed.ok) throw new Error(sealed.code);
          const forged = Buffer.from(sealed.packet);
          forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
          world.ue.send("rtp", forged, world.port("access", "rtp"));
          world.ue.send("rtp", sealed.packet, world.port("access", "rtp"));
          expect((await world.core.next("rtp")).subarray(12).toString()).toBe(payload);
        };
      };
      await rekeyed(65_536 + 30_001)(65_536 + 30_002, "kept");
      expect(world.plane.counters(leg)).toMatchObject({ rocTrials: 0, authenticationFailures: 1 });
      await rekeyed(30_002)(30_003, "from 0");
      expect(world.plane.counters(leg)).toMatchObject({ rocTrials: 1, authenticationFailures: 2 });
      await rekeyed(65_536 + 20_000)(65_536 + 20_001, "the next one");
      expect(world.plane.counters(leg)).toMatchObject({ rocTrials: 2, authenticationFailures: 3, rtpIn: 6 });
    });

    it("RFC 4771 1: a UE whose first packets were lost until its sequence numbers wrapped is heard", async () => {
      const world = await open();
      const sender = createSrtpSender({
        suite: suites[world.keys.suite],
        key: world.keys.fromUe,
        resume: new Map([[0x1111_1111, { rtp: 65_536 + 6, rtcp: -1, rtpPackets: 0 }]]),
      });
      for (const sequence of [7, 8]) {
        const sealed = sender.protectRtp(rtp(sequence, `${sequence}`));
        if (!sealed.ok) throw new Error(sealed.code);
        const forged = Buffer.from(sealed.packet);
        forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
        world.ue.send("rtp", forged, world.port("access", "rtp"));
        world.ue.send("rtp", sealed.packet, world.port("access", "rtp"));
        expect((await world.core.next("rtp")).subarray(12).toString()).toBe(`${sequence}`);
      }
      const counters = world.plane.counters(world.access.leg);
      expect(counters).toMatchObject({ rocTrials: 1, authenticationFailures: 2, rtpIn: 2 });
    });

    it("RFC 4568 6.1: an MKI tells the keys apart, in both directions, also over a change of both", async () => {
      const world = await open();
      const keyed = (mki: number) => {
        const { fromUe, suite, towardsUe } = freshKeys();
        const named = Buffer.from([0, mki]);
        return { suite, fromUe: { ...fromUe, mki: named }, towardsUe: { ...towardsUe, mki: named } };
      };
      const first = keyed(1);
      world.plane.update(world.access.leg, { protection: protectionOf(first) });
      const ue = ueContexts(first);
      const early = ue.seal("rtp", rtp(1));
      const second = keyed(2);
      world.plane.update(world.access.leg, { protection: protectionOf(second) });
      const later = ueContexts(second);
      for (const sealed of [early, later.seal("rtp", rtp(2))]) {
        world.ue.send("rtp", sealed, world.port("access", "rtp"));
      }
      for (const sequence of [1, 2]) expect(await world.core.next("rtp")).toEqual(rtp(sequence));
      const sealed = await world.fromCore("rtp", rtp(5, "y", 2));
      expect(sealed.subarray(-12, -10)).toEqual(Buffer.from([0, 2]));
      expect(later.open("rtp", sealed)).toEqual(rtp(5, "y", 2));
      const receiver = createSrtpReceiver({ suite: suites[first.suite], keys: [first.towardsUe] });
      expect(receiver.unprotectRtp(sealed)).toMatchObject({ ok: false, code: "mki" });
    });
  });

  describe("RFC 3711 9.2: keys near their end", () => {
    it("RFC 3711 9.2: each key is told of once when 7/8 of its lifetime are used, in time for another one", async () => {
      const keys = freshKeys();
      const short = {
        ...keys,
        fromUe: { ...keys.fromUe, lifetime: 8n },
        towardsUe: { ...keys.towardsUe, lifetime: 8n },
      };
      const world = await open({ access: { protection: protectionOf(short) } });
      const ue = ueContexts(short);
      const { leg } = world.access;
      const both = async (sequence: number) => {
        world.ue.send("rtp", ue.seal("rtp", rtp(sequence)), world.port("access", "rtp"));
        await world.core.next("rtp");
        await world.fromCore("rtp", rtp(sequence, "y", 2));
      };
      for (let sequence = 1; sequence <= 6; sequence++) await both(sequence);
      expect(world.plane.events()).toEqual([]);
      await both(7);
      const expiring = (direction: "in" | "out") => ({ kind: "key-expiring", leg, direction });
      expect(world.plane.events()).toEqual([expiring("in"), expiring("out")]);
      await both(8);
      expect(world.plane.events()).toEqual([]);
      world.plane.update(leg, { protection: protectionOf(world.keys) });
      await bothWays(world, 9);
      expect(world.plane.counters(leg)).toMatchObject({ lifetimeDropped: 0, keyChanges: 2 });
    });
  });
};
