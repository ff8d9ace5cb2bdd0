// What an operator sees of a call and of a registration: who, when, how long, and each decision with its time.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendHeader, headerValue } from "@sallyport/sip";
import { establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;

beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterEach(async () => {
  await scenario.close();
});

describe("a call as it is seen", () => {
  it("names the other party and has its times, while it rings, while it lasts and when it is over", async () => {
    const begun = scenario.clock.now();
    const { sent, arrived } = await originate(scenario, alice);
    expect(scenario.edge.calls()[0]).toMatchObject({
      aor: alice.aor,
      otherParty: "sip:carol@far.example",
      startedAt: begun,
      phase: "setup",
    });
    scenario.clock.advance(3000);
    scenario.core.respond(arrived, 486);
    await sent.final();
    await until(() => scenario.edge.calls()[0]?.phase === "ended", "the end");
    expect(scenario.edge.calls()[0]).toMatchObject({ otherParty: "sip:carol@far.example", endedAt: begun + 3000 });
  });

  it("of a call to the UE the other party is who calls", async () => {
    await establishTerminating(scenario, alice, path);
    expect(scenario.edge.calls()[0]?.otherParty).toBe("sip:carol@far.example");
  });

  it("each decision has the time at which it was taken, in order", async () => {
    const begun = scenario.clock.now();
    const dialog = await establishOriginating(scenario, alice);
    scenario.clock.advance(60_000);
    const offer = scenario.core.send(dialog.byCalled("INVITE", 1, coreSdp({ version: 2 })));
    alice.respond(await alice.expect("INVITE"), 488);
    await offer.final();
    await settled();
    const times = (scenario.edge.calls()[0]?.evidence ?? []).map(({ at }) => at ?? 0);
    expect([times[0], times.at(-1)]).toEqual([begun, begun + 60_000]);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });
});

describe("TS 24.229 4.4: charging inside a dialog", () => {
  const said = ["P-Charging-Vector", 'icid-value="said-by-somebody";orig-ioi="elsewhere.example"'] as const;

  it("RFC 7315 4.6: what a UE says of charging goes no further, what the core says stays in the network, in every request and answer of a dialog", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const withSaid = (request: ReturnType<typeof dialog.byCaller>) => appendHeader(request, ...said);
    for (const [at, method] of ["INFO", "UPDATE", "MESSAGE"].entries()) {
      const ofUe = alice.send(withSaid(dialog.byCaller(method, 2 + at)));
      const atCore = await scenario.core.expect(method);
      expect(headerValue(atCore.request, "p-charging-vector") ?? "", method).not.toContain("said-by-somebody");
      scenario.core.respond(atCore, 200, { headers: [said] });
      expect(headerValue(await ofUe.final(), "p-charging-vector"), method).toBeUndefined();
      const ofCore = scenario.core.send(withSaid(dialog.byCalled(method, 1 + at)));
      const atUe = await alice.expect(method);
      expect(headerValue(atUe.request, "p-charging-vector"), method).toBeUndefined();
      alice.respond(atUe, 200, { headers: [said] });
      expect(headerValue(await ofCore.final(), "p-charging-vector") ?? "", method).not.toContain("elsewhere.example");
    }
    const bye = scenario.core.send(withSaid(dialog.byCalled("BYE", 9)));
    const end = await alice.expect("BYE");
    expect(headerValue(end.request, "p-charging-vector")).toBeUndefined();
    alice.respond(end, 200, { headers: [said] });
    expect(headerValue(await bye.final(), "p-charging-vector")).toBeUndefined();
  });
});
