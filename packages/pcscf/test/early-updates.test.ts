// Offers within an early dialog, by either end, and what becomes of them when the INVITE ends. RFC 3311 5, RFC 3261 13.2.1.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRequest, headerList, headerValue, type SipRequest, type SipResponse } from "@sallyport/sip";
import { bodyOf, contactUri, originate } from "./support/calls.ts";
import { openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, sdp, ueAnswer } from "./support/sdp.ts";

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

const allow = ["Allow", "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE"] as const;
const reliable = [
  ["Require", "100rel"],
  ["RSeq", "1"],
] as const;
const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
const keyIn = (text: string): string => /a=crypto:\d+ \S+ inline:([A-Za-z0-9+/=]+)/.exec(text)?.[1] ?? "";
const within = (
  early: SipResponse,
  parts: {
    readonly method: string;
    readonly seq: number;
    readonly body?: string;
    readonly rack?: string;
    readonly contact: string;
  },
): SipRequest =>
  createRequest({
    method: parts.method,
    uri: contactUri(early),
    headers: [
      ...headerList(early, "record-route")
        .toReversed()
        .map((route) => ["Route", route] as const),
      ["Max-Forwards", "70"],
      ["From", headerValue(early, "from") ?? ""],
      ["To", headerValue(early, "to") ?? ""],
      ["Call-ID", headerValue(early, "call-id") ?? ""],
      ["CSeq", `${parts.seq} ${parts.method}`],
      ["Contact", `<${parts.contact}>`],
      ...(parts.rack === undefined ? [] : [["RAck", parts.rack] as const]),
      ...(parts.body === undefined ? [] : [["Content-Type", "application/sdp"] as const]),
    ],
    ...(parts.body === undefined ? {} : { body: Buffer.from(parts.body, "latin1") }),
  });

const ring = async () => {
  const { sent, arrived } = await originate(scenario, alice, { headers: [allow, ["Supported", "100rel"]] });
  scenario.core.respond(arrived, 183, { headers: [coreContact(), ...reliable, allow], body: coreSdp() });
  const early = await sent.responses.next(({ status }) => status === 183);
  const prack = alice.send(within(early, { method: "PRACK", seq: 2, rack: "1 1 INVITE", contact: alice.contact }));
  scenario.core.respond(await scenario.core.expect("PRACK"), 200);
  await prack.final();
  return { sent, arrived, early };
};

describe("RFC 3311 5: UPDATE before the answer", () => {
  it("TS 33.328 7.3.1: of the far end: offered to the UE with the key in force; the 200 of the INVITE says no other", async () => {
    const { sent, arrived, early } = await ring();
    const toTag = /;tag=(\S+)/.exec(headerValue(early, "to") ?? "")?.[1] ?? "";
    const invite = arrived.request;
    const update = createRequest({
      method: "UPDATE",
      uri: contactUri(invite),
      headers: [
        ...headerList(invite, "record-route").map((route) => ["Route", route] as const),
        ["Max-Forwards", "70"],
        ["From", `${headerValue(invite, "to")};tag=${toTag}`],
        ["To", headerValue(invite, "from") ?? ""],
        ["Call-ID", headerValue(invite, "call-id") ?? ""],
        ["CSeq", "7 UPDATE"],
        coreContact(),
        ["Content-Type", "application/sdp"],
      ],
      body: Buffer.from(coreSdp({ version: 2, port: 6100 }), "latin1"),
    });
    const offered = scenario.core.send(update);
    const atUe = await alice.expect("UPDATE");
    expect(keyIn(bodyOf(atUe.request))).toBe(keyIn(bodyOf(early)));
    expect(bodyOf(atUe.request)).toMatch(/a=3ge2ae:applied/);
    alice.respond(atUe, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer(1, { version: 2 }) });
    const agreed = await offered.final();
    expect([agreed.status, /crypto|3ge2ae|SAVP/.test(bodyOf(agreed))]).toEqual([200, false]);
    scenario.core.respond(arrived, 200, { headers: [coreContact()] });
    expect((await sent.final()).status).toBe(200);
    await settled();
    expect(scenario.iq.commands.at(-1)?.streams[0]?.core?.remote).toMatchObject({ port: 6100 });
    expect(scenario.edge.calls()[0]).toMatchObject({ security: "e2ae", phase: "confirmed" });
  });

  it("RFC 4568 7.1.4: of the UE, with a new key: it is the one that is heard; refused, the old one is", async () => {
    for (const status of [200, 488]) {
      const { sent, arrived, early } = await ring();
      const body = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keyOf(0x41)), "a=3ge2ae:requested"] });
      const offered = alice.send(within(early, { method: "UPDATE", seq: 3, body, contact: alice.contact }));
      const atCore = await scenario.core.expect("UPDATE");
      expect(bodyOf(atCore.request)).not.toMatch(/crypto|3ge2ae|SAVP/);
      scenario.core.respond(
        atCore,
        status,
        status === 200 ? { headers: [coreContact()], body: coreSdp({ version: 2 }) } : {},
      );
      expect((await offered.final()).status).toBe(status);
      scenario.core.respond(arrived, 200, { headers: [coreContact()] });
      expect((await sent.final()).status).toBe(200);
      await settled();
      const plans = scenario.iq.commands.filter(({ kind }) => kind === "modify");
      const heard = plans.at(-1)?.streams[0]?.access?.remoteCrypto?.keys[0]?.master;
      const key = heard?.use((octets) => octets.toString("base64"));
      expect(key === keyOf(0x41), String(status)).toBe(status === 200);
      await scenario.close();
      scenario = await openScenario();
      alice = await scenario.ue("alice");
      await alice.register();
    }
  });

  it("RFC 3311 5.2: one that crosses the other end's is refused with 491, and the call is answered all the same", async () => {
    const { sent, arrived, early } = await ring();
    const body = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keyOf(0x41)), "a=3ge2ae:requested"] });
    const first = alice.send(within(early, { method: "UPDATE", seq: 3, body, contact: alice.contact }));
    const atCore = await scenario.core.expect("UPDATE");
    const second = alice.send(within(early, { method: "UPDATE", seq: 4, body, contact: alice.contact }));
    expect((await second.final()).status).toBe(500);
    scenario.core.respond(atCore, 491);
    expect((await first.final()).status).toBe(491);
    scenario.core.respond(arrived, 200, { headers: [coreContact()] });
    expect((await sent.final()).status).toBe(200);
  });

  it("invariant 10: one that is open when the INVITE is refused is answered, and nothing is left", async () => {
    const { sent, arrived, early } = await ring();
    const body = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keyOf(0x41)), "a=3ge2ae:requested"] });
    const update = alice.send(within(early, { method: "UPDATE", seq: 3, body, contact: alice.contact }));
    await scenario.core.expect("UPDATE");
    scenario.core.respond(arrived, 603);
    expect([(await sent.final()).status, (await update.final()).status]).toEqual([603, 481]);
    await until(() => scenario.iq.open.size === 0, "nothing left");
  });
});
