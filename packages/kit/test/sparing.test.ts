// What a log is spared: repetitions within a time, with their number told later, and no memory without bound.
import { describe, expect, it } from "vitest";
import { VirtualClock, sparing } from "../src/index.ts";

describe("sparing", () => {
  it("tells the first of what is alike, then how many went untold; what differs is told at once", () => {
    const clock = new VirtualClock(0);
    const mayTell = sparing(clock, { everyMs: 1000 });
    expect([mayTell("a"), mayTell("a"), mayTell("b"), mayTell("a")]).toEqual([0, undefined, 0, undefined]);
    clock.advance(999);
    expect(mayTell("a")).toBeUndefined();
    clock.advance(1);
    expect([mayTell("a"), mayTell("a"), mayTell("b")]).toEqual([3, undefined, 0]);
  });

  it("CWE-779: of a thousand names an attacker makes up one line more than the bound is told within the time", () => {
    const clock = new VirtualClock(0);
    const mayTell = sparing(clock, { everyMs: 1000, names: 8 });
    const flood = (): number =>
      Array.from({ length: 1000 }, (_, at) => mayTell(`name ${at}`)).filter((told) => told !== undefined).length;
    expect(flood()).toBe(9);
    clock.advance(500);
    expect(flood()).toBe(0);
    clock.advance(500);
    expect(mayTell("an honest one")).toBe(0);
  });
});
