// Many calls that lose their gateway at once are moved some at a time, in order, each once.
import { VirtualClock } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { createLosses } from "../src/call/losses.ts";

describe("losses", () => {
  it("the first few at once, then a batch every 20 ms, in order; nothing stays behind", () => {
    const clock = new VirtualClock();
    const handled: number[] = [];
    const losses = createLosses<number>(clock, (item) => void handled.push(item));
    for (let item = 0; item < 100; item += 1) losses.add(item);
    expect(handled).toHaveLength(32);
    clock.advance(20);
    expect(handled).toHaveLength(64);
    losses.add(100);
    clock.advance(20);
    expect(handled).toHaveLength(96);
    clock.advance(1000);
    expect(handled).toEqual(Array.from({ length: 101 }, (_, item) => item));
    expect(clock.waiting).toBe(0);
    losses.add(101);
    expect(handled).toHaveLength(102);
  });

  it("close forgets what waits and leaves no timer", () => {
    const clock = new VirtualClock();
    const handled: number[] = [];
    const losses = createLosses<number>(clock, (item) => void handled.push(item));
    for (let item = 0; item < 100; item += 1) losses.add(item);
    losses.close();
    clock.advance(1000);
    expect([handled.length, clock.waiting]).toEqual([32, 0]);
  });
});
