// Whom a leg hears, where it sends, which way it is open, and what passes untouched (invariant 9).
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openPeer, packet, rtcp, rtp } from "../fixture.ts";
import { ground } from "../ground.ts";
import { counted, dtls, kinds, stun, tick, type Harness } from "./harness.ts";

export const passageContract = ({ bothWays, open }: Harness): void => {
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
      const stranger = await openPeer(ground.stranger);
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
      ["send-receive", [true, true, true, true], "send-receive"],
      ["send-only", [false, true, true, true], "send-receive"],
      ["receive-only", [true, false, true, true], "send-receive"],
      ["inactive", [false, false, false, false], "send-receive"],
      // How a line that both parties hold is gated (RFC 3264 5.1).
      ["send-only", [false, false, true, true], "send-only"],
    ] as const)(
      "H.248.1 7.1.7: mode %s towards the UE gates RTP, and only inactive stops RTCP",
      async (mode, passes, inner) => {
        const world = await open({ access: { mode }, core: { mode: inner } });
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
        for (const leg of [outside, inside]) world.plane.update(leg, { mode: "send-receive" });
        await bothWays(world, 2);
      },
    );
  });
};
