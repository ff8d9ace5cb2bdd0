// Several edges, one gateway: a virtual gateway for each over one set of contexts, and nobody sees what another made.
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { h248Error, scopeHandler, type AddRequest } from "../src/index.ts";
import { recordingHandler } from "./handler.ts";
import type { House } from "./house.ts";
import { failure, openHouse, until } from "./house.ts";
import { reservation } from "./plans.ts";

let house: House | undefined;

afterEach(async () => {
  await house?.close();
  house = undefined;
});

const adding = (context: number | "new", side: "access" | "core"): AddRequest => ({
  context,
  emergency: false,
  name: { side, group: 1 },
  streams: [],
  latch: [],
});

describe("contexts of several controllers at one gateway", () => {
  it("H.248.1 11.1: another's context is unknown (411), is not listed, and is not touched by * or by a restart", async () => {
    const shared = recordingHandler();
    const [one, two] = [scopeHandler(shared), scopeHandler(shared)];
    const made = await one.handler.add(adding("new", "access"));
    const context = made.ok ? made.value.context : 0;
    await one.handler.add(adding(context, "core"));
    expect(one.handler.contexts().map((view) => view.context)).toEqual([context]);
    expect(two.handler.contexts()).toEqual([]);
    for (const answer of [
      await two.handler.add(adding(context, "core")),
      await two.handler.modify({ ...adding(context, "core"), context, termination: `ip/1/access/1` }),
      await two.handler.subtract({ context, termination: "*" }),
    ])
      expect(answer).toEqual({ ok: false, error: h248Error(411, String(context)) });
    await two.handler.clear();
    expect([one.owns(context), two.owns(context), shared.held.size]).toEqual([true, false, 1]);
    await one.handler.clear();
    expect(shared.held.size).toBe(0);
  });

  it("invariant 10: a context that was being made while everything was let go belongs to nobody, and is not left", async () => {
    const shared = recordingHandler();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { handler, owns } = scopeHandler({
      ...shared,
      add: async (request) => {
        await gate;
        return shared.add(request);
      },
    });
    const adding_ = handler.add(adding("new", "access"));
    await handler.clear();
    release();
    expect(await adding_).toEqual({ ok: false, error: h248Error(411, "1") });
    expect([shared.held.size, owns(1), handler.contexts()]).toEqual([0, false, []]);
  });

  it("on every walk each sees exactly what it made and has not given back", async () => {
    const step = fc.record({
      who: fc.nat(2),
      what: fc.constantFrom("add" as const, "subtract" as const, "clear" as const),
      context: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const shared = recordingHandler();
        const scopes = [scopeHandler(shared), scopeHandler(shared), scopeHandler(shared)];
        const model = [new Set<number>(), new Set<number>(), new Set<number>()];
        for (const { who, what, context } of steps) {
          const [scope, mine] = [scopes[who], model[who]];
          if (scope === undefined || mine === undefined) continue;
          if (what === "add") {
            const added = await scope.handler.add(adding("new", "access"));
            if (added.ok) mine.add(added.value.context);
          } else if (what === "subtract") {
            const subtracted = await scope.handler.subtract({ context, termination: "*" });
            expect(subtracted.ok).toBe(mine.delete(context));
          } else {
            await scope.handler.clear();
            mine.clear();
          }
        }
        expect(
          scopes.map(({ handler }) =>
            handler
              .contexts()
              .map((view) => view.context)
              .toSorted((x, y) => x - y),
          ),
        ).toEqual(model.map((mine) => [...mine].toSorted((x, y) => x - y)));
        expect(shared.held.size).toBe(model.reduce((sum, { size }) => sum + size, 0));
      }),
      { numRuns: 60, seed: 4 },
    );
  });

  it("two edges over TLS: audits, reconciliation and the end of one leave the other's calls alone", async () => {
    const here = (house = await openHouse("tls"));
    const [a, b] = [await here.edge({}, "edge-a"), await here.edge({}, "edge-b")];
    const shared = recordingHandler();
    const of = (to: typeof a, name: string) => here.gateway(name, to, { handler: scopeHandler(shared).handler });
    await of(a, "gw-a");
    const second = await of(b, "gw-b");
    const mine = await a.controller.add(undefined, reservation);
    const theirs = await b.controller.add(undefined, reservation);
    expect(await a.controller.audit("gw-a")).toEqual({ contexts: [mine.context.context] });
    expect(await b.controller.audit("gw-b")).toEqual({ contexts: [theirs.context.context] });
    // The second comes back: what its edge does not know of it is subtracted, and nothing else.
    second.cable.cut();
    await until("lost", () => b.status("gw-b").state === "down");
    second.cable.mend();
    await until("back", () => b.status("gw-b").state === "up" && second.iq.state().registered);
    expect(shared.held.size).toBe(2);
    await second.iq.close();
    await until("its own are gone", () => shared.held.size === 1);
    expect((await failure(b.controller.add(undefined, reservation))).code).toBe("SALLY_IQ_NO_GATEWAY");
    await a.controller.subtract(mine.context);
    expect(shared.held.size).toBe(0);
  });
});
