// Calls that end while the gateway is at work for them.
import { afterEach, describe, expect, it } from "vitest";
import { headerValue } from "@sallyport/sip";
import { dialogOf, establishOriginating, originate } from "./support/calls.ts";
import { openScenario, settled, until, type Scenario } from "./support/scenario.ts";
import { coreSdp, crypto, ueAnswer, ueOffer } from "./support/sdp.ts";

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

describe("RFC 3261 12.2.2: what waits behind the end of its call", () => {
  it("is answered 481 when the gateway's reply lets the end through first, and nothing is left", async () => {
    scenario = await openScenario();
    const { core, iq, edge, clock } = scenario;
    const alice = await scenario.ue("alice");
    await alice.register();
    const idle = edge.counts().transactions;
    const invite = alice.request("INVITE", "sip:carol@far.example");
    const sent = alice.send(invite);
    const arrived = await core.expect("INVITE");
    const contact = ["Contact", `<sip:core@127.0.0.1:${core.port};transport=tcp>`] as const;
    core.respond(arrived, 200, { headers: [contact], body: coreSdp(), tag: "late" });
    const dialog = dialogOf(invite, arrived.request, await sent.final());
    const bye = alice.send(dialog.byCaller("BYE", 2));
    const ended = await core.expect("BYE");
    iq.hold();
    await alice.ack(dialog.byCaller("ACK", 1, ueAnswer()));
    await until(() => edge.calls()[0]?.phase === "confirmed", "the answer at the gateway");
    await settled();
    core.respond(ended, 200);
    const again = core.send(dialog.byCalled("INVITE", 1));
    await until(() => {
      clock.advance(20);
      return core.wire.some(({ direction, text }) => direction === "in" && text.startsWith("SIP/2.0 100"));
    }, "the re-INVITE in its turn");
    iq.release();
    expect((await bye.final()).status).toBe(200);
    expect((await again.final()).status).toBe(481);
    await until(() => iq.open.size === 0, "the context given back");
    clock.advance(200_000);
    await settled();
    expect(edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
    expect(edge.counts().transactions).toBeLessThanOrEqual(idle);
  });
});

describe("RFC 3261 13.2.2.4: another fork answers when the call has long begun", () => {
  it("its answer is not taken for that of an open re-INVITE; it gets ACK and BYE, and the call goes on", async () => {
    scenario = await openScenario();
    const { core, iq, edge } = scenario;
    const alice = await scenario.ue("alice");
    await alice.register();
    const { sent, arrived } = await originate(scenario, alice);
    const contact = ["Contact", `<sip:core@127.0.0.1:${core.port};transport=tcp>`] as const;
    core.respond(arrived, 200, { headers: [contact], body: coreSdp(), tag: "first" });
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, await sent.final());
    await alice.ack(dialog.byCaller("ACK", 1));
    await core.acks.next();
    const again = alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    const reinvite = await core.expect("INVITE");
    core.respond(arrived, 200, { headers: [contact], body: coreSdp({ port: 7000 }), tag: "second" });
    core.respond(reinvite, 200, { headers: [contact], body: coreSdp({ version: 2 }) });
    expect((await again.final()).status).toBe(200);
    await alice.ack(dialog.byCaller("ACK", 2));
    const bye = await core.expect("BYE");
    expect(headerValue(bye.request, "to")).toContain("second");
    core.respond(bye, 200);
    expect(edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
    const end = alice.send(dialog.byCaller("BYE", 3));
    core.respond(await core.expect("BYE"), 200);
    expect((await end.final()).status).toBe(200);
    await until(() => iq.open.size === 0, "the context given back");
    expect(edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
  });

  it("invariant 10: it does not wait behind a re-INVITE that is never answered: it gets ACK and BYE, and nothing is left", async () => {
    scenario = await openScenario();
    const { core, iq, edge, clock } = scenario;
    const alice = await scenario.ue("alice");
    await alice.register();
    const { sent, arrived } = await originate(scenario, alice);
    const contact = ["Contact", `<sip:core@127.0.0.1:${core.port};transport=tcp>`] as const;
    core.respond(arrived, 200, { headers: [contact], body: coreSdp(), tag: "first" });
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, await sent.final());
    await alice.ack(dialog.byCaller("ACK", 1));
    await core.acks.next();
    alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    await core.expect("INVITE");
    core.respond(arrived, 200, { headers: [contact], body: coreSdp({ port: 7000 }), tag: "second" });
    const bye = await core.expect("BYE");
    expect(headerValue(bye.request, "to")).toContain("second");
    core.respond(bye, 200);
    const end = alice.send(dialog.byCaller("BYE", 3));
    core.respond(await core.expect("BYE"), 200);
    expect((await end.final()).status).toBe(200);
    clock.advance(200_000);
    await until(() => iq.open.size === 0, "the context given back");
    expect(edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
  });
});

describe("RFC 3261 13.3.1.4: a caller who never acknowledges", () => {
  it("is not taken for one who has, when the other end's ACK of its own INVITE bears the same number", async () => {
    scenario = await openScenario();
    const { core, iq, edge, clock } = scenario;
    const alice = await scenario.ue("alice");
    await alice.register();
    const { sent, arrived } = await originate(scenario, alice);
    const contact = ["Contact", `<sip:core@127.0.0.1:${core.port};transport=tcp>`] as const;
    core.respond(arrived, 200, { headers: [contact], body: coreSdp(), tag: "callee" });
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, await sent.final());
    const again = core.send(dialog.byCalled("INVITE", 1, coreSdp({ version: 2 })));
    const offered = await alice.expect("INVITE");
    alice.respond(offered, 200, { headers: [["Contact", `<sip:alice@127.0.0.1:${alice.port}>`]], body: ueAnswer() });
    expect((await again.final()).status).toBe(200);
    await core.ack(dialog.byCalled("ACK", 1));
    await alice.acks.next();
    clock.advance(33_000);
    for (const end of [alice, core]) end.respond(await end.expect("BYE"), 200);
    await until(() => iq.open.size === 0, "the context given back");
    expect(edge.calls()).toMatchObject([{ ended: { reason: "no-acknowledgement" } }]);
  });
});
