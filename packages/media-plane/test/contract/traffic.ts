// Traffic as calls have it: reduced-size RTCP, telephone events, comfort noise and silence, video in bursts, ports and families
// that differ, MKIs of every length; and what a UE's packets become over losses, wraps, restarts and changes of keys.
import { describe, expect, it } from "vitest";
import { createSrtpSender, suites, type SuiteName } from "@sallyport/srtp";
import { freshKeys, hasIpv6, host, openPeer, rtp, ueContexts, type Keys, type World } from "../fixture.ts";
import { ground } from "../ground.ts";
import { counted, tick, type Harness } from "./harness.ts";

const suiteOfEachKind = ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"] as const satisfies readonly SuiteName[];

/** RFC 4585 6.3.1: a picture loss indication and nothing else. */
const pictureLoss = (ssrc: number): Buffer => {
  const packet = Buffer.from("81ce00020000000000000000", "hex");
  packet.writeUInt32BE(ssrc, 4);
  packet.writeUInt32BE(7, 8);
  return packet;
};
/** RFC 3550 6.5: the shortest there is, a description of nobody. */
const shortest = (ssrc: number): Buffer => {
  const packet = Buffer.from("80ca000100000000", "hex");
  packet.writeUInt32BE(ssrc, 4);
  return packet;
};

interface Header {
  readonly type: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly marker?: boolean;
}
const packetOf = ({ marker = false, sequence, timestamp, type }: Header, payload: Buffer): Buffer => {
  const packet = rtp(sequence, payload);
  packet[1] = type | (marker ? 0x80 : 0);
  packet.writeUInt32BE(timestamp >>> 0, 4);
  return packet;
};

/** RFC 4733 2.3, 2.5.1.4: one event of 80 ms, its end sent three times, all with the timestamp of its beginning. */
const telephoneEvent = (event: number, sequence: number, timestamp: number): readonly Buffer[] =>
  [160, 320, 480, 640, 640, 640].map((duration, at) =>
    packetOf(
      { type: 101, sequence: sequence + at, timestamp, marker: at === 0 },
      Buffer.from([event, (at > 2 ? 0x80 : 0) | 10, duration >> 8, duration & 255]),
    ),
  );

export const trafficContract = ({ bothWays, open }: Harness): void => {
  /** Both ways, one after the other: what the other side hears is what was sent. */
  const through = async (world: World, packets: readonly Buffer[]) => {
    for (const one of packets) {
      expect(await world.fromUe("rtp", one)).toEqual(one);
      expect(world.ue.open("rtp", await world.fromCore("rtp", one))).toEqual(one);
    }
  };

  describe("RTCP", () => {
    it.each(suiteOfEachKind)("RFC 5506 3.4.2: reduced-size RTCP passes both ways under %s", async (suite) => {
      const world = await open({ suite });
      for (const make of [pictureLoss, shortest]) {
        expect(await world.fromUe("rtcp", make(5))).toEqual(make(5));
        expect(world.ue.open("rtcp", await world.fromCore("rtcp", make(6)))).toEqual(make(6));
      }
      expect(counted(world.plane.counters(world.access.leg))).toEqual({ rtcpIn: 2, rtcpOut: 2 });
      expect(world.plane.events()).toEqual([]);
    });

    it("RFC 5506 3.4.2, invariant 3: reduced-size RTCP in clear on a protected leg is dropped, counted and alarmed", async () => {
      const world = await open();
      for (const some of [pictureLoss(5), shortest(5)]) world.ue.send("rtcp", some, world.port("access", "rtcp"));
      await bothWays(world, 1);
      expect(counted(world.plane.counters(world.access.leg))).toMatchObject({ clearDropped: 2, rtcpIn: 1 });
      expect(world.plane.events()).toMatchObject([{ kind: "alarm", what: "clear-on-protected" }]);
    });

    it("RFC 5506 3.4.2: between legs in clear, and from mux to a port of its own", async () => {
      const world = await open({ access: { protection: { kind: "clear" }, rtcp: "mux" } });
      world.ue.send("rtp", pictureLoss(5), world.port("access", "rtcp"));
      expect(await world.core.next("rtcp")).toEqual(pictureLoss(5));
      world.core.send("rtcp", shortest(6), world.port("core", "rtcp"));
      expect(await world.ue.next("rtp")).toEqual(shortest(6));
    });

    it("RFC 3605: RTCP goes to, and is heard from, an address of its own", async () => {
      const world = await open();
      const other = await openPeer(ground.stranger);
      const remote = { ...world.core.remote, rtcpAddress: ground.stranger, rtcpPort: other.remote.rtcpPort };
      world.plane.update(world.inner.leg, { remote });
      world.ue.send("rtcp", world.ue.seal("rtcp", shortest(5)), world.port("access", "rtcp"));
      expect(await other.next("rtcp")).toEqual(shortest(5));
      expect(await world.fromUe("rtp", rtp(1))).toEqual(rtp(1));
      other.send("rtcp", shortest(6), world.port("core", "rtcp"));
      expect(world.ue.open("rtcp", await world.ue.next("rtcp"))).toEqual(shortest(6));
      // Each flow hears its own address only (H.248.37: nothing is to be learned here).
      other.send("rtp", rtp(2), world.port("core", "rtp"));
      world.core.send("rtcp", shortest(6), world.port("core", "rtcp"));
      while (world.plane.counters(world.inner.leg).sourceDropped !== 2) await tick();
      world.plane.update(world.inner.leg, { remote: world.core.remote });
      await bothWays(world, 3);
      const refused = { ...remote, rtcpAddress: "rtcp.example" };
      expect(() => world.plane.update(world.inner.leg, { remote: refused })).toThrow(
        expect.objectContaining({ code: "SALLY_PLANE_REMOTE" }),
      );
      await bothWays(world, 4);
      await other.close();
    });
  });

  describe.skipIf(!hasIpv6)(`address families${hasIpv6 ? "" : " (to run: give the loopback interface ::1)"}`, () => {
    it.each([
      ["IPv6", ground.host6, "IPv4", host],
      ["IPv4", host, "IPv6", ground.host6],
      ["IPv6", ground.host6, "IPv6", ground.host6],
    ])("TS 23.334: %s (%s) towards the UE, %s (%s) towards the core", async (_outside, access, _inside, core) => {
      const world = await open({ access: { address: access, latch: "latch" }, core: { address: core } });
      for (let sequence = 65_530; sequence < 65_540; sequence++) await bothWays(world, sequence);
      expect(counted(world.plane.counters(world.access.leg))).toEqual({
        rtpIn: 10,
        rtcpIn: 10,
        rtpOut: 10,
        rtcpOut: 10,
      });
      expect(world.plane.counters(world.inner.leg)).toMatchObject({ lost: 0, sendErrors: 0, sourceDropped: 0 });
    });
  });

  describe("speech", () => {
    it("RFC 3551 3, RFC 5761 4: on a port of its own RTP has payload types up to 95 with their marker too, but the reserved 72 to 76", async () => {
      const marked = (type: number, sequence: number): Buffer =>
        packetOf({ type, sequence, timestamp: sequence, marker: true }, Buffer.from("speech"));
      const world = await open();
      await through(world, [64, 71, 77, 79, 95].map(marked));
      expect(counted(world.plane.counters(world.access.leg))).toEqual({ rtpIn: 5, rtpOut: 5 });
      for (const type of [72, 76]) world.core.send("rtp", marked(type, 200), world.port("core", "rtp"));
      await bothWays(world, 300);
      expect(counted(world.plane.counters(world.inner.leg))).toMatchObject({ otherDropped: 2, rtcpIn: 1 });
    });

    it("RFC 3551 3, invariant 9: so passes what the ends protect themselves, by the port it came to", async () => {
      const transparent = { protection: { kind: "transparent" } } as const;
      const world = await open({ access: transparent, core: transparent });
      const packet = packetOf({ type: 77, sequence: 5, timestamp: 5, marker: true }, Buffer.from("sealed elsewhere"));
      world.ue.send("rtp", packet, world.port("access", "rtp"));
      expect(await world.core.next("rtp")).toEqual(packet);
    });

    it("RFC 4733 2.5.1: telephone events pass among speech, octet for octet, with their timestamps and repeated ends", async () => {
      const world = await open();
      const speech = (sequence: number) =>
        packetOf({ type: 8, sequence, timestamp: 160 * sequence }, Buffer.alloc(160, 0xd5));
      const packets = [speech(1), ...telephoneEvent(5, 2, 320), ...telephoneEvent(11, 8, 1440), speech(14)];
      await through(world, packets);
      expect(counted(world.plane.counters(world.access.leg))).toEqual({ rtpIn: 14, rtpOut: 14 });
      expect(world.plane.counters(world.access.leg).lost).toBe(0);
      expect(world.plane.events()).toEqual([]);
    });

    it("RFC 3389 4, RFC 3551 4.1: comfort noise and silence: timestamps jump where sequence numbers do not, and nothing is lost", async () => {
      const world = await open();
      const noise = (sequence: number, timestamp: number) =>
        packetOf({ type: 13, sequence, timestamp }, Buffer.from([40, 120, 100]));
      // A minute of silence each, over the wrap of the timestamp; the first packet of a talkspurt is marked.
      let timestamp = 0xffff_ff00;
      const packets: Buffer[] = [];
      for (let sequence = 65_530; sequence < 65_545; sequence++) {
        timestamp += sequence % 3 === 0 ? 480_000 : 160;
        const spurt = { type: 0, sequence, timestamp, marker: sequence % 3 === 0 };
        packets.push(sequence % 3 === 2 ? noise(sequence, timestamp) : packetOf(spurt, Buffer.alloc(160, 0xff)));
      }
      await through(world, packets);
      const counters = world.plane.counters(world.access.leg);
      expect(counted(counters)).toEqual({ rtpIn: 15, rtpOut: 15 });
      expect([counters.lost, world.plane.counters(world.inner.leg).lost]).toEqual([0, 0]);
    });

    it("RFC 3711 3.3.1: a source that leaves out thousands of numbers goes on at once, with the ROC its receiver guesses", async () => {
      const world = await open();
      let sequence = 100;
      const sequences = [1, 2000, 12_000, 30_000, 32_767, 1, 32_767, 5, 32_000].map((step) => (sequence += step));
      await through(
        world,
        sequences.map((at) => rtp(at, `${at}`)),
      );
      expect(counted(world.plane.counters(world.access.leg))).toEqual({ rtpIn: 9, rtpOut: 9 });
    });
  });

  describe("video", () => {
    it.each(suiteOfEachKind)(
      "a second at 4 Mbit/s in frames of up to 60 packets, both ways at once, under %s",
      async (suite) => {
        const world = await open({ suite });
        const sequences = { ue: 65_400, core: 100 };
        let total = 0;
        for (let frame = 0; frame < 30; frame++) {
          // One large picture, then smaller ones: 419 packets of 1,200 octets.
          const count = frame === 0 ? 60 : frame % 2 === 0 ? 13 : 12;
          total += count;
          const timestamp = 3000 * frame;
          const burst = (from: number) =>
            Array.from({ length: count }, (_, at) =>
              packetOf({ type: 96, sequence: from + at, timestamp, marker: at === count - 1 }, Buffer.alloc(1188, at)),
            );
          const [up, down] = [burst(sequences.ue), burst(sequences.core)];
          for (const one of up) world.ue.send("rtp", world.ue.seal("rtp", one), world.port("access", "rtp"));
          for (const one of down) world.core.send("rtp", one, world.port("core", "rtp"));
          expect(Buffer.concat(await world.core.take("rtp", count)).equals(Buffer.concat(up))).toBe(true);
          const heard = (await world.ue.take("rtp", count)).map((sealed) => world.ue.open("rtp", sealed));
          expect(Buffer.concat(heard).equals(Buffer.concat(down))).toBe(true);
          sequences.ue += count;
          sequences.core += count;
        }
        expect(total).toBeGreaterThanOrEqual(416);
        for (const { leg } of [world.access, world.inner]) {
          expect(counted(world.plane.counters(leg))).toEqual({ rtpIn: total, rtpOut: total });
          expect(world.plane.counters(leg).lost).toBe(0);
        }
      },
    );
  });

  describe("MKI", () => {
    it.each(suiteOfEachKind.flatMap((suite) => [1, 4, 128].map((length) => [suite, length] as const)))(
      "RFC 3711 3.1, RFC 4568 6.1: %s with MKIs of %i octets, several keys in force",
      async (suite, length) => {
        const named = (keys: Keys, mark: number): Keys => {
          const mki = Buffer.alloc(length, mark);
          return { ...keys, fromUe: { ...keys.fromUe, mki }, towardsUe: { ...keys.towardsUe, mki } };
        };
        const [first, second] = [named(freshKeys(suite), 1), named(freshKeys(suite), 2)];
        const protection = {
          kind: "srtp",
          suite,
          receive: [first.fromUe, second.fromUe],
          send: first.towardsUe,
        } as const;
        const world = await open({ suite, access: { protection } });
        for (const [at, keys] of [first, second, first].entries()) {
          const ue = createSrtpSender({
            suite: suites[suite],
            key: keys.fromUe,
            resume: new Map([[1, { rtp: at, rtcp: at, rtpPackets: 0 }]]),
          });
          for (const kind of ["rtp", "rtcp"] as const) {
            const plain = kind === "rtp" ? rtp(at + 1, "x", 1) : shortest(1);
            const sealed = kind === "rtp" ? ue.protectRtp(plain) : ue.protectRtcp(plain);
            if (!sealed.ok) throw new Error(sealed.code);
            world.ue.send(kind, sealed.packet, world.port("access", kind));
            expect(await world.core.next(kind)).toEqual(plain);
          }
          ue.release();
        }
        const ue = ueContexts(first);
        expect(ue.open("rtp", await world.fromCore("rtp", rtp(1, "y", 2)))).toEqual(rtp(1, "y", 2));
        expect(ue.open("rtcp", await world.fromCore("rtcp", shortest(2)))).toEqual(shortest(2));
        expect(counted(world.plane.counters(world.access.leg))).toEqual({ rtpIn: 3, rtcpIn: 3, rtpOut: 1, rtcpOut: 1 });
      },
    );
  });
};
