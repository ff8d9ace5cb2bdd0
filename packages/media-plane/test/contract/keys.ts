// Invariants 4 and 5: keys over their changes, and no index twice.
import { describe, expect, it } from "vitest";
import type { PlaneKey } from "../../src/index.ts";
import { freshKey, freshKeys, host, protectionOf, rtp, ueContexts, type World } from "../fixture.ts";
import { counted, refused, tick, type Harness } from "./harness.ts";

export const keysContract = ({ bothWays, open }: Harness): void => {
  describe("invariant 4", () => {
    /** Sends these from the core; gives how many left for the UE, each of them openable with its own index. */
    const push = async (world: World, sequences: readonly number[], payload: string): Promise<number> => {
      const before = counted(world.plane.counters(world.access.leg));
      for (const sequence of sequences) world.core.send("rtp", rtp(sequence, payload), world.port("core", "rtp"));
      const seen = () => {
        const now = counted(world.plane.counters(world.access.leg));
        return {
          out: (now.rtpOut ?? 0) - (before.rtpOut ?? 0),
          refused: (now.indexReuse ?? 0) - (before.indexReuse ?? 0),
        };
      };
      while (seen().out + seen().refused < sequences.length) await tick();
      return seen().out;
    };

    it("invariant 4: a core source that repeats, jumps back or starts again never has an index used twice", async () => {
      const world = await open();
      expect(await push(world, [100, 101, 102], "first")).toBe(3);
      expect(await push(world, [100, 101, 102, 102], "again")).toBe(0);
      expect(await push(world, [90, 95, 90], "late")).toBe(2);
      expect(await push(world, [103, 30_000, 60_000, 5], "on, over a wrap")).toBe(4);
      const places = new Set<string>();
      for (let count = 0; count < 9; count++) {
        const sealed = await world.ue.next("rtp");
        places.add(sealed.subarray(2, 12).toString("hex"));
        world.ue.open("rtp", sealed);
      }
      expect(places.size).toBe(9);
      const { leg } = world.access;
      expect(world.plane.events()).toEqual([{ kind: "alarm", leg, what: "index-reuse", count: 1 }]);
    });

    it("invariant 4 and 5: a key that comes back after a failed re-offer goes on where it stopped", async () => {
      const world = await open();
      const { leg } = world.access;
      await bothWays(world, 100);
      const changed = freshKeys();
      world.plane.update(leg, { protection: protectionOf(changed) });
      const other = ueContexts(changed);
      expect(other.open("rtp", await world.fromCore("rtp", rtp(101, "x", 2)))).toEqual(rtp(101, "x", 2));
      const underOld = world.ue.seal("rtp", rtp(101));

      world.plane.update(leg, { protection: protectionOf(world.keys) });
      world.core.send("rtp", rtp(100, "an index used before", 2), world.port("core", "rtp"));
      while (counted(world.plane.counters(leg)).indexReuse !== 1) await tick();
      expect(world.ue.open("rtp", await world.fromCore("rtp", rtp(102, "y", 2)))).toEqual(rtp(102, "y", 2));
      world.ue.send("rtp", underOld, world.port("access", "rtp"));
      world.ue.send("rtp", underOld, world.port("access", "rtp"));
      expect(await world.core.next("rtp")).toEqual(rtp(101));
      await bothWays(world, 103);
      expect(counted(world.plane.counters(leg))).toMatchObject({ replays: 1, keyChanges: 4 });
    });

    it("invariant 4: what was received under a key is a replay under it, however often keys changed meanwhile", async () => {
      const world = await open();
      const sealed = world.ue.seal("rtp", rtp(7));
      world.ue.send("rtp", sealed, world.port("access", "rtp"));
      expect(await world.core.next("rtp")).toEqual(rtp(7));
      for (let count = 0; count < 3; count++) {
        world.plane.update(world.access.leg, { protection: protectionOf(freshKeys()) });
      }
      world.plane.update(world.access.leg, { protection: { kind: "awaiting-keys" } });
      world.plane.update(world.access.leg, { protection: protectionOf(world.keys) });
      world.ue.send("rtp", sealed, world.port("access", "rtp"));
      await bothWays(world, 8);
      expect(counted(world.plane.counters(world.access.leg))).toMatchObject({ replays: 1, rtpIn: 2 });
    });

    it("invariant 4: one send key serves one leg, also after that leg is closed; unused it may be tried again", async () => {
      const world = await open();
      const { plane } = world;
      const plan = { address: host, rtcp: "separate", mode: "send-receive", latch: "off" } as const;
      const again = { ...plan, protection: protectionOf({ ...freshKeys(), towardsUe: world.keys.towardsUe }) };
      await expect(plane.open(again)).rejects.toThrow(refused("SALLY_PLANE_KEY_IN_USE"));
      await world.fromCore("rtp", rtp(1));
      await plane.close(world.access.leg);
      await expect(plane.open(again)).rejects.toThrow(refused("SALLY_PLANE_KEY_IN_USE"));

      const unused = { ...plan, protection: protectionOf(freshKeys()) };
      await plane.close((await plane.open(unused)).leg);
      await plane.close((await plane.open(unused)).leg);
      const both = freshKey();
      const mirrored = protectionOf({ suite: "AES_CM_128_HMAC_SHA1_80", fromUe: both, towardsUe: both });
      await expect(plane.open({ ...plan, protection: mirrored })).rejects.toThrow(refused("SALLY_PLANE_KEY_IN_USE"));
      expect(plane.legs).toBe(1);
    });
  });

  describe("keys in force", () => {
    it("RFC 3264 8: the same keys in a new plan leave the contexts as they are", async () => {
      const world = await open();
      await bothWays(world, 65_535);
      const sealed = world.ue.seal("rtp", rtp(65_536));
      world.ue.send("rtp", sealed, world.port("access", "rtp"));
      await world.core.next("rtp");
      world.plane.update(world.access.leg, { protection: protectionOf(world.keys), mode: "send-receive" });
      world.ue.send("rtp", sealed, world.port("access", "rtp"));
      await bothWays(world, 65_537);
      expect(counted(world.plane.counters(world.access.leg))).toMatchObject({ replays: 1 });
      expect(world.plane.counters(world.access.leg).keyChanges).toBe(0);
    });

    it("RFC 3711 3.3.1: a new receive key works at once, and the old one for packets still on their way", async () => {
      const world = await open();
      await bothWays(world, 1);
      const late = [world.ue.seal("rtp", rtp(2)), world.ue.seal("rtp", rtp(3))];
      const changed = freshKeys();
      world.plane.update(world.access.leg, { protection: protectionOf(changed) });
      const ue = ueContexts(changed);
      for (const sealed of [late[0], ue.seal("rtp", rtp(4)), late[1]]) {
        world.ue.send("rtp", sealed ?? Buffer.alloc(0), world.port("access", "rtp"));
      }
      for (const sequence of [2, 4, 3]) expect(await world.core.next("rtp")).toEqual(rtp(sequence));
      expect(ue.open("rtp", await world.fromCore("rtp", rtp(9, "x", 2)))).toEqual(rtp(9, "x", 2));
      expect(world.plane.counters(world.access.leg)).toMatchObject({ keyChanges: 2, authenticationFailures: 0 });
    });

    it("RFC 3711 9.2: a spent key sends no more and is alarmed", async () => {
      const keys = freshKeys();
      const spent = { ...keys, towardsUe: { ...keys.towardsUe, lifetime: 2n } };
      const world = await open({ access: { protection: protectionOf(spent) } });
      for (const sequence of [1, 2, 3]) world.core.send("rtp", rtp(sequence), world.port("core", "rtp"));
      while (counted(world.plane.counters(world.access.leg)).lifetimeDropped !== 1) await tick();
      expect(world.plane.counters(world.access.leg).rtpOut).toBe(2);
      expect(world.plane.events()).toMatchObject([
        { kind: "key-expiring", leg: world.access.leg, direction: "out" },
        { kind: "alarm", what: "lifetime", count: 1 },
      ]);
    });

    it("RFC 4568 6.1: keys that no receiver could use are refused: an MKI or a lifetime of nothing, more than 16 at a time", async () => {
      const world = await open();
      const { fromUe, suite, towardsUe } = freshKeys();
      const named = (mark: number) => ({ ...freshKey(suite), mki: Buffer.from([0, mark]) });
      const tryThis = (receive: readonly PlaneKey[], send: PlaneKey) =>
        world.plane.update(world.access.leg, { protection: { kind: "srtp", suite, receive, send } });
      const many = Array.from({ length: 16 }, (_, mark) => named(mark));
      for (const [receive, send, code] of [
        [[], towardsUe, "SALLY_SRTP_KEYS"],
        [[...many, named(16)], towardsUe, "SALLY_SRTP_KEYS"],
        [Array.from({ length: 200 }, (_, mark) => named(mark)), towardsUe, "SALLY_SRTP_KEYS"],
        [[fromUe], { ...towardsUe, mki: Buffer.alloc(0) }, "SALLY_SRTP_KEYS"],
        [[fromUe], { ...towardsUe, mki: Buffer.alloc(129) }, "SALLY_SRTP_KEYS"],
        [[{ ...fromUe, mki: Buffer.alloc(0) }], towardsUe, "SALLY_SRTP_KEYS"],
        [[{ ...fromUe, lifetime: 0n }], towardsUe, "SALLY_SRTP_LIFETIME"],
        [[fromUe], { ...towardsUe, lifetime: 2n ** 48n + 1n }, "SALLY_SRTP_LIFETIME"],
        [[fromUe], { ...towardsUe, lifetime: 2n ** 64n + 5n }, "SALLY_SRTP_LIFETIME"],
        [[fromUe], { ...towardsUe, lifetime: -1n }, "SALLY_SRTP_LIFETIME"],
      ] as const) {
        expect(() => tryThis(receive, send)).toThrow(refused(code));
      }
      await bothWays(world, 1);
      tryThis(many, towardsUe);
      const last = many[15] ?? fromUe;
      const ue = ueContexts({ suite, fromUe: last, towardsUe });
      world.ue.send("rtp", ue.seal("rtp", rtp(7)), world.port("access", "rtp"));
      expect(await world.core.next("rtp")).toEqual(rtp(7));
    });

    it("a refused update changes nothing", async () => {
      const world = await open();
      await bothWays(world, 1);
      const wrong = { ...freshKeys(), suite: "AEAD_AES_256_GCM" } as const;
      const change = { protection: protectionOf(wrong), mode: "inactive" } as const;
      expect(() => world.plane.update(world.access.leg, change)).toThrow(refused("SALLY_SRTP_KEY_LENGTH"));
      const half = { ...freshKeys(), fromUe: freshKey("AEAD_AES_256_GCM") };
      expect(() => world.plane.update(world.access.leg, { protection: protectionOf(half) })).toThrow(
        refused("SALLY_SRTP_KEY_LENGTH"),
      );
      await bothWays(world, 2);
      expect(world.plane.counters(world.access.leg).keyChanges).toBe(0);
    });
  });
};
