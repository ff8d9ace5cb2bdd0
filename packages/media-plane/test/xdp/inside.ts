// Test fixture: what tests of the xdp engine use within the plane's namespace: planes and worlds that are ended, and looks at the link.
import { spawnSync } from "node:child_process";
import { afterAll, afterEach, expect } from "vitest";
import { silentLog, systemClock } from "@sallyport/kit";
import { createMediaPlane, type ChosenPlane, type EngineName, type NativePlane } from "../../src/index.ts";
import type { DirectLoad } from "../../src/native/threads.ts";
import { openWorld, rtp, type World } from "../fixture.ts";
import { FarEnd } from "../ground.ts";
import { build } from "../native/toolchain.ts";
import { ip } from "./namespaces.ts";

/** `name` is the plane's interface, `namespace` the peers'. */
export const openInside = (name: string, namespace: string) => {
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
  const direct = (plane: NativePlane): DirectLoad =>
    plane.threads()[0]?.direct ?? {
      packetsIn: 0,
      packetsOut: 0,
      unsound: 0,
      frames: 0,
      framesFree: 0,
      framesHeld: 0,
      hops: 0,
      paused: false,
    };
  /** Looks again until it is so; the test's own time limit ends a wait that has no end. */
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await holds())) {
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
    }
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

  return {
    choose,
    newPlane,
    newWorld,
    direct,
    until,
    attached,
    own,
    peers,
    bothWays,
    untilDirect,
    atRest,
    inject,
    farEnd,
  };
};
