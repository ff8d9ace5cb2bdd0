// What every part of the contract uses: worlds that are ended, counters that can be compared.
import { afterEach, expect } from "vitest";
import { suites, type SuiteName } from "@sallyport/srtp";
import type { LegCounters, MediaPlane } from "../../src/index.ts";
import { openWorld, packet, type Kind, type World, type WorldOptions } from "../fixture.ts";

export const kinds = ["rtp", "rtcp"] as const satisfies readonly Kind[];
export const suiteNames = Object.keys(suites) as SuiteName[];
export const refused = (code: string): unknown => expect.objectContaining({ code });

export const stun = Buffer.concat([Buffer.from("000100002112a442", "hex"), Buffer.alloc(12, 1)]);
export const dtls = Buffer.concat([Buffer.from("16fefd", "hex"), Buffer.alloc(30)]);
/** 20 ms of silence in PCMA. */
export const speech = Buffer.alloc(160, 0xd5);

/** The counters that are not zero, but for octets, times and what is measured. */
export const counted = (counters: LegCounters): Partial<Record<keyof LegCounters, number>> =>
  Object.fromEntries(
    Object.entries(counters).filter(
      ([name, value]) => value !== 0 && !/^octets|At$|^(sources|lost|jitter|roundTripMs)$/.test(name),
    ),
  );

/** Lets sockets be read; the test's own time limit ends a wait that has no end. */
export const tick = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

export interface Harness {
  readonly open: (options?: WorldOptions) => Promise<World>;
  /** Ends a world before its test does: a property has many. */
  readonly end: (world: World) => Promise<void>;
  /** Both ways still work, RTP and RTCP; whatever was sent before has been dealt with when this resolves. */
  readonly bothWays: (world: World, sequence: number) => Promise<void>;
}

export const harnessFor = (createPlane: () => MediaPlane): Harness => {
  const worlds: World[] = [];
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.end();
  });
  return {
    open: async (options) => {
      const world = await openWorld(createPlane(), options);
      worlds.push(world);
      return world;
    },
    end: async (world) => {
      worlds.splice(worlds.indexOf(world), 1);
      await world.end();
    },
    bothWays: async (world, sequence) => {
      for (const kind of kinds) {
        expect(await world.fromUe(kind, packet(kind, sequence))).toEqual(packet(kind, sequence));
        const sealed = await world.fromCore(kind, packet(kind, sequence, 2));
        expect(world.ue.open(kind, sealed)).toEqual(packet(kind, sequence, 2));
      }
    },
  };
};
