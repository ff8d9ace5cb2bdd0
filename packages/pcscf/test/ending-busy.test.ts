// Calls that end while the gateway is at work for them.
import { afterEach, describe, expect, it } from "vitest";
import { establishOriginating } from "./support/calls.ts";
import { openScenario, until, type Scenario } from "./support/scenario.ts";
import { crypto, ueOffer } from "./support/sdp.ts";

let scenario: Scenario | undefined;
afterEach(async () => {
  await scenario?.close();
  scenario = undefined;
});

const secondLine = [
  "m=audio 40100 RTP/SAVP 8",
  "a=rtpmap:8 PCMA/8000",
  crypto(Buffer.alloc(30, 0x2d).toString("base64")),
  "a=3ge2ae:requested",
];

describe("invariant 10: a call that ends while its gateway is at work gives its context back", () => {
  it("RFC 5057 5.1: a re-INVITE that offered another stream is answered 481", async () => {
    scenario = await openScenario();
    const { core, iq, edge } = scenario;
    const alice = await scenario.ue("alice");
    await alice.register();
    const dialog = await establishOriginating(scenario, alice);
    expect(iq.open.size).toBe(1);
    const offer = ueOffer({ version: 2, lines: secondLine });
    const sent = alice.send(dialog.byCaller("INVITE", 2, offer));
    core.respond(await core.expect("INVITE"), 481);
    expect((await sent.final()).status).toBe(481);
    await until(() => iq.open.size === 0, "the context given back");
    expect(edge.counts().contexts).toBe(0);
    expect(edge.calls()).toMatchObject([{ phase: "ended" }]);
  });
});

describe("invariant 10: a call that ends while a re-INVITE is open", () => {
  it("RFC 3261 15.1.2: the BYE ends it; the re-INVITE that nobody answers is answered here", async () => {
    scenario = await openScenario();
    const { core, iq, edge } = scenario;
    const alice = await scenario.ue("alice");
    await alice.register();
    const dialog = await establishOriginating(scenario, alice);
    const again = core.send(dialog.byCalled("INVITE", 1));
    await alice.expect("INVITE");
    const bye = alice.send(dialog.byCaller("BYE", 2));
    core.respond(await core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    expect((await again.final()).status).toBe(481);
    await until(() => iq.open.size === 0, "the context given back");
    expect(edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
  });
});
