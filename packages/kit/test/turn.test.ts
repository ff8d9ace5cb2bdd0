import { describe, expect, it } from "vitest";
import { Pace, atTurnEnd } from "../src/index.ts";

/** Runs turns that each send `messages` and take `workMs`, a message waiting whenever one begins; gives their beginnings. */
const turns = (pace: Pace, count: number, messages: number, workMs: number): readonly number[] => {
  const begun: number[] = [];
  let now = 0;
  for (let turn = 0; turn < count; turn += 1) {
    begun.push(now);
    now += workMs;
    now += pace.afterTurn(now, messages);
  }
  return begun;
};

const gaps = (begun: readonly number[]): readonly number[] =>
  begun.slice(1).map((at, index) => Math.round(at - (begun[index] ?? 0)));

describe("Pace", () => {
  it("keeps turns of a busy process apart, whatever they take", () => {
    const late = gaps(turns(new Pace(10), 400, 3, 1)).slice(200);
    expect(new Set(late)).toEqual(new Set([10]));
  });

  it("adds nothing to turns that are as long", () => {
    expect(new Set(gaps(turns(new Pace(10), 100, 20, 12)))).toEqual(new Set([12]));
  });

  it("lets a process with little to do answer at once", () => {
    const pace = new Pace(10);
    for (let now = 0; now < 5000; now += 50) expect(pace.afterTurn(now, 2)).toBe(0);
  });

  it("does not keep a first message waiting after a silence, and the others no longer than the pace", () => {
    const pace = new Pace(10);
    turns(pace, 400, 3, 1);
    expect(pace.afterTurn(60_000, 1)).toBe(0);
    expect(pace.afterTurn(60_004, 1)).toBeLessThanOrEqual(6);
  });

  it("waits for nothing while the machine has no time to wake it, and later again", () => {
    const pace = new Pace(10);
    const begun = turns(pace, 400, 3, 1);
    let now = (begun.at(-1) ?? 0) + 11;
    expect(pace.afterTurn(now, 3)).toBe(9);
    now += 9 + 11;
    pace.resumed(now);
    expect(pace.afterTurn(now + 1, 3)).toBe(0);
    expect(pace.afterTurn(now + 150, 500)).toBe(0);
    expect(pace.afterTurn(now + 200, 500)).toBe(0);
    expect(pace.afterTurn(now + 201, 3)).toBe(9);
  });

  it("looks again at once after a turn with much to do: there may be more where it came from", () => {
    const pace = new Pace(10);
    turns(pace, 400, 3, 1);
    expect(pace.afterTurn(10_000, 24)).toBe(0);
  });
});

describe("atTurnEnd", () => {
  it("runs once what was asked for, after the work of the turn and before timers of the next", async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        atTurnEnd(() => {
          order.push("end");
          atTurnEnd(() => {
            order.push("end of the next");
            resolve();
          });
        });
        queueMicrotask(() => order.push("microtask"));
        order.push("work");
      });
    });
    expect(order).toEqual(["work", "microtask", "end", "end of the next"]);
  });
});
