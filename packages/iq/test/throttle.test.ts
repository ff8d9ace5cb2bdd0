// The leaky bucket of H.248.11 as a closed loop: controllers that adapt to the reports of a gateway whose capacity none of
// them knows. Pure; time is a number.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseGateways } from "../src/controller/select.ts";
import {
  askedOne,
  goodStanding,
  isCongested,
  rootEvent,
  sparedOne,
  type Standing,
} from "../src/controller/standing.ts";
import { candidate } from "./candidate.ts";
import { admittedOne, nothingOffered, reported, settle, waitFor } from "../src/controller/throttle.ts";

const start = 1_000_000;

interface Loop {
  readonly controllers: number;
  /** Calls offered a second, all controllers together. */
  readonly load: (second: number) => number;
  /** Adds a second the gateway can do. */
  readonly capacity: number;
  readonly seconds: number;
  /** Every n-th call is an emergency; 0: none. */
  readonly emergencyEvery?: number;
}

interface Second {
  readonly sent: number;
  readonly reports: number;
  readonly emergencies: number;
  readonly emergenciesSent: number;
}

/** One gateway that reports each Add above its capacity, as H.248.11 8.1 has it, and the controllers before it. */
const runLoop = ({ controllers, load, capacity, seconds, emergencyEvery = 0 }: Loop) => {
  const standings: Standing[] = Array.from({ length: controllers }, () => goodStanding);
  const told: Second[] = [];
  let calls = 0;
  for (let second = 0; second < seconds; second += 1) {
    const count = Math.round(load(second));
    const seen = { sent: 0, reports: 0, emergencies: 0, emergenciesSent: 0 };
    for (let at = 0; at < count; at += 1) {
      const now = start + second * 1000 + (at * 1000) / count;
      const which = calls++ % controllers;
      const emergency = emergencyEvery > 0 && calls % emergencyEvery === 0;
      let standing = standings[which] ?? goodStanding;
      const choice = chooseGateways(
        [candidate("a", { standing })],
        { keys: true, realms: [], emergency },
        now,
        () => 0.5,
      );
      if (emergency) seen.emergencies += 1;
      if (choice.kind === "ask") {
        standing = askedOne(standing, now);
        seen.sent += 1;
        if (emergency) seen.emergenciesSent += 1;
        if (seen.sent > capacity) {
          seen.reports += 1;
          standing = rootEvent(standing, "ocp/mg_overload", {}, now);
        }
      } else if (choice.spared !== undefined) standing = sparedOne(standing, now);
      standings[which] = standing;
    }
    told.push(seen);
  }
  return { told, standings };
};

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

describe("H.248.11: the leaky bucket of an overloaded gateway", () => {
  it("H.248.11 8.2.1: holds nothing back before the first report, half of what was sent after it", () => {
    expect(waitFor(undefined, start)).toBe(0);
    let standing = goodStanding;
    for (let at = 0; at < 40; at += 1) standing = askedOne(standing, start + at * 25);
    expect(isCongested(standing, start + 1000)).toBe(false);
    standing = rootEvent(standing, "ocp/mg_overload", {}, start + 1000);
    expect(standing.throttle?.rate).toBe(20);
    // The bucket is full: the next one has to wait until one has run out of it.
    expect(waitFor(standing.throttle, start + 1000)).toBe(50);
    expect(waitFor(standing.throttle, start + 1050)).toBe(0);
  });

  it("H.248.11 8.2.2: admits at the rate and in small bunches, whatever is offered", () => {
    const offered = { ...nothingOffered, round: start, now: 80 };
    let throttle = settle(reported(undefined, offered, start), start);
    let sent = 0;
    for (let ms = 0; ms < 1000; ms += 1) {
      if (waitFor(throttle, start + ms) > 0) continue;
      throttle = admittedOne(throttle, start + ms);
      sent += 1;
    }
    expect(sent).toBeGreaterThan(36);
    expect(sent).toBeLessThanOrEqual(41);
  });

  it.each([
    { controllers: 1, load: 200, capacity: 40 },
    { controllers: 3, load: 300, capacity: 60 },
    { controllers: 1, load: 1000, capacity: 100 },
    { controllers: 2, load: 50, capacity: 5 },
  ])(
    "H.248.11 8.2.3: $controllers controller(s), $load calls a second on $capacity: what is sent comes to what it can do",
    ({ controllers, load, capacity }) => {
      const { told } = runLoop({ controllers, load: () => load, capacity, seconds: 60 });
      expect(mean(told.slice(0, 1).map(({ sent }) => sent))).toBeGreaterThan(capacity);
      const settled = told.slice(30);
      expect(mean(settled.map(({ sent }) => sent))).toBeGreaterThan(0.75 * capacity);
      expect(mean(settled.map(({ sent }) => sent))).toBeLessThan(1.25 * capacity + controllers);
      // The reports themselves stay few: a share of what is sent, not of what is offered.
      expect(mean(settled.map(({ reports }) => reports))).toBeLessThan(0.2 * capacity + 2 * controllers);
    },
  );

  it("H.248.11 8.2.4: is put away when the load is over, and then passes everything at once", () => {
    const load = (second: number): number => (second < 20 ? 200 : 20);
    const { told, standings } = runLoop({ controllers: 1, load, capacity: 40, seconds: 70 });
    expect(standings.map((standing) => isCongested(standing, start + 70_000))).toEqual([false]);
    expect(told.at(-1)?.sent).toBe(20);
    // Whoever has nothing to send is free again too.
    const once = reported(undefined, nothingOffered, start);
    expect(settle(once, start + 9000)).toBeDefined();
    expect(settle(once, start + 12_000)).toBeUndefined();
    expect(settle(once, start + 100_000_000)).toBeUndefined();
  });

  it("H.248.11 8.2.5: emergency calls pass, all of them, and fill the bucket that others wait for", () => {
    const { told } = runLoop({ controllers: 1, load: () => 200, capacity: 40, seconds: 40, emergencyEvery: 10 });
    expect(told.map(({ emergenciesSent }) => emergenciesSent)).toEqual(told.map(({ emergencies }) => emergencies));
    expect(mean(told.slice(20).map(({ sent }) => sent))).toBeLessThan(52);
  });

  it("a bucket never holds back for ever, never runs backwards and never lets through without bound", () => {
    const event = fc.record({ kind: fc.constantFrom("report", "admit", "ask"), after: fc.nat(3000) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        let throttle = reported(undefined, nothingOffered, start);
        let now = start;
        for (const { kind, after } of events) {
          now += after;
          if (kind === "report") throttle = reported(throttle, nothingOffered, now);
          else if (kind === "admit") throttle = admittedOne(throttle, now) ?? throttle;
          const wait = waitFor(throttle, now);
          // Whoever waits as long as it is told gets through; the rate may go down meanwhile, but not for ever.
          let at = now;
          for (let tries = 0; tries < 8; tries += 1) at += waitFor(throttle, at);
          const fair = wait >= 0 && wait <= 6000 && at - now <= 10_000 && waitFor(throttle, at) === 0;
          expect(fair && throttle.rate >= 0.5 && throttle.rate <= 10_000).toBe(true);
        }
      }),
      { numRuns: 200, seed: 11 },
    );
  });
});
