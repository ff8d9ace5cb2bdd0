// The comparing of contexts while others come and go, turn by turn: what an Add under way brings, and what has its number
// anew, is not taken for one left behind (H.248.1 11.5, invariant 10). No wire.
import type { ActionReply, ActionRequest } from "@sallyport/h248";
import { VirtualClock, memoryLog } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { Agreement } from "../src/controller/agreement.ts";
import type { HeldContext } from "../src/controller/held.ts";

const heldOf = (context: number): HeldContext => ({
  context: { gateway: "gw-a", context, access: "ip/1/access/1", core: "ip/1/core/2" },
  streams: new Map(),
});

/** A gateway that lists `there`, and what it was told to subtract. */
const ends = (there: readonly number[]) => {
  const held = new Map<number, HeldContext>();
  const subtracted: number[] = [];
  const lost: number[] = [];
  const tidied: number[] = [];
  const ask = async (actions: readonly ActionRequest[]): Promise<readonly ActionReply[]> => {
    const [first] = actions;
    if (first?.context === "*") return there.map((context) => ({ context, commands: [] }));
    return actions.map(({ context }) => {
      if (typeof context === "number") subtracted.push(context);
      return { context, commands: [] };
    });
  };
  const agreement = new Agreement({
    gateway: "gw-a",
    clock: new VirtualClock(1_000_000),
    log: memoryLog().log,
    held,
    ready: () => true,
    ask,
    tidy: async (context) => void tidied.push(context),
    lose: (contexts) => {
      for (const { context } of contexts) {
        held.delete(context.context);
        lost.push(context.context);
      }
    },
  });
  return { agreement, held, subtracted, lost, tidied };
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("H.248.1 11.5: which contexts both ends have", () => {
  it("what only the gateway has is subtracted, what only we have is lost, what both have stays", async () => {
    const on = ends([1, 2, 3]);
    for (const context of [2, 9]) on.held.set(context, heldOf(context));
    await on.agreement.reach();
    expect([on.subtracted, on.lost, [...on.held.keys()], on.agreement.doubtful]).toEqual([[1, 3], [9], [2], false]);
  });

  it("a context that the reply under way brings is not one left behind, however long it takes", async () => {
    const on = ends([7, 8]);
    let answered: () => void = () => undefined;
    const over = on.agreement.began(new Promise<void>((resolve) => (answered = resolve)));
    const reaching = on.agreement.reach();
    for (let turns = 0; turns < 20; turns += 1) await turn();
    expect(on.subtracted).toEqual([]);
    on.held.set(7, heldOf(7));
    answered();
    over();
    await reaching;
    expect([on.subtracted, [...on.held.keys()]]).toEqual([[8], [7]]);
  });

  it("a number that ended here meanwhile may be somebody's again: it is left alone", async () => {
    const on = ends([7, 8]);
    let answered: () => void = () => undefined;
    const over = on.agreement.began(new Promise<void>((resolve) => (answered = resolve)));
    const reaching = on.agreement.reach();
    await turn();
    // Subtracted for its late reply; the gateway gives 7 to an Add that is not answered yet.
    on.agreement.ended(7);
    answered();
    over();
    await reaching;
    expect(on.subtracted).toEqual([8]);
  });

  it("a comparison wanted during another is made after it", async () => {
    const there = [1];
    const on = ends(there);
    const reaching = on.agreement.reach();
    there.push(2);
    await on.agreement.reach();
    await reaching;
    for (let turns = 0; turns < 5; turns += 1) await turn();
    expect(on.subtracted).toEqual([1, 1, 2]);
  });

  it("a late reply is tidied up after, unless it is of a context we hold, and ends the doubt it was given up with", async () => {
    const on = ends([]);
    on.agreement.gaveUp();
    await on.agreement.reach();
    expect(on.agreement.doubtful).toBe(true);
    on.held.set(4, heldOf(4));
    await on.agreement.late([{ context: 4, commands: [] }]);
    await on.agreement.late([{ context: "$", commands: [], error: { code: 510, text: "" } }]);
    expect(on.tidied).toEqual([]);
    await on.agreement.late([{ context: 5, commands: [] }]);
    expect(on.tidied).toEqual([5]);
    await on.agreement.reach();
    expect(on.agreement.doubtful).toBe(false);
  });
});
