// What an attack on media leaves in the edge's counters: one call's figures are in its view, an operator watches the sum.
import { afterEach, describe, expect, it } from "vitest";
import { establishOriginating } from "./support/calls.ts";
import { openScenario, until, type Scenario } from "./support/scenario.ts";

let scenario: Scenario;
afterEach(() => scenario.close());

const counts = (side: "access" | "core", values: Readonly<Record<string, string>>) => ({
  termination: `ip/1/${side}/1`,
  side,
  stream: 1,
  values: new Map(Object.entries(values)),
});

describe("RFC 3711 9.5.1: packets that were not let through", () => {
  it("are counted by kind when the call ends, those of the protected side only", async () => {
    scenario = await openScenario();
    scenario.iq.counted([
      counts("access", { "rtp/pr": "604", "xsrtp/af": "20", "xsrtp/rp": "7" }),
      counts("core", { "rtp/pr": "600", "xsrtp/af": "9" }),
    ]);
    const alice = await scenario.ue("alice");
    await alice.register();
    for (let call = 1; call <= 2; call += 1) {
      const dialog = await establishOriginating(scenario, alice);
      const bye = scenario.core.send(dialog.byCalled("BYE", 1));
      alice.respond(await alice.expect("BYE"), 200);
      expect((await bye.final()).status).toBe(200);
      await until(() => scenario.logs.filter(({ event }) => event === "call ended").length === call, "ended");
    }
    const dropped = scenario.edge.counters().filter(({ name }) => name === "media_dropped_total");
    expect(dropped.map(({ labels, value }) => [labels["kind"], value])).toEqual([
      ["bad-tag", 40],
      ["replay", 14],
      ["clear", 0],
    ]);
  });
});
