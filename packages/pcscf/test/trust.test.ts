import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue, headerValues, type SipRequest, type SipResponse } from "@sallyport/sip";
import { originate } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { coreRequest, openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register({
    grant: [["P-Associated-URI", "<sip:alice.work@home.example>"]],
  }));
});
afterEach(() => scenario.close());

type Headers = readonly (readonly [string, string])[];

/** What the core gets of a request of alice. */
const upwards = async (headers: Headers, method = "MESSAGE"): Promise<SipRequest> => {
  const sent = alice.send(alice.request(method, "sip:carol@far.example", { headers, callId: `up-${headers.length}` }));
  const arrived = await scenario.core.expect(method);
  scenario.core.respond(arrived, 200);
  await sent.final();
  return arrived.request;
};

/** What alice gets of a request of the core, and what the core gets of her answer. */
const downwards = async (
  headers: Headers,
  answer: Headers = [],
): Promise<{ readonly request: SipRequest; readonly response: SipResponse }> => {
  const sent = scenario.core.send(coreRequest(scenario.core, "MESSAGE", alice.contact, { route: [path], headers }));
  const arrived = await alice.expect("MESSAGE");
  alice.respond(arrived, 200, { headers: answer });
  return { request: arrived.request, response: await sent.final() };
};

describe("RFC 3325: who somebody is", () => {
  it("RFC 3325 9.2: a preferred identity that is registered is asserted; one that is not gives the default one", async () => {
    const work = await upwards([["P-Preferred-Identity", '"A" <sip:alice.work@home.example>']]);
    expect(headerValues(work, "p-asserted-identity")).toEqual(["<sip:alice.work@home.example>"]);
    const unknown = await upwards([
      ["P-Preferred-Identity", "<sip:ceo@home.example>"],
      ["P-Asserted-Identity", "<sip:ceo@home.example>"],
    ]);
    expect(headerValues(unknown, "p-asserted-identity")).toEqual([`<${alice.aor}>`]);
    expect(headerValue(unknown, "p-preferred-identity")).toBeUndefined();
  });

  it("RFC 3325 7: the identity a caller of the network asserts reaches the UE, unless privacy id is asked for", async () => {
    const asserted = ["P-Asserted-Identity", "<sip:carol@far.example>"] as const;
    const open = await downwards([asserted]);
    expect(headerValue(open.request, "p-asserted-identity")).toBe(asserted[1]);
    for (const privacy of ["id", "header;id", "user, ID"]) {
      const hidden = await downwards([asserted, ["Privacy", privacy]]);
      expect(headerValue(hidden.request, "p-asserted-identity"), privacy).toBeUndefined();
    }
    const other = await downwards([asserted, ["Privacy", "identity;none"]]);
    expect(headerValue(other.request, "p-asserted-identity")).toBe(asserted[1]);
  });

  it("TS 24.229 5.2.6.4: a UE answers as the identity it was called by, whatever it claims", async () => {
    const work = "<sip:alice.work@home.example>";
    const claims = [["P-Asserted-Identity", "<sip:ceo@home.example>"]] as const;
    const { request, response } = await downwards([["P-Called-Party-ID", work]], claims);
    expect(headerValue(request, "p-called-party-id")).toBe(work);
    expect(headerValues(response, "p-asserted-identity")).toEqual([work]);
    // The UE's hint does not overrule what the network called.
    const hinted = await downwards([["P-Called-Party-ID", work]], [["P-Preferred-Identity", `<${alice.aor}>`]]);
    expect(headerValues(hinted.response, "p-asserted-identity")).toEqual([work]);
    // Called by something it did not register: its default identity.
    const stray = await downwards([["P-Called-Party-ID", "<sip:ceo@home.example>"]], claims);
    expect(headerValues(stray.response, "p-asserted-identity")).toEqual([`<${alice.aor}>`]);
  });

  it("TS 24.229 5.2.6.4: the same holds for a call, in its 180 and its 200", async () => {
    const work = "<sip:alice.work@home.example>";
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, {
        route: [path],
        headers: [["P-Called-Party-ID", work]],
        body: coreSdp(),
      }),
    );
    const arrived = await alice.expect("INVITE");
    alice.respond(arrived, 180);
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer() });
    const ok = await sent.final();
    const ringing = sent.responses.all.find(({ status }) => status === 180);
    for (const response of [ringing, ok]) {
      expect(response === undefined ? [] : headerValues(response, "p-asserted-identity")).toEqual([work]);
    }
  });
});

describe("what only the trust domain may say", () => {
  const forged: Headers = [
    ["P-Charging-Vector", "icid-value=forged"],
    ["P-Charging-Function-Addresses", "ccf=forged"],
    ["P-Called-Party-ID", "<sip:forged@home.example>"],
    ["P-Visited-Network-ID", "forged"],
    ["P-Served-User", "<sip:forged@home.example>"],
    ["P-Asserted-Service", "urn:forged"],
    ["P-Private-Network-Indication", "forged"],
    ["Feature-Caps", "*;+g.3gpp.forged"],
    ["P-Early-Media", "sendrecv;forged"],
  ];

  it("TS 24.229 4.4: none of it passes from a UE, in a request or in a response", async () => {
    const request = await upwards(forged);
    const { response } = await downwards([], forged);
    expect(textOf(request) + textOf(response)).not.toContain("forged");
  });

  it("RFC 5009 8: a UE may say that it supports P-Early-Media, nothing more", async () => {
    const request = await upwards([["P-Early-Media", "supported, sendrecv"]]);
    expect(headerList(request, "p-early-media")).toEqual(["supported"]);
    const { request: down } = await downwards([["P-Early-Media", "sendonly"]]);
    expect(headerValue(down, "p-early-media")).toBe("sendonly");
  });

  it("RFC 7315 4.4: the UE's own access information goes in, what claims to be network-provided does not", async () => {
    const request = await upwards([
      ["P-Access-Network-Info", "IEEE-802.11;i-wlan-node-id=1, 3GPP-GERAN;cgi-3gpp=1 ; network-provided"],
    ]);
    expect(headerList(request, "p-access-network-info")).toEqual(["IEEE-802.11;i-wlan-node-id=1"]);
  });

  it("RFC 7315 5: charging, visited network, served user and others' access information stay in the network", async () => {
    const secret: Headers = [
      ["P-Charging-Vector", "icid-value=inner"],
      ["P-Charging-Function-Addresses", "ccf=inner"],
      ["P-Visited-Network-ID", "inner"],
      ["P-Served-User", "<sip:inner@home.example>"],
      ["P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=inner"],
      ["P-Preferred-Identity", "<sip:inner@home.example>"],
    ];
    const { request } = await downwards(secret);
    expect(textOf(request)).not.toContain("inner");
    const sent = alice.send(alice.request("MESSAGE", "sip:carol@far.example", { callId: "down" }));
    scenario.core.respond(await scenario.core.expect("MESSAGE"), 200, { headers: secret });
    expect(textOf(await sent.final())).not.toContain("inner");
  });

  it("RFC 6809 3: contact feature tags are the UE's own and pass", async () => {
    const { arrived } = await originate(scenario, alice, {
      headers: [["Contact", `<${alice.contact}>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"`]],
    });
    expect(headerValues(arrived.request, "contact").join()).toContain("+g.3gpp.icsi-ref");
  });
});
