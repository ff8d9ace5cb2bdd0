// What only the native engine has: threads that give legs to each other, sockets connected to steady peers, time of its own, marks,
// and what its threads say of themselves. Skipped by name where it was not built.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@sallyport/kit";
import { createMediaPlane, type LegPlan, type NativePlane } from "../src/index.ts";
import { loadAddon } from "../src/native/addon.ts";
import { createNativePlane, type NativePlaneOptions } from "../src/native/native-plane.ts";
import { forged, freshKeys, host, openPeer, openWorld, protectionOf, rtp, type World } from "./fixture.ts";

const addon = loadAddon();
const built = typeof addon !== "string";
const worlds: World[] = [];
const planes: NativePlane[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.end();
  for (const plane of planes.splice(0)) await plane.shutdown();
});

const newPlane = (options: Partial<NativePlaneOptions> = {}): NativePlane => {
  if (typeof addon === "string") throw new Error(addon);
  const portRange = { first: 27_000, last: 27_999 };
  const plane = createNativePlane(addon, { clock: systemClock, log: silentLog, portRange, ...options });
  if (typeof plane === "string") throw new Error(plane);
  planes.push(plane);
  return plane;
};
const newWorld = async (plane: NativePlane, options?: Parameters<typeof openWorld>[1]): Promise<World> => {
  const world = await openWorld(plane, options);
  worlds.push(world);
  return world;
};
/** Looks again until it is so; the test's own time limit ends a wait that has no end. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) {
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
};
const clear: LegPlan = {
  address: host,
  rtcp: "separate",
  protection: { kind: "clear" },
  mode: "send-receive",
  latch: "off",
};

for (const io of ["io_uring", "epoll"] as const) {
  describe.skipIf(!built)(`native plane over ${io}`, () => {
    it("a steady flow gets a connected socket; what it hears and sends stays the same", async () => {
      const plane = newPlane({ io, connectAfter: 5 });
      const world = await newWorld(plane, { core: { latch: "latch" } });
      const connects = () => plane.threads()[0]?.connects ?? 0;
      let sequence = 0;
      const both = async () => {
        sequence += 1;
        expect(await world.fromUe("rtp", rtp(sequence))).toEqual(rtp(sequence));
        const sealed = await world.fromCore("rtp", rtp(sequence, "answer", 2));
        expect(world.ue.open("rtp", sealed)).toEqual(rtp(sequence, "answer", 2));
      };
      while (connects() < 2) await both();
      for (let more = 0; more < 10; more++) await both();
      // The UE moves: heard from where nobody was connected to, and answered there after a while of its own.
      const moved = await openPeer();
      world.plane.update(world.access.leg, { remote: moved.remote });
      moved.send("rtp", world.ue.seal("rtp", rtp(++sequence)), world.port("access", "rtp"));
      expect(await world.core.next("rtp")).toEqual(rtp(sequence));
      const before = connects();
      for (let at = 0; connects() === before; at++) {
        world.core.send("rtp", rtp(1000 + at, "x", 2), world.port("core", "rtp"));
        expect(world.ue.open("rtp", await moved.next("rtp"))).toEqual(rtp(1000 + at, "x", 2));
      }
      // A stranger on the clear side is still told from the peer.
      const stranger = await openPeer();
      stranger.send("rtp", rtp(9, "x", 2), world.port("core", "rtp"));
      await until(() => plane.counters(world.inner.leg).sourceDropped === 1);
      expect(world.ue.heard("rtp")).toEqual([]);
      await Promise.all([moved.close(), stranger.close()]);
    });

    it("H.248.37: what comes by a connected socket comes from its peer, also when the flow is to go elsewhere by now", async () => {
      const plane = newPlane({ io, connectAfter: 3 });
      const world = await newWorld(plane, { core: { latch: "latch" } });
      let sequence = 0;
      const fromUe = async () => {
        sequence += 1;
        expect(await world.fromUe("rtp", rtp(sequence))).toEqual(rtp(sequence));
      };
      while ((plane.threads()[0]?.connects ?? 0) < 1) await fromUe();
      for (let more = 0; more < 5; more++) await fromUe();
      const elsewhere = await openPeer();
      world.plane.update(world.inner.leg, { remote: elsewhere.remote });
      world.ue.send("rtp", world.ue.seal("rtp", rtp(++sequence)), world.port("access", "rtp"));
      expect(await elsewhere.next("rtp")).toEqual(rtp(sequence));
      const sealed = await world.fromCore("rtp", rtp(1, "answer", 2));
      expect(world.ue.open("rtp", sealed)).toEqual(rtp(1, "answer", 2));
      // That packet was learned from: what it teaches is its own source.
      await fromUe();
      expect(elsewhere.heard("rtp")).toEqual([]);
      await elsewhere.close();
    });

    it("RFC 1122 4.1.3.3: a peer whose port is closed for a while is sent to again as if nothing had been heard of it", async () => {
      const plane = newPlane({ io, connectAfter: 3 });
      const world = await newWorld(plane);
      const gone = createSocket("udp4");
      gone.bind(0, host);
      await once(gone, "listening");
      const { port } = gone.address();
      world.plane.update(world.inner.leg, { remote: { address: host, rtpPort: port, rtcpPort: port + 1 } });
      let sequence = 0;
      const send = () => {
        sequence += 1;
        world.ue.send("rtp", world.ue.seal("rtp", rtp(sequence)), world.port("access", "rtp"));
      };
      while ((plane.threads()[0]?.connects ?? 0) < 1) {
        send();
        await new Promise((resolve) => {
          gone.once("message", resolve);
        });
      }
      gone.close();
      await once(gone, "close");
      for (let at = 0; at < 20; at++) send();
      await until(() => plane.counters(world.access.leg).rtpIn === sequence);
      // Of one batch every second datagram may be refused by the socket that was connected; then it is not used.
      expect(plane.counters(world.inner.leg).sendErrors).toBeLessThanOrEqual(10);
      const back = createSocket("udp4");
      back.bind(port, host);
      await once(back, "listening");
      const heard = new Promise((resolve) => {
        back.once("message", resolve);
      });
      send();
      expect(await heard).toEqual(rtp(sequence));
      back.close();
    });

    it("H.248.40: silence is reported by the engine's own time, once for each direction", async () => {
      const plane = newPlane({ io });
      const world = await newWorld(plane, { access: { inactivityMs: 300 } });
      const events: unknown[] = [];
      await until(() => {
        events.push(...plane.events());
        return events.length >= 2;
      });
      const { leg } = world.access;
      expect(events).toEqual([
        { kind: "inactive", leg, direction: "in" },
        { kind: "inactive", leg, direction: "out" },
      ]);
    });

    it("H.248.1 ds: what is sent carries the code point, also after it changed", async () => {
      const plane = newPlane({ io });
      expect(plane.marks).toBe(true);
      const opened = await plane.open({ ...clear, dscp: 46 });
      plane.update(opened.leg, { dscp: 0 });
      plane.update(opened.leg, { dscp: 10 });
      for (const dscp of [-1, 64, 1.5]) {
        expect(() => plane.update(opened.leg, { dscp })).toThrow(expect.objectContaining({ code: "SALLY_PLANE_DSCP" }));
      }
    });

    it("more commands than the ring holds are waited for, none is lost", async () => {
      const plane = newPlane({ io });
      const world = await newWorld(plane);
      for (let at = 0; at < 5000; at++) {
        world.plane.update(world.access.leg, { mode: at % 2 === 0 ? "inactive" : "send-receive" });
      }
      expect(await world.fromUe("rtp", rtp(1))).toEqual(rtp(1));
    });

    it("TS 33.328 7.2: keys of a thousand updates do not use up the memory for keys", async () => {
      const plane = newPlane({ io });
      const keys = [freshKeys(), freshKeys()].map(protectionOf);
      const world = await newWorld(plane);
      const { leg } = world.access;
      for (let at = 0; at < 1000; at++) {
        const protection = keys[at % 2];
        if (protection !== undefined) plane.update(leg, { protection });
        if (at % 50 === 0) plane.events();
      }
      plane.update(leg, { protection: protectionOf(world.keys) });
      expect(await world.fromUe("rtp", rtp(1))).toEqual(rtp(1));
      plane.events();
    });
  });
}

describe.skipIf(!built)("legs over threads", () => {
  it("a leg is given to the thread of the one it is joined to, and loses nothing that came meanwhile", async () => {
    const plane = newPlane({ threads: 2 });
    const moves = () => plane.threads().reduce((sum, thread) => sum + thread.moves, 0);
    const first = await newWorld(plane);
    const second = await openWorld(plane);
    expect(moves()).toBe(0);
    let sequence = 0;
    for (let round = 0; round < 20; round++) {
      // The second leg goes where the first one is: away, and back again.
      plane.join(second.access.leg, first.inner.leg);
      plane.join(first.access.leg, first.inner.leg);
      for (let at = 0; at < 20; at++) {
        sequence += 1;
        first.ue.send("rtp", first.ue.seal("rtp", rtp(sequence)), first.port("access", "rtp"));
      }
      const heard = await first.core.take("rtp", 20);
      expect(heard[19]).toEqual(rtp(sequence));
    }
    expect(moves()).toBe(40);
    await Promise.all([second.ue.close(), second.core.close()]);
  });

  it("calls are spread over threads, both legs of one on the same", async () => {
    const plane = newPlane({ threads: 3 });
    for (let call = 0; call < 30; call++) {
      const [a, b] = [await plane.open(clear), await plane.open(clear)];
      plane.join(a.leg, b.leg);
    }
    await until(() => plane.threads().reduce((sum, { legs }) => sum + legs, 0) === 60);
    expect(plane.threads().map(({ legs }) => legs)).toEqual([20, 20, 20]);
    expect(plane.threads().every(({ moves }) => moves === 0)).toBe(true);
  });
});

describe.skipIf(!built)("what threads say", () => {
  it("packets, wake-ups, and datagrams too long for a buffer", async () => {
    const plane = newPlane();
    const world = await newWorld(plane);
    await world.fromUe("rtp", rtp(1));
    world.ue.send("rtp", forged(2), world.port("access", "rtp"));
    world.ue.send("rtp", Buffer.alloc(5000, 0x80), world.port("access", "rtp"));
    await until(() => plane.threads()[0]?.oversized === 1);
    const [thread] = plane.threads();
    expect(thread).toMatchObject({ packetsIn: 3, packetsOut: 1, lost: 0, sendErrors: 0, buffersExhausted: 0 });
    expect(thread?.wakes).toBeGreaterThan(0);
  });

  it("datagrams the kernel drops because a receive buffer is full are counted as lost", async () => {
    const plane = newPlane({ receiveBuffer: 4096, batchUs: 2000 });
    const world = await newWorld(plane);
    const flood = Buffer.alloc(1200, 0x80);
    await until(() => {
      for (let at = 0; at < 200; at++) world.ue.send("rtp", flood, world.port("access", "rtp"));
      return (plane.threads()[0]?.lost ?? 0) > 0;
    });
  });
});

describe("choice of the engine", () => {
  const portRange = { first: 28_000, last: 28_099 };
  const common = { clock: systemClock, log: silentLog, portRange };

  it("an engine asked for by name is refused when it cannot start, with what would help", () => {
    const refused = expect.objectContaining({ code: "SALLY_PLANE_ENGINE" });
    expect(() => createMediaPlane({ ...common, engine: "xdp" })).toThrow(refused);
    if (!built) expect(() => createMediaPlane({ ...common, engine: "socket" })).toThrow(refused);
  });

  it("auto says what it took and why", async () => {
    const { plane, reason, warning } = createMediaPlane({ ...common, engine: "auto" });
    expect(plane.engine).toBe(built ? "socket" : "portable");
    expect(reason).toMatch(built ? /^socket over (io_uring|epoll): the best/ : /^portable: /);
    if (!built) expect(warning).toMatch(/npm run setup|Linux/);
    await plane.shutdown();
  });
});
