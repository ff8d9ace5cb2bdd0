// A gateway is lost before the answer: what can be moved by UPDATE is moved, the rest ends cleanly. RFC 3311 5, TS 33.328 4.2.2.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRequest, headerList, headerValue, type ServerTransaction, type SipResponse } from "@sallyport/sip";
import { bodyOf, contactUri, dialogOf, originate } from "./support/calls.ts";
import type { Peer, Sent } from "./support/peer.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer, ueOffer } from "./support/sdp.ts";

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

const lose = (): void =>
  scenario.iq.notify((context) => ({ kind: "context-lost", gateway: context.gateway, context, reason: "silence" }));
const keyIn = (text: string): string => /a=crypto:\d+ \S+ inline:([A-Za-z0-9+/=]+)/.exec(text)?.[1] ?? "";
const portIn = (text: string): number => Number(/^m=audio (\d+)/m.exec(text)?.[1]);
const seqOf = (transaction: ServerTransaction): number =>
  Number.parseInt(headerValue(transaction.request, "cseq") ?? "", 10);
const allow = ["Allow", "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE"] as const;
const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
const reliable = [
  ["Require", "100rel"],
  ["RSeq", "1"],
] as const;

interface Ringing {
  readonly sent: Sent;
  /** What the called side got. */
  readonly arrived: ServerTransaction;
  /** What the caller was told early. */
  readonly early: SipResponse;
  readonly called: Peer;
  readonly calledContact: readonly [string, string];
}

/** PRACK of the caller in the early dialog, answered. */
const acknowledge = async (
  caller: Peer,
  called: Peer,
  early: SipResponse,
  contact: string,
  seq: number,
  rack: string,
) => {
  const prack = createRequest({
    method: "PRACK",
    uri: contactUri(early),
    headers: [
      ...headerList(early, "record-route")
        .toReversed()
        .filter((route) => !route.includes(`:${scenario.core.port}`))
        .map((route) => ["Route", route] as const),
      ["Max-Forwards", "70"],
      ["From", headerValue(early, "from") ?? ""],
      ["To", headerValue(early, "to") ?? ""],
      ["Call-ID", headerValue(early, "call-id") ?? ""],
      ["CSeq", `${seq} PRACK`],
      ["RAck", rack],
      ["Contact", `<${contact}>`],
    ],
  });
  const sent = caller.send(prack);
  const arrived = await called.expect("PRACK");
  called.respond(arrived, 200);
  expect((await sent.final()).status).toBe(200);
  return arrived;
};

const ringOut = async (more: { readonly allows?: boolean; readonly tag?: string } = {}): Promise<Ringing> => {
  const { sent, arrived } = await originate(scenario, alice, { headers: [allow, ["Supported", "100rel"]] });
  const headers = [coreContact(), ...reliable, ...(more.allows === false ? [] : [allow])];
  scenario.core.respond(arrived, 183, {
    headers,
    body: coreSdp(),
    ...(more.tag === undefined ? {} : { tag: more.tag }),
  });
  const early = await sent.responses.next(({ status }) => status === 183);
  return { sent, arrived, early, called: scenario.core, calledContact: coreContact() };
};

const ringIn = async (): Promise<Ringing> => {
  const sent = scenario.core.send(
    coreRequest(scenario.core, "INVITE", alice.contact, {
      route: [path],
      body: coreSdp(),
      headers: [allow, ["Supported", "100rel"]],
    }),
  );
  const arrived = await alice.expect("INVITE");
  const contact = ["Contact", `<${alice.contact}>`] as const;
  alice.respond(arrived, 183, { headers: [contact, ...reliable, allow], body: ueAnswer() });
  const early = await sent.responses.next(({ status }) => status === 183);
  return { sent, arrived, early, called: alice, calledContact: contact };
};

/** Both sides take the edge's UPDATE. */
const moved = async (answer: string = ueAnswer(1)) => {
  const ue = await alice.expect("UPDATE");
  alice.respond(ue, 200, { headers: [["Contact", `<${alice.contact}>`]], body: answer });
  await settled();
  scenario.clock.advance(210);
  const core = await scenario.core.expect("UPDATE");
  scenario.core.respond(core, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
  await settled();
  return { ue, core };
};
const nothingLeft = (): Promise<void> =>
  until(() => scenario.iq.open.size === 0 && scenario.edge.counts().calls === 0, "nothing left");

describe("RFC 3311 5.1: an early dialog whose offer and answer are complete", () => {
  it("TS 33.328 4.2.2: of the UE's call moves: new address for both, a new key towards the UE; the answer, the ACK and the BYE go their way", async () => {
    const { sent, arrived, early } = await ringOut();
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    lose();
    const { ue, core } = await moved();
    const offer = bodyOf(ue.request);
    expect(keyIn(offer)).toHaveLength(40);
    // Invariant 4: another gateway, another key.
    expect(keyIn(offer)).not.toBe(keyIn(bodyOf(early)));
    expect([portIn(offer), portIn(bodyOf(core.request))]).toEqual([20204, 20206]);
    expect(offer).toMatch(/a=3ge2ae:applied/);
    expect(bodyOf(core.request)).not.toMatch(/crypto|3ge2ae|SAVP/);
    expect([...scenario.iq.open]).toEqual([2]);
    // RFC 3261 12.2.1.1: above what the UE itself has used.
    expect(seqOf(core)).toBeGreaterThan(2);
    // A copy of the early answer, and then the answer itself.
    scenario.core.respond(arrived, 183, {
      headers: [coreContact(), ["Require", "100rel"], ["RSeq", "2"]],
      body: coreSdp(),
    });
    const again = await sent.responses.next(({ status }) => status === 183);
    expect([portIn(bodyOf(again)), keyIn(bodyOf(again))]).toEqual([20204, keyIn(offer)]);
    // RFC 3262 7.2: a PRACK names the INVITE by the number the far end knows.
    const prack = await acknowledge(alice, scenario.core, again, alice.contact, 3, "2 1 INVITE");
    expect(headerValue(prack.request, "rack")).toBe("2 1 INVITE");
    expect(seqOf(prack)).toBeGreaterThan(seqOf(core));
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp() });
    const ok = await sent.final();
    expect([ok.status, portIn(bodyOf(ok)), keyIn(bodyOf(ok))]).toEqual([200, 20204, keyIn(offer)]);
    const request = alice.request("INVITE", "sip:carol@far.example");
    const dialog = dialogOf(request, arrived.request, ok);
    await alice.ack(dialog.byCaller("ACK", 1));
    // RFC 3261 13.2.2.4: the number of the INVITE, which left before the edge's own.
    expect(headerValue(await scenario.core.acks.next(), "cseq")).toBe("1 ACK");
    await settled();
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", security: "e2ae", gateway: { context: 2 } });
    const bye = alice.send(dialog.byCaller("BYE", 4));
    const end = await scenario.core.expect("BYE");
    expect(seqOf(end)).toBeGreaterThan(seqOf(prack));
    scenario.core.respond(end, 200);
    expect((await bye.final()).status).toBe(200);
    await nothingLeft();
  });

  it("TS 33.328 4.2.2: of a call to the UE moves: the caller hears the new address first by UPDATE, then in the 200", async () => {
    const { sent, arrived, early, calledContact } = await ringIn();
    await acknowledge(scenario.core, alice, early, `sip:carol@127.0.0.1:${scenario.core.port}`, 2, "1 1 INVITE");
    const before = keyIn(bodyOf(arrived.request));
    lose();
    const { ue, core } = await moved();
    expect(keyIn(bodyOf(ue.request))).not.toBe(before);
    expect([portIn(bodyOf(ue.request)), portIn(bodyOf(core.request))]).toEqual([20204, 20206]);
    alice.respond(arrived, 200, { headers: [calledContact], body: ueAnswer() });
    const ok = await sent.final();
    expect([ok.status, portIn(bodyOf(ok))]).toEqual([200, 20206]);
    const dialog = dialogOf(
      coreRequest(scenario.core, "INVITE", alice.contact),
      arrived.request,
      ok,
      `127.0.0.1:${scenario.core.port}`,
    );
    await scenario.core.ack(dialog.byCaller("ACK", 1));
    expect(headerValue(await alice.acks.next(), "cseq")).toBe("1 ACK");
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", gateway: { context: 2 } });
    const bye = scenario.core.send(dialog.byCaller("BYE", 3));
    alice.respond(await alice.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await nothingLeft();
  });

  it("a 200 that comes while the UE is asked waits, and then has the new address", async () => {
    const { sent, arrived, early } = await ringOut();
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    lose();
    const ue = await alice.expect("UPDATE");
    scenario.core.respond(arrived, 200, { headers: [coreContact()] });
    await settled();
    expect(sent.responses.all.some(({ status }) => status === 200)).toBe(false);
    alice.respond(ue, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer(1) });
    // The INVITE is answered: the far end is asked by another one, once the caller has acknowledged.
    const update = await scenario.core.expect("UPDATE");
    scenario.core.respond(update, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    const ok = await sent.final();
    expect(ok.status).toBe(200);
    await alice.ack(dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, ok).byCaller("ACK", 1));
    await scenario.core.acks.next();
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", security: "e2ae", gateway: { context: 2 } });
  });

  it("a 200 of the UE that comes while it is asked: the caller hears the new address by a re-INVITE after its ACK", async () => {
    const { sent, arrived, early, calledContact } = await ringIn();
    await acknowledge(scenario.core, alice, early, `sip:carol@127.0.0.1:${scenario.core.port}`, 2, "1 1 INVITE");
    lose();
    const ue = await alice.expect("UPDATE");
    alice.respond(arrived, 200, { headers: [calledContact] });
    await settled();
    expect(sent.responses.all.some(({ status }) => status === 200)).toBe(false);
    alice.respond(ue, 200, { headers: [calledContact], body: ueAnswer(1) });
    const ok = await sent.final();
    expect(ok.status).toBe(200);
    const dialog = dialogOf(
      coreRequest(scenario.core, "INVITE", alice.contact),
      arrived.request,
      ok,
      `127.0.0.1:${scenario.core.port}`,
    );
    await scenario.core.ack(dialog.byCaller("ACK", 1));
    expect(headerValue(await alice.acks.next(), "cseq")).toBe("1 ACK");
    scenario.clock.advance(260);
    const again = await scenario.core.expect("INVITE");
    expect(portIn(bodyOf(again.request))).toBe(20206);
    scenario.core.respond(again, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    await scenario.core.acks.next();
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", security: "e2ae", gateway: { context: 2 } });
  });

  it("the gateway it moves to is lost as well: it moves on to the next, with another key", async () => {
    const { early } = await ringOut();
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    lose();
    const first = await alice.expect("UPDATE");
    lose();
    await settled();
    alice.respond(first, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer(1) });
    const { ue, core } = await moved();
    expect(keyIn(bodyOf(ue.request))).not.toBe(keyIn(bodyOf(first.request)));
    expect([portIn(bodyOf(ue.request)), portIn(bodyOf(core.request))]).toEqual([20304, 20306]);
    expect([...scenario.iq.open]).toEqual([3]);
  });

  it("CANCEL while the UE is asked: 487, and nothing is left", async () => {
    const { sent, arrived, early } = await ringOut();
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    lose();
    await alice.expect("UPDATE");
    sent.cancel();
    await until(() => scenario.core.wire.some(({ text }) => text.startsWith("CANCEL")), "the CANCEL");
    scenario.core.respond(arrived, 487);
    expect((await sent.final()).status).toBe(487);
    await nothingLeft();
  });

  it("RFC 3311 5.2: 491 of the UE: the same offer again after a while", async () => {
    const { early } = await ringOut();
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    lose();
    const first = await alice.expect("UPDATE");
    alice.respond(first, 491);
    await settled();
    scenario.clock.advance(4100);
    const { ue } = await moved();
    expect(bodyOf(ue.request)).toBe(bodyOf(first.request));
    expect(seqOf(ue)).toBeGreaterThan(seqOf(first));
  });

  it("a loss while its PRACK is on the way waits for that", async () => {
    const { early } = await ringOut();
    lose();
    await settled();
    expect(alice.requests.all.some(({ request }) => request.method === "UPDATE")).toBe(false);
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    scenario.clock.advance(260);
    await moved();
    expect([...scenario.iq.open]).toEqual([2]);
  });
});

describe("RFC 3311 5.1: an early dialog that can not be moved ends: 503 to the caller, CANCEL to the called, nothing left", () => {
  const ended = async (sent: Sent): Promise<void> => {
    expect((await sent.final()).status).toBe(503);
    await until(() => scenario.core.wire.some(({ text }) => text.startsWith("CANCEL")), "the CANCEL");
    await until(() => scenario.iq.open.size === 0, "nothing left");
    expect(scenario.edge.calls()[0]?.ended?.reason).toBe("gateway-lost");
  };

  it("where an end does not allow UPDATE", async () => {
    const { sent, early } = await ringOut({ allows: false });
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    lose();
    await ended(sent);
  });

  it("where the answer was not sent reliably", async () => {
    const { sent, arrived } = await originate(scenario, alice, { headers: [allow], body: ueOffer() });
    scenario.core.respond(arrived, 183, { headers: [coreContact(), allow], body: coreSdp() });
    await sent.responses.next(({ status }) => status === 183);
    lose();
    await ended(sent);
  });

  it("where there are several early dialogs: the others would keep an address of the lost gateway", async () => {
    const { sent, arrived, early } = await ringOut({ tag: "one" });
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    scenario.core.respond(arrived, 180, { headers: [coreContact(), allow], tag: "two" });
    await sent.responses.next(({ status }) => status === 180);
    lose();
    await ended(sent);
  });

  it("where the UE refuses the UPDATE, or never answers it", async () => {
    for (const [at, status] of [488, 0].entries()) {
      const { sent, early } = await ringOut();
      await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
      lose();
      const ue = await alice.expect("UPDATE");
      if (status === 0) scenario.clock.advance(12_100);
      else alice.respond(ue, status);
      await ended(sent);
      if (at === 0) {
        await scenario.close();
        scenario = await openScenario();
        alice = await scenario.ue("alice");
        await alice.register();
      }
    }
  });

  it("RFC 3261 13.2.2.4: another fork that answers after the move has an address of the lost gateway: ACK and BYE, 503 to the caller", async () => {
    const { sent, arrived, early } = await ringOut({ tag: "one" });
    await acknowledge(alice, scenario.core, early, alice.contact, 2, "1 1 INVITE");
    lose();
    await moved();
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp(), tag: "two" });
    expect((await sent.final()).status).toBe(503);
    await scenario.core.acks.next();
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await nothingLeft();
  });
});
