// The trust table of a P-CSCF, one row for each header and direction: what a UE may say, what the core may tell it, what the
// edge adds itself. RFC 3325, RFC 7315, RFC 6809, RFC 5009, RFC 3327, RFC 3608, TS 24.229 5.2.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createResponse,
  headerList,
  headerValue,
  headerValues,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import { establishOriginating, establishTerminating } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { contactOf, registerRaw } from "./support/registering.ts";
import { coreRequest, openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { sdp } from "./support/sdp.ts";

const dsl = "IEEE-802.3ah;dsl-location=42";
let scenario: Scenario;
let alice: TestUe;
let path: string;
beforeEach(async () => {
  scenario = await openScenario({
    change: (config) => ({
      ...config,
      access: [
        { name: "tcp", protocol: "tcp", address: "127.0.0.1", port: 0, trusted: true, accessNetworkInfo: dsl },
        { name: "plain", protocol: "tcp", address: "127.0.0.1", port: 0, trusted: true },
      ],
      policy: {
        rules: [{ match: { accessNetwork: ["IEEE-802.3ah"] }, e2ae: "offered" }, { e2ae: "off" }],
      },
    }),
  });
  alice = await scenario.ue("alice");
  ({ path } = await alice.register({
    grant: [
      ["P-Associated-URI", "<sip:alice.work@home.example>"],
      ["P-Charging-Function-Addresses", "ccf=192.0.2.50; ecf=192.0.2.51"],
    ],
  }));
});
afterEach(() => scenario.close());

type Headers = readonly (readonly [string, string])[];
type Way = "UE asks" | "UE answers" | "core asks" | "core answers" | "UE registers" | "registrar answers";

let crossings = 0;

/** A MESSAGE of the UE with `asked`, answered by the core with `answered`: what arrived of each. */
const upwards = async (asked: Headers, answered: Headers) => {
  const callId = `crossing-${crossings}`;
  const sent = alice.send(alice.request("MESSAGE", "sip:carol@far.example", { callId, headers: asked }));
  const arrived = await scenario.core.expect("MESSAGE");
  scenario.core.respond(arrived, 200, { headers: answered });
  return { request: arrived.request, response: await sent.final() };
};

/** The same of the core, answered by the UE. */
const downwards = async (asked: Headers, answered: Headers) => {
  const options = { callId: `crossing-${crossings}`, route: [path], headers: asked };
  const sent = scenario.core.send(coreRequest(scenario.core, "MESSAGE", alice.contact, options));
  const arrived = await alice.expect("MESSAGE");
  alice.respond(arrived, 200, { headers: answered });
  return { request: arrived.request, response: await sent.final() };
};

const registering = (headers: Headers, answered: Headers) => {
  const register = { aor: alice.aor, contacts: [contactOf(alice)], seq: 100 + crossings, headers };
  return registerRaw(scenario, alice, register, { headers: answered });
};

/** What arrives on the other side of a message with these headers; `asked` go on the request an answer is for. */
const cross = async (way: Way, headers: Headers, asked: Headers = []): Promise<SipRequest | SipResponse> => {
  crossings += 1;
  const ways = {
    "UE asks": async () => (await upwards(headers, [])).request,
    "core answers": async () => (await upwards(asked, headers)).response,
    "core asks": async () => (await downwards(headers, [])).request,
    "UE answers": async () => (await downwards(asked, headers)).response,
    "UE registers": async () => (await registering(headers, [])).request,
    "registrar answers": async () => (await registering([], headers)).response,
  } as const;
  return ways[way]();
};

const icid = /^icid-value="?[0-9a-f]{32}"?;icid-generated-at=home\.example;orig-ioi="home\.example"$/;
const work = "<sip:alice.work@home.example>";
const mine = "<sip:alice@home.example>";
const known = `${dsl};network-provided`;

interface Row {
  readonly way: Way;
  readonly header: string;
  readonly says: Headers;
  readonly asked?: Headers;
  /** Values of `header` on the other side. */
  readonly gives: readonly (string | RegExp)[];
  readonly why: string;
}

const none: readonly never[] = [];
const forged = "forged";

const rows: readonly Row[] = [
  // RFC 3959: what this edge cannot key is nobody's to use.
  ...(["UE asks", "UE answers", "core asks", "core answers"] as const).map((way): Row => ({
    way,
    header: "Supported",
    says: [["Supported", "timer, Early-Session, 100rel"]],
    gives: ["timer, 100rel"],
    why: "early sessions have no keys of their own",
  })),
  // TS 24.229 4.4, RFC 8496 5: the network alone vouches for a call, and says who is charged for it.
  ...(
    [
      ["Attestation-Info", "A"],
      ["Origination-Id", "b7d1"],
      ["Priority-Verstat", "Emergency-Validation-Passed"],
      ["P-Charge-Info", "<sip:ceo@home.example>"],
      ["Relayed-Charge", "sip:ceo@home.example"],
      ["Service-Interact-Info", "forged"],
      ["Restoration-Info", "noresponse"],
    ] as const
  ).flatMap(([header, value]) =>
    (["UE asks", "UE answers", "UE registers"] as const).map((way): Row => ({
      way,
      header,
      says: [[header, value]],
      gives: [],
      why: "a UE is not of the trust domain",
    })),
  ),
  {
    way: "UE asks",
    header: "P-Access-Network-Info",
    says: [["P-Access-Network-Info", "3GPP-NR-FDD;network-provided=1"]],
    gives: [`${dsl};network-provided`],
    why: "a mark with a value is a mark to a lenient reader",
  },
  // RFC 3325: identities.
  { way: "UE asks", header: "P-Asserted-Identity", says: [], gives: [mine], why: "the default identity is asserted" },
  {
    way: "UE asks",
    header: "P-Asserted-Identity",
    says: [["P-Preferred-Identity", work]],
    gives: [work],
    why: "a registered preference is honoured",
  },
  {
    way: "UE asks",
    header: "P-Asserted-Identity",
    says: [["P-Preferred-Identity", "<sip:ceo@home.example>"]],
    gives: [mine],
    why: "a preference nobody registered is not",
  },
  {
    way: "UE asks",
    header: "P-Asserted-Identity",
    says: [["P-Asserted-Identity", work]],
    gives: [mine],
    why: "a UE asserts nothing",
  },
  {
    way: "UE asks",
    header: "P-Preferred-Identity",
    says: [["P-Preferred-Identity", work]],
    gives: none,
    why: "the hint has done its work",
  },
  {
    way: "UE answers",
    header: "P-Asserted-Identity",
    says: [["P-Asserted-Identity", work]],
    gives: [mine],
    why: "who answers is who registered",
  },
  {
    way: "UE answers",
    header: "P-Asserted-Identity",
    says: [],
    asked: [["P-Called-Party-ID", work]],
    gives: [work],
    why: "as who was called",
  },
  {
    way: "UE answers",
    header: "P-Preferred-Identity",
    says: [["P-Preferred-Identity", work]],
    gives: none,
    why: "the hint has done its work",
  },
  {
    way: "core asks",
    header: "P-Asserted-Identity",
    says: [["P-Asserted-Identity", "<sip:carol@far.example>"]],
    gives: ["<sip:carol@far.example>"],
    why: "the network says who calls",
  },
  {
    way: "core asks",
    header: "P-Asserted-Identity",
    says: [
      ["P-Asserted-Identity", "<sip:carol@far.example>"],
      ["Privacy", "id"],
    ],
    gives: none,
    why: "not when the caller wants it kept",
  },
  {
    way: "core answers",
    header: "P-Asserted-Identity",
    says: [
      ["P-Asserted-Identity", "<sip:carol@far.example>"],
      ["Privacy", "user;id"],
    ],
    gives: none,
    why: "nor in an answer",
  },
  {
    way: "core asks",
    header: "Privacy",
    says: [["Privacy", "header;user"]],
    gives: ["header;user"],
    why: "asked privacy is told",
  },
  {
    way: "UE asks",
    header: "Privacy",
    says: [["Privacy", "id"]],
    gives: ["id"],
    why: "and passes inwards, where it counts",
  },
  // RFC 7315 4.2: who was called.
  {
    way: "core asks",
    header: "P-Called-Party-ID",
    says: [["P-Called-Party-ID", work]],
    gives: [work],
    why: "the UE learns as whom it is called",
  },
  {
    way: "UE asks",
    header: "P-Called-Party-ID",
    says: [["P-Called-Party-ID", forged]],
    gives: none,
    why: "not for a UE to say",
  },
  {
    way: "UE answers",
    header: "P-Called-Party-ID",
    says: [["P-Called-Party-ID", forged]],
    gives: none,
    why: "not for a UE to say",
  },
  // RFC 7315 4.3: visited network.
  {
    way: "UE registers",
    header: "P-Visited-Network-ID",
    says: [["P-Visited-Network-ID", forged]],
    gives: ['"home.example"'],
    why: "ours",
  },
  {
    way: "UE asks",
    header: "P-Visited-Network-ID",
    says: [["P-Visited-Network-ID", forged]],
    gives: none,
    why: "not for a UE to say",
  },
  {
    way: "core asks",
    header: "P-Visited-Network-ID",
    says: [["P-Visited-Network-ID", "inner"]],
    gives: none,
    why: "stays inside",
  },
  // RFC 7315 4.4: access network.
  {
    way: "UE asks",
    header: "P-Access-Network-Info",
    says: [["P-Access-Network-Info", "IEEE-802.11"]],
    gives: ["IEEE-802.11", known],
    why: "the UE's word and the network's",
  },
  {
    way: "UE asks",
    header: "P-Access-Network-Info",
    says: [["P-Access-Network-Info", `${forged};network-provided`]],
    gives: [known],
    why: "a UE is not the network",
  },
  { way: "UE answers", header: "P-Access-Network-Info", says: [], gives: [known], why: "in answers as well" },
  {
    way: "UE registers",
    header: "P-Access-Network-Info",
    says: [["P-Access-Network-Info", `3GPP-GERAN ;NETWORK-PROVIDED`]],
    gives: [known],
    why: "and in REGISTER",
  },
  {
    way: "core asks",
    header: "P-Access-Network-Info",
    says: [["P-Access-Network-Info", "inner"]],
    gives: none,
    why: "where others are is not told",
  },
  {
    way: "core answers",
    header: "P-Access-Network-Info",
    says: [["P-Access-Network-Info", "inner"]],
    gives: none,
    why: "where others are is not told",
  },
  // RFC 7315 4.6: charging vector.
  {
    way: "UE asks",
    header: "P-Charging-Vector",
    says: [["P-Charging-Vector", `icid-value=${forged}`]],
    gives: [icid],
    why: "a fresh one, with our network as originating",
  },
  {
    way: "UE registers",
    header: "P-Charging-Vector",
    says: [["P-Charging-Vector", `icid-value=${forged}`]],
    gives: [icid],
    why: "in REGISTER as well",
  },
  {
    way: "UE answers",
    header: "P-Charging-Vector",
    says: [["P-Charging-Vector", `icid-value=${forged}`]],
    asked: [["P-Charging-Vector", 'icid-value="a;b";orig-ioi=far.example;term-ioi=x;ggsn=inner']],
    gives: ['icid-value="a;b";orig-ioi=far.example;term-ioi="home.example"'],
    why: "the one it was asked under, with our network as terminating",
  },
  {
    way: "UE answers",
    header: "P-Charging-Vector",
    says: [["P-Charging-Vector", `icid-value=${forged}`]],
    gives: none,
    why: "none where none was asked under",
  },
  {
    way: "core asks",
    header: "P-Charging-Vector",
    says: [["P-Charging-Vector", "icid-value=inner"]],
    gives: none,
    why: "stays inside",
  },
  {
    way: "core answers",
    header: "P-Charging-Vector",
    says: [["P-Charging-Vector", "icid-value=inner"]],
    gives: none,
    why: "stays inside",
  },
  {
    way: "registrar answers",
    header: "P-Charging-Vector",
    says: [["P-Charging-Vector", "icid-value=inner"]],
    gives: none,
    why: "stays inside",
  },
  // RFC 7315 4.5: charging functions, learned at registration.
  {
    way: "UE asks",
    header: "P-Charging-Function-Addresses",
    says: [["P-Charging-Function-Addresses", `ccf=${forged}`]],
    gives: ["ccf=192.0.2.50; ecf=192.0.2.51"],
    why: "those the registrar named, not the UE's",
  },
  {
    way: "UE answers",
    header: "P-Charging-Function-Addresses",
    says: [["P-Charging-Function-Addresses", `ccf=${forged}`]],
    gives: none,
    why: "not for a UE to say",
  },
  {
    way: "registrar answers",
    header: "P-Charging-Function-Addresses",
    says: [["P-Charging-Function-Addresses", "ccf=192.0.2.50"]],
    gives: none,
    why: "stored, never told",
  },
  {
    way: "core asks",
    header: "P-Charging-Function-Addresses",
    says: [["P-Charging-Function-Addresses", "ccf=inner"]],
    gives: none,
    why: "never told",
  },
  {
    way: "core answers",
    header: "P-Charging-Function-Addresses",
    says: [["P-Charging-Function-Addresses", "ccf=inner"]],
    gives: none,
    why: "never told",
  },
  // RFC 6809: capabilities of the network; of the UE in its Contact.
  {
    way: "UE asks",
    header: "Feature-Caps",
    says: [["Feature-Caps", `*;+g.3gpp.${forged}`]],
    gives: none,
    why: "not for a UE to say",
  },
  {
    way: "UE answers",
    header: "Feature-Caps",
    says: [["Feature-Caps", `*;+g.3gpp.${forged}`]],
    gives: none,
    why: "not for a UE to say",
  },
  {
    way: "UE registers",
    header: "Feature-Caps",
    says: [["Feature-Caps", `*;+g.3gpp.${forged}`]],
    gives: none,
    why: "not for a UE to say",
  },
  {
    way: "core asks",
    header: "Feature-Caps",
    says: [["Feature-Caps", "*;+g.3gpp.srvcc"]],
    gives: ["*;+g.3gpp.srvcc"],
    why: "the network tells its own",
  },
  // Others of the trust domain.
  ...(["P-Served-User", "P-User-Database", "P-Profile-Key", "P-Private-Network-Indication"] as const).flatMap(
    (header): readonly Row[] => [
      { way: "UE asks", header, says: [[header, forged]], gives: none, why: "not for a UE to say" },
      { way: "UE answers", header, says: [[header, forged]], gives: none, why: "not for a UE to say" },
      { way: "core asks", header, says: [[header, "inner"]], gives: none, why: "stays inside" },
      { way: "core answers", header, says: [[header, "inner"]], gives: none, why: "stays inside" },
    ],
  ),
  {
    way: "UE asks",
    header: "P-Asserted-Service",
    says: [["P-Asserted-Service", "urn:forged"]],
    gives: none,
    why: "not for a UE to say",
  },
  {
    way: "UE asks",
    header: "P-Preferred-Service",
    says: [["P-Preferred-Service", "urn:urn-7:3gpp-service.ims.icsi.mmtel"]],
    gives: ["urn:urn-7:3gpp-service.ims.icsi.mmtel"],
    why: "a UE's wish (RFC 6050)",
  },
  {
    way: "core asks",
    header: "P-Preferred-Service",
    says: [["P-Preferred-Service", "urn:inner"]],
    gives: none,
    why: "a wish ends at the trust domain",
  },
  // RFC 5009: who may speak of early media.
  {
    way: "UE asks",
    header: "P-Early-Media",
    says: [["P-Early-Media", "supported"]],
    gives: ["supported"],
    why: "a UE says that it understands",
  },
  {
    way: "UE asks",
    header: "P-Early-Media",
    says: [["P-Early-Media", "sendrecv"]],
    gives: none,
    why: "and authorises nothing",
  },
  {
    way: "UE answers",
    header: "P-Early-Media",
    says: [["P-Early-Media", "sendrecv"]],
    gives: none,
    why: "and authorises nothing",
  },
  {
    way: "core answers",
    header: "P-Early-Media",
    says: [["P-Early-Media", "sendonly"]],
    gives: ["sendonly"],
    why: "the network does",
  },
  // RFC 3329, and what is of the registration alone.
  { way: "core asks", header: "Security-Server", says: [["Security-Server", "tls"]], gives: none, why: "for one hop" },
  {
    way: "core answers",
    header: "Security-Server",
    says: [["Security-Server", "sdes-srtp;mediasec"]],
    gives: none,
    why: "for one hop",
  },
  {
    way: "UE asks",
    header: "Security-Verify",
    says: [["Security-Verify", "sdes-srtp;mediasec"]],
    gives: none,
    why: "for one hop",
  },
  {
    way: "UE registers",
    header: "Path",
    says: [],
    gives: [/^<sip:p\.[0-9a-f]{32}\.[\w-]+@127\.0\.0\.1:\d+;transport=tcp;lr>$/],
    why: "our own, sealed",
  },
  {
    way: "UE registers",
    header: "Authorization",
    says: [["Authorization", 'Digest username="a", integrity-protected=yes, response="0"']],
    gives: [/^(?!.*integrity-protected)/],
    why: "a UE cannot claim integrity",
  },
  {
    way: "registrar answers",
    header: "Service-Route",
    says: [["Service-Route", "<sip:orig@core.example;lr>"]],
    gives: ["<sip:orig@core.example;lr>"],
    why: "the UE copies it into Route",
  },
  {
    way: "registrar answers",
    header: "P-Associated-URI",
    says: [["P-Associated-URI", work]],
    gives: [work],
    why: "its identities are told",
  },
];

describe("TS 24.229 4.4: the trust domain ends at the edge", () => {
  for (const { way, header, says, asked, gives, why } of rows) {
    const said = says.map(([name, value]) => `${name}: ${value}`).join(", ") || "nothing";
    it(`${header}, ${way}, saying ${said.slice(0, 90)}: ${why}`, async () => {
      const crossed = await cross(way, says, asked);
      const found = header.startsWith("P-Access")
        ? headerList(crossed, header.toLowerCase())
        : headerValues(crossed, header.toLowerCase());
      expect(found).toHaveLength(gives.length);
      for (const [at, due] of gives.entries())
        expect(found[at]).toEqual(due instanceof RegExp ? expect.stringMatching(due) : due);
      expect(textOf(crossed)).not.toMatch(/forged|inner/);
    });
  }
});

describe("what the edge knows by itself", () => {
  it("TS 33.328 7.1 NOTE 2: policy goes by the network's word of the access; where it has none, by the UE's", async () => {
    expect(scenario.edge.registrations()).toMatchObject([{ accessNetwork: "IEEE-802.3ah", mode: "e2ae" }]);
    const bob = await scenario.ue("bob", { listener: 1 });
    await bob.register({ headers: [["P-Access-Network-Info", "IEEE-802.3ah"]] });
    const carol = await scenario.ue("carol", { listener: 1 });
    await carol.register({ headers: [["P-Access-Network-Info", "3GPP-GERAN"]] });
    expect(scenario.edge.registrations().map(({ mode }) => mode)).toEqual(["e2ae", "e2ae", "none"]);
  });

  it("RFC 7315 4.4 to 4.6: in a call the INVITE and its answers carry them, the ACK and the BYE no charging", async () => {
    const dialog = await establishOriginating(scenario, alice);
    expect(headerValue(dialog.invite, "p-charging-vector")).toMatch(icid);
    expect(headerValue(dialog.invite, "p-charging-function-addresses")).toBe("ccf=192.0.2.50; ecf=192.0.2.51");
    const bye = alice.send(dialog.byCaller("BYE", 2));
    const arrived = await scenario.core.expect("BYE");
    expect(headerValue(arrived.request, "p-access-network-info")).toBe(known);
    expect(headerValue(arrived.request, "p-asserted-identity")).toBeUndefined();
    scenario.core.respond(arrived, 200);
    await bye.final();
    const called = await establishTerminating(scenario, alice, path, {
      headers: [["P-Charging-Vector", "icid-value=inner;orig-ioi=far.example"]],
    });
    expect(headerValue(called.ok, "p-charging-vector")).toBe(
      'icid-value=inner;orig-ioi=far.example;term-ioi="home.example"',
    );
    expect(headerValue(called.ok, "p-access-network-info")).toBe(known);
    expect(headerValue(called.invite, "p-charging-vector")).toBeUndefined();
  });

  it("RFC 7315 4.5: an unusable length or number of charging functions is not kept", async () => {
    const many = Array.from({ length: 9 }, (_, at) => ["P-Charging-Function-Addresses", `ccf=192.0.2.${at}`] as const);
    const long = ["P-Charging-Function-Addresses", `ccf=${"x".repeat(600)}`] as const;
    const contacts = [`<${alice.contact}>`];
    await registerRaw(scenario, alice, { aor: alice.aor, contacts, seq: 50 }, { headers: [long, ...many] });
    const sent = alice.send(alice.request("MESSAGE", "sip:carol@far.example", { callId: "four", headers: [] }));
    const arrived = await scenario.core.expect("MESSAGE");
    expect(headerValues(arrived.request, "p-charging-function-addresses")).toEqual(
      many.slice(0, 4).map(([, value]) => value),
    );
    scenario.core.respond(arrived, 200);
    await sent.final();
  });
});

describe("answers that lost their way", () => {
  for (const kept of [0, 1] as const) {
    it(`RFC 3261 16.7: an answer of the core with ${kept === 0 ? "our Via alone" : "another Via for the UE's"} reaches the UE with the Vias it asked with`, async () => {
      for (const method of ["INVITE", "MESSAGE"]) {
        const body = method === "INVITE" ? { body: sdp() } : {};
        const sent = alice.send(
          alice.request(method, "sip:carol@far.example", { callId: `lost-${method}-${kept}`, ...body }),
        );
        const arrived = await scenario.core.expect(method);
        const [ours = "", , ...rest] = headerValues(arrived.request, "via");
        expect(rest).toEqual([]);
        const vias = kept === 0 ? [ours] : [ours, "SIP/2.0/TCP stranger.example;branch=z9hG4bKstranger"];
        const without = arrived.request.headers.filter(({ name }) => name !== "via");
        const sloppy = {
          ...arrived,
          request: {
            ...arrived.request,
            headers: [...vias.map((value) => ({ name: "via", raw: `Via: ${value}`, value })), ...without],
          },
        };
        arrived.respond(createResponse(sloppy.request, 487, undefined, { toTag: "x" }));
        expect((await sent.final()).status).toBe(487);
      }
    });
  }
});
