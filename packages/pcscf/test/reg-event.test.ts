import { afterEach, describe, expect, it } from "vitest";
import { createRequest, headerValue, type ServerTransaction, type SipRequest } from "@sallyport/sip";
import { contactUri, establishOriginating } from "./support/calls.ts";
import { registerRaw } from "./support/registering.ts";
import { openScenario, settled, type Scenario, type TestUe } from "./support/scenario.ts";

interface Told {
  readonly aor: string;
  readonly state?: string;
  readonly contact?: string;
  readonly contactState?: string;
  readonly event?: string;
  readonly expires?: number;
}

const partial = (version: number, ...told: readonly Told[]): string =>
  reginfo(version, ...told).replace('state="full"', 'state="partial"');

const reginfo = (version: number, ...told: readonly Told[]): string =>
  [
    '<?xml version="1.0"?>',
    `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="${version}" state="full">`,
    ...told.map(
      ({ aor, state = "active", contact, contactState = "active", event = "registered", expires }) =>
        `<registration aor="${aor}" id="r1" state="${state}">${
          contact === undefined
            ? ""
            : `<contact id="c1" state="${contactState}" event="${event}"${expires === undefined ? "" : ` expires="${expires}"`}><uri>${contact.replaceAll("&", "&amp;")}</uri></contact>`
        }</registration>`,
    ),
    "</reginfo>",
  ].join("\n");

let scenario: Scenario;
afterEach(() => scenario.close());

const open = (): Promise<Scenario> =>
  openScenario({ change: (config) => ({ ...config, registration: { regEvent: true } }) });

interface Watched {
  readonly alice: TestUe;
  readonly subscribe: ServerTransaction;
  /** Sends a NOTIFY in the subscription's dialog; its status. */
  readonly notify: (
    body: string,
    options?: { readonly state?: string; readonly type?: string; readonly tag?: string },
  ) => Promise<number>;
}

const watched = async (expires = 7200): Promise<Watched> => {
  scenario = await open();
  const { core } = scenario;
  const alice = await scenario.ue("alice");
  await alice.register({ grant: [["P-Associated-URI", "<sip:work@home.example>"]] });
  const subscribe = await core.expect("SUBSCRIBE");
  core.respond(subscribe, 200, {
    headers: [
      ["Contact", `<sip:scscf@127.0.0.1:${core.port};transport=tcp>`],
      ["Expires", String(expires)],
    ],
    tag: "notifier",
  });
  let seq = 0;
  return {
    alice,
    subscribe,
    notify: async (body, { state = "active;expires=7000", type = "application/reginfo+xml", tag } = {}) => {
      seq += 1;
      const { request } = subscribe;
      const from = headerValue(request, "from") ?? "";
      const notify: SipRequest = createRequest({
        method: "NOTIFY",
        uri: contactUri(request),
        headers: [
          ["Max-Forwards", "70"],
          ["From", `${headerValue(request, "to")};tag=notifier`],
          ["To", tag === undefined ? from : from.replace(/tag=.*/, `tag=${tag}`)],
          ["Call-ID", headerValue(request, "call-id") ?? ""],
          ["CSeq", `${seq} NOTIFY`],
          ["Contact", `<sip:scscf@127.0.0.1:${core.port};transport=tcp>`],
          ["Event", "reg"],
          ["Subscription-State", state],
          ["Content-Type", type],
        ],
        body: Buffer.from(body),
      });
      return (await core.send(notify).final()).status;
    },
  };
};

const count = (): number => scenario.edge.counts().registrations;

describe("the reg event", () => {
  it("RFC 3680 4.1: off by default, and one subscription for an identity however often it registers", async () => {
    scenario = await openScenario();
    await (await scenario.ue("bob")).register();
    await settled();
    expect(scenario.core.requests.all.map(({ request }) => request.method)).not.toContain("SUBSCRIBE");
    await scenario.close();
    const { alice, subscribe } = await watched();
    expect(subscribe.request.uri).toBe(alice.aor);
    expect(headerValue(subscribe.request, "event")).toBe("reg");
    expect(headerValue(subscribe.request, "accept")).toBe("application/reginfo+xml");
    expect(headerValue(subscribe.request, "p-charging-vector")).toBeDefined();
    await alice.register();
    await settled();
    expect(scenario.core.requests.all.filter(({ request }) => request.method === "SUBSCRIBE")).toHaveLength(1);
  });

  it("TS 24.229 5.2.3: the network ends a registration, and the UE has to register again", async () => {
    const { alice, notify } = await watched();
    expect(await notify(reginfo(0, { aor: alice.aor, contact: alice.contact }))).toBe(200);
    expect(count()).toBe(1);
    const dialog = await establishOriginating(scenario, alice);
    expect(await notify(reginfo(1, { aor: alice.aor, state: "terminated" }))).toBe(200);
    expect(count()).toBe(0);
    expect((await alice.send(alice.request("MESSAGE", "sip:x@y.example", { callId: "m" })).final()).status).toBe(403);
    // The S-CSCF releases the calls (TS 24.229 5.4.5); until it does they can be ended from both ends.
    const bye = alice.send(dialog.byCaller("BYE", 2));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    // RFC 6665 4.1.2.3: nobody is left to watch.
    const last = (await scenario.core.expect("SUBSCRIBE")).request;
    expect(headerValue(last, "expires")).toBe("0");
  });

  it("RFC 3680 5.2.1: a contact that is ended goes alone, even when the URI needs escapes", async () => {
    const { alice, notify } = await watched();
    const other = await scenario.ue("other");
    const contact = `sip:other@127.0.0.1:${other.port};transport=tcp;x=%3C&y`;
    await registerRaw(scenario, other, { aor: alice.aor, contacts: [`<${contact}>`], seq: 1 });
    expect(count()).toBe(2);
    const ended = { contact, contactState: "terminated", event: "deactivated" };
    expect(await notify(reginfo(0, { aor: alice.aor, ...ended }))).toBe(200);
    expect(scenario.edge.registrations().map((each) => each.contact)).toEqual([alice.contact]);
  });

  it("TS 24.229 5.2.3: an identity of the set that is ended is no longer asserted; a stranger's changes nothing", async () => {
    const { alice, notify } = await watched();
    expect(scenario.edge.registrations()[0]?.identities).toContain("sip:work@home.example");
    await notify(
      reginfo(
        0,
        { aor: "sip:work@home.example", state: "terminated" },
        { aor: "sip:bob@home.example", state: "terminated" },
      ),
    );
    expect(scenario.edge.registrations()[0]?.identities).not.toContain("sip:work@home.example");
    expect(scenario.edge.registrations()[0]?.identities).toContain(alice.aor);
  });

  it("RFC 3680 5.2.2: a shortened registration ends when it says", async () => {
    const { alice, notify } = await watched();
    await notify(reginfo(0, { aor: alice.aor, contact: alice.contact, event: "shortened", expires: 5 }));
    expect(count()).toBe(1);
    scenario.clock.advance(16_000);
    expect(count()).toBe(0);
  });

  it("RFC 3680 5.2: an older version than the last one is ignored", async () => {
    const { alice, notify } = await watched();
    await notify(reginfo(5, { aor: alice.aor, contact: alice.contact }));
    expect(await notify(reginfo(4, { aor: alice.aor, state: "terminated" }))).toBe(200);
    expect(count()).toBe(1);
  });

  it("RFC 3680 5.2: a partial document after others that never came counts, and the whole state is asked for, but not without pause", async () => {
    const { alice, notify, subscribe } = await watched();
    const asked = (): number =>
      scenario.core.requests.all.filter(({ request }) => request.method === "SUBSCRIBE").length;
    await notify(reginfo(0, { aor: alice.aor, contact: alice.contact }));
    await notify(partial(1, { aor: alice.aor, contact: alice.contact }));
    await notify(reginfo(7, { aor: alice.aor, contact: alice.contact }));
    scenario.clock.advance(11_000);
    await settled();
    expect(asked()).toBe(1);
    expect(await notify(partial(9, { aor: alice.aor, contact: alice.contact, event: "shortened", expires: 60 }))).toBe(
      200,
    );
    expect(scenario.edge.registrations()[0]?.expiresInMs).toBe(60_000);
    scenario.clock.advance(1);
    const again = await scenario.core.expect("SUBSCRIBE");
    expect(headerValue(again.request, "call-id")).toBe(headerValue(subscribe.request, "call-id"));
    expect(headerValue(again.request, "expires")).not.toBe("0");
    scenario.core.respond(again, 200, { headers: [["Expires", "7200"]] });
    // A notifier that always leaves one out is asked no more often than before.
    await notify(partial(11, { aor: alice.aor, contact: alice.contact }));
    scenario.clock.advance(9_000);
    await settled();
    expect(asked()).toBe(2);
    scenario.clock.advance(2_000);
    await scenario.core.expect("SUBSCRIBE");
  });

  it("RFC 6665 4.1.3: a NOTIFY that fits no subscription gets 481, an unknown body 415, a broken one 400; none changes anything", async () => {
    const { alice, notify } = await watched();
    const over = reginfo(1, { aor: alice.aor, state: "terminated" });
    expect(await notify(over, { tag: "guess" })).toBe(481);
    expect(await notify(over, { type: "text/plain" })).toBe(415);
    expect(await notify(over.slice(0, -5))).toBe(400);
    expect(count()).toBe(1);
    expect(await notify(over, { type: 'application/reginfo+xml;charset="UTF-8"' })).toBe(200);
    expect(count()).toBe(0);
  });

  it("RFC 6665 4.1.2.2: refreshed in its dialog before it runs out", async () => {
    const { subscribe } = await watched(600);
    await settled();
    scenario.clock.advance(300_000);
    const again = (await scenario.core.expect("SUBSCRIBE")).request;
    expect(headerValue(again, "call-id")).toBe(headerValue(subscribe.request, "call-id"));
    expect(headerValue(again, "to")).toContain("tag=notifier");
    expect(headerValue(again, "cseq")).toBe("2 SUBSCRIBE");
  });

  it("RFC 6665 4.1.3: ended by the notifier it is made anew while somebody is registered, but not again at once", async () => {
    const { alice, subscribe, notify } = await watched();
    scenario.clock.advance(11_000);
    expect(await notify(reginfo(0, { aor: alice.aor }), { state: "terminated;reason=deactivated" })).toBe(200);
    const fresh = await scenario.core.expect("SUBSCRIBE");
    expect(headerValue(fresh.request, "call-id")).not.toBe(headerValue(subscribe.request, "call-id"));
    expect(await notify(reginfo(1, { aor: alice.aor, state: "terminated" }))).toBe(481);
    expect(count()).toBe(1);
    scenario.core.respond(fresh, 200, {
      headers: [["Contact", `<sip:scscf@127.0.0.1:${scenario.core.port};transport=tcp>`]],
      tag: "n",
    });
    const { request } = fresh;
    const over = createRequest({
      method: "NOTIFY",
      uri: contactUri(request),
      headers: [
        ["Max-Forwards", "70"],
        ["From", `<${alice.aor}>;tag=n`],
        ["To", headerValue(request, "from") ?? ""],
        ["Call-ID", headerValue(request, "call-id") ?? ""],
        ["CSeq", "1 NOTIFY"],
        ["Contact", "<sip:scscf@127.0.0.1>"],
        ["Event", "reg"],
        ["Subscription-State", "terminated;reason=deactivated"],
      ],
    });
    expect((await scenario.core.send(over).final()).status).toBe(200);
    await settled();
    expect(scenario.core.requests.all.filter((each) => each.request.method === "SUBSCRIBE")).toHaveLength(2);
  });
});
