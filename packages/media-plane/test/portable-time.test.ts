// What turns on time and on sockets that fail, in the portable engine: a clock turned by hand, sockets that are watched.
import { constants as osConstants } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import {
  memoryLog,
  silentLog,
  systemDatagrams,
  VirtualClock,
  type DatagramHandlers,
  type OpenDatagram,
} from "@sallyport/kit";
import { createPortablePlane, type LegPlan } from "../src/index.ts";
import { unbound } from "../src/native/refusal.ts";
import {
  forged,
  freshKeys,
  hasIpv6,
  host,
  openPeer,
  openWorld,
  protectionOf,
  rtp,
  ueContexts,
  type World,
  type WorldOptions,
} from "./fixture.ts";

const worlds: World[] = [];
const clocks: VirtualClock[] = [];
const newPlane = (options: { openDatagram?: OpenDatagram; first?: number; last?: number } = {}) => {
  const clock = new VirtualClock(1_000_000);
  clocks.push(clock);
  const { first = 22_000, last = 22_999 } = options;
  const openDatagram = options.openDatagram ?? systemDatagrams;
  return { clock, plane: createPortablePlane({ clock, log: silentLog, portRange: { first, last }, openDatagram }) };
};
const open = async (options?: WorldOptions) => {
  const { clock, plane } = newPlane();
  const world = await openWorld(plane, options);
  worlds.push(world);
  return { ...world, clock };
};
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.end();
  // Invariant 10: whatever a test did, no timer is left.
  for (const clock of clocks.splice(0)) expect(clock.waiting).toBe(0);
});

const clearPlan: LegPlan = {
  address: host,
  rtcp: "separate",
  protection: { kind: "clear" },
  mode: "send-receive",
  latch: "off",
};
/** Sockets that bind nothing: which ports are free on this machine is no matter here. */
const fakeDatagrams: OpenDatagram = async ({ address, port }) => ({
  local: { address, port },
  send: () => undefined,
  close: async () => undefined,
});

const tick = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

describe("inactivity", () => {
  it("TS 23.334, H.248.40: silence is reported once for each direction, and anew after traffic", async () => {
    const world = await open({ access: { inactivityMs: 10_000 } });
    const { plane, clock } = world;
    const { leg } = world.access;
    clock.advance(9_000);
    await world.fromUe("rtp", rtp(1));
    clock.advance(1_000);
    expect(plane.events()).toEqual([{ kind: "inactive", leg, direction: "out" }]);
    clock.advance(8_000);
    await world.fromUe("rtp", rtp(2));
    clock.advance(9_999);
    expect(plane.events()).toEqual([]);
    clock.advance(1);
    expect(plane.events()).toEqual([{ kind: "inactive", leg, direction: "in" }]);
    clock.advance(100_000);
    expect(plane.events()).toEqual([]);
    await world.fromCore("rtp", rtp(1));
    clock.advance(10_000);
    expect(plane.events()).toEqual([{ kind: "inactive", leg, direction: "out" }]);
  });

  it("invariant 3: packets that do not verify are silence", async () => {
    const world = await open({ access: { inactivityMs: 10_000 } });
    world.clock.advance(9_000);
    world.ue.send("rtp", forged(1), world.port("access", "rtp"));
    while (world.plane.counters(world.access.leg).authenticationFailures < 1) await tick();
    world.clock.advance(1_000);
    expect(world.plane.events().filter(({ kind }) => kind === "inactive")).toHaveLength(2);
    expect(world.plane.counters(world.access.leg).lastPacketAt).toBe(0);
    await world.fromUe("rtp", rtp(2));
    expect(world.plane.counters(world.access.leg).lastPacketAt).toBe(1_010_000);
  });

  it("H.248.40: only directions that the mode allows are watched; a change starts the watch anew", async () => {
    const world = await open({ access: { inactivityMs: 10_000, mode: "send-only" } });
    const { plane, clock } = world;
    const { leg } = world.access;
    clock.advance(50_000);
    expect(plane.events()).toEqual([{ kind: "inactive", leg, direction: "out" }]);
    plane.update(leg, { mode: "inactive" });
    clock.advance(50_000);
    expect(plane.events()).toEqual([]);
    plane.update(leg, { mode: "receive-only", inactivityMs: 5_000 });
    clock.advance(4_999);
    expect(plane.events()).toEqual([]);
    clock.advance(1);
    expect(plane.events()).toEqual([{ kind: "inactive", leg, direction: "in" }]);
    plane.update(leg, { inactivityMs: 0 });
    expect(clock.waiting).toBe(0);
    plane.update(leg, { inactivityMs: 5_000 });
    expect(clock.waiting).toBe(1);
    plane.update(leg, { inactivityMs: undefined });
    expect(clock.waiting).toBe(0);
  });
});

describe("key overlap", () => {
  it("RFC 3711 3.3.1: the old receive key is tried for three seconds, then it is gone", async () => {
    const world = await open();
    await world.fromUe("rtp", rtp(1));
    const late = [2, 3].map((sequence) => world.ue.seal("rtp", rtp(sequence)));
    world.plane.update(world.access.leg, { protection: protectionOf(freshKeys()) });
    expect(world.clock.waiting).toBe(1);
    world.clock.advance(2_999);
    world.ue.send("rtp", late[0] ?? Buffer.alloc(0), world.port("access", "rtp"));
    expect(await world.core.next("rtp")).toEqual(rtp(2));
    world.clock.advance(1);
    expect(world.clock.waiting).toBe(0);
    world.ue.send("rtp", late[1] ?? Buffer.alloc(0), world.port("access", "rtp"));
    while (world.plane.counters(world.access.leg).authenticationFailures < 1) await tick();
    expect(world.plane.counters(world.access.leg).rtpIn).toBe(2);
  });

  it("invariant 5: a key put back within the overlap has its own contexts, and the refused one the overlap", async () => {
    const world = await open();
    await world.fromUe("rtp", rtp(1));
    const late = world.ue.seal("rtp", rtp(2));
    const seen = world.ue.seal("rtp", rtp(3));
    world.ue.send("rtp", seen, world.port("access", "rtp"));
    await world.core.next("rtp");
    const refused = freshKeys();
    world.plane.update(world.access.leg, { protection: protectionOf(refused) });
    world.plane.update(world.access.leg, { protection: protectionOf(world.keys) });
    world.ue.send("rtp", seen, world.port("access", "rtp"));
    world.ue.send("rtp", ueContexts(refused).seal("rtp", rtp(9)), world.port("access", "rtp"));
    expect(await world.core.next("rtp")).toEqual(rtp(9));
    world.ue.send("rtp", late, world.port("access", "rtp"));
    expect(await world.core.next("rtp")).toEqual(rtp(2));
    expect(await world.fromUe("rtp", rtp(4))).toEqual(rtp(4));
    expect(world.plane.counters(world.access.leg).replays).toBe(1);
    expect(world.clock.waiting).toBe(1);
  });
});

describe("alarms", () => {
  it("a flood raises one alarm in ten seconds, with the number of packets it stands for", async () => {
    const world = await open();
    const forge = async (count: number) => {
      const until = world.plane.counters(world.access.leg).authenticationFailures + count;
      for (let at = 0; at < count; at++) {
        world.ue.send("rtp", forged(at), world.port("access", "rtp"));
      }
      while (world.plane.counters(world.access.leg).authenticationFailures < until) await tick();
    };
    await forge(50);
    expect(world.plane.events()).toMatchObject([{ what: "authentication", count: 1 }]);
    world.clock.advance(10_000);
    await forge(3);
    expect(world.plane.events()).toMatchObject([{ what: "authentication", count: 50 }]);
  });
});

describe("ports", () => {
  it("RFC 3550 11: even and odd pairs from the range, round robin, rested, and bounded", async () => {
    const { plane, clock } = newPlane({ openDatagram: fakeDatagrams, first: 23_001, last: 23_008 });
    const opened = [];
    for (let count = 0; count < 3; count++) opened.push(await plane.open(clearPlan));
    expect(opened.map(({ local }) => [local.rtpPort, local.rtcpPort])).toEqual([
      [23_002, 23_003],
      [23_004, 23_005],
      [23_006, 23_007],
    ]);
    const full = expect.objectContaining({ code: "SALLY_PLANE_PORTS", h248Error: 510 });
    await expect(plane.open(clearPlan)).rejects.toThrow(full);
    await plane.close(opened[1]?.leg ?? 0);
    await expect(plane.open(clearPlan)).rejects.toThrow(full);
    clock.advance(5_000);
    expect((await plane.open(clearPlan)).local.rtpPort).toBe(23_004);
    await plane.shutdown();
  });

  it("a pair of which one port is taken is passed over, and nothing of it stays open", async () => {
    let live = 0;
    const watched: OpenDatagram = async (binding, handlers) => {
      if (binding.port === 23_011) throw Object.assign(new Error("in use"), { code: "EADDRINUSE" });
      const datagram = await fakeDatagrams(binding, handlers);
      live += 1;
      return {
        ...datagram,
        close: async () => {
          live -= 1;
          await datagram.close();
        },
      };
    };
    const { plane } = newPlane({ openDatagram: watched, first: 23_010, last: 23_013 });
    expect((await plane.open(clearPlan)).local).toEqual({ address: host, rtpPort: 23_012, rtcpPort: 23_013 });
    expect(live).toBe(2);
    await plane.shutdown();
    expect([live, plane.legs]).toEqual([0, 0]);
  });

  it.each(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] as const)(
    "H.248.1 510: %s is want of resources, and taken once",
    async (code) => {
      let tried = 0;
      const { plane } = newPlane({
        openDatagram: async () => {
          tried += 1;
          throw Object.assign(new Error(code), { code });
        },
      });
      const short = expect.objectContaining({ code: "SALLY_PLANE_PORTS", h248Error: 510, sipStatus: 503 });
      await expect(plane.open(clearPlan)).rejects.toThrow(short);
      expect([tried, plane.legs]).toEqual([1, 0]);
      expect(unbound(-osConstants.errno[code], host)).toMatchObject({ code: "SALLY_PLANE_PORTS", h248Error: 510 });
      await plane.shutdown();
    },
  );

  it.each([
    [0, 10],
    [65_000, 65_536],
    [101, 101],
    [101, 102],
    [10, 5],
    [1.5, 9],
  ])("a range of %d to %d is refused", (first, last) => {
    const code = expect.objectContaining({ code: "SALLY_PLANE_RANGE" });
    expect(() => newPlane({ first, last })).toThrow(code);
  });
});

describe("addresses", () => {
  it("H.248.37: a source port of 0 is never learned", async () => {
    const hear: DatagramHandlers["onMessage"][] = [];
    const sentTo: number[] = [];
    const openDatagram: OpenDatagram = async (binding, handlers) => {
      hear.push((octets, from) => handlers.onMessage(octets, from));
      return { ...(await fakeDatagrams(binding, handlers)), send: (_, to) => sentTo.push(to.port) };
    };
    const { plane } = newPlane({ openDatagram });
    const a = await plane.open({ ...clearPlan, latch: "latch" });
    const b = await plane.open({ ...clearPlan, latch: "latch" });
    plane.join(a.leg, b.leg);
    const [toA, , toB] = hear;
    toA?.(rtp(1), { address: host, port: 0 });
    toB?.(rtp(1), { address: host, port: 7 });
    toA?.(rtp(2), { address: host, port: 8 });
    toB?.(rtp(2), { address: host, port: 7 });
    expect(sentTo).toEqual([7, 8]);
    expect(plane.counters(a.leg)).toMatchObject({ sourceDropped: 1, rtpIn: 1, otherDropped: 1 });
    await plane.shutdown();
  });

  it.skipIf(!hasIpv6)(`IPv6 on both sides${hasIpv6 ? "" : " (to run: give the loopback interface ::1)"}`, async () => {
    const { plane } = newPlane();
    const [one, other] = [await openPeer("::1"), await openPeer("::1")];
    const plan = { ...clearPlan, address: "::1" };
    const a = await plane.open({ ...plan, remote: { ...one.remote, address: "0:0:0:0:0:0:0:1" } });
    const b = await plane.open({ ...plan, remote: other.remote });
    plane.join(a.leg, b.leg);
    one.send("rtp", rtp(1), a.local.rtpPort);
    expect(await other.next("rtp")).toEqual(rtp(1));
    other.send("rtp", rtp(2), b.local.rtpPort);
    expect(await one.next("rtp")).toEqual(rtp(2));
    await Promise.all([plane.shutdown(), one.close(), other.close()]);
  });
});

describe("invariant 7", () => {
  it("invariant 7: neither log, events, counters nor errors show a key", async () => {
    const { log, records } = memoryLog();
    const plane = createPortablePlane({ clock: new VirtualClock(), log, portRange: { first: 23_100, last: 23_199 } });
    const world = await openWorld(plane);
    const again = { ...clearPlan, protection: protectionOf({ ...freshKeys(), towardsUe: world.keys.towardsUe }) };
    const error: unknown = await plane.open(again).catch((reason: unknown) => reason);
    await world.fromUe("rtp", rtp(1));
    const shown = JSON.stringify([records, plane.events(), plane.counters(world.access.leg), String(error)]);
    for (const key of [world.keys.fromUe, world.keys.towardsUe]) {
      for (const form of ["hex", "base64", "latin1"] as const) {
        expect(shown).not.toContain(key.master.use((octets) => octets.subarray(0, 12).toString(form)));
      }
    }
    await world.end();
  });
});
