// What only the xdp engine has, over a link between two namespaces: which packets it takes and which it leaves alone, how it finds its
// way, and that no frame is lost.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { LegPlan } from "../src/index.ts";
import { loadAddon } from "../src/native/addon.ts";
import { openPeer, rtp } from "./fixture.ts";
import { ground } from "./ground.ts";
import { build, missing as noTools, run } from "./native/toolchain.ts";
import { frameOf } from "./xdp/frame.ts";
import { openInside } from "./xdp/inside.ts";
import { ip, noNamespaces } from "./xdp/namespaces.ts";
import { runWithin } from "./xdp/within.ts";

const addon = loadAddon();
const missing = typeof addon === "string" ? addon : (noNamespaces ?? noTools);
const { far } = ground;

const inside = (name: string, namespace: string): void => {
  const { choose, newPlane, newWorld, direct, until, own, peers, bothWays, untilDirect, atRest, inject, farEnd } =
    openInside(name, namespace);
  const clear: LegPlan = {
    address: ground.host,
    rtcp: "separate",
    protection: { kind: "clear" },
    mode: "send-receive",
    latch: "off",
  };

  describe("xdp engine", () => {
    it.each([
      ["IPv4", ground.host],
      ["IPv6", ground.host6],
    ])(
      "over %s packets come and go past the sockets, once the kernel knows the neighbour",
      async (_family, address) => {
        const plane = newPlane();
        const world = await newWorld(plane, { access: { address }, core: { address } });
        await untilDirect(world, plane);
        expect(plane.engine).toBe("xdp");
        expect(plane.io).toBe("AF_XDP");
        expect(plane.manner).toMatch(/^media0 \((native|generic), (zero-copy|copy), 1 queue\)$/);
        expect(direct(plane).packetsIn).toBeGreaterThan(0);
        await atRest(plane);
      },
    );

    it("other ports, other protocols and fragments go to the kernel as ever", async () => {
      const plane = newPlane();
      const world = await newWorld(plane, {
        access: { protection: { kind: "transparent" } },
        core: { protection: { kind: "transparent" } },
      });
      await until(async () => {
        world.ue.send("rtp", rtp(1), world.port("access", "rtp"));
        await world.core.next("rtp");
        return direct(plane).packetsOut > 0;
      });
      const near = createSocket("udp4");
      near.bind(0, ground.host);
      await once(near, "listening");
      const heard = once(near, "message");
      const other = await openPeer();
      other.send("rtp", Buffer.from("not ours"), near.address().port);
      expect(String((await heard)[0])).toBe("not ours");
      near.close();
      const server = createServer((socket) => socket.end("hello"));
      server.listen(0, ground.host);
      await once(server, "listening");
      const listening = server.address();
      const port = typeof listening === "object" && listening !== null ? listening.port : 0;
      expect(await farEnd.dial(ground.host, port)).toBe("hello");
      server.close();
      const before = direct(plane);
      const large = Buffer.concat([rtp(2), Buffer.alloc(4000 - maxGrowth, 7)]);
      world.ue.send("rtp", large, world.port("access", "rtp"));
      expect(await world.core.next("rtp")).toEqual(large);
      expect(direct(plane).unsound).toBe(before.unsound);
      await other.close();
      await atRest(plane);
    });

    it("RFC 768, RFC 791, RFC 1122 3.2.1.3: a wrong checksum or length, and a source that no host may have, are dropped and counted", async () => {
      const plane = newPlane();
      const world = await newWorld(plane, { access: { protection: { kind: "clear" }, latch: "latch" } });
      const port = world.port("access", "rtp");
      const good = frameOf(own(), peers(), ground.stranger, 4000, port, rtp(1));
      const wrong = (change: (frame: Buffer) => void): Buffer => {
        const frame = Buffer.from(good);
        change(frame);
        return frame;
      };
      const bad = [
        wrong((frame) => frame.writeUInt8(frame.readUInt8(50) ^ 1, 50)),
        wrong((frame) => frame.writeUInt16BE(7, 38)),
        wrong((frame) => frame.writeUInt16BE(frame.readUInt16BE(38) + 1, 38)),
        wrong((frame) => frame.writeUInt16BE(frame.readUInt16BE(24) ^ 1, 24)),
        good.subarray(0, good.length - 1),
        ...["127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0", ground.host].map((source) =>
          frameOf(own(), peers(), source, 4000, port, rtp(1)),
        ),
      ];
      inject(...bad);
      await until(() => direct(plane).unsound === bad.length);
      expect(plane.counters(world.access.leg)).toMatchObject({ rtpIn: 0, sourceDropped: 0 });
      // Not for our hardware address: the kernel's to decide, which drops it.
      inject(frameOf("02:00:00:00:00:99", peers(), ground.stranger, 4000, port, rtp(1)));
      inject(good);
      expect(await world.core.next("rtp")).toEqual(rtp(1));
      expect(plane.counters(world.access.leg)).toMatchObject({ rtpIn: 1 });
      // The leg keeps to whom it learned: what it drops is no frame lost.
      inject(frameOf(own(), peers(), ground.stranger, 4002, port, rtp(2)));
      await until(() => plane.counters(world.access.leg).sourceDropped === 1);
      await atRest(plane);
    });

    it("a neighbour that has another hardware address is sent to there, and the engine's own may change", async () => {
      const plane = newPlane();
      const world = await newWorld(plane);
      await untilDirect(world, plane);
      const moved = "02:00:00:00:00:77";
      ip("-n", namespace, "link", "set", "dev", "peer0", "address", moved);
      // As the kernel does it when a neighbour tells of itself.
      ip("neigh", "replace", ground.peer, "lladdr", moved, "dev", name, "nud", "reachable");
      const through = async (): Promise<boolean> => {
        try {
          await bothWays(world);
          return true;
        } catch {
          return false;
        }
      };
      await until(through);
      await untilDirect(world, plane);
      ip("link", "set", "dev", name, "address", "02:00:00:00:00:66");
      ip(
        "-n",
        namespace,
        "neigh",
        "replace",
        ground.host,
        "lladdr",
        "02:00:00:00:00:66",
        "dev",
        "peer0",
        "nud",
        "reachable",
      );
      await until(through);
      const before = direct(plane).packetsIn;
      // Figures come ten times a second: some of these packets came before.
      await until(async () => (await through()) && direct(plane).packetsIn > before + 20);
    });

    it("RFC 4301 4.4.1: while the kernel has IPsec policies every packet is the kernel's", async () => {
      const plane = newPlane();
      const world = await newWorld(plane);
      await untilDirect(world, plane);
      const policy = ["src", "192.0.2.0/24", "dst", "198.51.100.0/24", "dir", "out"];
      ip("xfrm", "policy", "add", ...policy, "tmpl", "src", "192.0.2.1", "dst", "198.51.100.1", "proto", "esp");
      try {
        await until(() => direct(plane).paused);
        await bothWays(world);
        // Figures come ten times a second: those of packets before are in by the time that others have passed for longer.
        const passing = async (): Promise<number> => {
          for (const end = performance.now() + 300; performance.now() < end;) await bothWays(world);
          const { packetsIn, packetsOut } = direct(plane);
          return packetsIn + packetsOut;
        };
        expect(await passing()).toBe(await passing());
      } finally {
        ip("xfrm", "policy", "delete", ...policy);
      }
      await until(() => !direct(plane).paused);
      await untilDirect(world, plane);
    });

    it("a neighbour that cannot be reached takes no frame: the ordinary socket sends, and the kernel asks on", async () => {
      const plane = newPlane();
      const world = await newWorld(plane, {
        core: { remote: { address: "10.214.0.200", rtpPort: 4000, rtcpPort: 4001 } },
      });
      const before = direct(plane).packetsOut;
      // Long enough for the way to be asked for, and for the figures to tell of what was sent.
      let sent = 0;
      const end = performance.now() + 400;
      await until(() => {
        world.ue.send("rtp", world.ue.seal("rtp", rtp(++sent)), world.port("access", "rtp"));
        return performance.now() > end;
      });
      await until(() => plane.counters(world.inner.leg).rtpOut === sent);
      await atRest(plane);
      expect(direct(plane).packetsOut).toBe(before);
      expect(ip("neigh", "show", "10.214.0.200")).toMatch(/INCOMPLETE|FAILED/);
    });

    it(
      "invariant 10: over 100,000 packets no frame goes astray, also while the link cannot take them",
      { timeout: 120_000 },
      async () => {
        const plane = newPlane();
        const sender = await farEnd.open(ground.peer, () => undefined);
        const receiver = await farEnd.open(ground.peer, () => undefined);
        const remote = (port: number) => ({ address: ground.peer, rtpPort: port, rtcpPort: port });
        const a = await plane.open({ ...clear, remote: remote(sender.port) });
        const b = await plane.open({ ...clear, remote: remote(receiver.port) });
        plane.join(a.leg, b.leg);
        const each = 50_000;
        const heard = await sender.flow(rtp(1, Buffer.alloc(160)), a.local.rtpPort, ground.host, each, 40, receiver.id);
        // Loaded beyond what a socket of the peer takes: what is lost is lost there, never here.
        await sender.flow(rtp(1, Buffer.alloc(160)), a.local.rtpPort, ground.host, each, 4000, receiver.id);
        await until(() => direct(plane).packetsIn + (plane.threads()[0]?.lost ?? 0) === 2 * each);
        expect(heard).toBeGreaterThan(0);
        await atRest(plane);
        // The link goes down and comes back: frames that were queued meanwhile come back too.
        ip("link", "set", "dev", name, "down");
        await sender.flow(rtp(1), a.local.rtpPort, ground.host, 100, 50, receiver.id);
        ip("link", "set", "dev", name, "up");
        ip("addr", "replace", `${ground.host6}/64`, "dev", name, "nodad");
        await atRest(plane);
        await Promise.all([sender.close(), receiver.close()]);
      },
    );

    it("two interfaces, one with two queues: what comes by one leaves by the other, and by IPv4 what came by IPv6", async () => {
      const [near2, far2] = ["10.215.0.1", "10.215.0.2"];
      const queues = ["numrxqueues", "2", "numtxqueues", "2"];
      ip("link", "add", "media1", ...queues, "type", "veth", "peer", "name", "peer1", ...queues, "netns", namespace);
      try {
        for (const [at, device, address] of [
          [[], "media1", near2],
          [["-n", namespace], "peer1", far2],
        ] as const) {
          ip(...at, "addr", "add", `${address}/24`, "dev", device);
          ip(...at, "link", "set", device, "up");
        }
        const { plane, native, reason } = choose("xdp", [name, "media1"]);
        if (native === undefined) throw new Error("no native plane");
        expect(reason).toMatch(
          /^xdp on media0 \(.*, 1 queue\), media1 \(.*, [12] queues?\): the configuration asks for it$/,
        );
        const heard = { one: 0, other: 0 };
        const one = await farEnd.open(ground.peer6, () => heard.one++);
        const other = await farEnd.open(far2, () => heard.other++);
        const remote = (address: string, port: number) => ({ address, rtpPort: port, rtcpPort: port });
        const a = await plane.open({ ...clear, address: ground.host6, remote: remote(ground.peer6, one.port) });
        const b = await plane.open({ ...clear, address: near2, remote: remote(far2, other.port) });
        plane.join(a.leg, b.leg);
        let sequence = 0;
        await until(() => {
          sequence += 1;
          one.send(rtp(sequence), a.local.rtpPort, ground.host6);
          other.send(rtp(sequence), b.local.rtpPort, near2);
          const { packetsOut } = direct(native);
          return packetsOut > 20 && heard.one > 10 && heard.other > 10;
        });
        expect(plane.counters(a.leg)).toMatchObject({ sendErrors: 0, sourceDropped: 0 });
        await plane.shutdown();
        await Promise.all([one.close(), other.close()]);
      } finally {
        ip("link", "del", "media1");
      }
    });

    it.each(["sanitize", "thread"] as const)(
      "invariant 10: with the %s sanitizer every leg that was opened is closed, and threads share nothing unguarded",
      (variant) => {
        const where = [name, ground.host, ground.peer, `/run/netns/${namespace}`];
        expect(run(build("engine_life", variant), undefined, false, ["xdp", "1", "6000", ...where]).toString()).toBe(
          "ok engine\n",
        );
      },
      600_000,
    );
  });
};

/** Octets a buffer keeps free behind a datagram for what SRTP may add; buffers are 4,096. */
const maxGrowth = 200;

if (far !== undefined && missing === undefined) {
  inside(far.interface, far.namespace);
} else {
  const outcomes = missing === undefined ? await runWithin(fileURLToPath(import.meta.url)) : [];
  describe(`between namespaces${missing === undefined ? "" : ` (${missing})`}`, () => {
    it.skipIf(missing !== undefined)("the tests of the xdp engine were run", () => {
      expect(outcomes.length).toBeGreaterThan(8);
    });
    it.each(outcomes.filter(({ status }) => status === "passed" || status === "failed"))(
      "$fullName",
      ({ status, failureMessages }) => {
        expect([status, ...failureMessages]).toEqual(["passed"]);
      },
    );
  });
}
