import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { guessIndex, IndexWindow } from "../src/replay.ts";

describe("index guess", () => {
  it("RFC 3711 3.3.1: the ROC follows a wrap, a late packet before it, and loss across it", () => {
    expect(guessIndex(65535, 0)).toBe(65536);
    expect(guessIndex(65530, 20)).toBe(65536 + 20);
    expect(guessIndex(65536 + 3, 65534)).toBe(65534);
    expect(guessIndex(65000, 30000)).toBe(65536 + 30000);
    expect(guessIndex(2 * 65536 + 40000, 7231)).toBe(3 * 65536 + 7231);
    expect(guessIndex(2 * 65536 + 40000, 7232)).toBe(2 * 65536 + 7232);
    expect(guessIndex(2 * 65536 + 100, 32868)).toBe(2 * 65536 + 32868);
    expect(guessIndex(2 * 65536 + 100, 32869)).toBe(65536 + 32869);
  });

  it("RFC 3711 3.3.1: at ROC 0 there is no earlier cycle", () => {
    expect(guessIndex(5, 65000)).toBe(65000);
  });

  it("RFC 3711 appendix A: any index less than 2^15 away is recovered exactly", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 65536, max: 2 ** 47 }),
        fc.integer({ min: -32767, max: 32767 }),
        (highest, step) => {
          const index = highest + step;
          expect(guessIndex(highest, index % 65536)).toBe(index);
        },
      ),
      { seed: 3711, numRuns: 2000 },
    );
  });
});

describe("replay window", () => {
  it("RFC 3711 3.3.2: agrees with a list of everything seen, whatever the order", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 40 }),
        fc.array(fc.oneof(fc.integer({ min: -140, max: 140 }), fc.integer({ min: -1, max: 5 }), fc.constant(5000)), {
          maxLength: 200,
        }),
        (start, steps) => {
          const window = new IndexWindow(128);
          const seen = new Set<number>();
          let highest = -1;
          let index = start + 5000;
          for (const step of steps) {
            index = Math.max(0, index + step);
            const expected = highest >= 0 && highest - index >= 128 ? "too-old" : seen.has(index) ? "replay" : "fresh";
            expect(window.check(index)).toBe(expected);
            if (expected !== "fresh") continue;
            window.mark(index);
            seen.add(index);
            highest = Math.max(highest, index);
            expect(window.highest).toBe(highest);
          }
        },
      ),
      { seed: 332, numRuns: 500 },
    );
  });

  it("RFC 3711 3.3.2: a resumed window has seen its highest index and all before", () => {
    const window = new IndexWindow(64, 1000);
    expect([1000, 999, 937].map((index) => window.check(index))).toEqual(["replay", "replay", "replay"]);
    expect(window.check(936)).toBe("too-old");
    expect(window.check(1001)).toBe("fresh");
  });
});
