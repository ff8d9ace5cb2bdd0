// What the network tells of registrations, and how the subscription to it lives. RFC 3680, RFC 5628, RFC 6665 4.1, TS 24.229
// 5.2.3.
import { afterEach, describe, expect, it } from "vitest";
import { createRequest, headerValue, tagOf, type ServerTransaction } from "@sallyport/sip";
import { contactUri } from "./support/calls.ts";
import { contactOf, registerRaw } from "./support/registering.ts";
import { openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
afterEach(() => scenario.close());

const aor = "sip:alice@home.example";
const open = async (): Promise<TestUe> => {
  scenario = await openScenario({ change: (config) => ({ ...config, registration: { regEvent: true } }) });
  return scenario.ue("alice");
};
const contacts = (): readonly string[] => scenario.edge.registrations().map(({ contact }) => contact);
const subscriptions = (): number =>
  scenario.core.requests.all.filter(({ request }) => request.method === "SUBSCRIBE").length;

const grant = (subscribe: ServerTransaction, expires = 7200): void =>
  scenario.core.respond(subscribe, 200, {
    tag: tagOf(subscribe.request, "to") ?? "notifier",
    headers: [
      ["Contact", `<sip:scscf@127.0.0.1:${scenario.core.port};transport=tcp>`],
      ["Expires", String(expires)],
    ],
  });

interface Told {
  readonly event: string;
  readonly state?: string;
  readonly uri: string;
  readonly expires?: number;
  readonly params?: Readonly<Record<string, string>>;
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const document = (version: number, told: readonly Told[], of = aor): string =>
  `<reginfo version="${version}" state="partial"><registration aor="${of}" id="a" state="active">${told
    .map(
      ({ event, state = "terminated", uri, expires, params = {} }, at) =>
        `<contact id="c${at}" state="${state}" event="${event}" expires="${expires ?? 0}" callid="x" cseq="1"><uri>${escaped(uri)}</uri>` +
        `<display-name>&lt;uri&gt;${escaped(uri)}</display-name>${Object.entries(params)
          .map(([name, value]) => `<unknown-param name="${name}">${escaped(value)}</unknown-param>`)
          .join("")}<gr:pub-gruu xmlns:gr="urn:ietf:params:xml:ns:gruuinfo" uri="${of};gr=1"/></contact>`,
    )
    .join("")}</registration></reginfo>`;

let seq = 0;
const notify = async (
  { request }: ServerTransaction,
  options: { readonly body?: string; readonly state?: string; readonly short?: boolean; readonly fork?: string } = {},
): Promise<number> => {
  const { body, state = "active;expires=7000", short = false, fork = "notifier" } = options;
  const to = headerValue(request, "from") ?? "";
  const sent = scenario.core.send(
    createRequest({
      method: "NOTIFY",
      uri: contactUri(request),
      headers: [
        ["Max-Forwards", "70"],
        ["From", `<${aor}>;tag=${fork}`],
        ["To", to],
        ["Call-ID", headerValue(request, "call-id") ?? ""],
        ["CSeq", `${(seq += 1)} NOTIFY`],
        ["Contact", `<sip:scscf@127.0.0.1:${scenario.core.port};transport=tcp>`],
        [short ? "o" : "Event", "reg"],
        ["Subscription-State", state],
        ...(body === undefined ? [] : ([[short ? "c" : "Content-Type", "application/reginfo+xml"]] as const)),
      ],
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    }),
  );
  return (await sent.final()).status;
};

const watched = async (): Promise<{ alice: TestUe; subscribe: ServerTransaction }> => {
  const alice = await open();
  await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
  const subscribe = await scenario.core.expect("SUBSCRIBE");
  grant(subscribe);
  await settled();
  return { alice, subscribe };
};

describe("RFC 3680 5.1: what is told of a contact", () => {
  it.each([
    ["registered", "active", true],
    ["created", "active", true],
    ["refreshed", "active", true],
    ["expired", "terminated", false],
    ["deactivated", "terminated", false],
    ["probation", "terminated", false],
    ["unregistered", "terminated", false],
    ["rejected", "terminated", false],
  ])("RFC 3680 5.1: %s (%s)", async (event, state, stays) => {
    const { alice, subscribe } = await watched();
    const uri = contactOf(alice).slice(1, -1);
    expect(await notify(subscribe, { body: document(0, [{ event, state, uri, expires: 300 }]), short: true })).toBe(
      200,
    );
    expect(contacts()).toEqual(stays ? [uri] : []);
  });

  it("RFC 5628 5: of two flows under one Contact URI the one that is named by reg-id ends, in a partial document", async () => {
    const alice = await open();
    const second = await scenario.ue("second");
    const uri = "sip:alice@192.0.2.2;transport=tcp";
    const instance = '"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"';
    for (const [peer, regId] of [
      [alice, "1"],
      [second, "2"],
    ] as const)
      await registerRaw(scenario, peer, {
        aor,
        contacts: [`<${uri}>;+sip.instance=${instance};reg-id=${regId}`],
        seq: 1,
        headers: [["Supported", "outbound"]],
      });
    const subscribe = await scenario.core.expect("SUBSCRIBE");
    grant(subscribe);
    const flow = scenario.edge.registrations()[1]?.remote;
    const params = { "+sip.instance": instance, "reg-id": "1" };
    expect(await notify(subscribe, { body: document(0, [{ event: "expired", uri, params }]) })).toBe(200);
    expect(scenario.edge.registrations().map(({ remote }) => remote)).toEqual([flow]);
    const stranger = { ...params, "+sip.instance": '"<urn:uuid:other>"', "reg-id": "2" };
    await notify(subscribe, { body: document(1, [{ event: "expired", uri, params: stranger }]) });
    expect(contacts()).toHaveLength(1);
    await notify(subscribe, { body: document(2, [{ event: "expired", uri, params: { "reg-id": "2" } }]) });
    expect(contacts()).toEqual([]);
  });

  it("TS 24.229 5.1.6: the end of a registration leaves the emergency registration of the same address", async () => {
    const { alice, subscribe } = await watched();
    const sos = contactOf(alice).replace(">", ";sos>");
    await registerRaw(scenario, alice, { aor, contacts: [sos], seq: 2 });
    const uri = contactOf(alice).slice(1, -1);
    await notify(subscribe, { body: document(0, [{ event: "deactivated", uri }]) });
    expect(contacts()).toEqual([sos.slice(1, -1)]);
  });
});

describe("RFC 6665 4.1: the edge as a subscriber", () => {
  const refreshAt = async (seconds: number): Promise<ServerTransaction> => {
    scenario.clock.advance(seconds * 1000);
    return scenario.core.expect("SUBSCRIBE");
  };
  const long = async (): Promise<{ alice: TestUe; subscribe: ServerTransaction }> => {
    const alice = await open();
    await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1, expires: 90_000 });
    const subscribe = await scenario.core.expect("SUBSCRIBE");
    grant(subscribe);
    await settled();
    return { alice, subscribe };
  };

  it("RFC 6665 4.1.2.4: a NOTIFY before the 200 counts", async () => {
    const alice = await open();
    await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    const subscribe = await scenario.core.expect("SUBSCRIBE");
    const uri = contactOf(alice).slice(1, -1);
    expect(await notify(subscribe, { body: document(0, [{ event: "rejected", uri }]) })).toBe(200);
    expect(contacts()).toEqual([]);
    // There was no dialog yet to unsubscribe in; now there is.
    grant(subscribe);
    const end = await scenario.core.expect("SUBSCRIBE");
    expect([headerValue(end.request, "expires"), tagOf(end.request, "to")]).toEqual(["0", "notifier"]);
    grant(end, 0);
    await settled();
    expect(subscriptions()).toBe(2);
  });

  it.each([500, 503, 408])(
    "RFC 6665 4.1.2.2: %i to a refresh does not end it: what it tells counts, and it is refreshed again in time",
    async (status) => {
      const { alice, subscribe } = await long();
      scenario.core.respond(await refreshAt(6_600), status);
      await settled();
      expect(
        await notify(subscribe, { body: document(0, [{ event: "refreshed", state: "active", uri: "sip:x@y" }]) }),
      ).toBe(200);
      const again = await refreshAt(301);
      expect(headerValue(again.request, "call-id")).toBe(headerValue(subscribe.request, "call-id"));
      grant(again);
      await settled();
      const uri = contactOf(alice).slice(1, -1);
      expect(await notify(subscribe, { body: document(1, [{ event: "expired", uri }]) })).toBe(200);
      expect(contacts()).toEqual([]);
    },
  );

  it("RFC 6665 4.1.2.2: 481 to a refresh ends it: another is made at once, for every contact it watched", async () => {
    const { alice } = await long();
    const other = "<sip:alice@192.0.2.5>";
    await registerRaw(scenario, alice, { aor, contacts: [other], seq: 2, expires: 90_000 });
    scenario.core.respond(await refreshAt(6_600), 481);
    const fresh = await scenario.core.expect("SUBSCRIBE");
    expect(tagOf(fresh.request, "to")).toBeUndefined();
    grant(fresh);
    await settled();
    const gone = [contactOf(alice), other].map((contact) => ({ event: "expired", uri: contact.slice(1, -1) }));
    expect(await notify(fresh, { body: document(0, gone) })).toBe(200);
    expect(contacts()).toEqual([]);
  });

  it("RFC 6665 4.1.2.1: refused, it is tried again with the next refresh of any contact, for all of them", async () => {
    const alice = await open();
    const other = "<sip:alice@192.0.2.5>";
    await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    const first = await scenario.core.expect("SUBSCRIBE");
    await registerRaw(scenario, alice, { aor, contacts: [other], seq: 2 });
    scenario.core.respond(first, 403);
    await settled();
    expect(subscriptions()).toBe(1);
    await registerRaw(scenario, alice, { aor, contacts: [other], seq: 3 });
    const second = await scenario.core.expect("SUBSCRIBE");
    grant(second);
    await settled();
    await notify(second, { body: document(0, [{ event: "expired", uri: contactOf(alice).slice(1, -1) }]) });
    expect(contacts()).toEqual([other.slice(1, -1)]);
  });

  it("RFC 6665 4.1.2.2: a NOTIFY that shortens the subscription brings its refresh forward", async () => {
    const { subscribe } = await long();
    expect(await notify(subscribe, { state: "active;expires=600" })).toBe(200);
    const again = await refreshAt(301);
    expect(tagOf(again.request, "to")).toBe("notifier");
  });

  it("RFC 6665 4.1.2.4: another fork of the notifier is not believed: 481", async () => {
    const { alice, subscribe } = await watched();
    const uri = contactOf(alice).slice(1, -1);
    expect(await notify(subscribe, { body: document(0, [{ event: "expired", uri }]), fork: "another" })).toBe(481);
    expect(contacts()).toEqual([uri]);
  });

  it("RFC 6665 4.1.2.3: the last contact gone, it unsubscribes in its dialog, and takes the last NOTIFY", async () => {
    const { alice, subscribe } = await watched();
    await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 2, expires: 0 }, { granted: [] });
    const end = await scenario.core.expect("SUBSCRIBE");
    expect(headerValue(end.request, "expires")).toBe("0");
    grant(end, 0);
    expect(await notify(subscribe, { state: "terminated;reason=timeout" })).toBe(200);
    expect(await notify(subscribe, { state: "terminated;reason=timeout" })).toBe(481);
    await until(() => subscriptions() === 2, "no more of them");
  });
});
