import { describe, expect, it } from "vitest";
import { stepReceiver, stepSender } from "../src/index.ts";
import { firstRetry, measure } from "../src/association/delay.ts";
import type { Delay } from "../src/association/delay.ts";
import { explore } from "./explorer.ts";
import type { Exploration } from "./explorer.ts";

const delay = 1;
const exploration = (change: Partial<Exploration> = {}): Exploration => ({
  sender: { reliable: false, firstRetryMs: 2, maxRetryMs: 3, longTimerMs: 8, pendingRetryMs: 3, pendingLimit: 9 },
  receiver: {
    reliable: false,
    provisionalMs: 2,
    pendingLimit: 2,
    mayPend: true,
    keepMs: 8 + 3 * delay,
    firstRetryMs: 2,
    maxRetryMs: 4,
  },
  delay,
  doubles: 2,
  loss: true,
  patience: 8,
  ...change,
});
const base = exploration();

describe("H.248.1 8.2.3 and D.1: one transaction in every order of events", () => {
  it("loss, doubling and reordering: at most once, one outcome, nothing left behind", { timeout: 120_000 }, () => {
    const explored = explore(base);
    expect(explored.broken).toEqual([]);
    // Every end: the requester has its outcome, the answerer has forgotten, or never knew.
    for (const end of explored.ends) expect(end).toMatch(/^\S+ done (new|forgotten)$/);
    const outcomes = new Set([...explored.ends].map((end) => end.split(" ")[0]));
    expect(outcomes).toEqual(new Set(["result", "result!", "506!", "timeout"]));
    expect(explored.states).toBeGreaterThan(50_000);
  });

  it("without loss: never a timeout, whatever is doubled or late", () => {
    const explored = explore(exploration({ loss: false }));
    expect(explored.broken).toEqual([]);
    expect([...explored.ends].some((end) => end.startsWith("timeout"))).toBe(false);
  });

  it("without Pending (a ServiceChange that opens the association)", () => {
    const explored = explore(exploration({ receiver: { ...base.receiver, mayPend: false }, patience: 2, doubles: 2 }));
    expect(explored.broken).toEqual([]);
    expect([...explored.ends].map((end) => end.split(" ")[0]).toSorted()).toEqual(["result", "timeout", "timeout"]);
  });

  it("on a stream: no repetition but one, and nothing left behind", () => {
    const reliable = { sender: { ...base.sender, reliable: true }, receiver: { ...base.receiver, reliable: true } };
    const explored = explore(exploration({ ...reliable, doubles: 0 }));
    expect(explored.broken).toEqual([]);
    for (const end of explored.ends) expect(end).toMatch(/^\S+ done (new|forgotten)$/);
  });

  it("the explorer can fail: an answer kept too short is carried out twice", () => {
    const explored = explore(exploration({ receiver: { ...base.receiver, keepMs: 2 } }));
    expect(explored.broken).toContain("forgotten while the requester waits");
  });
});

describe("H.248.1 D.1.3: repetition", () => {
  const rules = { ...base.sender, firstRetryMs: 500, maxRetryMs: 4000, longTimerMs: 30_000, pendingRetryMs: 5000 };

  it("doubles the interval up to the maximum and gives up after LONG-TIMER", () => {
    let { state, effects } = stepSender(rules, { kind: "idle" }, { kind: "start", now: 0 });
    const waits: number[] = [];
    let now = 0;
    for (;;) {
      const timer = effects.find((effect) => effect.kind === "timer");
      if (timer === undefined) break;
      waits.push(timer.ms);
      now += timer.ms;
      ({ state, effects } = stepSender(rules, state, { kind: "timer", now }));
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 2500]);
    expect(now).toBe(30_000);
    expect(effects).toContainEqual({ kind: "fail", why: "timeout" });
  });

  it("a stream repeats once, half way", () => {
    const reliable = { ...rules, reliable: true };
    let { state, effects } = stepSender(reliable, { kind: "idle" }, { kind: "start", now: 0 });
    expect(effects).toEqual([{ kind: "send" }, { kind: "timer", ms: 15_000 }]);
    ({ state, effects } = stepSender(reliable, state, { kind: "timer", now: 15_000 }));
    expect(effects).toEqual([{ kind: "send" }, { kind: "timer", ms: 15_000 }]);
    ({ effects } = stepSender(reliable, state, { kind: "timer", now: 30_000 }));
    expect(effects).toContainEqual({ kind: "fail", why: "timeout" });
  });

  it("Pending extends the wait, but not more often than the limit", () => {
    let { state } = stepSender({ ...rules, pendingLimit: 2 }, { kind: "idle" }, { kind: "start", now: 0 });
    let effects;
    ({ state, effects } = stepSender({ ...rules, pendingLimit: 2 }, state, { kind: "pending", now: 20_000 }));
    expect(effects).toEqual([{ kind: "timer", ms: 5000 }]);
    expect(state).toMatchObject({ endsAt: 50_000 });
    ({ state } = stepSender({ ...rules, pendingLimit: 2 }, state, { kind: "pending", now: 20_001 }));
    ({ effects } = stepSender({ ...rules, pendingLimit: 2 }, state, { kind: "pending", now: 20_002 }));
    expect(effects).toContainEqual({ kind: "fail", why: "pendings" });
  });

  it("the measured delay sets the first repetition, within bounds", () => {
    expect(firstRetry(undefined, 1000, 200, 8000)).toBe(1000);
    let path: Delay | undefined;
    for (let sample = 0; sample < 50; sample++) path = measure(path, 2);
    expect(firstRetry(path, 1000, 200, 8000)).toBe(200);
    path = measure(path, 4000);
    expect(firstRetry(path, 1000, 200, 8000)).toBeGreaterThan(4000);
    for (let sample = 0; sample < 20; sample++) path = measure(path, 60_000);
    expect(firstRetry(path, 1000, 200, 8000)).toBe(8000);
  });
});

describe("H.248.1 E.2: the answerer's pending limit", () => {
  it("answers 506 after the last Pending and drops what the execution brings", () => {
    const rules = base.receiver;
    let { state, effects } = stepReceiver(rules, { kind: "new" }, { kind: "request" });
    expect(effects.map((effect) => effect.kind)).toEqual(["timer", "execute"]);
    for (const now of [2, 4]) {
      ({ state, effects } = stepReceiver(rules, state, { kind: "timer", now }));
      expect(effects.map((effect) => effect.kind)).toEqual(["send-pending", "timer"]);
    }
    ({ state, effects } = stepReceiver(rules, state, { kind: "timer", now: 6 }));
    expect(effects[0]).toEqual({ kind: "answer", with: "506", ackRequired: true });
    ({ effects } = stepReceiver(rules, state, { kind: "executed", now: 7 }));
    expect(effects).toEqual([]);
  });

  it("a copy of a request in progress is answered with nothing before the first Pending, with Pending after", () => {
    let { state, effects } = stepReceiver(base.receiver, { kind: "new" }, { kind: "request" });
    ({ state, effects } = stepReceiver(base.receiver, state, { kind: "request" }));
    expect(effects).toEqual([]);
    ({ state } = stepReceiver(base.receiver, state, { kind: "timer", now: 2 }));
    ({ effects } = stepReceiver(base.receiver, state, { kind: "request" }));
    expect(effects).toEqual([{ kind: "send-pending" }]);
  });
});
