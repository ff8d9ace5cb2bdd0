// Calls the network wants to go before others: RFC 4412 on the core side, the priority of a context on Iq (H.248.1 6.1.1).
import { headerValue } from "@sallyport/sip";
import { memoryStore } from "@sallyport/store";
import { afterEach, describe, expect, it, vi } from "vitest";
import { establishTerminating, originate } from "./support/calls.ts";
import { openScenario, until, type Scenario } from "./support/scenario.ts";

let scenario: Scenario;
afterEach(async () => {
  await scenario.close();
  vi.unstubAllEnvs();
});

const marks = () => scenario.iq.commands.flatMap(({ kind, marks: said }) => (kind === "add" ? [said] : []));

describe("Resource-Priority", () => {
  it.each([
    ["ets.0", 15],
    ["wps.4", 11],
    ["dsn.flash, WPS.3, ets.1", 14],
    ["dsn.flash", undefined],
    ["ets.5", undefined],
    ["ets.00", undefined],
  ])("RFC 4412 12.1, H.248.1 6.1.1: %s of the core gives its context priority %s", async (value, priority) => {
    scenario = await openScenario();
    const bob = await scenario.ue("bob");
    const { path } = await bob.register();
    await establishTerminating(scenario, bob, path, { headers: [["Resource-Priority", value]] });
    expect(marks()).toEqual([{ emergency: false, ...(priority === undefined ? {} : { priority }) }]);
  });

  it("what a UE writes is for the core to judge: it passes on and gives no priority", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    const { arrived } = await originate(scenario, alice, { headers: [["Resource-Priority", "ets.0"]] });
    expect(headerValue(arrived.request, "resource-priority")).toBe("ets.0");
    expect(marks()).toEqual([{ emergency: false }]);
  });

  it("over a restart too: a gateway that takes the call over hears of its priority", async () => {
    vi.stubEnv("PRIORITY_TEST_KEY", Buffer.from("the sealing key of priority test").toString("base64"));
    scenario = await openScenario({
      store: memoryStore(),
      change: (config) => ({
        ...config,
        store: { driver: "memory", sealing: { env: "PRIORITY_TEST_KEY", previous: [] } },
      }),
    });
    const bob = await scenario.ue("bob", { protocol: "udp" });
    const { path } = await bob.register();
    await establishTerminating(scenario, bob, path, { headers: [["Resource-Priority", "wps.0"]] });
    await scenario.restart();
    scenario.iq.notify((context) => ({ kind: "context-lost", gateway: context.gateway, context, reason: "silence" }));
    await until(() => marks().length === 2, "another context");
    expect(marks().map((each) => each?.priority)).toEqual([15, 15]);
  });
});
