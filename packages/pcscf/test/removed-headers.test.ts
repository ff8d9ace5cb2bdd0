// What of a call's headers did not cross the edge, as its evidence tells it. TS 33.328 7.2.1 and 7.3.1, RFC 3329 2.3.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendHeader } from "@sallyport/sip";
import { establishOriginating, originate } from "./support/calls.ts";
import { openScenario, type Scenario } from "./support/scenario.ts";

let scenario: Scenario;
beforeEach(async () => {
  scenario = await openScenario();
});
afterEach(() => scenario.close());

const aboutHeaders = () =>
  scenario.edge
    .calls()
    .flatMap(({ evidence }) => evidence)
    .filter(({ clause }) => clause.startsWith("RFC 3329") || clause.startsWith("RFC 3959"))
    .map(({ clause, origin, found, changed }) => ({ clause, origin, found, changed }));

const draft = [
  ["Security-Verify", "sdes-srtp;mediasec"],
  ["Require", "mediasec"],
  ["Proxy-Require", "mediasec"],
] as const;

describe("issue 3, evidence: what was removed from whom", () => {
  it("of the UE: Security-Verify and the option tag of the draft's dialect, once for each kind of request", async () => {
    const ue = await scenario.ue("alice");
    await ue.register({ dialect: "draft" });
    const { sent, arrived } = await originate(scenario, ue, { headers: draft });
    expect(aboutHeaders()).toEqual([
      {
        clause: "RFC 3329 2.3",
        origin: "access",
        found: "INVITE with security-verify, mediasec",
        changed: ["removed header security-verify", "removed option tag mediasec"],
      },
    ]);
    expect(scenario.edge.calls()[0]?.removed).toContain("removed header security-verify");
    scenario.core.respond(arrived, 486);
    await sent.final();
  });

  it("of the core: a forged Security-Server in an answer, beside what the UE sees of it: nothing", async () => {
    const ue = await scenario.ue("alice");
    await ue.register();
    const { ok } = await establishOriginating(scenario, ue, {
      headers: [
        ["Security-Server", "sdes-srtp;mediasec"],
        ["Require", "mediasec"],
      ],
    });
    expect(ok.headers.some(({ name }) => /^(?:security-server|require)$/i.test(name))).toBe(false);
    expect(aboutHeaders()).toEqual([
      {
        clause: "RFC 3329 2.3",
        origin: "core",
        found: "200 to INVITE with security-server, mediasec",
        changed: ["removed header security-server", "removed option tag mediasec"],
      },
    ]);
  });

  it("RFC 3959: early-session is told apart; many requests in a dialog leave room for what is decided", async () => {
    const ue = await scenario.ue("alice");
    await ue.register({ dialect: "draft" });
    const dialog = await establishOriginating(scenario, ue);
    const before = aboutHeaders().length;
    for (let seq = 2; seq < 12; seq += 1) {
      const marked = appendHeader(dialog.byCaller("INFO", seq), "supported", "early-session");
      const sent = ue.send(appendHeader(marked, "require", "mediasec"));
      scenario.core.respond(await scenario.core.expect("INFO"), 200);
      await sent.final();
    }
    expect(aboutHeaders().slice(before)).toEqual([
      {
        clause: "RFC 3959",
        origin: "access",
        found: "INFO with early-session",
        changed: ["removed option tag early-session"],
      },
      {
        clause: "RFC 3329 2.3",
        origin: "access",
        found: "INFO with mediasec",
        changed: ["removed option tag mediasec"],
      },
    ]);
  });

  it("nothing is told where nothing was removed", async () => {
    const ue = await scenario.ue("alice");
    await ue.register();
    await establishOriginating(scenario, ue);
    expect(aboutHeaders()).toEqual([]);
  });
});
