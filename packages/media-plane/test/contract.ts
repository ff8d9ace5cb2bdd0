// What every engine behind the MediaPlane port must do, with real sockets on loopback: the portable one now, a native one
// later. Needs nothing of an engine but the port; what turns on time is tested by each engine with its own clock.
import * as fc from "fast-check";
import { once } from "node:events";
import { createSocket } from "node:dgram";
import { afterEach, describe, expect, it } from "vitest";
import { createSrtpReceiver, suites, type SuiteName } from "@sallyport/srtp";
import type { LegCounters, MediaPlane } from "../src/index.ts";
import {
  forged,
  freshKey,
  freshKeys,
  host,
  openPeer,
  openWorld,
  packet,
  protectionOf,
  rtcp,
  rtp,
  ueContexts,
  type Kind,
  type World,
  type WorldOptions,
} from "./fixture.ts";

const kinds = ["rtp", "rtcp"] as const satisfies readonly Kind[];
const suiteNames = Object.keys(suites) as SuiteName[];
const refused = (code: string) => expect.objectContaining({ code });

/** The counters that are not zero, but for octets and times. */
const counted = (counters: LegCounters): Partial<Record<keyof LegCounters, number>> =>
  Object.fromEntries(
    Object.entries(counters).filter(([name, value]) => value !== 0 && !/^octets|At$|^sources$/.test(name)),
  );

const stun = Buffer.concat([Buffer.from("000100002112a442", "hex"), Buffer.alloc(12, 1)]);
const dtls = Buffer.concat([Buffer.from("16fefd", "hex"), Buffer.alloc(30)]);
const speech = Buffer.alloc(160, 0xd5);

export const mediaPlaneContract = (name: string, createPlane: () => MediaPlane): void => {
  describe(`media plane contract: ${name}`, () => {
    const worlds: World[] = [];
    const open = async (options?: WorldOptions): Promise<World> => {
      const world = await openWorld(createPlane(), options);
      worlds.push(world);
      return world;
    };
    afterEach(async () => {
      for (const world of worlds.splice(0)) await world.end();
    });
    /** Both ways still work, RTP and RTCP; whatever was sent before has been dealt with when this returns. */
    const bothWays = async (world: World, sequence: number): Promise<void> => {
      for (const kind of kinds) {
        expect(await world.fromUe(kind, packet(kind, sequence))).toEqual(packet(kind, sequence));
        const sealed = await world.fromCore(kind, packet(kind, sequence, 2));
        expect(world.ue.open(kind, sealed)).toEqual(packet(kind, sequence, 2));
      }
    };

    describe("protection", () => {
      it.each(suiteNames)("TS 33.328 5.4.1: %s outside is RTP and RTCP inside, both ways", async (suite) => {
        const world = await open({ suite });
        for (const sequence of [65534, 65535, 65536, 65537]) await bothWays(world, sequence);
        expect(counted(world.plane.counters(world.access.leg))).toEqual({ rtpIn: 4, rtcpIn: 4, rtpOut: 4, rtcpOut: 4 });
        expect(world.plane.counters(world.access.leg)).toMatchObject({
          octetsIn: 4 * (18 + suites[suite].srtpTagLength + 28 + 4 + suites[suite].srtcpTagLength),
          sources: 1,
        });
        expect(counted(world.plane.counters(world.inner.leg))).toEqual({ rtpIn: 4, rtcpIn: 4, rtpOut: 4, rtcpOut: 4 });
        expect(world.plane.counters(world.inner.leg)).toMatchObject({ octetsIn: 4 * 46, octetsOut: 4 * 46 });
        expect(world.plane.events()).toEqual([]);
      });

      it.each([
        ["separate", "mux"],
        ["mux", "separate"],
        ["mux", "mux"],
      ] as const)("RFC 5761: RTCP %s towards the UE, %s towards the core", async (access, core) => {
        const world = await open({ access: { rtcp: access }, core: { rtcp: core } });
        for (const [leg, rtcpIs] of [
          [world.access, access],
          [world.inner, core],
        ] as const) {
          expect(leg.local.rtpPort % 2).toBe(0);
          expect(leg.local.rtcpPort - leg.local.rtpPort).toBe(rtcpIs === "mux" ? 0 : 1);
        }
        await bothWays(world, 1);
      });

      it("RFC 5761 4: RTCP on an RTP port without rtcp-mux is dropped, and a change to rtcp-mux is taken up", async () => {
        const world = await open();
        world.ue.send("rtp", world.ue.seal("rtcp", rtcp()), world.port("access", "rtp"));
        await bothWays(world, 1);
        expect(counted(world.plane.counters(world.access.leg))).toMatchObject({ otherDropped: 1, rtcpIn: 1 });
        world.plane.update(world.access.leg, { rtcp: "mux" });
        world.ue.send("rtp", world.ue.seal("rtcp", rtcp()), world.port("access", "rtp"));
        expect(await world.core.next("rtcp")).toEqual(rtcp());
      });

      it("TS 33.328 7.2.1: a leg that awaits its keys drops everything both ways, and works when they come", async () => {
        const world = await open({ access: { protection: { kind: "awaiting-keys" } } });
        world.ue.send("rtp", world.ue.seal("rtp", rtp(1)), world.port("access", "rtp"));
        world.ue.send("rtp", rtp(2, speech), world.port("access", "rtp"));
        world.core.send("rtp", rtp(3), world.port("core", "rtp"));
        while ((counted(world.plane.counters(world.access.leg)).awaitingKeysDropped ?? 0) < 3) await tick();
        world.plane.update(world.access.leg, { protection: protectionOf(world.keys) });
        await bothWays(world, 10);
        expect(world.ue.heard("rtp")).toEqual([]);
        expect(world.core.heard("rtp")).toEqual([]);
      });

      it("RFC 7983: STUN and DTLS never come to the SRTP check, and never to the core", async () => {
        const world = await open();
        for (const kind of kinds)
          for (const some of [stun, dtls]) world.ue.send(kind, some, world.port("access", kind));
        await bothWays(world, 1);
        expect(counted(world.plane.counters(world.access.leg))).toMatchObject({
          stunDropped: 2,
          dtlsDropped: 2,
          rtpIn: 1,
        });
      });
    });

    describe("invariant 3", () => {
      it("invariant 3: clear RTP and RTCP on a protected leg are dropped, counted and alarmed, never forwarded", async () => {
        const world = await open();
        world.ue.send("rtp", rtp(1, speech), world.port("access", "rtp"));
        world.ue.send("rtp", rtp(2, "dtmf"), world.port("access", "rtp"));
        world.ue.send("rtcp", rtcp(), world.port("access", "rtcp"));
        await bothWays(world, 3);
        expect(counted(world.plane.counters(world.access.leg))).toEqual({
          clearDropped: 3,
          rtpIn: 1,
          rtcpIn: 1,
          rtpOut: 1,
          rtcpOut: 1,
        });
        const { leg } = world.access;
        expect(world.plane.events()).toEqual([{ kind: "alarm", leg, what: "clear-on-protected", count: 1 }]);
      });

      it("invariant 3: forged and replayed packets are dropped, counted and never forwarded", async () => {
        const world = await open();
        for (const kind of kinds) {
          const port = world.port("access", kind);
          const sealed = world.ue.seal(kind, packet(kind, 1));
          const changed = Buffer.from(sealed);
          changed[13] = (changed[13] ?? 0) ^ 1;
          for (const some of [changed, sealed, sealed, ueContexts(freshKeys()).seal(kind, packet(kind, 5, 5))]) {
            world.ue.send(kind, some, port);
          }
          expect(await world.core.next(kind)).toEqual(packet(kind, 1));
        }
        await bothWays(world, 2);
        expect(counted(world.plane.counters(world.access.leg))).toMatchObject({
          authenticationFailures: 4,
          replays: 2,
          rtpIn: 2,
          rtcpIn: 2,
        });
        expect(world.plane.events()).toMatchObject([{ kind: "alarm", what: "authentication" }]);
      });

      it("invariant 3: a protected leg learns its peer's source from a verified packet only, and then keeps it", async () => {
        const elsewhere = { address: host, rtpPort: 9, rtcpPort: 9 };
        const world = await open({ access: { remote: elsewhere, latch: "latch" } });
        const stranger = await openPeer();
        const sealed = world.ue.seal("rtp", rtp(1));
        for (const some of [rtp(1, speech), forged(1), stun]) {
          stranger.send("rtp", some, world.port("access", "rtp"));
        }
        while (counted(world.plane.counters(world.access.leg)).stunDropped !== 1) await tick();
        // Nobody has been learned: what comes from the core goes to the signalled address.
        world.core.send("rtp", rtp(1), world.port("core", "rtp"));
        while (counted(world.plane.counters(world.access.leg)).rtpOut !== 1) await tick();
        expect(stranger.heard("rtp")).toEqual([]);

        world.ue.send("rtp", sealed, world.port("access", "rtp"));
        expect(await world.core.next("rtp")).toEqual(rtp(1));
        // A copy from elsewhere is a replay, a fresh packet from elsewhere is heard but teaches nothing more.
        stranger.send("rtp", sealed, world.port("access", "rtp"));
        stranger.send("rtp", world.ue.seal("rtp", rtp(2)), world.port("access", "rtp"));
        expect(await world.core.next("rtp")).toEqual(rtp(2));
        expect(world.ue.open("rtp", await world.fromCore("rtp", rtp(2, "answer", 7)))).toEqual(rtp(2, "answer", 7));
        expect(stranger.heard("rtp")).toEqual([]);
        await stranger.close();
      });

      it("H.248.37: relatch moves a protected leg to the next verified source", async () => {
        const world = await open({ access: { latch: "latch" } });
        await bothWays(world, 1);
        const moved = await openPeer();
        world.plane.update(world.access.leg, { latch: "relatch" });
        await world.fromUe("rtp", rtp(2));
        moved.send("rtp", forged(3), world.port("access", "rtp"));
        await bothWays(world, 3);
        moved.send("rtp", world.ue.seal("rtp", rtp(4)), world.port("access", "rtp"));
        expect(await world.core.next("rtp")).toEqual(rtp(4));
        world.core.send("rtp", rtp(4), world.port("core", "rtp"));
        expect(world.ue.open("rtp", await moved.next("rtp"))).toEqual(rtp(4));
        await moved.close();
      });

      it("invariant 3: nothing clear leaves a protected leg, whatever comes from the core", async () => {
        const world = await open();
        const clear = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 60, size: "max" }), { seed: 3, numRuns: 300 });
        for (const [at, octets] of clear.entries()) {
          const kind = at % 2 === 0 ? "rtp" : "rtcp";
          // Half of them begin as RTP and RTCP do.
          const first = at % 8 < 4 ? 0x80 : 0x80 + (at % 32);
          const some = at % 4 < 2 ? octets : Uint8Array.from([first, kind === "rtp" ? 8 : 201, ...octets]);
          world.core.send(kind, some, world.port("core", kind));
          if (at % 20 === 0) await tick();
        }
        const seen = () => {
          const { octetsIn: _, lastPacketAt: __, ...packets } = world.plane.counters(world.inner.leg);
          return Object.values(packets).reduce((sum, count) => sum + count, 0);
        };
        while (seen() < clear.length) await tick();
        const { rtpOut, rtcpOut } = world.plane.counters(world.access.leg);
        expect(rtpOut).toBeGreaterThan(10);
        expect(rtcpOut).toBeGreaterThan(10);
        const ue = createSrtpReceiver({
          suite: suites[world.keys.suite],
          keys: [world.keys.towardsUe],
          maxSources: 1000,
        });
        for (const octets of await world.ue.take("rtp", rtpOut)) expect(ue.unprotectRtp(octets).ok).toBe(true);
        for (const octets of await world.ue.take("rtcp", rtcpOut)) expect(ue.unprotectRtcp(octets).ok).toBe(true);
      });
    });

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
        expect(world.plane.events()).toMatchObject([{ kind: "alarm", what: "lifetime", count: 1 }]);
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

    describe("invariant 9", () => {
      it("invariant 9: between transparent legs every datagram passes byte for byte, both ways", async () => {
        const transparent = { protection: { kind: "transparent" } } as const;
        const world = await open({ access: transparent, core: transparent });
        const sealed = world.ue.seal("rtp", rtp(1));
        for (const octets of [sealed, sealed, stun, dtls, Buffer.from([1])]) {
          world.ue.send("rtp", octets, world.port("access", "rtp"));
          expect(await world.core.next("rtp")).toEqual(octets);
          world.core.send("rtp", octets, world.port("core", "rtp"));
          expect(await world.ue.next("rtp")).toEqual(octets);
        }
        world.ue.send("rtcp", world.ue.seal("rtcp", rtcp()), world.port("access", "rtcp"));
        expect((await world.core.next("rtcp")).length).toBe(28 + 14);
        await fc.assert(
          fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (some) => {
            const kind = (some[0] ?? 0) >> 6 === 2 && (some[1] ?? 0) >= 192 && (some[1] ?? 0) <= 223 ? "rtcp" : "rtp";
            world.ue.send(kind, some, world.port("access", kind));
            expect(Buffer.compare(await world.core.next(kind), some)).toBe(0);
          }),
          { seed: 9, numRuns: 60 },
        );
      });

      it("invariant 9: a transparent leg passes nothing to or from another kind of leg", async () => {
        const world = await open({ access: { protection: { kind: "transparent" } } });
        world.ue.send("rtp", world.ue.seal("rtp", rtp(1)), world.port("access", "rtp"));
        world.core.send("rtp", rtp(1), world.port("core", "rtp"));
        while (counted(world.plane.counters(world.access.leg)).otherDropped !== 2) await tick();
        expect(world.plane.counters(world.access.leg).rtpOut).toBe(0);
        expect(world.plane.counters(world.inner.leg).rtpOut).toBe(0);
      });
    });

    describe("sources and modes", () => {
      it("H.248.37: a clear leg takes packets from the signalled address only, and when asked learns the first source", async () => {
        const world = await open();
        const stranger = await openPeer("127.0.0.2");
        stranger.send("rtp", rtp(1), world.port("core", "rtp"));
        await bothWays(world, 2);
        expect(counted(world.plane.counters(world.inner.leg))).toMatchObject({ sourceDropped: 1, rtpIn: 1 });

        world.plane.update(world.inner.leg, { latch: "latch" });
        stranger.send("rtp", rtp(3), world.port("core", "rtp"));
        expect(world.ue.open("rtp", await world.ue.next("rtp"))).toEqual(rtp(3));
        world.core.send("rtp", rtp(4), world.port("core", "rtp"));
        world.ue.send("rtp", world.ue.seal("rtp", rtp(5)), world.port("access", "rtp"));
        expect(await stranger.next("rtp")).toEqual(rtp(5));
        while (counted(world.plane.counters(world.inner.leg)).sourceDropped !== 2) await tick();

        world.plane.update(world.inner.leg, { latch: "off" });
        expect(await world.fromUe("rtp", rtp(6))).toEqual(rtp(6));
        await stranger.close();
      });

      it("H.248.37: a new signalled address is sent to, and a latching leg learns anew", async () => {
        const world = await open({ access: { latch: "latch" } });
        await bothWays(world, 1);
        const moved = await openPeer();
        world.plane.update(world.access.leg, { remote: moved.remote });
        world.core.send("rtp", rtp(2, "x", 2), world.port("core", "rtp"));
        expect(world.ue.open("rtp", await moved.next("rtp"))).toEqual(rtp(2, "x", 2));
        await world.fromUe("rtp", rtp(2));
        expect(world.ue.open("rtp", await world.fromCore("rtp", rtp(3, "x", 2)))).toEqual(rtp(3, "x", 2));
        await moved.close();
      });

      it("nothing is sent before there is an address, nor without a joined leg", async () => {
        const world = await open({ access: { remote: undefined } });
        world.core.send("rtp", rtp(1), world.port("core", "rtp"));
        while (counted(world.plane.counters(world.access.leg)).otherDropped !== 1) await tick();
        await world.plane.close(world.access.leg);
        world.core.send("rtp", rtp(2), world.port("core", "rtp"));
        while (counted(world.plane.counters(world.inner.leg)).otherDropped !== 1) await tick();
        expect(world.plane.counters(world.inner.leg).rtpIn).toBe(2);
      });

      it.each([
        ["send-receive", [true, true, true, true]],
        ["send-only", [false, true, true, true]],
        ["receive-only", [true, false, true, true]],
        ["inactive", [false, false, false, false]],
      ] as const)(
        "H.248.1 7.1.7: mode %s towards the UE gates RTP, and only inactive stops RTCP",
        async (mode, passes) => {
          const world = await open({ access: { mode } });
          const [rtpUp, rtpDown, rtcpUp, rtcpDown] = passes;
          for (const kind of kinds) {
            world.ue.send(kind, world.ue.seal(kind, packet(kind, 1)), world.port("access", kind));
            world.core.send(kind, packet(kind, 1, 2), world.port("core", kind));
          }
          const [outside, inside] = [world.access.leg, world.inner.leg];
          const arrived = () =>
            [outside, inside]
              .map((leg) => world.plane.counters(leg))
              .reduce((sum, leg) => sum + leg.rtpIn + leg.rtcpIn, 0);
          while (arrived() < 4) await tick();
          const { rtpOut, rtcpOut } = world.plane.counters(inside);
          expect([rtpOut, rtcpOut]).toEqual([Number(rtpUp), Number(rtcpUp)]);
          const down = world.plane.counters(outside);
          expect([down.rtpOut, down.rtcpOut]).toEqual([Number(rtpDown), Number(rtcpDown)]);
          const dropped = down.modeDropped + world.plane.counters(inside).modeDropped;
          expect(dropped).toBe(passes.filter((pass) => !pass).length);
          for (const kind of kinds) {
            await world.core.take(kind, kind === "rtp" ? rtpOut : rtcpOut);
            await world.ue.take(kind, kind === "rtp" ? down.rtpOut : down.rtcpOut);
          }
          world.plane.update(outside, { mode: "send-receive" });
          await bothWays(world, 2);
        },
      );
    });

    describe("life of a leg", () => {
      it("invariant 10: close gives the last counters, frees both ports and forgets the leg", async () => {
        const world = await open();
        await bothWays(world, 1);
        const { plane, access } = world;
        expect(counted(await plane.close(access.leg))).toMatchObject({ rtpIn: 1, rtcpIn: 1, rtpOut: 1, rtcpOut: 1 });
        expect(plane.legs).toBe(1);
        for (const port of [access.local.rtpPort, access.local.rtpPort + 1]) {
          const socket = createSocket("udp4");
          socket.bind(port, host);
          await once(socket, "listening");
          socket.close();
          await once(socket, "close");
        }
        expect(() => plane.counters(access.leg)).toThrow(refused("SALLY_PLANE_LEG"));
        expect(() => plane.update(access.leg, { mode: "inactive" })).toThrow(refused("SALLY_PLANE_LEG"));
        expect(() => plane.join(access.leg, world.inner.leg)).toThrow(refused("SALLY_PLANE_LEG"));
        expect(() => plane.join(world.inner.leg, world.inner.leg)).toThrow(refused("SALLY_PLANE_LEG"));
        await expect(plane.close(access.leg)).rejects.toThrow(refused("SALLY_PLANE_LEG"));
      });

      it("invariant 7: the plane keeps no master key: the caller may release it at once", async () => {
        const world = await open();
        world.keys.fromUe.master.release();
        world.keys.towardsUe.master.release();
        await bothWays(world, 1);
      });

      it("a leg joined anew is taken from where it was", async () => {
        const world = await open();
        const third = await openPeer();
        const other = await world.plane.open({
          address: host,
          rtcp: "mux",
          protection: { kind: "clear" },
          mode: "send-receive",
          latch: "off",
          remote: third.remote,
        });
        world.plane.join(world.access.leg, other.leg);
        world.ue.send("rtp", world.ue.seal("rtp", rtp(1)), world.port("access", "rtp"));
        expect(await third.next("rtp")).toEqual(rtp(1));
        world.core.send("rtp", rtp(1), world.port("core", "rtp"));
        while (world.plane.counters(world.inner.leg).otherDropped !== 1) await tick();
        await third.close();
      });

      it("after shutdown there are no legs and none is opened", async () => {
        const world = await open();
        const opening = world.plane.open({
          address: host,
          rtcp: "separate",
          protection: { kind: "clear" },
          mode: "inactive",
          latch: "off",
        });
        const outcome = expect(opening).rejects.toThrow(refused("SALLY_PLANE_CLOSED"));
        await world.plane.shutdown();
        await outcome;
        expect(world.plane.legs).toBe(0);
        await expect(
          world.plane.open({
            address: host,
            rtcp: "mux",
            protection: { kind: "clear" },
            mode: "inactive",
            latch: "off",
          }),
        ).rejects.toThrow(refused("SALLY_PLANE_CLOSED"));
      });

      it("RFC 3264 6: a port of 0 is not sent to; what is no address or port is refused", async () => {
        const world = await open();
        const { leg } = world.access;
        const code = refused("SALLY_PLANE_REMOTE");
        for (const wrong of [{ address: "localhost" }, { rtpPort: 65_536 }, { rtcpPort: -1 }, { rtpPort: 1.5 }]) {
          const remote = { ...world.ue.remote, ...wrong };
          expect(() => world.plane.update(leg, { remote, mode: "inactive" })).toThrow(code);
        }
        await bothWays(world, 1);
        world.plane.update(leg, { remote: { ...world.ue.remote, rtpPort: 0 } });
        world.core.send("rtp", rtp(2), world.port("core", "rtp"));
        while (counted(world.plane.counters(leg)).otherDropped !== 1) await tick();
      });

      it("an address that is not this machine's is refused", async () => {
        const world = await open();
        await expect(
          world.plane.open({
            address: "192.0.2.1",
            rtcp: "mux",
            protection: { kind: "clear" },
            mode: "inactive",
            latch: "off",
          }),
        ).rejects.toThrow(refused("SALLY_PLANE_ADDRESS"));
        expect(world.plane.legs).toBe(2);
      });
    });
  });
};

/** Lets sockets be read; the test's own time limit ends a wait that has no end. */
const tick = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
