// Which contact of a REGISTER, of its 200 and of the table is which: instance, reg-id, address, emergency. RFC 3261 10.2 and
// 10.3, RFC 5626 6 and 9, RFC 6140 5, RFC 7255, RFC 8599, TS 24.229 5.1.6.2 and 5.2.2.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue } from "@sallyport/sip";
import { contactOf, rawRegister, registerRaw } from "./support/registering.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let alice: TestUe;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
});
afterEach(() => scenario.close());

const aor = "sip:alice@home.example";
const instance = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"';
const outbound = [["Supported", "path, outbound"]] as const;

const left = (): readonly (readonly [contact: string, seconds: number])[] =>
  scenario.edge.registrations().map(({ contact, expiresInMs }) => [contact, expiresInMs / 1000] as const);

/** Who gets a MESSAGE of the core along a Path, or what the core is told. */
const reach = async (path: string, uri: string, ...ues: readonly TestUe[]): Promise<string> => {
  const { core } = scenario;
  const sent = core.send(coreRequest(core, "MESSAGE", uri, { route: [path], callId: `m${Math.random()}` }));
  for (const ue of ues)
    void ue.expect("MESSAGE").then(
      (arrived) => ue.respond(arrived, 200, { headers: [["Server", ue.name]] }),
      () => undefined,
    );
  const answer = await sent.final();
  return headerValue(answer, "server") ?? String(answer.status);
};

describe("RFC 5626: flows of one instance", () => {
  const contact = "<sip:alice@192.0.2.2;transport=tcp>";
  const flow = (regId: number, expires: number): string => `${contact}${instance};reg-id=${regId};expires=${expires}`;
  const both = async (granted: readonly string[]) => {
    const second = await scenario.ue("second");
    const one = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [`${contact}${instance};reg-id=1`], seq: 1, headers: outbound },
      { granted: [flow(1, 600)] },
    );
    const two = await registerRaw(
      scenario,
      second,
      { aor, contacts: [`${contact}${instance};reg-id=2`], seq: 1, headers: outbound },
      { granted },
    );
    return { second, one, two };
  };

  it.each([
    ["first", [flow(1, 90), flow(2, 300)]],
    ["last", [flow(2, 300), flow(1, 90)]],
  ])(
    "RFC 5626 9.1: two flows under one Contact URI: each has its own time, the other listed %s",
    async (_, granted) => {
      await both(granted);
      expect(left().map(([, seconds]) => seconds)).toEqual([600, 300]);
    },
  );

  it("RFC 5626 6: a flow the registrar does not list is not registered, though its Contact URI is listed", async () => {
    await both([flow(1, 600)]);
    expect(left().map(([, seconds]) => seconds)).toEqual([600]);
  });

  it("RFC 5626 4.2.1: each flow is reached along its own Path, and taken back alone", async () => {
    const { second, one, two } = await both([flow(1, 600), flow(2, 300)]);
    expect(await reach(one.path, "sip:alice@192.0.2.2", alice)).toBe("alice");
    expect(await reach(two.path, "sip:alice@192.0.2.2", second)).toBe("second");
    await registerRaw(
      scenario,
      second,
      { aor, contacts: [`${contact}${instance};reg-id=2`], seq: 2, expires: 0, headers: outbound },
      { granted: [flow(1, 500)] },
    );
    expect(left().map(([, seconds]) => seconds)).toEqual([600]);
    expect(await reach(two.path, "sip:alice@192.0.2.2")).toBe("480");
    expect(await reach(one.path, "sip:alice@192.0.2.2", alice)).toBe("alice");
  });

  it("RFC 5626 6: a reg-id without an instance is none: no promise in the Path, several are no fault", async () => {
    const [one, two] = [contactOf(alice, ";reg-id=1"), "<sip:alice@192.0.2.9>;reg-id=2"];
    const { response, path } = await registerRaw(scenario, alice, {
      aor,
      contacts: [one, two],
      seq: 1,
      headers: outbound,
    });
    expect(response.status).toBe(200);
    expect(path).not.toContain(";ob");
    expect(left()).toHaveLength(2);
    alice.hangUp();
    await until(() => scenario.logs.some(({ event }) => event === "connection closed"), "closed");
    // Not a flow of outbound: it is opened anew to where the UE listens.
    expect(await reach(path, contactOf(alice).slice(1, -1), alice)).toBe("alice");
  });
});

describe("an instance without reg-id", () => {
  const old = "<sip:alice@10.1.1.1;transport=tcp>";

  it.each(["before", "after"])(
    "RFC 3261 10.2.2: a device that changed its address and takes the old one back %s the new stays registered",
    async (place) => {
      await registerRaw(scenario, alice, { aor, contacts: [`${old}${instance}`], seq: 1 });
      const fresh = `${contactOf(alice)}${instance}`;
      const gone = `${old}${instance};expires=0`;
      const { path } = await registerRaw(
        scenario,
        alice,
        { aor, contacts: place === "before" ? [gone, fresh] : [fresh, gone], seq: 2 },
        { granted: [`${fresh};expires=600`] },
      );
      expect(left()).toEqual([[contactOf(alice).slice(1, -1), 600]]);
      expect(await reach(path, "sip:alice@127.0.0.1", alice)).toBe("alice");
    },
  );

  it("RFC 3261 10.3: of two contacts of the instance that the registrar lists, ours is the one with our URI", async () => {
    const fresh = `${contactOf(alice)}${instance}`;
    await registerRaw(
      scenario,
      alice,
      { aor, contacts: [fresh], seq: 1 },
      { granted: [`${old}${instance};expires=17`, `${fresh};expires=600`] },
    );
    expect(left()).toEqual([[contactOf(alice).slice(1, -1), 600]]);
  });

  it("RFC 7255 3: an IMEI as instance-id moves with its UE, svn and all", async () => {
    const imei = ';+sip.instance="<urn:gsma:imei:90420156-025763-0;svn=64>"';
    await registerRaw(scenario, alice, { aor, contacts: [`${old}${imei}`], seq: 1 });
    await registerRaw(scenario, alice, { aor, contacts: [`${contactOf(alice)}${imei}`], seq: 2 });
    expect(left().map(([contact]) => contact)).toEqual([contactOf(alice).slice(1, -1)]);
  });
});

describe("TS 24.229 5.1.6: an emergency registration beside the other one", () => {
  const normal = (): string => `<sip:alice@127.0.0.1:${alice.port};transport=tcp>`;
  const sos = (): string => `<sip:alice@127.0.0.1:${alice.port};transport=tcp;sos>`;

  it.each([
    ["of an instance", instance],
    ["without one", ""],
  ])("TS 24.229 5.1.6.2: %s it is a registration of its own and leaves the other as it is", async (_, params) => {
    const first = await registerRaw(scenario, alice, { aor, contacts: [`${normal()}${params}`], seq: 1 });
    const second = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [`${sos()}${params}`], seq: 2 },
      { granted: [`${normal()}${params};expires=600`, `${sos()}${params};expires=100`] },
    );
    expect(left()).toEqual([
      [normal().slice(1, -1), 600],
      [sos().slice(1, -1), 100],
    ]);
    expect(first.path).not.toBe(second.path);
    // TS 24.229 5.1.6.4: the UE refreshes the other one meanwhile.
    await registerRaw(
      scenario,
      alice,
      { aor, contacts: [`${normal()}${params}`], seq: 3 },
      { granted: [`${sos()}${params};expires=80`, `${normal()}${params};expires=300`] },
    );
    expect(left().map(([, seconds]) => seconds)).toEqual([100, 300]);
    scenario.clock.advance(121_000);
    expect(left()).toEqual([[normal().slice(1, -1), 179]]);
    expect(await reach(first.path, normal().slice(1, -1), alice)).toBe("alice");
    expect(await reach(second.path, sos().slice(1, -1))).toBe("480");
  });
});

describe("contacts of every shape", () => {
  it.each([
    ["no user part", "<sip:192.0.2.7:5070>"],
    ["IPv6", "<sip:alice@[2001:db8::7]:5070>"],
    ["IPv6 written in full and in capitals", "<sip:alice@[2001:DB8:0:0:0:0:0:7]>"],
    ["parameters in the user part", "<sip:+4930123;npdi;rn=+4930999@192.0.2.7;user=phone>"],
    ["escapes in the user part", "<sip:al%69ce%40corp@192.0.2.7>"],
    ["sips", "<sips:alice@192.0.2.7>"],
    ["no angle brackets", "sip:alice@192.0.2.7:5070"],
    ["a display name with a comma and quotes", '"Alice, \\"A\\"" <sip:alice@192.0.2.7>'],
    [
      "RFC 3840 features",
      '<sip:alice@192.0.2.7>;audio;video;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"',
    ],
    [
      "RFC 8599: push parameters",
      "<sip:alice@192.0.2.7;pn-provider=fcm;pn-param=proj1;pn-prid=aKd7:APA91b%3A>;+sip.pnsreg",
    ],
    ["RFC 5627: a GRUU is asked for", `<sip:alice@192.0.2.7>${instance};q=0.5`],
    ["RFC 3840 methods and q", '<sip:alice@192.0.2.7>;q=1.0;methods="INVITE, BYE"'],
  ])("RFC 3261 10.2.1: %s: passes as written, is registered and found again at its refresh", async (_, contact) => {
    const grants = { granted: [`${contact};expires=300`] };
    const first = await registerRaw(scenario, alice, { aor, contacts: [contact], seq: 1 }, grants);
    expect(headerList(first.request, "contact")).toEqual([contact]);
    expect(headerList(first.response, "contact")).toEqual([`${contact};expires=300`]);
    const second = await registerRaw(scenario, alice, { aor, contacts: [contact], seq: 2 }, grants);
    expect(second.path).toBe(first.path);
    expect(left()).toHaveLength(1);
    expect(left()[0]?.[1]).toBe(300);
  });

  it("RFC 3261 10.2.1: contacts of other schemes pass and are the registrar's alone; of several the SIP one is ours", async () => {
    const contacts = ["<tel:+4930123>", contactOf(alice), "<mailto:alice@home.example>;q=0.1"];
    const { request, response } = await registerRaw(scenario, alice, { aor, contacts, seq: 1 });
    expect(headerList(request, "contact")).toEqual(contacts);
    expect(headerList(response, "contact")).toEqual(contacts);
    expect(left()).toEqual([[contactOf(alice).slice(1, -1), 600]]);
    const other = await registerRaw(scenario, alice, {
      aor: "sip:bob@home.example",
      contacts: ["<tel:+4930124>"],
      seq: 2,
    });
    expect(other.response.status).toBe(200);
    expect(left()).toHaveLength(1);
  });

  it("RFC 3261 10.3 step 6: Contact * beside a contact of another scheme is refused", async () => {
    const sent = alice.send(
      rawRegister(alice, { aor, contacts: ["*", "<mailto:alice@home.example>"], seq: 1, expires: 0 }),
    );
    expect((await sent.final()).status).toBe(400);
  });

  it("RFC 3261 10.2.1: a REGISTER without Contact asks only: its 200 lists others, and no registration changes", async () => {
    await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    const before = scenario.edge.registrations();
    const asked = await registerRaw(
      scenario,
      alice,
      { aor, contacts: [], seq: 2 },
      { granted: ["<sip:alice@192.0.2.77>;expires=9", `${contactOf(alice)};expires=44`] },
    );
    expect(headerList(asked.response, "contact")).toHaveLength(2);
    expect(scenario.edge.registrations()).toEqual(before);
  });

  it("RFC 3261 10.2.1.1: expires of the contact goes before the header's, for more time and for less and for none", async () => {
    const contact = contactOf(alice);
    for (const [seq, [param, header]] of [
      [";expires=900", 60],
      [";expires=60", 900],
      ["", 700],
    ].entries() as unknown as Iterable<[number, [string, number]]>) {
      await registerRaw(scenario, alice, { aor, contacts: [`${contact}${param}`], seq: seq + 1, expires: header });
      expect(left()[0]?.[1]).toBe(param === "" ? 700 : Number(param.slice(9)));
    }
    await registerRaw(
      scenario,
      alice,
      { aor, contacts: [`${contact};expires=0`], seq: 9, expires: 600 },
      { granted: [] },
    );
    expect(left()).toEqual([]);
  });

  it.each([
    ["in the parameter", ";expires=4000", []],
    ["in the header", "", [["Expires", "4000"]]],
    ["less, in the parameter, against the header", ";expires=61", [["Expires", "4000"]]],
  ] as const)(
    "RFC 3261 10.3 step 8: the registrar grants another time %s, and that holds",
    async (_, param, headers) => {
      await registerRaw(
        scenario,
        alice,
        { aor, contacts: [contactOf(alice)], seq: 1 },
        { granted: [`${contactOf(alice)}${param}`], headers },
      );
      expect(left()[0]?.[1]).toBe(param === ";expires=61" ? 61 : 4000);
    },
  );
});

describe("RFC 6140: bulk registration", () => {
  it("RFC 6140 5.1: Proxy-Require gin is understood, and a bnc contact without user is the one for all numbers", async () => {
    const contact = `<sip:127.0.0.1:${alice.port};transport=tcp;bnc>`;
    const { request, path } = await registerRaw(scenario, alice, {
      aor: "sip:pbx@home.example",
      contacts: [contact],
      seq: 1,
      headers: [
        ["Require", "gin"],
        ["Proxy-Require", "gin"],
        ["Supported", "path"],
      ],
    });
    expect([headerValue(request, "require"), headerValue(request, "proxy-require")]).toEqual(["gin", "gin"]);
    expect(headerList(request, "contact")).toEqual([contact]);
    expect(await reach(path, `sip:+12145550105@127.0.0.1:${alice.port};transport=tcp`, alice)).toBe("alice");
  });
});
