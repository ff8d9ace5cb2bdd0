// Which gateway is asked for a new context, in which order, and what it is given for its answers. Pure.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unregistered } from "../src/controller/registry.ts";
import type { Candidate, Need } from "../src/controller/select.ts";
import { chooseGateways } from "../src/controller/select.ts";
import {
  afterRegistration,
  goodStanding,
  refusedBy,
  rootEvent,
  tookOne,
  type Standing,
} from "../src/controller/standing.ts";
import { statusOf, type StatusFacts } from "../src/controller/status.ts";
import { candidate } from "./candidate.ts";

const now = 1_000_000;

const plain: Need = { keys: true, realms: [], emergency: false };
const emergency: Need = { ...plain, emergency: true };

const choose = (candidates: readonly Candidate[], need: Need = plain, chance = 0.5) =>
  chooseGateways(candidates, need, now, () => chance);

const ids = (candidates: readonly Candidate[], need: Need = plain, chance = 0.5) => {
  const choice = choose(candidates, need, chance);
  return choice.kind === "ask" ? choice.ids : choice.why;
};

describe("selection of a gateway", () => {
  it("TS 23.334 8: by load against weight, least first", () => {
    const [a, b] = [candidate("a", { contexts: 3, weight: 1 }), candidate("b", { contexts: 5, weight: 4 })];
    expect(ids([a, b])).toEqual(["b", "a"]);
    expect(ids([{ ...a, contexts: 0 }, b])).toEqual(["a", "b"]);
  });

  it("spreads calls over gateways in the measure of their weights", () => {
    const held = new Map([
      ["a", 0],
      ["b", 0],
      ["c", 0],
    ]);
    const weights = { a: 1, b: 2, c: 5 };
    for (let call = 0; call < 800; call += 1) {
      const chosen = ids(
        (["a", "b", "c"] as const).map((id) => candidate(id, { weight: weights[id], contexts: held.get(id) ?? 0 })),
      );
      const [first = ""] = chosen;
      held.set(first, (held.get(first) ?? 0) + 1);
    }
    expect([held.get("a"), held.get("b"), held.get("c")]).toEqual([100, 200, 500]);
  });

  it("H.248.41: only gateways that serve every realm of the plan; one without a list serves all", () => {
    const need = { ...plain, realms: ["access.example", "core.example"] };
    const far = candidate("far", { realms: ["core.example"] });
    const near = candidate("near", { realms: ["access.example", "core.example"], contexts: 9 });
    expect(ids([far, near, candidate("any", { contexts: 20 })], need)).toEqual(["near", "any"]);
    expect(ids([far], need)).toBe("realm");
    expect(ids([far], { ...need, emergency: true })).toBe("realm");
  });

  it("H.248.41 Amd. 1: a realm that a gateway lost is not asked for there until it is back", () => {
    const need = { ...plain, realms: ["core.example"] };
    const lost = rootEvent(goodStanding, "ipra/arc", { nur: "CORE.example,other" }, now);
    expect(ids([candidate("a", { standing: lost })], need)).toBe("realm");
    const back = rootEvent(lost, "ipra/arc", { nar: "core.example" }, now);
    expect(ids([candidate("a", { standing: back })], need)).toEqual(["a"]);
    expect(back.withoutRealms).toEqual(["other"]);
  });

  it("TS 33.328 6.2.1.3: a call with keys never goes to a gateway that may not have them", () => {
    const bare = candidate("bare", { mayHoldKeys: false });
    expect(ids([bare, candidate("good", { contexts: 99 })])).toEqual(["good"]);
    expect(ids([bare])).toBe("unprotected");
    expect(ids([bare], emergency)).toBe("unprotected");
    expect(ids([bare], { ...plain, keys: false })).toEqual(["bare"]);
  });

  it("H.248.1 7.2.8: neither one that is down nor one that leaves is asked, not even in an emergency", () => {
    const gone = [candidate("a", { state: "down" }), candidate("b", { state: "leaving" })];
    expect(ids(gone)).toBe("no-gateway");
    expect(ids(gone, emergency)).toBe("no-gateway");
  });

  it("a full gateway takes no more, an emergency call is above its capacity", () => {
    const full = candidate("full", { capacity: 2, contexts: 2 });
    expect(ids([full, candidate("room", { contexts: 50 })])).toEqual(["room"]);
    expect(ids([full])).toBe("full");
    expect(ids([full], emergency)).toEqual(["full"]);
    expect(ids([full, candidate("room", { contexts: 50 })], emergency)).toEqual(["room", "full"]);
  });

  it("one that is drained takes nothing new; an emergency call asks it when nobody else is left", () => {
    const drained = candidate("drained", { standing: { ...goodStanding, draining: true } });
    expect(ids([drained])).toBe("draining");
    expect(ids([drained, candidate("other", { contexts: 9 })])).toEqual(["other"]);
    const busy = candidate("busy", { standing: refusedBy(goodStanding, "busy", now) });
    expect(ids([drained, busy], emergency)).toEqual(["busy", "drained"]);
  });

  it("502, 503, 506, 511: left alone for a while that doubles, and says for how long", () => {
    const once = refusedBy(goodStanding, "busy", now);
    expect(choose([candidate("a", { standing: once })])).toEqual({ kind: "none", why: "full", retryMs: 500 });
    const twice = refusedBy(once, "busy", now);
    expect(choose([candidate("a", { standing: twice })])).toEqual({ kind: "none", why: "full", retryMs: 1000 });
    expect(chooseGateways([candidate("a", { standing: twice })], plain, now + 1000, () => 0.5).kind).toBe("ask");
    let many = twice;
    for (let more = 0; more < 40; more += 1) many = refusedBy(many, "busy", now);
    expect(choose([candidate("a", { standing: many })])).toMatchObject({ retryMs: 8000 });
    expect(ids([candidate("a", { standing: tookOne(many) })])).toEqual(["a"]);
  });

  it("510 and silence: asked last for a while, but asked: one call's want says nothing of the next", () => {
    const full = candidate("a", { standing: refusedBy(goodStanding, "full", now) });
    expect(ids([full, candidate("b", { contexts: 7 })])).toEqual(["b", "a"]);
    expect(ids([full])).toEqual(["a"]);
    expect(ids([candidate("a", { silent: true }), candidate("b", { contexts: 7 })])).toEqual(["b", "a"]);
  });

  it("H.248.10 chp/mgcon: the share it asks for is kept away, none in an emergency", () => {
    const congested = candidate("a", { standing: rootEvent(goodStanding, "chp/mgcon", { reduction: "40" }, now) });
    expect(ids([congested], plain, 0.39)).toBe("full");
    expect(ids([congested], plain, 0.4)).toEqual(["a"]);
    expect(ids([congested], emergency, 0.01)).toEqual(["a"]);
    const over = rootEvent(congested.standing, "chp/mgcon", { reduction: "0" }, now);
    expect(ids([candidate("a", { standing: over })], plain, 0)).toEqual(["a"]);
    expect(rootEvent(goodStanding, "chp/mgcon", { reduction: "much" }, now)).toBe(goodStanding);
    expect(rootEvent(goodStanding, "chp/mgcon", { reduction: "900" }, now).reduction).toBe(100);
  });

  it("H.248.11 ocp/mg_overload: what its bucket does not hold goes elsewhere, or nowhere and says for how long", () => {
    const standing = rootEvent(goodStanding, "ocp/mg_overload", {}, now);
    expect(choose([candidate("a", { standing })])).toEqual({
      kind: "none",
      why: "full",
      retryMs: 500,
      spared: ["a"],
    });
    expect(choose([candidate("a", { standing }), candidate("b", { contexts: 9 })])).toEqual({
      kind: "ask",
      ids: ["b"],
      spared: ["a"],
    });
    // An emergency call passes; one that is not overloaded is asked first.
    expect(ids([candidate("a", { standing })], emergency)).toEqual(["a"]);
    expect(ids([candidate("a", { standing }), candidate("b", { contexts: 9 })], emergency)).toEqual(["b", "a"]);
    expect(chooseGateways([candidate("a", { standing })], plain, now + 500, () => 0.5).kind).toBe("ask");
  });

  it("an operator sees how it is: silent, congested, refusing or good, and why", () => {
    const facts = (standing: Standing, missed: number): StatusFacts => ({
      entry: { id: "a", mid: "<a>" },
      view: { ...unregistered, state: "up", missed },
      standing,
      contexts: 0,
      protected: true,
      peer: undefined,
      now,
    });
    const health = (standing: Standing, missed = 0) => statusOf(facts(standing, missed)).health;
    expect(health(goodStanding)).toBe("good");
    expect(health(goodStanding, 1)).toBe("silent");
    expect(health(refusedBy(goodStanding, "full", now))).toBe("refusing");
    expect(health(rootEvent(goodStanding, "chp/mgcon", { reduction: "10" }, now))).toBe("congested");
    expect(health(rootEvent(goodStanding, "ocp/mg_overload", {}, now))).toBe("congested");
    expect(health(rootEvent(goodStanding, "ocp/mg_overload", {}, now - 60_000))).toBe("good");
    expect(statusOf(facts({ ...goodStanding, draining: true }, 0)).reason).toContain("drained");
  });

  it("a registration wipes what was learnt, not what the operator wants", () => {
    const worn = {
      ...refusedBy(rootEvent(goodStanding, "chp/mgcon", { reduction: "90" }, now), "busy", now),
      draining: true,
    };
    expect(afterRegistration(worn)).toEqual({ ...goodStanding, draining: true });
  });

  it("never offers a gateway that may not serve, and an emergency call misses none that may", () => {
    const standing = fc.record({
      draining: fc.boolean(),
      busyUntil: fc.constantFrom(0, now + 10),
      lastUntil: fc.constantFrom(0, now + 10),
      refusals: fc.nat(5),
      reduction: fc.constantFrom(0, 50, 100),
      offered: fc.constant(goodStanding.offered),
      throttle: fc.constantFrom(undefined, rootEvent(goodStanding, "ocp/mg_overload", {}, now).throttle),
      withoutRealms: fc.constantFrom<readonly string[]>([], ["r"]),
    });
    const one = fc.record({
      state: fc.constantFrom("up" as const, "down" as const, "leaving" as const),
      mayHoldKeys: fc.boolean(),
      realms: fc.constantFrom(undefined, ["r"], ["s"]),
      weight: fc.integer({ min: 1, max: 9 }),
      capacity: fc.constantFrom(undefined, 3),
      contexts: fc.nat(5),
      silent: fc.boolean(),
      standing,
    });
    const need = fc.record({
      keys: fc.boolean(),
      realms: fc.constantFrom<readonly string[]>([], ["r"]),
      emergency: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 6 }),
        need,
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (all, wanted, chance) => {
          const candidates = all.map((each, at) => ({ ...each, id: `g${at}` }));
          const choice = chooseGateways(candidates, wanted, now, () => chance);
          const able = candidates.filter(
            ({ state, mayHoldKeys, realms, standing: { withoutRealms } }) =>
              state === "up" &&
              (mayHoldKeys || !wanted.keys) &&
              wanted.realms.every(
                (realm) =>
                  (realms === undefined || realms.some((one) => one === realm)) && !withoutRealms.includes(realm),
              ),
          );
          const asked = choice.kind === "ask" ? choice.ids : [];
          expect(new Set(asked).size).toBe(asked.length);
          expect(asked.every((id) => able.some((each) => each.id === id))).toBe(true);
          if (wanted.emergency) expect(asked.length).toBe(able.length);
          else {
            const chosen = candidates.filter(({ id }) => asked.includes(id));
            expect(chosen.every((each) => !each.standing.draining && each.standing.busyUntil <= now)).toBe(true);
            expect(chosen.every((each) => each.standing.throttle === undefined)).toBe(true);
            expect(chosen.every(({ capacity, contexts }) => capacity === undefined || contexts < capacity)).toBe(true);
          }
        },
      ),
      { numRuns: 400, seed: 4 },
    );
  });
});
