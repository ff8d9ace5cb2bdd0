// The contract over the native engine, by io_uring and by epoll, on one thread and on two. Skipped by name where it was not built.
import { describe, it } from "vitest";
import { silentLog, systemClock } from "@sallyport/kit";
import { loadAddon } from "../src/native/addon.ts";
import { createNativePlane, type NativePlaneOptions } from "../src/native/native-plane.ts";
import { mediaPlaneContract } from "./contract.ts";

const addon = loadAddon();

if (typeof addon === "string") {
  describe("media plane contract: socket", () => {
    it.skip(addon, () => undefined);
  });
} else {
  const makes = (options: Pick<NativePlaneOptions, "io" | "threads">, first: number) => () => {
    const plane = createNativePlane(addon, {
      clock: systemClock,
      log: silentLog,
      portRange: { first, last: first + 999 },
      ...options,
    });
    if (typeof plane === "string") throw new Error(plane);
    return plane;
  };
  mediaPlaneContract("socket over io_uring", makes({ io: "io_uring" }, 23_000));
  mediaPlaneContract("socket over epoll", makes({ io: "epoll" }, 24_000));
  mediaPlaneContract("socket on two threads", makes({ io: "auto", threads: 2 }, 25_000));
}
