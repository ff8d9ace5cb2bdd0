// The same seeded scripts through the portable engine and through the native core: the same packets out, octet for octet,
// the same counters, events and refusals. SALLYPORT_DIFFERENTIAL_PACKETS asks for more packets (the nightly form: millions),
// SALLYPORT_DIFFERENTIAL_FIRST for another seed to begin with, SALLYPORT_DIFFERENTIAL_SEED for one script anew.
import { describe, expect, it } from "vitest";
import { scriptOf } from "./native/generator.ts";
import { decodeResults, encodeScript } from "./native/native-player.ts";
import { playPortable } from "./native/portable-player.ts";
import { build, missing, run } from "./native/toolchain.ts";

const perScript = 4000;
const packets = Number(process.env["SALLYPORT_DIFFERENTIAL_PACKETS"] ?? 160_000);
const first = Number(process.env["SALLYPORT_DIFFERENTIAL_FIRST"] ?? 1);
const onlySeed = process.env["SALLYPORT_DIFFERENTIAL_SEED"];
const seeds =
  onlySeed === undefined
    ? Array.from({ length: Math.ceil(packets / perScript) }, (_, at) => first + at)
    : [Number(onlySeed)];

describe(`portable engine and native core${missing === undefined ? "" : ` (${missing})`}`, () => {
  it.skipIf(missing !== undefined)(
    `invariants 3, 4, 9: ${seeds.length} scripts of ${perScript} operations give the same packets, counters and events`,
    async () => {
      const program = build("differential");
      let sent = 0;
      for (const seed of seeds) {
        const script = scriptOf(seed, perScript);
        const native = decodeResults(script, run(program, encodeScript(script)));
        const portable = await playPortable(script);
        for (const [at, expected] of portable.entries()) {
          if (native[at] === expected) continue;
          const { op } = script[at] ?? { op: "" };
          expect.soft(native[at], `script ${seed}, operation ${at} (${op})`).toBe(expected);
          expect(script[at], "the operation").toBe("");
        }
        sent += portable.filter((result) => result.startsWith("leg ")).length;
      }
      // Scripts that send nothing would prove nothing.
      expect(sent).toBeGreaterThan(0.2 * perScript * seeds.length);
    },
    60_000 + packets,
  );
});
