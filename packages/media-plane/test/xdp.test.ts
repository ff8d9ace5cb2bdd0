// What only the xdp engine has, over a link between two namespaces: which packets it takes and which it leaves alone, how it finds its
// way, that no frame is lost, that it leaves nothing behind, and what it says when it cannot start.
import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@sallyport/kit";
import { createMediaPlane, type ChosenPlane, type EngineName, type LegPlan, type NativePlane } from "../src/index.ts";
import { loadAddon } from "../src/native/addon.ts";
import { openPeer, openWorld, rtp, type World } from "./fixture.ts";
import { FarEnd, ground } from "./ground.ts";
import { build, missing as noTools, run } from "./native/toolchain.ts";
import { frameOf } from "./xdp/frame.ts";
import { ip, noNamespaces } from "./xdp/namespaces.ts";
import { runWithin } from "./xdp/within.ts";

const addon = loadAddon();
const missing = typeof addon === "string" ? addon : (noNamespaces ?? noTools);
const { far } = ground;

const inside = (name: string, namespace: string): void => {
  const worlds: World[] = [];
  const planes: NativePlane[] = [];
  const farEnd = new FarEnd(namespace);
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.end();
    for (const plane of planes.splice(0)) await plane.shutdown();
  });
  afterAll(() => farEnd.end());

  const choose = (engine: EngineName, interfaces: readonly string[], threads = 1): ChosenPlane => {
    const portRange = { first: 27_000, last: 27_999 };
    const chosen = createMediaPlane({ engine, interfaces, threads, clock: systemClock, log: silentLog, portRange });
    if (chosen.native !== undefined) planes.push(chosen.native);
    return chosen;
  };
  const newPlane = (): NativePlane => {
    const { native } = choose("xdp", [name]);
    if (native === undefined) throw new Error("no native plane");
    return native;
  };
  const newWorld = async (plane: NativePlane, options?: Parameters<typeof openWorld>[1]): Promise<World> => {
    const world = await openWorld(plane, options);
    worlds.push(world);
    return world;
  };
  const direct = (plane: NativePlane) =>
    plane.threads()[0]?.direct ?? {
      packetsIn: 0,
      packetsOut: 0,
      unsound: 0,
      frames: 0,
      framesFree: 0,
      framesHeld: 0,
      hops: 0,
    };
  /** Looks again until it is so; the test's own time limit ends a wait that has no end. */
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await holds())) {
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
    }
  };
  const clear: LegPlan = {
    address: ground.host,
    rtcp: "separate",
    protection: { kind: "clear" },
    mode: "send-receive",
    latch: "off",
  };
  const attached = (): boolean => /\bxdp/.test(ip("link", "show", "dev", name));
  const macOf = (text: string): string => /link\/ether (\S+)/.exec(text)?.[1] ?? "";
  const own = (): string => macOf(ip("link", "show", "dev", name));
  const peers = (): string => macOf(ip("-n", namespace, "link", "show", "dev", "peer0"));
  let lastSequence = 0;
  /** One packet each way, through keys. */
  const bothWays = async (world: World): Promise<void> => {
    const sequence = ++lastSequence;
    expect(await world.fromUe("rtp", rtp(sequence))).toEqual(rtp(sequence));
    const answer = rtp(sequence, "answer", 2);
    expect(world.ue.open("rtp", await world.fromCore("rtp", answer))).toEqual(answer);
  };
  const untilDirect = (world: World, plane: NativePlane): Promise<void> => {
    const before = direct(plane).packetsOut;
    return until(async () => {
      await bothWays(world);
      return direct(plane).packetsOut > before + 2;
    });
  };
  const atRest = (plane: NativePlane): Promise<void> =>
    until(() => {
      const { frames, framesFree, framesHeld } = direct(plane);
      // One queue has all that it may receive into; the room for what is sent is free.
      return frames > 0 && framesFree + framesHeld === frames && framesFree === 2048;
    });
  const inject = (...frames: readonly Buffer[]): void => {
    const input = frames.map((frame) => `${frame.toString("hex")}\n`).join("");
    const done = spawnSync("ip", ["netns", "exec", namespace, build("inject"), "peer0"], { input, encoding: "utf8" });
    expect(done.stderr).toBe("");
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
      await until(async () => (await through()) && direct(plane).packetsIn > before);
    });

    it("a neighbour that cannot be reached takes no frame: the ordinary socket sends, and the kernel asks on", async () => {
      const plane = newPlane();
      const world = await newWorld(plane, {
        core: { remote: { address: "10.214.0.200", rtpPort: 4000, rtcpPort: 4001 } },
      });
      const before = direct(plane).packetsOut;
      for (let sequence = 1; sequence <= 50; sequence++)
        world.ue.send("rtp", world.ue.seal("rtp", rtp(sequence)), world.port("access", "rtp"));
      await until(() => plane.counters(world.inner.leg).rtpOut === 50);
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

    it("a process that is killed leaves no program behind", async () => {
      const holder = fileURLToPath(new URL("xdp/holder.mjs", import.meta.url));
      const child = spawn(process.execPath, [holder, name], { stdio: ["ignore", "pipe", "inherit"] });
      const [said] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
      expect(JSON.parse(said)).toMatchObject({ manner: expect.stringMatching(/^media0 /) });
      expect(attached()).toBe(true);
      // Meanwhile nobody else can have the interface: who asks for it by name is told why, `auto` goes on with sockets.
      expect(() => choose("xdp", [name])).toThrow(
        expect.objectContaining({
          code: "SALLY_PLANE_ENGINE",
          message: expect.stringMatching(/another XDP program is attached to media0/),
        }),
      );
      const { plane, reason, warning } = choose("auto", [name]);
      expect(plane.engine).toBe("socket");
      expect(reason).toMatch(/^socket over /);
      expect(warning).toMatch(/instead of xdp: another XDP program is attached to media0: detach it/);
      child.kill("SIGKILL");
      await once(child, "exit");
      await until(() => !attached());
      expect(choose("auto", [name]).plane.engine).toBe("xdp");
    });

    it("a plane that is shut down leaves no program behind", async () => {
      const plane = newPlane();
      expect(attached()).toBe(true);
      await plane.shutdown();
      await until(() => !attached());
    });

    it("what is asked for and cannot be is said, with what would help", () => {
      const refused = (message: RegExp): unknown =>
        expect.objectContaining({ code: "SALLY_PLANE_ENGINE", message: expect.stringMatching(message) });
      expect(() => choose("xdp", [])).toThrow(refused(/name the interfaces/));
      expect(() => choose("xdp", ["nowhere0"])).toThrow(refused(/there is no interface nowhere0/));
      expect(() => choose("xdp", ["lo"])).toThrow(refused(/lo is not an Ethernet interface/));
      expect(choose("auto", ["nowhere0"]).warning).toMatch(/there is no interface nowhere0/);
      expect(choose("xdp", [name], 4).warning).toMatch(/one packet thread: 4 were asked for/);
    });

    it.skipIf(spawnSync("setpriv", ["--version"]).status !== 0)(
      "without its capabilities the engine names them",
      () => {
        const holder = fileURLToPath(new URL("xdp/holder.mjs", import.meta.url));
        const { stdout } = spawnSync(
          "setpriv",
          ["--bounding-set", "-all,+ipc_lock", "--inh-caps", "-all", process.execPath, holder, name],
          { encoding: "utf8" },
        );
        expect(JSON.parse(stdout)).toMatchObject({
          why: expect.stringMatching(/CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF/),
        });
        expect(attached()).toBe(false);
      },
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
