// The engine as a whole under the sanitizers: legs opened, changed, joined across threads and closed at random while packets flow
// over real sockets. Skipped by name where nothing can be compiled.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { build, missing, run } from "./native/toolchain.ts";

const addon = fileURLToPath(new URL("../native/build/sallyport-media.node", import.meta.url));

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

describe(`sockets of ended legs${note}`, () => {
  it.skipIf(missing !== undefined).each(["io_uring", "epoll"])(
    "invariant 3: over %s a leg on sockets of an old one hears nothing of what that one was sent, and sends as a new one does",
    (io) => {
      expect(run(build("kept_sockets", "sanitize"), undefined, false, [io]).toString()).toBe("ok kept sockets\n");
    },
    buildMs,
  );
});

/** x86's prefetcht0: 0F 18 /1, with an address in memory. */
const fetchesAhead = (code: Buffer): number => {
  let count = 0;
  for (let at = code.indexOf("0f18", 0, "hex"); at >= 0; at = code.indexOf("0f18", at + 1, "hex")) {
    const operand = code[at + 2] ?? 0;
    if ((operand & 0x38) === 0x08 && operand < 0xc0) count += 1;
  }
  return count;
};

describe("native engine, compiled", () => {
  // Nothing else shows it: a compiler that takes fetching ahead for nothing leaves it out, and every packet waits for memory.
  it.skipIf(process.arch !== "x64" || !existsSync(addon))("what the next packets need is fetched ahead", () => {
    expect(fetchesAhead(readFileSync(addon))).toBeGreaterThan(20);
  });
});
