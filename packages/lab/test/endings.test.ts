// Invariant 10: whatever ends a call, nothing of it is left on any element that is still alive.
import { describe, expect, it, onTestFinished } from "vitest";
import { settle, until } from "../src/demo/await.ts";
import type { LabUe } from "../src/topology/lab.ts";
import { createCables, type Cables } from "./support/cable.ts";
import { drivenClock, type DrivenClock } from "./support/clock.ts";
import { connect, held, nothingHeld, openLab, registered, speak, type TestLab } from "./support/lab.ts";

interface Scene {
  readonly lab: TestLab;
  readonly alice: LabUe;
  readonly bob: LabUe;
  readonly cables: Cables;
  readonly time: DrivenClock;
}

interface Ending {
  readonly what: string;
  /** Brings a call up, and to its end. */
  readonly happens: (scene: Scene) => Promise<unknown>;
  /** How long it may take until everything is back, ms of the elements' time; 64*T1 and a little when left out. */
  readonly withinMs?: number;
  /** Why edge A, or B, says that its leg ended. */
  readonly reasons?: { readonly a?: string; readonly b?: string };
  /** Why the edge that noticed first says so, where that may be either. */
  readonly noticed?: string;
  /** UEs that are no part of the network any more. */
  readonly gone?: readonly ("alice" | "bob")[];
}

/** A call that has carried speech: both gateways hold keys. */
const inMidCall = async ({ alice, bob, lab }: Scene) => {
  const ends = await connect(alice, bob);
  await speak(ends, 200);
  expect(
    [held(lab.a), held(lab.b)].map(({ contexts, terminations, mediaPorts }) => [contexts, terminations, mediaPorts]),
  ).toEqual([
    [1, 2, 4],
    [1, 2, 4],
  ]);
  return ends;
};

/** Bob rings and goes on ringing. */
const ringing = async ({ alice, bob, lab }: Scene, timeoutMs = 600_000) => {
  bob.ue.onCall(() => ({ ringMs: 600_000 }));
  const calling = await alice.ue.dial(bob.ue.impu, { timeoutMs });
  calling.answered.catch(() => undefined);
  await until("alice to hear it ring", () => calling.state === "ringing");
  expect([lab.a.gateway.contexts(), lab.b.gateway.contexts()]).toEqual([1, 1]);
  return calling;
};

const endings: readonly Ending[] = [
  {
    what: "alice hangs up",
    happens: async (scene) => (await inMidCall(scene)).calling.hangup(),
    reasons: { a: "bye", b: "bye" },
  },
  {
    what: "bob hangs up",
    happens: async (scene) => (await inMidCall(scene)).called.hangup(),
    reasons: { a: "bye", b: "bye" },
  },
  {
    what: "both hang up at once",
    happens: async (scene) => {
      const { calling, called } = await inMidCall(scene);
      await Promise.all([calling.hangup(), called.hangup()]);
    },
    reasons: { a: "bye", b: "bye" },
  },
  {
    what: "alice cancels while it rings",
    happens: async (scene) => (await ringing(scene)).hangup(),
    reasons: { a: "cancelled", b: "cancelled" },
  },
  {
    what: "bob is busy (486)",
    happens: async ({ alice, bob }) => {
      bob.ue.onCall(() => ({ accept: false, status: 486 }));
      await expect(alice.ue.call(bob.ue.impu)).rejects.toMatchObject({ status: 486 });
    },
    reasons: { a: "rejected", b: "rejected" },
  },
  {
    what: "nobody answers and alice gives up after five seconds",
    happens: async (scene) => {
      const calling = await ringing(scene, 5000);
      await scene.time.pass(6000);
      await calling.ended;
    },
    reasons: { a: "cancelled", b: "cancelled" },
  },
  {
    what: "nobody answers and nobody gives up: timer C",
    happens: async (scene) => {
      const calling = await ringing(scene);
      await scene.time.pass(190_000, 1000);
      await calling.ended;
    },
  },
  {
    what: "alice's connection breaks in mid-call and she does not come back",
    happens: async (scene) => {
      const { called } = await inMidCall(scene);
      scene.cables.cut("alice");
      await settle(50);
      await scene.time.pass(6000);
      await called.ended;
    },
    reasons: { a: "flow-lost", b: "bye" },
    gone: ["alice"],
  },
  {
    what: "bob's connection breaks in mid-call and he does not come back",
    happens: async (scene) => {
      const { calling } = await inMidCall(scene);
      scene.cables.cut("bob");
      await settle(50);
      await scene.time.pass(6000);
      await calling.ended;
    },
    reasons: { a: "bye", b: "flow-lost" },
    gone: ["bob"],
  },
  {
    what: "alice's connection breaks while it rings",
    happens: async (scene) => {
      await ringing(scene);
      scene.cables.cut("alice");
      await settle(50);
      await scene.time.pass(6000);
      await until("bob to stop ringing", () => scene.bob.ue.calls().length === 0);
    },
    reasons: { a: "flow-lost", b: "cancelled" },
    gone: ["alice"],
  },
  {
    what: "alice crashes before her ACK",
    happens: async (scene) => {
      let answer: (() => void) | undefined;
      scene.bob.ue.onCall(
        () =>
          new Promise((resolve) => {
            answer = () => resolve({});
          }),
      );
      const calling = await scene.alice.ue.dial(scene.bob.ue.impu);
      await until("bob to ring", () => answer !== undefined && calling.state === "ringing");
      scene.cables.mute("alice");
      answer?.();
      await calling.answered;
      await scene.time.pass(34_000);
      await until("bob to give up", () => scene.bob.ue.calls().length === 0);
    },
    noticed: "no-acknowledgement",
    gone: ["alice"],
    withinMs: 80_000,
  },
  {
    what: "gateway A is closed in mid-call",
    happens: async (scene) => {
      const { called } = await inMidCall(scene);
      await scene.lab.a.gateway.close();
      await called.ended;
    },
    reasons: { a: "gateway-lost", b: "bye" },
  },
  {
    what: "gateway B vanishes in mid-call: its connection breaks and does not come back",
    happens: async (scene) => {
      const { calling } = await inMidCall(scene);
      scene.cables.cut("gw-b");
      await settle(50);
      await scene.time.pass(31_000);
      await calling.ended;
    },
    reasons: { a: "bye", b: "gateway-lost" },
  },
  {
    what: "edge A is closed in mid-call",
    happens: async (scene) => {
      const { calling, called } = await inMidCall(scene);
      await scene.lab.a.edge.close();
      await Promise.all([calling.ended, called.ended]);
    },
    withinMs: 70_000,
    reasons: { a: "closing", b: "bye" },
  },
  {
    what: "edge B is closed while it rings",
    happens: async (scene) => {
      const calling = await ringing(scene);
      await scene.lab.b.edge.close();
      await calling.ended;
    },
    withinMs: 70_000,
  },
  {
    what: "the core is closed in mid-call, then both hang up",
    happens: async (scene) => {
      const { calling, called } = await inMidCall(scene);
      await scene.lab.core.close();
      const both = Promise.all([calling.hangup(), called.hangup()]);
      await scene.time.pass(34_000);
      await both;
    },
  },
  {
    what: "alice is closed in mid-call",
    happens: async (scene) => {
      const { called } = await inMidCall(scene);
      await scene.alice.ue.close();
      await called.ended;
    },
    reasons: { a: "bye", b: "bye" },
  },
];

describe("endings", () => {
  const judge = async ({ happens, withinMs = 40_000, reasons = {}, noticed, gone = [] }: Ending): Promise<void> => {
    const [time, cables] = [drivenClock(), createCables()];
    const lab = await openLab({
      clock: time.clock,
      via: (from, port) => cables.via(from, port),
      // Shorter than the UE's own patience of 64*T1, so that it is the edge which notices.
      change: { edge: { limits: { acknowledgeMs: 10_000 } } },
    });
    onTestFinished(async () => {
      cables.close();
      // UEs wait for a farewell that cannot come any more: two seconds of their time.
      const closing = lab.close();
      await time.pass(6000);
      await closing;
      time.stop();
    });
    const { alice, bob } = await registered(lab, { alice: {}, bob: {} });
    const scene: Scene = { lab, alice, bob, cables, time };
    await happens(scene);
    // Transactions wait up to 64*T1 for stragglers (RFC 6026).
    await time.pass(withinMs);
    const left = () => ({
      a: held(lab.a),
      b: held(lab.b),
      core: { transactions: lab.core.counts().transactions, forks: lab.core.counts().forks },
      ues: [alice, bob].filter(({ ue }) => !gone.some((name) => ue.impu.includes(name))).flatMap(({ ue }) => ue.calls())
        .length,
    });
    const nothing = { a: nothingHeld, b: nothingHeld, core: { transactions: 0, forks: 0 }, ues: 0 };
    await until("everything to be given back", () => JSON.stringify(left()) === JSON.stringify(nothing), 2000).catch(
      () => undefined,
    );
    expect(left()).toEqual(nothing);
    const ended = ({ edge }: TestLab["a"]) => edge.calls().map((call) => call.ended?.reason);
    if (reasons.a !== undefined) expect(ended(lab.a)).toEqual([reasons.a]);
    if (noticed !== undefined) expect([...ended(lab.a), ...ended(lab.b)]).toContain(noticed);
    if (reasons.b !== undefined) expect(ended(lab.b)).toEqual([reasons.b]);
  };

  for (const ending of endings) it(`invariant 10: ${ending.what}`, () => judge(ending));
});
