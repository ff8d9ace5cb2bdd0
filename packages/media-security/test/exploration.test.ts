// All orders of events up to a stated depth, and long random walks, the invariants checked after every decision.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  freezeNegotiation,
  openNegotiation,
  thawNegotiation,
  type NegotiationFacts,
  type PlainValue,
} from "../src/index.ts";
import { both, facts } from "./support/call.ts";
import {
  changing,
  coreCalls,
  marks as usualMarks,
  mixed,
  moving,
  named,
  phoneCalls,
  places,
  ueCalls,
  type Move,
} from "./support/moves.ts";
import { Broken, canonical, openWorld, stepWorld, type Marks, type World } from "./support/world.ts";

/** Through JSON and back; the keys are the same objects, so that the world can follow them. */
const throughStore = (world: World): World => {
  const { value, secrets } = freezeNegotiation(world.state);
  const byName = new Map(secrets.map(({ name, secret }) => [name, secret]));
  const thawed = thawNegotiation(JSON.parse(JSON.stringify(value)) as PlainValue, byName);
  if (!thawed.ok) throw new Broken(`not thawed: ${JSON.stringify(thawed.error)}`);
  return { ...world, state: thawed.value };
};

const explore = (
  moves: readonly Move[],
  depth: number,
  change: Partial<NegotiationFacts> = {},
  options: { readonly marks?: Marks; readonly before?: (world: World) => World } = {},
) => {
  const { marks = usualMarks, before = (world: World) => world } = options;
  let frontier: { world: World; path: readonly string[] }[] = [
    { world: openWorld(openNegotiation({ ...facts, ...change })), path: [] },
  ];
  const visited = new Set<string>([canonical((frontier[0] as { world: World }).world, named)]);
  let decisions = 0;
  const effects = new Map<string, number>();
  for (let level = 0; level < depth; level += 1) {
    const next: typeof frontier = [];
    for (const { world: reached, path } of frontier) {
      const world = before(reached);
      for (const move of moves) {
        const event = move.event(world);
        if (event === undefined) continue;
        const way = [...path, move.name];
        decisions += 1;
        try {
          const after = stepWorld(world, event, marks);
          for (const { kind } of after.effects) effects.set(kind, (effects.get(kind) ?? 0) + 1);
          if (after.world.state === world.state && after.world.gateway === world.gateway) continue;
          const key = canonical(after.world, named);
          if (visited.has(key)) continue;
          visited.add(key);
          next.push({ world: after.world, path: way });
        } catch (error) {
          if (!(error instanceof Broken)) throw new Error(`after ${way.join(" > ")}`, { cause: error });
          throw new Error(`${error.message}\nafter ${way.join(" > ")}`, { cause: error });
        }
      }
    }
    frontier = next;
  }
  return { states: visited.size, decisions, effects, visited };
};

const report = (what: string, depth: number, found: ReturnType<typeof explore>): void => {
  process.stdout.write(`explored ${what}: depth ${depth}, ${found.states} states, ${found.decisions} decisions\n`);
};

const invariants = "invariants 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 hold";

describe("all orders of events", () => {
  it(`${invariants} in every order of a call that the UE makes`, () => {
    const depth = Number(process.env["EXPLORE_DEPTH"] ?? 7);
    const found = explore(ueCalls, depth);
    report("calls of the UE", depth, found);
    expect(found.states).toBeGreaterThan(100);
    for (const kind of [
      "gateway",
      "forward",
      "refuse",
      "end-call",
      "defer",
      "drop-branch",
      "release-gateway",
      "zeroise",
    ]) {
      expect(found.effects.get(kind) ?? 0, kind).toBeGreaterThan(0);
    }
  });

  it(`${invariants} in every order of a call that comes from the core`, () => {
    const depth = Number(process.env["EXPLORE_DEPTH"] ?? 7);
    const found = explore(coreCalls, depth, { ueRole: "terminating" });
    report("calls from the core", depth, found);
    expect(found.states).toBeGreaterThan(100);
  });

  it(`${invariants} when several places make an offer each, and the UE answers them in any order`, () => {
    const depth = Number(process.env["EXPLORE_DEPTH"] ?? 12);
    const found = explore(places, depth, { ueRole: "terminating" });
    report("places that offer", depth, found);
    expect(found.states).toBeGreaterThan(250);
  });

  it(`${invariants} when secured, plain and e2e offers follow each other in one call`, () => {
    const depth = Number(process.env["EXPLORE_DEPTH"] ?? 7);
    const found = explore(mixed, depth);
    report("mixed calls", depth, found);
    expect(found.states).toBeGreaterThan(50);
  });

  it(`${invariants} when the gateway of a call is lost or its keys wear out at any time`, () => {
    const depth = Number(process.env["EXPLORE_DEPTH"] ?? 8);
    const found = explore(moving, depth);
    report("calls that move", depth, found);
    expect(found.states).toBeGreaterThan(200);
    for (const kind of ["ask", "agreed", "gateway", "end-call", "zeroise"])
      expect(found.effects.get(kind) ?? 0, kind).toBeGreaterThan(0);
  });

  it.each([
    ["is the policy's default", {}],
    ["may be taken back by the UE", { downgrade: "allow" }],
    ["is required, T.38 included", { e2ae: "required" }],
  ] as const)("invariants hold, and no line goes clear against the policy, when protection %s", (what, rule) => {
    const policy = { ...facts.policy, ...rule };
    const found = explore(changing, 7, { policy });
    report(`changing lines, protection ${what}`, 7, found);
    expect(found.states).toBeGreaterThan(40);
  });

  it.each(["terminate", "offer"] as const)(
    "invariants hold for phones without mediasec, SDES phone mode %s",
    (sdesPhone) => {
      const registration = { ...both, ueE2ae: false, networkE2ae: false };
      const policy = { ...facts.policy, e2ae: "off", sdesPhone } as const;
      const marks: Marks = { ...usualMarks, mode: "sdes-phone" };
      const found = explore(phoneCalls, 6, { registration, policy }, { marks });
      report(`phone mode ${sdesPhone}`, 6, found);
      expect(found.states).toBeGreaterThan(100);
    },
  );

  it.each([
    ["of the UE", ueCalls, 5],
    ["from the core", coreCalls, 5],
    ["of several places", places, 5],
    ["of every kind", mixed, 6],
  ] as const)(
    "a negotiation %s that was stored and thawed before every event decides as one that was not",
    (_, moves, depth) => {
      const direct = explore(moves, depth);
      const stored = explore(moves, depth, {}, { before: throughStore });
      expect(stored.decisions).toBe(direct.decisions);
      expect([...stored.visited].sort()).toEqual([...direct.visited].sort());
      expect(stored.effects).toEqual(direct.effects);
    },
  );

  it.each([
    ["of the UE", ueCalls],
    ["from the core", coreCalls],
    ["of several places", places],
    ["of every kind", [...ueCalls, ...coreCalls, ...mixed, ...places]],
  ] as const)(`${invariants} on long random walks through calls %s`, (_, moves) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(moves.length - 1), fc.boolean()), { minLength: 20, maxLength: 60 }),
        (walk) => {
          let world = openWorld(openNegotiation(facts));
          const take = (move: Move | undefined): void => {
            // A walk that ended early teaches nothing more.
            const event = move === undefined || move.name === "ended" ? undefined : move.event(world);
            if (event !== undefined) world = stepWorld(world, event, usualMarks).world;
          };
          for (const [at, prompt] of walk) {
            take(moves[at]);
            if (prompt) take(moves.find((move) => move.name === "gateway-done"));
          }
          world = stepWorld(world, { kind: "ended" }, usualMarks).world;
          const done = moves.find((move) => move.name === "gateway-done")?.event(world);
          if (done !== undefined) world = stepWorld(world, done, usualMarks).world;
          expect(world.state.phase).toBe("ended");
          expect(world.gateway).toBeUndefined();
        },
      ),
      { numRuns: 60, seed: 33_328 },
    );
  });
});
