import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerValue } from "@sallyport/sip";
import { bodyOf, establishOriginating, originate } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, keys } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;

beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  await alice.register();
});
afterEach(async () => {
  await scenario.close();
});

const foreign = /crypto|3ge2ae|inline:|security-(?:client|server|verify)|mediasec|SAVP/i;

describe("originating call", () => {
  it("TS 33.328 7.2.1 step 1, 7.2.1 step 2, 7.2.1 step 3, 7.2.1 step 7, 7.2.1 step 8: SAVP with keys outside, AVP without inside, and back with one key and applied", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    expect(textOf(arrived.request)).not.toMatch(foreign);
    expect(bodyOf(arrived.request)).toContain("m=audio 20106 RTP/AVP 8 101");
    expect(bodyOf(arrived.request)).toContain("192.0.2.10");
    scenario.core.respond(arrived, 200, { headers: [["Contact", "<sip:carol@127.0.0.1>"]], body: coreSdp() });
    const ok = await sent.final();
    expect(ok.status).toBe(200);
    const answer = bodyOf(ok);
    expect(answer).toContain("m=audio 20104 RTP/SAVP 8 101");
    expect(answer).toContain("198.51.100.5");
    expect(answer.match(/a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:/g)).toHaveLength(1);
    expect(answer.match(/a=3ge2ae:applied/g)).toHaveLength(1);
    expect(answer).not.toContain(keys.k11);
  });

  it("invariant 6: both keys are acknowledged by the gateway before the answer is sent to the UE", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    expect(scenario.iq.timeline).toEqual(["add sent", "add acknowledged"]);
    scenario.iq.hold();
    scenario.core.respond(arrived, 200, { headers: [["Contact", "<sip:carol@127.0.0.1>"]], body: coreSdp() });
    await until(() => scenario.iq.timeline.includes("modify sent"), "modify");
    await settled();
    expect(sent.responses.all.filter(({ status }) => status >= 180)).toEqual([]);
    scenario.iq.release();
    await sent.final();
    expect(scenario.iq.timeline).toEqual(["add sent", "add acknowledged", "modify sent", "modify acknowledged"]);
    const [stream] = scenario.iq.commands[1]?.streams ?? [];
    expect(stream?.access?.remoteCrypto?.keys[0]?.master.length).toBe(30);
    expect(stream?.access?.localCrypto?.keys[0]?.master.length).toBe(30);
  });

  it("invariant 10: BYE of the UE ends the call on both sides and subtracts the context", async () => {
    const dialog = await establishOriginating(scenario, alice);
    expect(scenario.edge.counts()).toMatchObject({ calls: 1, contexts: 1 });
    const bye = alice.send(dialog.byCaller("BYE", 2));
    const atCore = await scenario.core.expect("BYE");
    scenario.core.respond(atCore, 200);
    expect((await bye.final()).status).toBe(200);
    await until(() => scenario.iq.open.size === 0, "subtract");
    expect(scenario.edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
    expect(scenario.edge.calls()[0]).toMatchObject({
      phase: "ended",
      security: "e2ae",
      reason: "secured",
      ended: { reason: "bye" },
    });
  });

  it("RFC 3325 9.1: a registered identity is asserted in the place of the UE's preference", async () => {
    const { arrived } = await originate(scenario, alice, {
      headers: [
        ["P-Preferred-Identity", "<sip:mallory@home.example>"],
        ["P-Asserted-Identity", "<sip:mallory@home.example>"],
      ],
    });
    expect(headerValue(arrived.request, "p-asserted-identity")).toBe(`<${alice.aor}>`);
    expect(headerValue(arrived.request, "p-preferred-identity")).toBeUndefined();
  });
});
