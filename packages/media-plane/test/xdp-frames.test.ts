// What stands around a datagram on the wire, read and written as the xdp engine does, under the sanitizers. Skipped by name where
// nothing can be compiled.
import { describe, expect, it } from "vitest";
import { build, missing, run } from "./native/toolchain.ts";

describe(`frames${missing === undefined ? "" : ` (${missing})`}`, () => {
  it.skipIf(missing !== undefined)(
    "RFC 768, RFC 791, RFC 1071, RFC 8200: what is written is read, any changed bit and any cut is refused, garbage does no harm",
    () => {
      expect(run(build("frames", "sanitize")).toString()).toBe("ok frames\n");
    },
    120_000,
  );
});
