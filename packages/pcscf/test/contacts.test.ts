import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerValue, parseVia } from "@sallyport/sip";
import { originate } from "./support/calls.ts";
import { contactOf, rawRegister, registerRaw } from "./support/registering.ts";
import { sdp } from "./support/sdp.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let alice: TestUe;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
});
afterEach(() => scenario.close());

const aor = "sip:alice@home.example";
const flows = (): readonly string[] => scenario.edge.registrations().map(({ remote }) => remote);
const contacts = (): readonly string[] =>
  scenario.edge
    .registrations()
    .map(({ contact }) => contact)
    .toSorted();

/** A MESSAGE of the core along a Path; who got it. */
const reach = async (path: string, to: string, ...candidates: readonly TestUe[]): Promise<string> => {
  const before = candidates.map(({ requests }) => requests.all.length);
  const sent = scenario.core.send(
    coreRequest(scenario.core, "MESSAGE", to, { route: [path], callId: `message-${path}-${Math.random()}` }),
  );
  let answered: number | undefined;
  const done = sent.final().then(({ status }) => (answered = status));
  const fresh = () =>
    candidates.flatMap((ue, index) => {
      const transaction = ue.requests.all[before[index] ?? 0];
      return transaction === undefined ? [] : [{ ue, transaction }];
    })[0];
  await until(() => answered !== undefined || fresh() !== undefined, "message delivered or refused");
  const got = fresh();
  if (got !== undefined) got.ue.respond(got.transaction, 200);
  await done;
  return got?.ue.name ?? String(answered);
};

const closed = (): Promise<void> =>
  until(() => scenario.logs.some(({ event }) => event === "connection closed"), "closed");

describe("many contacts and devices of one identity", () => {
  it("RFC 3261 10.2.1: two devices of one identity are two registrations, each reached along its own Path", async () => {
    const other = await scenario.ue("other");
    const one = await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    const two = await registerRaw(scenario, other, { aor, contacts: [contactOf(other)], seq: 1 });
    expect(scenario.edge.counts().registrations).toBe(2);
    expect(await reach(one.path, "sip:alice@127.0.0.1", alice, other)).toBe("alice");
    expect(await reach(two.path, "sip:other@127.0.0.1", alice, other)).toBe("other");
  });

  it("RFC 5626 4.2: one device with two flows (reg-id 1 and 2) keeps both, and losing one leaves the other", async () => {
    const second = await scenario.ue("second");
    const outbound = { headers: [["Supported", "path, outbound"]] as const };
    const instance = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"';
    const one = await registerRaw(scenario, alice, {
      aor,
      contacts: [contactOf(alice, `${instance};reg-id=1`)],
      seq: 1,
      ...outbound,
    });
    const two = await registerRaw(scenario, second, {
      aor,
      contacts: [contactOf(second, `${instance};reg-id=2`)],
      seq: 1,
      ...outbound,
    });
    expect(scenario.edge.counts().registrations).toBe(2);
    for (const { path } of [one, two]) expect(path).toContain(";lr;ob>");
    alice.hangUp();
    await closed();
    // RFC 5626 5.3: the flow is gone, the registrar shall try the other one.
    expect(await reach(one.path, "sip:alice@127.0.0.1", alice, second)).toBe("430");
    expect(await reach(two.path, "sip:alice@127.0.0.1", alice, second)).toBe("second");
  });

  it("RFC 5626 5.1: an edge that is not the first hop does not promise to keep the flow", async () => {
    const sent = rawRegister(alice, { aor, contacts: [contactOf(alice, ';+sip.instance="<a>";reg-id=1')], seq: 1 });
    const relayed = {
      ...sent,
      headers: [
        {
          name: "via",
          raw: "Via: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bKx",
          value: "SIP/2.0/TCP 192.0.2.9;branch=z9hG4bKx",
        },
        ...sent.headers,
      ],
    };
    alice.send(relayed);
    const { request } = await scenario.core.expect("REGISTER");
    expect(headerValue(request, "path")).not.toContain(";ob");
  });

  it("RFC 3261 10.2.2: a phone that changed its address takes the old contact back in the same REGISTER, in either order", async () => {
    const old = `<sip:alice@10.1.1.1;transport=tcp>`;
    const fresh = contactOf(alice);
    await registerRaw(scenario, alice, { aor, contacts: [old], seq: 1 });
    expect(contacts()).toEqual(["sip:alice@10.1.1.1;transport=tcp"]);
    await registerRaw(
      scenario,
      alice,
      { aor, contacts: [`${old};expires=0`, fresh], seq: 2 },
      { granted: [`${fresh};expires=600`] },
    );
    expect(contacts()).toEqual([fresh.slice(1, -1)]);
    await registerRaw(
      scenario,
      alice,
      { aor, contacts: [old, `${fresh};expires=0`], seq: 3 },
      { granted: [`${old};expires=600`] },
    );
    expect(contacts()).toEqual(["sip:alice@10.1.1.1;transport=tcp"]);
  });

  it("RFC 3261 10.2.2: Contact * takes every contact of the identity back, once the registrar agrees, and no other's", async () => {
    const other = await scenario.ue("other");
    const bob = await scenario.ue("bob");
    await bob.register();
    await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    await registerRaw(scenario, other, { aor, contacts: [contactOf(other)], seq: 1 });
    await registerRaw(scenario, alice, { aor, contacts: ["*"], seq: 2, expires: 0 }, { status: 403, granted: [] });
    expect(scenario.edge.counts().registrations).toBe(3);
    await registerRaw(scenario, alice, { aor, contacts: ["*"], seq: 3, expires: 0 }, { granted: [] });
    expect(scenario.edge.registrations().map((each) => each.aor)).toEqual([bob.aor]);
  });

  it("RFC 3261 10.2.1: two contacts in one REGISTER are two bindings with an expiry each, told apart by the Request-URI", async () => {
    const office = `<sip:alice-office@127.0.0.1:${alice.port};transport=tcp>`;
    const home = `<sip:alice-home@127.0.0.1:${alice.port};transport=tcp>`;
    const both = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [office, home], seq: 1 },
      { granted: [`${office};expires=600`, `${home};expires=120`] },
    );
    expect(contacts()).toHaveLength(2);
    for (const contact of [office, home]) {
      const uri = contact.slice(1, -1);
      expect(await reach(both.path, uri, alice)).toBe("alice");
      expect(alice.requests.all.at(-1)?.request.uri).toBe(uri);
    }
    // Each has its own time, and the Path stays good for the one that is left.
    scenario.clock.advance(121_000);
    expect(contacts()).toEqual([office.slice(1, -1)]);
    expect(await reach(both.path, office.slice(1, -1), alice)).toBe("alice");
    scenario.clock.advance(480_000);
    expect(await reach(both.path, office.slice(1, -1), alice)).toBe("480");
  });

  it("RFC 3261 10.2.1: a call along a Path that two contacts share is one of the contact it names, with that one's bounds", async () => {
    await scenario.close();
    scenario = await openScenario({ change: (config) => ({ ...config, limits: { maxCallsPerBinding: 1 } }) });
    alice = await scenario.ue("alice");
    const named = ["office", "home"].map((name) => `sip:alice-${name}@127.0.0.1:${alice.port};transport=tcp`);
    const { path } = await registerRaw(scenario, alice, { aor, contacts: named.map((uri) => `<${uri}>`), seq: 1 });
    const invite = (uri: string, callId: string) =>
      scenario.core.send(coreRequest(scenario.core, "INVITE", uri, { route: [path], callId, body: sdp() }));
    for (const uri of named) {
      invite(uri, uri);
      expect((await alice.expect("INVITE")).request.uri).toBe(uri);
    }
    for (const uri of named) expect((await invite(uri, `again ${uri}`).final()).status).toBe(503);
  });

  it("RFC 3261 10.2.2: of two contacts one is taken back, refused or refreshed alone; the other keeps its Path", async () => {
    const [office, home] = ["office", "home"].map(
      (name) => `<sip:alice-${name}@127.0.0.1:${alice.port};transport=tcp>`,
    ) as [string, string];
    const both = await registerRaw(scenario, alice, { aor, contacts: [office, home], seq: 1 });
    const gone = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [`${office};expires=0`], seq: 2 },
      { granted: [`${home};expires=500`] },
    );
    expect(gone.response.status).toBe(200);
    expect(contacts()).toEqual([home.slice(1, -1)]);
    expect(await reach(both.path, home.slice(1, -1), alice)).toBe("alice");
    const again = await registerRaw(scenario, alice, { aor, contacts: [home], seq: 3 });
    expect(again.path).toBe(both.path);
    // The registrar takes one of the two: RFC 3261 10.3 step 8.
    await registerRaw(scenario, alice, { aor, contacts: [office, home], seq: 4 }, { granted: [`${home};expires=600`] });
    expect(contacts()).toEqual([home.slice(1, -1)]);
  });

  it("RFC 3261 10.2: contacts that are the same are one; more than eight, or two reg-ids at once (RFC 5626 6), are refused", async () => {
    const own = contactOf(alice);
    await registerRaw(scenario, alice, { aor, contacts: [own, own], seq: 1 });
    expect(contacts()).toEqual([own.slice(1, -1)]);
    const many = Array.from({ length: 9 }, (_, index) => `<sip:alice-${index}@127.0.0.1:${alice.port}>`);
    const regIds = [1, 2].map((id) => contactOf(alice, `;+sip.instance="<urn:uuid:1>";reg-id=${id}`));
    for (const [at, [asked, status]] of (
      [
        [many, 403],
        [regIds, 400],
      ] as const
    ).entries()) {
      const refused = await alice.send(rawRegister(alice, { aor, contacts: asked, seq: at + 2 })).final();
      expect(refused.status).toBe(status);
    }
    expect(scenario.edge.counts().registrations).toBe(1);
  });

  it("RFC 3261 10.3 step 6: Contact * with another contact or with an expiry is refused", async () => {
    for (const [seq, register] of [
      { contacts: ["*"], expires: 600 },
      { contacts: ["*", contactOf(alice)], expires: 0 },
    ].entries()) {
      const refused = await alice.send(rawRegister(alice, { aor, seq: seq + 1, ...register })).final();
      expect(refused.status).toBe(400);
    }
    expect(scenario.core.requests.all).toEqual([]);
  });
});

describe("re-registration", () => {
  for (const [what, params] of [
    ["the same contact", ""],
    ["the same instance and reg-id", ';+sip.instance="<urn:uuid:1>";reg-id=1'],
  ] as const) {
    it(`RFC 5626 6: on a new connection, ${what} moves the registration to the new flow`, async () => {
      const before = await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice, params)], seq: 1 });
      const [old] = flows();
      alice.hangUp();
      await closed();
      const contact = params === "" ? contactOf(alice) : `<sip:alice@127.0.0.1:9;transport=tcp>${params}`;
      const after = await registerRaw(scenario, alice, { aor, contacts: [contact], seq: 2 });
      expect(after.path).toBe(before.path);
      expect(flows()).toHaveLength(1);
      expect(flows()[0]).not.toBe(old);
      expect(await reach(before.path, "sip:alice@127.0.0.1", alice)).toBe("alice");
    });
  }

  it("RFC 5626 4.4.1: while the old connection still stands, the new one is the flow: the old one has no service any more", async () => {
    const { path } = await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    const moved = await scenario.ue("alice-again");
    await registerRaw(scenario, moved, { aor, contacts: [contactOf(alice)], seq: 2 });
    expect(scenario.edge.counts().registrations).toBe(1);
    expect(await reach(path, "sip:alice@127.0.0.1", alice, moved)).toBe("alice-again");
    const refused = await alice.send(alice.request("MESSAGE", "sip:carol@far.example")).final();
    expect(refused.status).toBe(403);
    // What is left of the old connection takes nothing with it.
    alice.hangUp();
    await closed();
    expect(await reach(path, "sip:alice@127.0.0.1", alice, moved)).toBe("alice-again");
  });

  it("TS 24.229 5.2.2: a re-registration that fails to authenticate leaves the old registration as it was", async () => {
    const { path } = await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    const before = scenario.edge.registrations();
    const challenge = [["WWW-Authenticate", 'Digest realm="home.example", nonce="n2"']] as const;
    const again = { aor, contacts: [contactOf(alice)] };
    const asked = await registerRaw(scenario, alice, { ...again, seq: 2 }, { status: 401, headers: challenge });
    expect(asked.response.status).toBe(401);
    expect(
      (await registerRaw(scenario, alice, { ...again, seq: 3 }, { status: 403, granted: [] })).response.status,
    ).toBe(403);
    // Nor does a stranger's attempt on another connection move it.
    const mallory = await scenario.ue("mallory");
    await registerRaw(scenario, mallory, { ...again, seq: 4 }, { status: 403, granted: [] });
    expect(scenario.edge.registrations()).toEqual(before);
    expect(await reach(path, "sip:alice@127.0.0.1", alice, mallory)).toBe("alice");
    expect((await originate(scenario, alice, { body: sdp() })).arrived.request.method).toBe("INVITE");
  });

  it("RFC 7616 3.3: a 401 that says the nonce is stale reaches the UE as it was written", async () => {
    const value = 'Digest realm="home.example", nonce="n3", stale=true, algorithm=MD5, qop="auth"';
    const { response } = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [contactOf(alice)], seq: 1 },
      { status: 401, headers: [["WWW-Authenticate", value]], granted: [] },
    );
    expect(headerValue(response, "www-authenticate")).toBe(value);
  });

  it("RFC 3261 10.3 step 7: the registrar's own 423 passes with its Min-Expires", async () => {
    const { response } = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [contactOf(alice)], seq: 1, expires: 90 },
      { status: 423, headers: [["Min-Expires", "1800"]], granted: [] },
    );
    expect([response.status, headerValue(response, "min-expires")]).toEqual([423, "1800"]);
    expect(scenario.edge.counts().registrations).toBe(0);
  });

  it("RFC 5626 6: the registrar's 439 passes, and nothing is registered", async () => {
    const { response } = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [contactOf(alice)], seq: 1 },
      { status: 439, granted: [] },
    );
    expect(response.status).toBe(439);
    expect(scenario.edge.counts().registrations).toBe(0);
  });
});

describe("RFC 6223: keep-alives", () => {
  const keepOf = (value: string | undefined): string | true | undefined => {
    const found = parseVia(value ?? "")?.params.find(([name]) => name === "keep");
    return found === undefined ? undefined : (found[1] ?? true);
  };
  const offering = (ue: TestUe) => {
    const sent = rawRegister(ue, { aor: ue.aor, contacts: [contactOf(ue)], seq: 1 });
    return ue.send(sent, [["keep", undefined]]);
  };

  it("RFC 6223 4.3: a UE on TCP that offers keep is told how often, in the 200 and not before", async () => {
    const sent = offering(alice);
    scenario.core.respond(await scenario.core.expect("REGISTER"), 200, {
      headers: [["Contact", contactOf(alice)]],
    });
    await sent.final();
    const last = alice.wire.findLast(({ direction, text }) => direction === "in" && text.startsWith("SIP/2.0 200"));
    expect(keepOf(/^Via: (.*)$/m.exec(last?.text ?? "")?.[1]?.trim())).toBe("120");
  });

  it("RFC 6223 4.3: over UDP as well: its keep-alives are STUN", async () => {
    const bob = await scenario.ue("bob", { protocol: "udp" });
    const sent = offering(bob);
    scenario.core.respond(await scenario.core.expect("REGISTER"), 200, { headers: [["Contact", contactOf(bob)]] });
    await sent.final();
    const last = bob.wire.findLast(({ direction, text }) => direction === "in" && text.startsWith("SIP/2.0 200"));
    expect(keepOf(/^Via: (.*)$/m.exec(last?.text ?? "")?.[1]?.trim())).toBe("120");
  });
});
