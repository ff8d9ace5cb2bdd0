import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRequest, headerValue, setHeader, tagOf, type SipRequest } from "@sallyport/sip";
import { bodyOf, dialogOf, establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keys, sdp, ueAnswer, ueOffer } from "./support/sdp.ts";

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

const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
const keyTowardsUe = (body: string): string | undefined => /a=crypto:\d+ \S+ inline:(\S+)/.exec(body)?.[1];
const nothingForeign = (text: string): void =>
  expect(text).not.toMatch(/crypto|3ge2ae|inline:|SAVP|mediasec|security-/i);

describe("re-INVITE and UPDATE", () => {
  it("RFC 4568 7.1.4: an unchanged re-offer of the UE keeps both keys, and goes to the core in the clear", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const before = keyTowardsUe(bodyOf(dialog.ok));
    const sent = alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    const arrived = await scenario.core.expect("INVITE");
    nothingForeign(textOf(arrived.request));
    scenario.core.respond(arrived, 200, {
      headers: [coreContact()],
      body: coreSdp({ version: 2 }),
      tag: tagOf(dialog.ok, "to") ?? "",
    });
    const ok = await sent.final();
    expect(keyTowardsUe(bodyOf(ok))).toBe(before);
    await alice.ack(dialog.byCaller("ACK", 2));
    await scenario.core.acks.next();
    expect(scenario.iq.open.size).toBe(1);
  });

  it("RFC 4568 7.1.4: a new key of the UE reaches the gateway before the answer goes back", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const count = scenario.iq.commands.length;
    const body = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keys.k22, 3), "a=3ge2ae:requested"] });
    const sent = alice.send(dialog.byCaller("INVITE", 2, body));
    const arrived = await scenario.core.expect("INVITE");
    scenario.iq.hold();
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    await until(() => scenario.iq.commands.length > count, "the new key");
    await settled();
    expect(sent.responses.all.some(({ status }) => status >= 180)).toBe(false);
    scenario.iq.release();
    expect((await sent.final()).status).toBe(200);
    const [stream] = scenario.iq.commands.at(-1)?.streams ?? [];
    expect(stream?.access?.remoteCrypto?.tag).toBe(3);
  });

  it("RFC 3261 14.1: a failed re-INVITE leaves the call as it was, and its SDP shows no key to anybody", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const body = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keys.k22, 3), "a=3ge2ae:requested"] });
    const sent = alice.send(dialog.byCaller("INVITE", 2, body));
    const arrived = await scenario.core.expect("INVITE");
    scenario.core.respond(arrived, 488, { body: coreSdp({ lines: ["a=3ge2ae:applied", crypto(keys.forged)] }) });
    const refused = await sent.final();
    expect(refused.status).toBe(488);
    expect(bodyOf(refused)).not.toMatch(/3ge2ae|crypto/);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
    expect(scenario.iq.open.size).toBe(1);
  });

  it("TS 33.328 7.3.1: a re-offer of the core is made to the UE with the key in force", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const sent = scenario.core.send(dialog.byCalled("INVITE", 1, coreSdp({ version: 2, lines: ["a=sendonly"] })));
    const arrived = await alice.expect("INVITE");
    expect(bodyOf(arrived.request)).toContain("RTP/SAVP");
    expect(bodyOf(arrived.request)).toContain(keyTowardsUe(bodyOf(dialog.ok)) ?? "no key");
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer(1, { version: 3 }) });
    nothingForeign(bodyOf(await sent.final()));
  });

  it("RFC 3311 5.1: UPDATE carries offer and answer through the same rules", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const sent = alice.send(dialog.byCaller("UPDATE", 2, ueOffer({ version: 2 })));
    const arrived = await scenario.core.expect("UPDATE");
    nothingForeign(textOf(arrived.request));
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    expect(bodyOf(await sent.final())).toContain("a=3ge2ae:applied");
  });

  it("RFC 3261 14.2: an offer while the other side's is open is refused with 491", async () => {
    const dialog = await establishOriginating(scenario, alice);
    alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    const open = await scenario.core.expect("INVITE");
    const glare = await scenario.core.send(dialog.byCalled("INVITE", 1, coreSdp({ version: 2 }))).final();
    expect(glare.status).toBe(491);
    scenario.core.respond(open, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
  });

  it("RFC 3261 12.2.2: a request of a dialog nobody knows is answered 481", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const other = setHeader(dialog.byCaller("UPDATE", 3, ueOffer()), "to", "<sip:carol@far.example>;tag=else");
    expect((await alice.send(other).final()).status).toBe(481);
  });

  it("TS 24.229 5.2.6: another UE of the same edge cannot speak in the dialog", async () => {
    const mallory = await scenario.ue("mallory");
    await mallory.register();
    const dialog = await establishOriginating(scenario, alice);
    expect((await mallory.send(dialog.byCaller("BYE", 2)).final()).status).toBe(403);
    expect(scenario.edge.counts().calls).toBe(1);
  });
});

describe("offers in responses, early media, forking", () => {
  it("TS 33.328 7.2.1 step 1, 7.2.1 step 3, 7.2.1 step 8: by the direction of the SDP, an offerless INVITE of the core, offer in the 2xx, answer in the ACK", async () => {
    const invite = coreRequest(scenario.core, "INVITE", alice.contact, { route: [path] });
    const sent = scenario.core.send(invite);
    const arrived = await alice.expect("INVITE");
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueOffer() });
    const ok = await sent.final();
    nothingForeign(bodyOf(ok));
    expect(bodyOf(ok)).toContain("RTP/AVP");
    const dialog = dialogOf(invite, arrived.request, ok);
    scenario.iq.hold();
    const count = scenario.iq.commands.length;
    await scenario.core.ack(dialog.byCaller("ACK", 1, coreSdp()));
    await until(() => scenario.iq.commands.length > count, "keys");
    await settled();
    expect(alice.acks.all).toEqual([]);
    scenario.iq.release();
    const ack = await alice.acks.next();
    expect(bodyOf(ack)).toContain("a=3ge2ae:applied");
    expect(scenario.edge.calls()).toMatchObject([{ security: "e2ae" }]);
  });

  it("TS 33.328 7.3.1 step 4, 7.3.1 step 7: by the direction of the SDP, an offerless INVITE of the UE, offer in the 2xx, answer in the ACK", async () => {
    const { sent, arrived } = await originate(scenario, alice, { body: "" });
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp() });
    const ok = await sent.final();
    expect(bodyOf(ok)).toMatch(/RTP\/SAVP[\s\S]*a=3ge2ae:applied/);
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
    await alice.ack(dialog.byCaller("ACK", 1, ueAnswer()));
    const ack = await scenario.core.acks.next();
    nothingForeign(bodyOf(ack));
    expect(scenario.edge.calls()).toMatchObject([{ security: "e2ae" }]);
  });

  it("RFC 6337 2.1: an offerless INVITE answered by nobody's ACK SDP ends the call", async () => {
    const invite = coreRequest(scenario.core, "INVITE", alice.contact, { route: [path] });
    const sent = scenario.core.send(invite);
    const arrived = await alice.expect("INVITE");
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueOffer() });
    const ok = await sent.final();
    await scenario.core.ack(dialogOf(invite, arrived.request, ok).byCaller("ACK", 1));
    await alice.expect("BYE");
    await scenario.core.expect("BYE");
    await until(() => scenario.iq.open.size === 0, "subtract");
  });

  it("TS 33.328 7.2.1 step 8: early media and final answer of one dialog show the same key", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    const early = await sent.responses.next(({ status }) => status === 183);
    expect(bodyOf(early)).toContain("a=3ge2ae:applied");
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    const ok = await sent.final();
    expect(keyTowardsUe(bodyOf(ok))).toBe(keyTowardsUe(bodyOf(early)));
  });

  it("RFC 3261 13.2.1: an early answer stands when the 2xx repeats no SDP", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    await sent.responses.next(({ status }) => status === 183);
    scenario.core.respond(arrived, 200, { headers: [coreContact()], tag: "one" });
    const ok = await sent.final();
    expect([ok.status, bodyOf(ok)]).toEqual([200, ""]);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
    // The exchange is complete: another offer may follow.
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
    await alice.ack(dialog.byCaller("ACK", 1));
    alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    expect(bodyOf((await scenario.core.expect("INVITE")).request)).toContain("RTP/AVP");
  });

  it("invariant 6: a 2xx without SDP waits until the gateway is back at what its early dialog agreed on", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    for (const [tag, port] of [
      ["one", 6000],
      ["two", 7000],
    ] as const) {
      scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp({ port }), tag });
      await sent.responses.next(({ status }) => status === 183);
    }
    const count = scenario.iq.commands.length;
    scenario.iq.hold();
    scenario.core.respond(arrived, 200, { headers: [coreContact()], tag: "one" });
    await until(() => scenario.iq.commands.length > count, "the way back");
    await settled();
    expect(sent.responses.all.some(({ status }) => status === 200)).toBe(false);
    scenario.iq.release();
    expect((await sent.final()).status).toBe(200);
    expect(scenario.iq.commands.at(-1)?.streams[0]?.core?.remote?.port).toBe(6000);
  });

  it("RFC 3261 13.2.2.4 with TS 33.328 7.2.1: two early dialogs of a fork, the second wins", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    await sent.responses.next(({ status }) => status === 183);
    scenario.core.respond(arrived, 183, {
      headers: [coreContact()],
      body: coreSdp({ address: "192.0.2.88", port: 7000 }),
      tag: "two",
    });
    await sent.responses.next(({ status }) => status === 183);
    scenario.core.respond(arrived, 200, {
      headers: [coreContact()],
      body: coreSdp({ address: "192.0.2.88", port: 7000 }),
      tag: "two",
    });
    const ok = await sent.final();
    expect(tagOf(ok, "to")).toBe("two");
    const [stream] = scenario.iq.commands.findLast(({ kind }) => kind === "modify")?.streams ?? [];
    expect(stream?.core?.remote).toMatchObject({ address: "192.0.2.88", port: 7000 });
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
    await alice.ack(dialog.byCaller("ACK", 1));
    const bye = alice.send(dialog.byCaller("BYE", 2));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await bye.final();
    await until(() => scenario.iq.open.size === 0, "subtract");
  });

  it("RFC 3262 with RFC 6337 2.1: offer in a reliable 183, answer in PRACK", async () => {
    const invite = coreRequest(scenario.core, "INVITE", alice.contact, { route: [path] });
    const sent = scenario.core.send(invite);
    const arrived = await alice.expect("INVITE");
    alice.respond(arrived, 183, {
      headers: [
        ["Contact", `<${alice.contact}>`],
        ["Require", "100rel"],
        ["RSeq", "1"],
      ],
      body: ueOffer(),
    });
    const early = await sent.responses.next(({ status }) => status === 183);
    nothingForeign(bodyOf(early));
    const dialog = dialogOf(invite, arrived.request, early);
    const prack = scenario.core.send(dialog.byCaller("PRACK", 2, coreSdp()));
    const atUe = await alice.expect("PRACK");
    expect(bodyOf(atUe.request)).toContain("a=3ge2ae:applied");
    alice.respond(atUe, 200);
    expect((await prack.final()).status).toBe(200);
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]] });
    expect((await sent.final()).status).toBe(200);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
  });

  it("RFC 3261 13.3.1.4: a repeated 2xx passes with the same body and asks nothing of the gateway", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    const answer = { headers: [coreContact()], body: coreSdp(), tag: "one" };
    scenario.core.respond(arrived, 200, answer);
    const first = await sent.responses.next(({ status }) => status === 200);
    const count = scenario.iq.commands.length;
    scenario.core.respond(arrived, 200, answer);
    const second = await sent.responses.next(({ status }) => status === 200);
    expect(bodyOf(second)).toBe(bodyOf(first));
    expect(scenario.iq.commands).toHaveLength(count);
  });

  it("invariant 6: what arrives while the gateway works waits its turn, in order", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.iq.hold();
    scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    await until(() => scenario.iq.timeline.at(-1) === "modify sent", "modify");
    scenario.core.respond(arrived, 180, { headers: [coreContact()], tag: "one" });
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    await settled();
    expect(sent.responses.all).toEqual([]);
    scenario.iq.release();
    await sent.final();
    expect(sent.responses.all.map(({ status }) => status)).toEqual([183, 180, 200]);
  });
});

describe("what a UE may ask for", () => {
  const refusedWith = async (ue: TestUe, body: string): Promise<number> =>
    (await ue.send(ue.request("INVITE", "sip:carol@far.example", { body, callId: `refused ${body.length}` })).final())
      .status;

  it("TS 33.328 6.2.1.2: SDES over clear signalling is refused, and its keys go nowhere", async () => {
    const clear = await scenario.ue("carol", { listener: 2 });
    await clear.register();
    expect(await refusedWith(clear, ueOffer())).toBe(488);
    expect(scenario.core.requests.all.filter(({ request }) => request.method === "INVITE")).toEqual([]);
  });

  it("TS 33.328 7.2.1 step 3: no suite in common is refused with 488, never sent on in the clear", async () => {
    const body = sdp({
      protocol: "RTP/SAVP",
      lines: [crypto(keys.k11, 1, "F8_128_HMAC_SHA1_80"), "a=3ge2ae:requested"],
    });
    expect(await refusedWith(alice, body)).toBe(488);
    expect(scenario.edge.calls()).toMatchObject([{ reason: "no-common-suite" }]);
  });

  it("TS 33.328 7.2.1 step 2: without the indication SRTP is end to end and passes byte for byte (invariant 9)", async () => {
    const body = sdp({ protocol: "RTP/SAVP", lines: [crypto(keys.e2e)] });
    const { arrived } = await originate(scenario, alice, { body });
    expect(bodyOf(arrived.request)).toBe(body);
    expect(scenario.iq.commands).toEqual([]);
  });

  it("RFC 3261 18.3: SDP nobody can read is refused with 400", async () => {
    expect(await refusedWith(alice, "v=0\r\nthis is no SDP\r\n")).toBe(400);
  });

  it("RFC 5621 3: SDP inside multipart is edited in place, the other parts stay", async () => {
    const multipart = [
      "--b",
      "Content-Type: application/sdp",
      "",
      ueOffer(),
      "--b",
      "Content-Type: application/pidf+xml",
      "",
      "<presence a=crypto/>",
      "--b--",
      "",
    ].join("\r\n");
    const sent = alice.send(
      alice.request("INVITE", "sip:carol@far.example", { body: multipart, type: 'multipart/mixed; boundary="b"' }),
    );
    const { request } = await scenario.core.expect("INVITE");
    expect(bodyOf(request)).not.toMatch(/inline:|3ge2ae|SAVP/);
    expect(bodyOf(request)).toContain(
      "\r\n--b\r\nContent-Type: application/pidf+xml\r\n\r\n<presence a=crypto/>\r\n--b--\r\n",
    );
    expect(Number(headerValue(request, "content-length"))).toBe(request.body.length);
    void sent;
  });

  it("TS 33.328 7.2.1 (b): SDP in OPTIONS and its answer carries no key and no indication on", async () => {
    const sent = alice.send(alice.request("OPTIONS", "sip:carol@far.example", { body: ueOffer() }));
    const arrived = await scenario.core.expect("OPTIONS");
    expect(textOf(arrived.request)).not.toMatch(/inline:|3ge2ae/);
    scenario.core.respond(arrived, 200, { body: coreSdp({ lines: ["a=3ge2ae:applied"] }) });
    expect(bodyOf(await sent.final())).not.toContain("3ge2ae");
  });
});

describe("limits", () => {
  it("a UE has a bounded number of calls", async () => {
    await scenario.close();
    scenario = await openScenario({ change: (config) => ({ ...config, limits: { maxCallsPerBinding: 2 } }) });
    alice = await scenario.ue("alice");
    await alice.register();
    const invite = (callId: string): SipRequest =>
      alice.request("INVITE", "sip:carol@far.example", { callId, body: ueOffer() });
    for (const callId of ["a", "b"]) {
      alice.send(invite(callId));
      await scenario.core.expect("INVITE");
    }
    const refused = await alice.send(invite("c")).final();
    expect([refused.status, headerValue(refused, "retry-after")]).toEqual([503, "10"]);
  });

  it("RFC 3327: what the core sends back without a Path is nobody's, and is not forwarded again", async () => {
    const { arrived } = await originate(scenario, alice);
    const again = createRequest({
      method: "INVITE",
      uri: arrived.request.uri,
      headers: arrived.request.headers.map(({ name, value }) => [name, value] as const),
      body: arrived.request.body,
    });
    const refused = await scenario.core.send(again).final();
    expect(refused.status).toBe(404);
    await establishTerminating(scenario, alice, path, { callId: "another" });
  });
});
