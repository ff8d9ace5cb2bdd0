// The controller's table of one gateway, and the gateway's own way to a controller: every row, and random walks over both.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GatewayView, RegistryInput, RegistryRules } from "../src/controller/registry.ts";
import { stepRegistry, unregistered } from "../src/controller/registry.ts";
import type { Registration, RegistrationInput, RegistrationRules } from "../src/gateway/registration.ts";
import { stepRegistration, unstarted } from "../src/gateway/registration.ts";

const rules: RegistryRules = { version: 2, profile: { name: "ETSI_BGF", version: 2 }, misses: 2 };

const change = (
  method: "Restart" | "Forced" | "Graceful" | "Disconnected" | "Failover" | "HandOff",
  more = {},
): RegistryInput => ({
  kind: "service-change",
  peer: "p1",
  method,
  reason: 901,
  version: 2,
  ...more,
});

const up: GatewayView = { state: "up", peer: "p1", version: 2, missed: 0, reason: "Restart 901" };

const walk = (from: GatewayView, ...inputs: readonly RegistryInput[]) => {
  let view = from;
  let effects: readonly string[] = [];
  for (const input of inputs) {
    const step = stepRegistry(view, rules, input);
    view = step.view;
    effects = step.effects.map((effect) => (effect.kind === "lose-contexts" ? `lose: ${effect.reason}` : effect.kind));
  }
  return { view, effects };
};

describe("the controller's view of a gateway", () => {
  it("H.248.1 11.5 Restart: up, and its old contexts are lost", () => {
    const { view, effects } = walk(unregistered, change("Restart"));
    expect(view).toEqual(up);
    expect(effects).toEqual(["accept", "stop-patience", "lose: restart", "start-heartbeat", "report"]);
  });

  it.each(["Disconnected", "Failover", "HandOff"] as const)(
    "H.248.1 11.5 %s: up, and contexts are compared",
    (method) => {
      expect(walk(unregistered, change(method)).effects).toContain("resynchronise");
      expect(walk(unregistered, change(method)).effects.some((effect) => effect.startsWith("lose"))).toBe(false);
    },
  );

  it("H.248.1 7.2.8 Restart 918: a graceful leave called off loses nothing", () => {
    const leaving = walk(up, change("Graceful", { reason: 905 }));
    expect(leaving.view.state).toBe("leaving");
    const back = walk(leaving.view, change("Restart", { reason: 918 }));
    expect(back.view.state).toBe("up");
    expect(back.effects).toContain("resynchronise");
    // Also where its connection was lost in between: what it has lost indeed, the comparison shows.
    expect(walk(unregistered, change("Restart", { reason: 918 })).effects).toContain("resynchronise");
  });

  it("H.248.1 7.2.8 Forced: down at once, contexts lost; Graceful before registration is error 505", () => {
    expect(walk(up, change("Forced")).effects).toEqual([
      "accept",
      "stop-heartbeat",
      "lose: forced",
      "stop-patience",
      "report",
    ]);
    expect(stepRegistry(unregistered, rules, change("Graceful")).effects).toEqual([
      { kind: "refuse", error: { code: 505, text: "not registered" } },
    ]);
  });

  it("H.248.1 7.2.8: the lower version, ours of the profile; none given is version 1", () => {
    const accept = (more: object) => stepRegistry(unregistered, rules, change("Restart", more)).effects[0];
    expect(accept({ version: 3, profile: { name: "etsi_bgf", version: 1 } })).toEqual({
      kind: "accept",
      version: 2,
      profile: { name: "ETSI_BGF", version: 1 },
    });
    expect(accept({ version: undefined })).toMatchObject({ version: 1 });
    expect(accept({ profile: { name: "NoProfile", version: 1 } })).toMatchObject({
      kind: "refuse",
      error: { code: 406 },
    });
  });

  it("invariant 10: a broken connection is down at once, only when it was the one registered over", () => {
    expect(walk(up, { kind: "peer-closed", peer: "p1" })).toEqual({
      view: { state: "down", version: 2, missed: 0, reason: "connection lost" },
      effects: ["stop-heartbeat", "start-patience", "report"],
    });
    expect(walk(up, { kind: "peer-closed", peer: "p0" })).toEqual({ view: up, effects: [] });
  });

  it("TS 23.334 8: heartbeats may be missed as often as configured; an answer starts the count anew", () => {
    const once = walk(up, { kind: "heartbeat-missed" });
    expect([once.view.state, once.effects]).toEqual(["up", []]);
    expect(walk(once.view, { kind: "heartbeat-answered" }, { kind: "heartbeat-missed" }).view.state).toBe("up");
    expect(walk(once.view, { kind: "heartbeat-missed" }).effects).toEqual([
      "stop-heartbeat",
      "drop-peer",
      "start-patience",
      "report",
    ]);
    expect(walk(unregistered, { kind: "heartbeat-missed" }).view).toBe(unregistered);
  });

  it("invariant 10: contexts of a gateway that stays away are given up, not those of one that came back", () => {
    expect(walk(up, { kind: "peer-closed", peer: "p1" }, { kind: "given-up" }).effects).toEqual(["lose: silence"]);
    expect(walk(up, { kind: "given-up" }).effects).toEqual([]);
  });

  it("H.248.1 7.2.8: a second connection of the same gateway takes the place of the first", () => {
    expect(walk(up, change("Restart", { peer: "p2" })).effects).toContain("drop-peer");
    expect(walk(up, change("Restart", { peer: "p2" }), { kind: "peer-closed", peer: "p1" }).view.state).toBe("up");
  });
});

const own: RegistrationRules = {
  controllers: 2,
  avalancheMs: 1000,
  firstRetryMs: 100,
  longestRetryMs: 1000,
  version: 2,
  profile: { name: "ETSI_BGF", version: 2 },
};

const go = (from: Registration, ...inputs: readonly RegistrationInput[]) => {
  let registration = from;
  let effects: readonly object[] = [];
  for (const input of inputs) {
    const step = stepRegistration(registration, own, input);
    registration = step.registration;
    effects = step.effects;
  }
  return { registration, effects };
};

const accept: RegistrationInput = { kind: "accepted", version: 2, jitter: 0 };
const arrive: readonly RegistrationInput[] = [
  { kind: "start", jitter: 0.5 },
  { kind: "waited" },
  { kind: "connected" },
];
const lost: RegistrationInput = { kind: "lost", why: "connection lost", jitter: 0 };

describe("the gateway's way to a controller", () => {
  it("H.248.1 9.2: waits a random time below the bound, then registers with Restart 901", () => {
    expect(go(unstarted, { kind: "start", jitter: 0.5 }).effects).toEqual([{ kind: "wait", ms: 500 }]);
    expect(go(unstarted, ...arrive).effects).toEqual([
      { kind: "register", method: "Restart", reason: "901 Cold Boot" },
    ]);
    expect(go(unstarted, ...arrive, accept).registration).toMatchObject({ state: "registered", owner: 0, failures: 0 });
  });

  it("H.248.1 11.5: a lost controller is tried first, with Disconnected 900, its contexts kept", () => {
    const gone = go(unstarted, ...arrive, accept, lost);
    expect(gone.registration).toMatchObject({ state: "waiting", controller: 0 });
    expect(gone.effects).toEqual([
      { kind: "disconnect" },
      { kind: "keep-contexts" },
      { kind: "wait", ms: 50 },
      { kind: "report" },
    ]);
    expect(go(gone.registration, { kind: "waited" }, { kind: "connected" }).effects).toEqual([
      { kind: "register", method: "Disconnected", reason: "900 Service Restored" },
    ]);
  });

  it("invariant 10: another controller knows none of our contexts: they go, and it is told Restart 902", () => {
    const gone = go(
      unstarted,
      ...arrive,
      accept,
      lost,
      { kind: "waited" },
      { kind: "failed", why: "refused", jitter: 0 },
    );
    expect(gone.registration.controller).toBe(1);
    expect(go(gone.registration, { kind: "waited" }, { kind: "connected" }).effects).toEqual([
      { kind: "drop-contexts" },
      { kind: "register", method: "Restart", reason: "902 Warm Boot" },
    ]);
  });

  it("invariant 10: contexts nobody came back for go, and what follows is Restart 902", () => {
    const expired = go(unstarted, ...arrive, accept, lost, { kind: "expired" });
    expect(expired.effects).toEqual([{ kind: "drop-contexts" }, { kind: "report" }]);
    expect(go(expired.registration, { kind: "waited" }, { kind: "connected" }).effects).toEqual([
      { kind: "register", method: "Restart", reason: "902 Warm Boot" },
    ]);
    expect(go(unstarted, ...arrive, accept, { kind: "expired" }).effects).toEqual([]);
  });

  it("the back-off doubles up to its bound, and its upper half is random", () => {
    let registration = go(unstarted, ...arrive).registration;
    const waits: number[] = [];
    for (let failure = 0; failure < 6; failure += 1) {
      const step = go(registration, { kind: "failed", why: "x", jitter: 0 });
      const wait = step.effects.find((effect) => "ms" in effect) as { ms: number };
      waits.push(wait.ms);
      registration = go(step.registration, { kind: "waited" }, { kind: "connected" }).registration;
    }
    expect(waits).toEqual([50, 100, 200, 400, 500, 500]);
    const late = go(unstarted, ...arrive, { kind: "failed", why: "x", jitter: 0.999 }).effects.find(
      (effect) => "ms" in effect,
    );
    expect((late as { ms: number }).ms).toBeGreaterThan(99);
  });

  it("H.248.1 7.2.8: a version or profile we do not have ends the attempt", () => {
    const registering = go(unstarted, ...arrive).registration;
    expect(go(registering, { kind: "accepted", version: 3, jitter: 0 }).registration.state).toBe("waiting");
    expect(
      go(registering, { kind: "accepted", profile: { name: "OTHER", version: 1 }, jitter: 0 }).registration.state,
    ).toBe("waiting");
  });

  it("TS 23.334 8: ordered to register again, with or without its contexts", () => {
    const registered = go(unstarted, ...arrive, accept).registration;
    expect(go(registered, { kind: "ordered", fresh: false }).effects).toEqual([
      { kind: "register", method: "Disconnected", reason: "900 Service Restored" },
    ]);
    expect(go(registered, { kind: "ordered", fresh: true }).effects).toEqual([
      { kind: "drop-contexts" },
      { kind: "register", method: "Restart", reason: "902 Warm Boot" },
    ]);
  });

  it("H.248.1 7.2.8 Forced: leaves with 905, then drops everything, whatever the answer", () => {
    const leaving = go(unstarted, ...arrive, accept, { kind: "leave" });
    expect(leaving.effects).toEqual([
      { kind: "register", method: "Forced", reason: "905 Termination taken out of service" },
    ]);
    expect(go(leaving.registration, { kind: "left" }).effects).toEqual([
      { kind: "disconnect" },
      { kind: "drop-contexts" },
    ]);
    expect(go(unstarted, { kind: "leave" }).effects).toEqual([{ kind: "disconnect" }, { kind: "drop-contexts" }]);
  });

  it("invariant 10: on every walk, contexts without a controller are always being counted down or gone", () => {
    const input: fc.Arbitrary<RegistrationInput> = fc.oneof(
      fc.constant<RegistrationInput>({ kind: "waited" }),
      fc.constant<RegistrationInput>({ kind: "connected" }),
      fc.constant<RegistrationInput>({ kind: "failed", why: "x", jitter: 0.5 }),
      fc.constant<RegistrationInput>(accept),
      fc.constant<RegistrationInput>(lost),
      fc.constant<RegistrationInput>({ kind: "ordered", fresh: false }),
      fc.constant<RegistrationInput>({ kind: "ordered", fresh: true }),
      fc.constant<RegistrationInput>({ kind: "expired" }),
      fc.constant<RegistrationInput>({ kind: "leave" }),
      fc.constant<RegistrationInput>({ kind: "left" }),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        let registration = go(unstarted, { kind: "start", jitter: 0 }).registration;
        let owned = false;
        let counting = false;
        for (const one of inputs) {
          const step = stepRegistration(registration, own, one);
          registration = step.registration;
          for (const effect of step.effects) {
            if (effect.kind === "contexts-owned") [owned, counting] = [true, false];
            if (effect.kind === "keep-contexts") counting = true;
            if (effect.kind === "drop-contexts") [owned, counting] = [false, false];
          }
          const connected = registration.state === "registered" || registration.state === "leaving";
          if (owned && !connected && registration.state !== "registering") expect(counting).toBe(true);
          if (registration.state === "closed") expect(owned).toBe(false);
        }
      }),
      { seed: 11, numRuns: 2000 },
    );
  });
});
