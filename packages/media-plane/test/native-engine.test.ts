// The engine as a whole under the sanitizers: legs opened, changed, joined across threads and closed at random while packets flow
// over real sockets. Skipped by name where nothing can be compiled.
import { describe, expect, it } from "vitest";
import { build, missing, run } from "./native/toolchain.ts";

const note = missing === undefined ? "" : ` (${missing})`;
const buildMs = 600_000;

describe.each(["thread", "sanitize"] as const)(`native engine, %s sanitizer${note}`, (variant) => {
  it.skipIf(missing !== undefined).each(["io_uring", "epoll"])(
    "invariant 10: over %s every leg that was opened is closed, and threads share nothing unguarded",
    (io) => {
      expect(run(build("engine_life", variant), undefined, false, [io, "3", "6000"]).toString()).toBe("ok engine\n");
    },
    buildMs,
  );
});
