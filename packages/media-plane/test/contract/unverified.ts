// Invariant 3: what does not verify is dropped, counted, alarmed and teaches nothing.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSrtpReceiver, suites } from "@sallyport/srtp";
import { forged, freshKeys, openPeer, packet, rtcp, rtp, ueContexts } from "../fixture.ts";
import { ground } from "../ground.ts";
import { counted, kinds, speech, stun, tick, type Harness } from "./harness.ts";

export const unverifiedContract = ({ bothWays, open }: Harness): void => {
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

    it("invariant 3: clear media that shows a number of before is clear media and alarmed, not a replay", async () => {
      const world = await open();
      for (const sequence of [1000, 1001]) await world.fromUe("rtp", rtp(sequence, speech));
      for (const sequence of [1001, 1000, 3]) world.ue.send("rtp", rtp(sequence, speech), world.port("access", "rtp"));
      await world.fromUe("rtp", rtp(1002, speech));
      const { leg } = world.access;
      expect(counted(world.plane.counters(leg))).toEqual({ clearDropped: 3, rtpIn: 3 });
      expect(world.plane.events()).toEqual([{ kind: "alarm", leg, what: "clear-on-protected", count: 1 }]);
    });

    it("invariant 3: one clear RTCP APP packet, with which a phone probes the path, is dropped and counted, but no alarm; any more is", async () => {
      const world = await open();
      const app = Buffer.from("80cc00030000000150494e47504f4e47", "hex");
      world.ue.send("rtcp", app, world.port("access", "rtcp"));
      await bothWays(world, 1);
      expect(counted(world.plane.counters(world.access.leg))).toMatchObject({ clearDropped: 1, rtcpIn: 1, rtcpOut: 1 });
      expect(world.plane.events()).toEqual([]);
      world.ue.send("rtcp", app, world.port("access", "rtcp"));
      await bothWays(world, 2);
      expect(counted(world.plane.counters(world.access.leg))).toMatchObject({ clearDropped: 2, rtcpIn: 2, rtcpOut: 2 });
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
      const elsewhere = { address: ground.peer, rtpPort: 9, rtcpPort: 9 };
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
};
