// What a leg tells of the way its packets came: loss, jitter, round trip (RFC 3550 6.4.1, A.1, A.3, A.8).
import { describe, expect, it } from "vitest";
import { rtcp, rtp, type World } from "../fixture.ts";
import { tick, type Harness } from "./harness.ts";

/** A sender report with this NTP timestamp, without blocks. */
const senderReport = (ssrc: number, ntpHigh: number, ntpLow: number): Buffer => {
  const report = rtcp(ssrc);
  report.writeUInt32BE(ntpHigh, 8);
  report.writeUInt32BE(ntpLow, 12);
  return report;
};

/** A receiver report with one block about `about`. */
const receiverReport = (ssrc: number, about: number, lsr: number, dlsr: number): Buffer => {
  const report = Buffer.alloc(32);
  report.set([0x81, 201, 0, 7]);
  report.writeUInt32BE(ssrc, 4);
  report.writeUInt32BE(about, 8);
  report.writeUInt32BE(lsr, 24);
  report.writeUInt32BE(dlsr, 28);
  return report;
};

export const wayContract = ({ open }: Harness): void => {
  describe("what happened on the way", () => {
    const lossOf = (world: World, side: "access" | "inner") => world.plane.counters(world[side].leg).lost;

    it("RFC 3550 A.3: loss is what is missing between the first and the highest, over a wrap, for each SSRC, less what came late", async () => {
      const world = await open();
      const arrive = async (sequence: number, ssrc = 1) => {
        expect(await world.fromUe("rtp", rtp(sequence, "x", ssrc))).toEqual(rtp(sequence, "x", ssrc));
      };
      for (const sequence of [65_533, 65_534, 65_537]) await arrive(sequence);
      expect(lossOf(world, "access")).toBe(2);
      await arrive(10, 2);
      await arrive(12, 2);
      expect(lossOf(world, "access")).toBe(3);
      await arrive(65_536);
      expect(lossOf(world, "access")).toBe(2);
      expect(lossOf(world, "inner")).toBe(0);
    });

    it("RFC 3550 A.1, A.3: a source that starts again does not lose the numbers it passed over; duplicates cannot make loss negative", async () => {
      const world = await open();
      const { leg } = world.inner;
      let sent = 0;
      const arrive = async (sequence: number) => {
        world.core.send("rtp", rtp(sequence), world.port("core", "rtp"));
        sent += 1;
        while (world.plane.counters(leg).rtpIn !== sent) await tick();
      };
      for (const sequence of [1000, 1002, 40_000, 40_001, 40_003]) await arrive(sequence);
      expect(lossOf(world, "inner")).toBe(2);
      for (let count = 0; count < 4; count++) await arrive(40_003);
      expect(lossOf(world, "inner")).toBe(0);
    });

    it("RFC 3550 A.8: jitter is counted where timestamps and arrival disagree, and only there", async () => {
      const world = await open();
      const steady = world.plane.counters(world.access.leg).jitter;
      expect(steady).toBe(0);
      // PCMA: a second of timestamps in an instant of time is a second of displacement, a sixteenth of it counts.
      const late = (sequence: number, timestamp: number) => {
        const packet = rtp(sequence);
        packet.writeUInt32BE(timestamp, 4);
        return packet;
      };
      await world.fromUe("rtp", late(1, 0));
      await world.fromUe("rtp", late(2, 16_000));
      const { jitter } = world.plane.counters(world.access.leg);
      expect(jitter).toBeGreaterThan(700);
      expect(jitter).toBeLessThan(1001);
      expect(world.plane.counters(world.inner.leg).jitter).toBe(0);
    });

    it("RFC 3550 6.4.1: the round trip is taken from the report that comes back for one that was sent on", async () => {
      const world = await open();
      const trip = (side: "access" | "inner") => world.plane.counters(world[side].leg).roundTripMs;
      const sent = senderReport(7, 0x1234_5678, 0x9abc_def0);
      world.core.send("rtcp", sent, world.port("core", "rtcp"));
      expect(world.ue.open("rtcp", await world.ue.next("rtcp"))).toEqual(sent);
      // About somebody else's report: nothing.
      await world.fromUe("rtcp", receiverReport(8, 7, 0x1111_1111, 0));
      await world.fromUe("rtcp", receiverReport(8, 7, 0, 0));
      expect(trip("access")).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await world.fromUe("rtcp", receiverReport(8, 7, 0x5678_9abc, 0));
      expect(trip("access")).toBeGreaterThanOrEqual(15);
      expect(trip("access")).toBeLessThan(2000);
      // What the UE kept it for does not count.
      await world.fromUe("rtcp", receiverReport(8, 7, 0x5678_9abc, 65_536 * 60));
      expect(trip("access")).toBe(1);
      expect(trip("inner")).toBe(0);
    });

    it("invariant 3: a report that did not verify measures nothing, and lengths that lie are not followed", async () => {
      const world = await open();
      const sent = senderReport(7, 0x1234_5678, 0x9abc_def0);
      world.core.send("rtcp", sent, world.port("core", "rtcp"));
      await world.ue.next("rtcp");
      const { leg } = world.access;
      const report = receiverReport(8, 7, 0x5678_9abc, 0);
      world.ue.send("rtcp", report, world.port("access", "rtcp"));
      while (world.plane.counters(leg).clearDropped !== 1) await tick();
      expect(world.plane.counters(leg).roundTripMs).toBe(0);
      for (const lie of [1, 6, 9, 0xffff]) {
        const liar = Buffer.from(report);
        liar.writeUInt16BE(lie, 2);
        await world.fromUe("rtcp", liar);
      }
      expect(world.plane.counters(leg).roundTripMs).toBe(0);
    });
  });
};
