// A gateway with thousands of contexts: their list has to come through whole, or the two ends could never be compared again.
import { afterEach, describe, expect, it } from "vitest";
import { openHouse, until, type House } from "./house.ts";
import { reservation } from "./plans.ts";

let house: House | undefined;

afterEach(async () => {
  await house?.close();
  house = undefined;
});

describe("H.248.1 11.5: lists of contexts", () => {
  it.each([
    ["tls", 2, 3000],
    ["tls", 3, 12_000],
    ["udp", 3, 12_000],
  ] as const)("over %s, version %i: %i contexts are listed", async (wire, version, count) => {
    const here = (house = await openHouse(wire));
    const edge = await here.edge();
    const { handler } = await here.gateway("gw-a", edge, { version, style: "compact" });
    for (let id = 1; id <= count; id++) handler.plant(id);
    const { contexts } = await edge.controller.audit("gw-a");
    expect([...contexts]).toEqual(Array.from({ length: count }, (_, at) => at + 1));
  });

  it("version 3 over TLS: what only the gateway knows among thousands is subtracted after a lost connection", async () => {
    const here = (house = await openHouse("tls"));
    const edge = await here.edge();
    const { cable, handler, iq } = await here.gateway("gw-a", edge, { version: 3, style: "compact" });
    const { context } = await edge.controller.add(undefined, reservation);
    for (let id = 100_000; id < 105_000; id++) handler.plant(id);
    cable.cut();
    await until("lost", () => edge.status("gw-a").state === "down");
    cable.mend();
    await until("back", () => edge.status("gw-a").state === "up" && iq.state().registered);
    await until("only the call to be left", () => handler.held.size === 1, 30_000);
    expect([...handler.held.keys()]).toEqual([context.context]);
    expect(edge.controller.contexts()).toEqual([context]);
  }, 60_000);

  it("version 2: where the list is more than a message holds, those the controller knows are asked for one by one", async () => {
    const here = (house = await openHouse("tls"));
    const edge = await here.edge();
    const { cable, handler, iq } = await here.gateway("gw-a", edge, { version: 2, style: "compact" });
    const kept = await edge.controller.add(undefined, reservation);
    const lost = await edge.controller.add(undefined, reservation);
    for (let id = 100_000; id < 105_000; id++) handler.plant(id);
    (handler.held as Map<number, unknown>).delete(lost.context.context);
    cable.cut();
    await until("lost", () => edge.status("gw-a").state === "down");
    cable.mend();
    await until("back", () => edge.status("gw-a").state === "up" && iq.state().registered);
    await until("the comparison", () => edge.notifications.length > 0, 10_000);
    expect(edge.notifications).toEqual([
      { kind: "context-lost", gateway: "gw-a", context: lost.context, reason: "audit" },
    ]);
    expect(edge.controller.contexts()).toEqual([kept.context]);
    expect(handler.held.size).toBe(5001);
  });
});
