import { describe, expect, it } from "vitest";
import { atTurnEnd } from "../src/index.ts";

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
