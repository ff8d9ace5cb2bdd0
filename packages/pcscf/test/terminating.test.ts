import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue, setHeader } from "@sallyport/sip";
import { bodyOf, dialogOf, establishTerminating } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keys, sdp, ueAnswer, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let bob: TestUe;
let path: string;

beforeEach(async () => {
  scenario = await openScenario();
  bob = await scenario.ue("bob");
  ({ path } = await bob.register());
});
afterEach(async () => {
  await scenario.close();
});

const invite = (
  body: string,
  options: { readonly type?: string; readonly headers?: readonly (readonly [string, string])[] } = {},
) => coreRequest(scenario.core, "INVITE", bob.contact, { route: [path], body, ...options });

describe("terminating call", () => {
  it("TS 33.328 7.3.1 step 2, 7.3.1 step 3, 7.3.1 step 4, 7.3.1 step 6, 7.3.1 step 7: AVP inside, SAVP with K21 and applied outside, K22 kept from the core", async () => {
    const { offered, answered } = await establishTerminating(scenario, bob, path);
    expect(offered).toContain("m=audio 20104 RTP/SAVP 8 101");
    expect(offered.match(/a=crypto:\d AES_CM_128_HMAC_SHA1_(?:80|32) inline:[A-Za-z0-9+/]{40}\r\n/g)).toHaveLength(2);
    expect(offered.match(/a=3ge2ae:applied/g)).toHaveLength(1);
    expect(answered).toContain("m=audio 20106 RTP/AVP 8 101");
    expect(answered).not.toMatch(/crypto|3ge2ae|inline|SAVP/);
    expect(scenario.edge.calls()).toMatchObject([
      { direction: "terminating", security: "e2ae", phase: "confirmed", aor: bob.aor },
    ]);
  });

  it("invariant 6: K21 and K22 are acknowledged by the gateway before the answer goes to the core", async () => {
    const sent = scenario.core.send(invite(coreSdp()));
    const arrived = await bob.expect("INVITE");
    scenario.iq.hold();
    bob.respond(arrived, 200, { headers: [["Contact", `<${bob.contact}>`]], body: ueAnswer() });
    await until(() => scenario.iq.timeline.includes("modify sent"), "modify");
    await settled();
    expect(sent.responses.all.filter(({ status }) => status >= 180)).toEqual([]);
    scenario.iq.release();
    expect((await sent.final()).status).toBe(200);
  });

  it("TS 33.328 7.3.1 (b): an indication and keys inserted by the core never reach the UE", async () => {
    const sent = scenario.core.send(
      invite(coreSdp({ lines: ["a=3ge2ae:applied", crypto(keys.forged)] }), {
        headers: [
          ["Security-Server", "forged;mediasec"],
          ["Require", "mediasec"],
          ["P-Charging-Vector", "icid-value=1"],
        ],
      }),
    );
    const { request } = await bob.expect("INVITE");
    expect(bodyOf(request).match(/3ge2ae/g)).toHaveLength(1);
    expect(textOf(request)).not.toContain(keys.forged);
    expect(textOf(request)).not.toMatch(/security-server|mediasec|p-charging/i);
    expect(scenario.edge.counters().filter(({ name }) => name === "indications_removed_total")).toEqual(
      expect.arrayContaining([expect.objectContaining({ labels: { kind: "3ge2ae", from: "core" } })]),
    );
    void sent;
  });

  it("TS 33.328 7.3.1 (a): NOTE, SRTP offered by the core is end to end and passes byte for byte (invariant 9)", async () => {
    const offer = sdp({ address: "192.0.2.77", protocol: "RTP/SAVP", lines: [crypto(keys.e2e)] });
    const sent = scenario.core.send(invite(offer));
    const arrived = await bob.expect("INVITE");
    expect(bodyOf(arrived.request)).toBe(offer);
    expect(scenario.iq.commands).toEqual([]);
    const answer = sdp({ protocol: "RTP/SAVP", lines: [crypto(keys.k22)] });
    bob.respond(arrived, 200, { headers: [["Contact", `<${bob.contact}>`]], body: answer });
    expect(bodyOf(await sent.final())).toBe(answer);
    expect(scenario.edge.calls()).toMatchObject([{ security: "e2e", reason: "e2e-offered" }]);
  });

  it("TS 33.328 7.3.1 step 3: a UE that announced nothing gets the offer as it came", async () => {
    const carol = await scenario.ue("carol");
    const registration = await carol.register({ dialect: "none" });
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", carol.contact, { route: [registration.path], body: coreSdp() }),
    );
    const arrived = await carol.expect("INVITE");
    expect(bodyOf(arrived.request)).toBe(coreSdp());
    carol.respond(arrived, 200, { headers: [["Contact", `<${carol.contact}>`]], body: sdp() });
    expect(bodyOf(await sent.final())).toBe(sdp());
    expect(scenario.iq.commands).toEqual([]);
    expect(scenario.edge.calls()).toMatchObject([{ security: "none", reason: "ue-not-capable" }]);
  });

  it("TS 33.328 7.3.1 step 5: an answer in the clear ends the call; ACK and BYE to the UE, 488 to the core, which hears why (RFC 3261 20.43)", async () => {
    const sent = scenario.core.send(invite(coreSdp()));
    const arrived = await bob.expect("INVITE");
    bob.respond(arrived, 200, { headers: [["Contact", `<${bob.contact}>`]], body: sdp() });
    const refusal = await sent.final();
    expect(refusal.status).toBe(488);
    expect(headerValue(refusal, "warning")).toMatch(/^399 \S+ "[a-z -]+"$/);
    await bob.acks.next();
    const bye = await bob.expect("BYE");
    expect(headerValue(bye.request, "reason")).toContain("488");
    bob.respond(bye, 200);
    await until(() => scenario.iq.open.size === 0, "subtract");
  });

  it("RFC 3261 16.4 and 12.2.1.1: both ends stay on the Record-Route of the edge, each on its own side", async () => {
    const dialog = await establishTerminating(scenario, bob, path, {
      headers: [["Record-Route", `<sip:127.0.0.1:${scenario.core.port};transport=tcp;lr>`]],
    });
    const atUe = headerList(dialog.invite, "record-route");
    expect(atUe).toHaveLength(3);
    expect(atUe[0]).toContain(`:${scenario.edge.access[0]?.port};transport=tcp;lr`);
    expect(atUe[1]).toContain(`:${scenario.edge.core[0]?.port};transport=tcp;lr`);
    const bye = bob.send(dialog.byCalled("BYE", 1));
    const arrived = await scenario.core.expect("BYE");
    expect(headerList(arrived.request, "route")).toEqual([`<sip:127.0.0.1:${scenario.core.port};transport=tcp;lr>`]);
    scenario.core.respond(arrived, 200);
    expect((await bye.final()).status).toBe(200);
    await until(() => scenario.iq.open.size === 0, "subtract");
  });

  it("RFC 3261 16.6 step 2: the Request-URI towards the UE keeps parameters nobody knows (line=)", async () => {
    scenario.core.send(invite(coreSdp()));
    expect((await bob.expect("INVITE")).request.uri).toBe(bob.contact);
  });

  it("RFC 3261 16.3 step 3: Max-Forwards 0 is refused with 483", async () => {
    const refused = await scenario.core.send(setHeader(invite(coreSdp()), "max-forwards", "0")).final();
    expect(refused.status).toBe(483);
  });

  it("RFC 3325 7: an identity the caller wants kept private does not reach the UE", async () => {
    scenario.core.send(
      invite(coreSdp(), {
        headers: [
          ["P-Asserted-Identity", "<sip:carol@far.example>"],
          ["Privacy", "id"],
        ],
      }),
    );
    expect(headerValue((await bob.expect("INVITE")).request, "p-asserted-identity")).toBeUndefined();
  });
});

describe("the same Call-ID twice through one edge", () => {
  it("TS 33.328 4.2.2: both parties behind one edge are two legs, both secured, and end on their own", async () => {
    const alice = await scenario.ue("alice");
    await alice.register();
    const { core } = scenario;
    const callId = "one-call-id";
    const sent = alice.send(alice.request("INVITE", "sip:bob@home.example", { callId, body: ueOffer() }));
    const first = await core.expect("INVITE");
    // The core sends the very call back to the callee's Path: same Call-ID, same tags, same CSeq.
    const same = { from: headerValue(first.request, "from") ?? "", to: headerValue(first.request, "to") ?? "" };
    const back = core.send(
      coreRequest(core, "INVITE", bob.contact, { callId, route: [path], body: bodyOf(first.request), ...same }),
    );
    const atBob = await bob.expect("INVITE");
    expect(bodyOf(atBob.request)).toContain("RTP/SAVP");
    bob.respond(atBob, 200, { headers: [["Contact", `<${bob.contact}>`]], body: ueAnswer() });
    const inner = await back.final();
    core.respond(first, 200, {
      headers: [["Contact", `<sip:bob@127.0.0.1:${core.port};transport=tcp>`]],
      body: bodyOf(inner),
      tag: "bob-tag",
    });
    const outer = await sent.final();
    expect(bodyOf(outer)).toContain("a=3ge2ae:applied");
    expect(scenario.edge.counts()).toMatchObject({ calls: 2, contexts: 2 });
    expect(new Set(scenario.edge.calls().map((call) => `${call.direction} ${call.callId} ${call.security}`))).toEqual(
      new Set([`originating ${callId} e2ae`, `terminating ${callId} e2ae`]),
    );
    const dialog = dialogOf(alice.request("INVITE", "sip:bob@home.example", { callId }), first.request, outer);
    await alice.ack(dialog.byCaller("ACK", 1));
    // Inside each dialog a request finds its own leg.
    const innerDialog = dialogOf(first.request, atBob.request, inner);
    core.send(innerDialog.byCaller("INFO", 2));
    bob.respond(await bob.expect("INFO"), 200);
    const bye = alice.send(dialog.byCaller("BYE", 2));
    core.respond(await core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await until(() => scenario.iq.open.size === 1, "one leg gone");
    expect(scenario.edge.calls()[0]).toMatchObject({ direction: "terminating", phase: "confirmed" });
  });
});
