// Iq over UDP that loses, doubles and reorders datagrams, both ends whole: every call ends as its controller was told, and
// after the storm both hold the same contexts, none of them left behind (H.248.1 Annex D.1, 11.5; invariant 10).
import { VirtualClock, seededRandom, silentLog } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { createIqController, createIqGateway, type IqContext } from "../src/index.ts";
import { recordingHandler } from "./handler.ts";
import { badNetwork, turnsOf } from "./network.ts";
import { configuration, reservation } from "./plans.ts";

describe("H.248.1 D.1: Iq over a bad network", () => {
  it.each([1, 2, 3])("calls through a storm leave nothing behind (seed %i)", async (seed) => {
    const clock = new VirtualClock(1_000_000);
    const { openDatagram, state } = badNetwork(clock, seed);
    const common = { clock, log: silentLog, openDatagram };
    const controller = await createIqController({
      ...common,
      config: {
        mid: "<edge-a.example>",
        listen: [{ protocol: "udp", address: "127.0.0.1", port: 2944 }],
        gateways: [{ id: "gw-a", mid: "<gw-a.example>" }],
        lab: true,
        // A silent moment is not taken for the end of the gateway.
        heartbeat: { intervalMs: 2000, timeoutMs: 2000, misses: 10 },
      },
      random: seededRandom(`edge ${seed}`),
      onGateway: () => undefined,
      onNotify: () => undefined,
    });
    const handler = recordingHandler();
    const iq = await createIqGateway({
      ...common,
      config: {
        mid: "<gw-a.example>",
        lab: true,
        controllers: [{ protocol: "udp", address: "127.0.0.1", port: 2944 }],
        silenceMs: 0,
      },
      random: seededRandom(`gateway ${seed}`),
      handler,
    });
    await turnsOf(clock, 200);
    expect(controller.gateways()[0]?.state).toBe("up");
    state.bad = true;
    const outcomes = { added: 0, failed: 0 };
    const running: IqContext[] = [];
    const call = async (stays: boolean): Promise<void> => {
      try {
        const { context } = await controller.add("gw-a", reservation);
        outcomes.added += 1;
        await controller.modify(context, configuration).catch(() => undefined);
        if (stays) running.push(context);
        else await controller.subtract(context);
      } catch {
        outcomes.failed += 1;
      }
    };
    const calls = Array.from({ length: 40 }, (_, at) => call(at % 4 === 0));
    for (let round = 0; round < 60; round++) await turnsOf(clock, 500);
    await Promise.all(calls);
    expect(outcomes.added + outcomes.failed).toBe(40);
    expect(outcomes.added).toBeGreaterThan(20);
    expect(Math.min(state.lost, state.doubled)).toBeGreaterThan(20);
    // Nothing was carried out twice: as many Adds at the gateway as sides of contexts it ever had.
    expect(handler.adds.length).toBeLessThanOrEqual(2 * 40);

    state.bad = false;
    await turnsOf(clock, 20_000);
    const held = running.filter((context) => controller.describe(context) !== undefined).map(({ context }) => context);
    expect([...handler.held.keys()].toSorted((a, b) => a - b)).toEqual(held.toSorted((a, b) => a - b));
    expect(controller.contexts()).toHaveLength(held.length);
    expect(held.length).toBeGreaterThan(0);

    const closing = controller.close();
    await turnsOf(clock, 2000);
    await closing;
    expect(handler.held.size).toBe(0);
    const gone = iq.close();
    await turnsOf(clock, 5000);
    await gone;
    expect(clock.waiting).toBe(0);
  });
});
