// Protection of a leg: what is outside, what is inside, which port.
import { describe, expect, it } from "vitest";
import { suites } from "@sallyport/srtp";
import { protectionOf, rtcp, rtp } from "../fixture.ts";
import { counted, dtls, kinds, speech, stun, suiteNames, tick, type Harness } from "./harness.ts";

export const protectionContract = ({ bothWays, open }: Harness): void => {
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
      for (const kind of kinds) for (const some of [stun, dtls]) world.ue.send(kind, some, world.port("access", kind));
      await bothWays(world, 1);
      expect(counted(world.plane.counters(world.access.leg))).toMatchObject({
        stunDropped: 2,
        dtlsDropped: 2,
        rtpIn: 1,
      });
    });
  });
};
