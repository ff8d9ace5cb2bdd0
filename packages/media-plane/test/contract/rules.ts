// What is decided before a datagram is looked at: source filters, policing, and the code point on what is sent.
import { describe, expect, it } from "vitest";
import type { LegPlan, Policing, SourceFilter } from "../../src/index.ts";
import { host, openPeer, packet, protectionOf, rtp } from "../fixture.ts";
import { ground } from "../ground.ts";
import { counted, kinds, refused, stun, tick, type Harness } from "./harness.ts";

const elsewhere: SourceFilter = { address: { literal: "192.0.2.0", prefix: 24 } };
const here: SourceFilter = { address: { literal: ground.nearby, prefix: 28 } };

export const rulesContract = ({ bothWays, open }: Harness): void => {
  describe("source filter", () => {
    it("H.248.43 gm/saf, gm/sam: what comes from outside the mask is dropped before anything else is done with it", async () => {
      const world = await open({ access: { sourceFilter: elsewhere } });
      const sealed = world.ue.seal("rtp", rtp(1));
      for (const octets of [sealed, stun, Buffer.from("x")]) world.ue.send("rtp", octets, world.port("access", "rtp"));
      while (world.plane.counters(world.access.leg).filtered !== 3) await tick();
      expect(counted(world.plane.counters(world.access.leg))).toEqual({ filtered: 3 });
      // Nothing of it was remembered: the same packet is no replay.
      world.plane.update(world.access.leg, { sourceFilter: here });
      world.ue.send("rtp", sealed, world.port("access", "rtp"));
      expect(await world.core.next("rtp")).toEqual(rtp(1));
      world.plane.update(world.access.leg, { sourceFilter: elsewhere });
      world.plane.update(world.access.leg, { sourceFilter: undefined });
      await bothWays(world, 2);
      expect(counted(world.plane.counters(world.access.leg)).filtered).toBe(3);
    });

    it("H.248.43 gm/spf, gm/spr: the source port is looked at for RTP and for RTCP apart", async () => {
      const world = await open();
      const { rtpPort, rtcpPort } = world.core.remote;
      const only = (port: number) => ({ first: port, last: port });
      const { leg } = world.inner;
      world.plane.update(leg, { sourceFilter: { ports: only(rtpPort), rtcpPorts: only(rtcpPort) } });
      await bothWays(world, 1);
      world.plane.update(leg, { sourceFilter: { ports: only(rtpPort) } });
      world.core.send("rtcp", packet("rtcp", 2), world.port("core", "rtcp"));
      while (world.plane.counters(leg).filtered !== 1) await tick();
      const other = await openPeer();
      other.send("rtp", rtp(3), world.port("core", "rtp"));
      while (world.plane.counters(leg).filtered !== 2) await tick();
      await other.close();
      const fits = { first: 1, last: 65_535 };
      world.plane.update(leg, { sourceFilter: { address: { literal: ground.peer, prefix: 32 }, ports: fits } });
      await bothWays(world, 4);
      expect(world.plane.counters(leg).filtered).toBe(2);
    });

    it("what cannot be a filter, a rate or a code point is refused and changes nothing", async () => {
      const world = await open();
      const bad: readonly (readonly [Partial<LegPlan>, string])[] = [
        [{ sourceFilter: { address: { literal: "gw.example", prefix: 8 } } }, "SALLY_PLANE_RULE"],
        [{ sourceFilter: { address: { literal: "127.0.0.1", prefix: 33 } } }, "SALLY_PLANE_RULE"],
        [{ sourceFilter: { address: { literal: "::1", prefix: -1 } } }, "SALLY_PLANE_RULE"],
        [{ sourceFilter: { ports: { first: 9, last: 8 } } }, "SALLY_PLANE_RULE"],
        [{ sourceFilter: { rtcpPorts: { first: 9, last: 65_536 } } }, "SALLY_PLANE_RULE"],
        [{ policing: { sustained: { octetsPerS: 0, burstOctets: 1 } } }, "SALLY_PLANE_RULE"],
        [{ policing: { sustained: { octetsPerS: 1, burstOctets: Number.NaN } } }, "SALLY_PLANE_RULE"],
        [{ policing: { peak: { octetsPerS: 1, toleranceMs: -1 } } }, "SALLY_PLANE_RULE"],
        [{ dscp: 64 }, "SALLY_PLANE_DSCP"],
        [{ dscp: -1 }, "SALLY_PLANE_DSCP"],
        ...(world.plane.marks ? [] : [[{ dscp: 46 }, "SALLY_PLANE_DSCP"] as const]),
      ];
      const plan = { address: host, rtcp: "separate", mode: "send-receive", latch: "off" } as const;
      for (const [change, code] of bad) {
        const all = { ...change, mode: "inactive" } as const;
        expect(() => world.plane.update(world.inner.leg, all)).toThrow(refused(code));
        await expect(world.plane.open({ ...plan, protection: { kind: "clear" }, ...change })).rejects.toThrow(
          refused(code),
        );
      }
      expect(world.plane.legs).toBe(2);
      world.plane.update(world.inner.leg, { dscp: 0 });
      await bothWays(world, 1);
    });
  });

  describe("policing", () => {
    const slow: Policing = { sustained: { octetsPerS: 1, burstOctets: 100 } };

    it("H.248.53 tman: what does not conform is dropped and costs nothing; both flows share the buckets", async () => {
      const world = await open({ core: { policing: slow } });
      const { leg } = world.inner;
      const send = (kind: "rtp" | "rtcp", octets: Buffer) => world.core.send(kind, octets, world.port("core", kind));
      send("rtp", rtp(1, Buffer.alloc(48)));
      send("rtp", rtp(2, Buffer.alloc(48)));
      while (world.plane.counters(leg).policed !== 1) await tick();
      // 40 octets are left: a report of 28 fits, a second one does not.
      send("rtcp", packet("rtcp", 1));
      await world.ue.next("rtcp");
      send("rtcp", packet("rtcp", 2));
      while (world.plane.counters(leg).policed !== 2) await tick();
      expect(counted(world.plane.counters(leg))).toEqual({ rtpIn: 1, rtcpIn: 1, policed: 2 });
      // The other way is not policed here.
      for (const kind of kinds) expect(await world.fromUe(kind, packet(kind, 1))).toEqual(packet(kind, 1));
    });

    it("H.248.53 tman: the same rule again leaves the buckets as they are, another one starts full, none lets all through", async () => {
      const world = await open({ core: { policing: slow } });
      const { leg } = world.inner;
      const policed = async (count: number) => {
        while (world.plane.counters(leg).policed !== count) await tick();
      };
      const drain = async (sequence: number, count: number) => {
        world.core.send("rtp", rtp(sequence, Buffer.alloc(80)), world.port("core", "rtp"));
        if (count === 0) await world.ue.next("rtp");
        else await policed(count);
      };
      await drain(1, 0);
      world.plane.update(leg, { policing: { sustained: { octetsPerS: 1, burstOctets: 100 } } });
      await drain(2, 1);
      world.plane.update(leg, { policing: { sustained: { octetsPerS: 1, burstOctets: 120 } } });
      await drain(3, 0);
      await drain(4, 2);
      world.plane.update(leg, { policing: undefined });
      for (let sequence = 5; sequence < 9; sequence++) await drain(sequence, 0);
    });

    it("H.248.53 tman/pdr, dvt: a peak rate lets a datagram of 1,500 octets through at once, and not two", async () => {
      const world = await open({ core: { policing: { peak: { octetsPerS: 10, toleranceMs: 0 } } } });
      const { leg } = world.inner;
      world.core.send("rtp", rtp(1, Buffer.alloc(1488)), world.port("core", "rtp"));
      await world.ue.next("rtp");
      world.core.send("rtp", rtp(2, Buffer.alloc(1488)), world.port("core", "rtp"));
      while (world.plane.counters(leg).policed !== 1) await tick();
      world.plane.update(leg, { policing: { peak: { octetsPerS: 10_000, toleranceMs: 400 } } });
      for (const sequence of [3, 4]) {
        world.core.send("rtp", rtp(sequence, Buffer.alloc(1988)), world.port("core", "rtp"));
        await world.ue.next("rtp");
      }
      expect(world.plane.counters(leg).policed).toBe(1);
    });

    it("invariant 3: a flood that is policed cannot make a key verify anything", async () => {
      const world = await open({ access: { policing: slow, protection: { kind: "awaiting-keys" } } });
      for (let count = 0; count < 10; count++) {
        world.ue.send("rtp", Buffer.alloc(101), world.port("access", "rtp"));
      }
      while (world.plane.counters(world.access.leg).policed !== 10) await tick();
      world.plane.update(world.access.leg, { protection: protectionOf(world.keys) });
      expect(await world.fromUe("rtp", rtp(1))).toEqual(rtp(1));
    });
  });
};
