// Contexts whose Add was given up: a gateway too slow for its controller makes them all the same. They are subtracted when
// its answer comes, or, where that is lost, when contexts are compared, however many others are being made (invariant 10).
import { SallyportError, VirtualClock, seededRandom, silentLog } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { createIqController, createIqGateway, type IqContext } from "../src/index.ts";
import { recordingHandler } from "./handler.ts";
import { badNetwork, turnsOf } from "./network.ts";
import { reservation } from "./plans.ts";

const settings = { commandTimeoutMs: 1000, tryMs: 1000, addBudgetMs: 1000 };

/** One edge and one gateway; `slowMs`: how long its next Add takes. */
const open = async (heartbeatMs: number, slowMs: () => number, seed = 1) => {
  const clock = new VirtualClock(1_000_000);
  const network = badNetwork(clock, seed);
  const common = { clock, log: silentLog, openDatagram: network.openDatagram };
  const controller = await createIqController({
    ...common,
    config: {
      mid: "<edge-a.example>",
      listen: [{ protocol: "udp", address: "127.0.0.1", port: 2944 }],
      gateways: [{ id: "gw-a", mid: "<gw-a.example>" }],
      lab: true,
      heartbeat: { intervalMs: heartbeatMs, misses: 50 },
      ...settings,
    },
    random: seededRandom(`edge ${seed}`),
    onGateway: () => undefined,
    onNotify: () => undefined,
  });
  const handler = recordingHandler();
  const quick = handler.add.bind(handler);
  const gateway = await createIqGateway({
    ...common,
    config: {
      mid: "<gw-a.example>",
      lab: true,
      silenceMs: 0,
      controllers: [{ protocol: "udp", address: "127.0.0.1", port: 2944 }],
    },
    random: seededRandom(`gateway ${seed}`),
    handler: Object.assign(handler, {
      add: async (request: Parameters<typeof quick>[0]) => {
        const ms = request.context === "new" ? slowMs() : 0;
        if (ms > 0) await new Promise<void>((resolve) => void clock.after(ms, resolve));
        return quick(request);
      },
    }),
  });
  for (let turn = 0; turn < 100 && !gateway.state().registered; turn += 1) await turnsOf(clock, 20);
  const ended = async (): Promise<void> => {
    const closing = Promise.all([controller.close({ keepContexts: true }), gateway.close()]);
    await turnsOf(clock, 3000);
    await closing;
  };
  /** Adds one; undefined when it was given up. */
  const add = (): Promise<IqContext | undefined> =>
    controller.add("gw-a", reservation).then(
      ({ context }) => context,
      (error: unknown) => {
        if (error instanceof SallyportError && error.code === "SALLY_IQ_TIMEOUT") return undefined;
        throw error;
      },
    );
  return { clock, controller, handler, network: network.state, add, ended };
};

const numbers = (contexts: Iterable<number>): readonly number[] => [...contexts].toSorted((a, b) => a - b);

describe("invariant 10: contexts whose Add was given up", () => {
  it("are subtracted as soon as the late reply comes, without waiting for any heartbeat", async () => {
    let slow = 3000;
    const on = await open(600_000, () => slow);
    const given = [on.add(), on.add(), on.add()];
    await turnsOf(on.clock, 1200);
    expect(await Promise.all(given)).toEqual([undefined, undefined, undefined]);
    expect(on.handler.held.size).toBe(0);
    await turnsOf(on.clock, 1900);
    // Made, told late, and gone again at once.
    expect(on.handler.adds.length).toBe(6);
    expect(on.handler.held.size).toBe(0);
    slow = 0;
    const [good] = await Promise.all([on.add(), turnsOf(on.clock, 200)]);
    expect(numbers(on.handler.held.keys())).toEqual([good?.context]);
    await on.ended();
  });

  it("are found by a comparison where the late reply is lost, also when it was made after the first one", async () => {
    const on = await open(2000, () => 7000);
    const given = on.add();
    on.network.stops = (text, from) => from.port !== 2944 && /\b(?:Add|Pending)\b/.test(text);
    await turnsOf(on.clock, 6000);
    expect(await given).toBeUndefined();
    expect(on.handler.held.size).toBe(0);
    await turnsOf(on.clock, 1100);
    expect(on.handler.held.size).toBe(1);
    await turnsOf(on.clock, 3000);
    expect(on.handler.held.size).toBe(0);
    await on.ended();
  });

  it("are found although there is never a moment without an Add under way, and no other context is touched", async () => {
    const on = await open(1000, () => 200);
    for (let at = 1; at <= 5; at += 1) on.handler.plant(9000 + at);
    // Doubt: the answer to a Subtract is lost.
    const [victim] = await Promise.all([on.add(), turnsOf(on.clock, 400)]);
    if (victim === undefined) throw new TypeError("unreachable: it was quick");
    on.network.stops = (text, from) => from.port !== 2944 && /\bSubtract\b/.test(text);
    const subtracting = on.controller.subtract(victim);
    // One more every 100 ms, each takes 200 ms: somebody is always waiting.
    const made: Promise<IqContext | undefined>[] = [];
    for (let step = 0; step < 60; step += 1) {
      if (step === 15) on.network.stops = () => false;
      made.push(on.add());
      await turnsOf(on.clock, 100);
    }
    expect(await subtracting).toEqual({ terminations: [] });
    await turnsOf(on.clock, 600);
    const held = await Promise.all(made);
    expect(held.every((context) => context !== undefined)).toBe(true);
    expect(numbers(on.handler.held.keys())).toEqual(numbers(held.map((context) => context?.context ?? 0)));
    expect(on.controller.contexts()).toHaveLength(60);
    await on.ended();
  });

  it.each([1, 2, 3, 4])(
    "whatever is slow, lost and compared when, both ends agree in the end (seed %i)",
    async (seed) => {
      const dice = seededRandom(`slow ${seed}`);
      const on = await open(300, () => (dice.bytes(1)[0] ?? 0) * 8, seed);
      const live = new Set<IqContext>();
      on.network.bad = true;
      for (let step = 0; step < 60; step += 1) {
        void on.add().then((context) => context !== undefined && live.add(context));
        const [old] = live;
        if (old !== undefined && step % 3 === 0 && live.delete(old)) void on.controller.subtract(old);
        await turnsOf(on.clock, 60);
      }
      on.network.bad = false;
      // The longest an answer may take, and LONG-TIMER in which what was given up may still be made.
      await turnsOf(on.clock, 36_000);
      expect(on.network.lost).toBeGreaterThan(20);
      expect(numbers(on.handler.held.keys())).toEqual(numbers(on.controller.contexts().map(({ context }) => context)));
      expect(numbers(on.handler.held.keys())).toEqual(numbers([...live].map(({ context }) => context)));
      await on.ended();
    },
  );
});
