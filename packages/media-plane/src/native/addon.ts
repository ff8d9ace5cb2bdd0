// Owns the door to the compiled engine: finds it, and gives its calls their types. Knows no plan.
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { counterNames } from "./counters.ts";

/** An engine at work; opaque here. */
export interface NativeDoor {
  readonly door: never;
}

/** What `create` gives: the door and two blocks of memory it shares, or why it cannot start. */
type NativeStart =
  | { readonly why: string }
  | {
      readonly why?: undefined;
      readonly door: NativeDoor;
      /** Changes go in, counters and events come out: one call's at a time. */
      readonly scratch: ArrayBuffer;
      /** What the threads say of themselves, written as they run. */
      readonly stats: ArrayBuffer;
      readonly ioUring: boolean;
      /** How named interfaces are served; empty where none was named. */
      readonly manner: string;
      readonly note: string;
    };

/** Numbers below 0: -errno, or from -1000 downwards a refusal. */
export interface NativeAddon {
  /** See `contract` below. */
  readonly contract?: number;
  readonly counterNames: readonly string[];
  create(
    onClosed: () => void,
    threads: number,
    io: number,
    batchUs: number,
    receiveBuffer: number,
    firstCore: number,
    connectAfter: number,
    /** Names, one a line; then packets go past their sockets. */
    interfaces: string,
  ): NativeStart;
  prepare(door: NativeDoor, leg: number): number;
  bind(door: NativeDoor, index: number): number;
  abandon(door: NativeDoor, index: number): void;
  change(door: NativeDoor, index: number): number;
  join(door: NativeDoor, a: number, b: number): void;
  /** 1: `drain` finds it already. */
  close(door: NativeDoor, index: number): number;
  counters(door: NativeDoor, index: number): void;
  /** `kept`, 1: its sockets are not gone. */
  drain(door: NativeDoor, closed: (leg: number, kept: number) => void): void;
  events(door: NativeDoor): number;
  owner(door: NativeDoor): number;
  shutdown(door: NativeDoor): void;
}

/** Goes up, here and in native/door/door.cpp, whenever a call of the door or the layout of a record changes. */
const contract = 2;

const built = fileURLToPath(new URL("../../native/build/sallyport-media.node", import.meta.url));
const require = createRequire(import.meta.url);

/** The compiled engine, or a sentence that says why there is none and what would help. */
export const loadAddon = (place = built): NativeAddon | string => {
  if (process.platform !== "linux") return `the native engine runs on Linux only, this is ${process.platform}`;
  if (!existsSync(place)) {
    return "the native engine was not built: install g++ and the headers of Node and run `npm run setup`";
  }
  try {
    const addon = require(place) as NativeAddon;
    const names: readonly string[] | undefined = addon.counterNames;
    if (addon.contract === contract && names?.join(" ") === counterNames.join(" ")) return addon;
    return "the native engine was built from other sources: run `npm run setup`";
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `the native engine cannot be loaded (${reason}): run \`npm run setup\` with this Node`;
  }
};
