// Every dialect over every transport under every policy, through a whole edge: what is announced, stored and done.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { headerList, headerValue, headerValues, type SipResponse } from "@sallyport/sip";
import type { EdgeConfigInput } from "../src/index.ts";
import { bodyOf } from "./support/calls.ts";
import { textOf, type Peer, type Sent } from "./support/peer.ts";
import { contactOf, rawRegister } from "./support/registering.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, sdp, ueOffer } from "./support/sdp.ts";
import { openTls, type TestTls } from "./support/tls.ts";

let tls: TestTls;
let scenario: Scenario;
beforeAll(async () => {
  tls = await openTls();
});
afterAll(() => tls.close());
afterEach(() => scenario.close());

type Rule = EdgeConfigInput["policy"]["rules"][number];

const withRule =
  (rule: Partial<Rule>) =>
  (config: EdgeConfigInput): EdgeConfigInput => ({
    ...config,
    access: [
      ...config.access,
      {
        name: "tls",
        protocol: "tls",
        address: "127.0.0.1",
        port: 0,
        tls: { certificate: tls.files.certificate, key: tls.files.key },
      },
    ],
    policy: { rules: [{ e2ae: "offered", ...rule }] },
  });

// As the edge of a scenario has them: tcp and udp are declared trusted, clear is not.
const transports = [
  { name: "TLS", protocol: "tls", confidential: true },
  { name: "TCP, trusted", protocol: "tcp", confidential: true },
  { name: "UDP, trusted", protocol: "udp", confidential: true },
  { name: "TCP, clear", protocol: "tcp", listener: 2, confidential: false },
] as const;

const open = async (rule: Partial<Rule>, { protocol, ...rest }: (typeof transports)[number]): Promise<TestUe> => {
  scenario = await openScenario({ change: withRule(rule) });
  return scenario.ue("alice", {
    protocol,
    ...("listener" in rest ? { listener: rest.listener } : {}),
    ...(protocol === "tls" ? { tls: tls.ue } : {}),
  });
};

/** What becomes of an INVITE: its body at `to`, or the status it was refused with. It is declined there. */
const outcome = async (sent: Sent, to: Peer): Promise<string | number> => {
  const before = to.requests.all.length;
  const status = sent.final().then((response) => response.status);
  let refused: number | undefined;
  status.then((value) => (refused = value)).catch(() => undefined);
  await until(() => refused !== undefined || to.requests.all.length > before, "the INVITE went on or was refused");
  const arrived = to.requests.all[before];
  if (arrived === undefined) return status;
  to.respond(arrived, 603);
  await status;
  return bodyOf(arrived.request);
};

const calling = (ue: TestUe, body: string, callId: string): Promise<string | number> =>
  outcome(ue.send(ue.request("INVITE", "sip:carol@far.example", { body, callId })), scenario.core);

const called = (ue: TestUe, path: string): Promise<string | number> => {
  const invite = coreRequest(scenario.core, "INVITE", ue.contact, {
    route: [path],
    body: coreSdp(),
    callId: "towards",
  });
  return outcome(scenario.core.send(invite), ue);
};

const security = (response: SipResponse): readonly string[] => headerValues(response, "security-server");

describe("TS 33.328 7.1: dialect, transport and policy", () => {
  for (const transport of transports)
    for (const dialect of ["3gpp", "draft", "none"] as const)
      for (const e2ae of ["off", "offered", "required"] as const) {
        const both = transport.confidential && dialect !== "none" && e2ae !== "off";
        const clear = e2ae !== "required";
        it(`TS 33.328 7.1: ${dialect} over ${transport.name} with e2ae ${e2ae}: ${both ? "announced and applied" : clear ? "as without" : "nothing in the clear"}`, async () => {
          const alice = await open({ e2ae }, transport);
          const { challenge, ok, first, second, path } = await alice.register({ dialect });
          const list = both ? ["sdes-srtp;mediasec"] : [];
          expect([security(challenge), security(ok)]).toEqual([list, list]);
          expect(textOf(first) + textOf(second)).not.toMatch(/security-|mediasec|^(?:Proxy-)?Require:/im);
          expect(scenario.edge.registrations()).toMatchObject([
            {
              dialect,
              mode: both ? "e2ae" : "none",
              indications: { ueE2ae: dialect !== "none", networkE2ae: both },
              ...(both
                ? {}
                : {
                    reason:
                      e2ae === "off"
                        ? "network-policy"
                        : transport.confidential
                          ? "ue-not-capable"
                          : "signalling-not-confidential",
                  }),
            },
          ]);
          // A refresh without credentials tells the list again.
          const refresh = await alice.register({ dialect });
          expect([security(refresh.challenge), security(refresh.ok)]).toEqual([list, list]);
          const asked = await calling(alice, ueOffer(), "asked");
          if (both) expect(asked).toMatch(/m=audio \d+ RTP\/AVP (?!.*(?:crypto|3ge2ae))/s);
          else expect(asked).toBe(488);
          const plain = await calling(alice, sdp(), "plain");
          if (clear) expect(plain).toContain("RTP/AVP");
          else expect(plain).toBe(488);
          const towards = await called(alice, path);
          if (both) expect(towards).toMatch(/m=audio \d+ RTP\/SAVP .*a=crypto:1 .*a=3ge2ae:applied/s);
          else if (clear) expect(towards).toBe(coreSdp());
          else expect(towards).toBe(488);
          expect(scenario.iq.open.size).toBe(0);
        });
      }
});

describe("the unsolicited Security-Server", () => {
  const challengeOf = async (ue: TestUe, headers: readonly (readonly [string, string])[]): Promise<SipResponse> => {
    const sent = ue.send(rawRegister(ue, { aor: ue.aor, contacts: [`<${ue.contact}>`], seq: 1, headers }));
    scenario.core.respond(await scenario.core.expect("REGISTER"), 401, {
      headers: [["WWW-Authenticate", 'Digest realm="home.example", nonce="n1"']],
    });
    return sent.final();
  };

  for (const [announceUnasked, silent, others] of [
    ["never", false, false],
    ["unannounced", true, false],
    ["always", true, true],
    [false, false, false],
    [true, true, true],
  ] as const) {
    it(`RFC 3329 2.3.1: announceUnasked ${announceUnasked}: who hears of it in the 401`, async () => {
      const alice = await open({ announceUnasked }, transports[1]);
      expect(security(await challengeOf(alice, []))).toEqual(silent ? ["sdes-srtp;mediasec"] : []);
      const bob = await scenario.ue("bob");
      const listed = [["Security-Client", "dtls-srtp;mediasec, tls"]] as const;
      expect(security(await challengeOf(bob, listed))).toEqual(others ? ["sdes-srtp;mediasec"] : []);
    });
  }

  it("TS 33.328 7.1: a UE that waits for the network's list answers it in its second REGISTER, and has e2ae from then on", async () => {
    const alice = await open({ announceUnasked: "unannounced" }, transports[0]);
    expect(security(await challengeOf(alice, []))).toEqual(["sdes-srtp;mediasec"]);
    const contacts = [`<${alice.contact}>`];
    const again = alice.send(
      rawRegister(alice, {
        aor: alice.aor,
        contacts,
        seq: 2,
        headers: [
          ["Security-Client", "sdes-srtp;mediasec"],
          ["Security-Verify", "sdes-srtp;mediasec"],
          ["Require", "mediasec"],
          ["Proxy-Require", "mediasec"],
          [
            "Authorization",
            'Digest username="alice", realm="home.example", nonce="n1", uri="sip:home.example", response="0"',
          ],
        ],
      }),
    );
    const arrived = await scenario.core.expect("REGISTER");
    scenario.core.respond(arrived, 200, { headers: [["Contact", `${contacts[0]};expires=600`]] });
    expect(security(await again.final())).toEqual(["sdes-srtp;mediasec"]);
    expect(scenario.edge.registrations()).toMatchObject([{ mode: "e2ae", dialect: "draft" }]);
    expect(await called(alice, headerValue(arrived.request, "path") ?? "")).toMatch(/RTP\/SAVP/);
  });

  it("TS 33.328 7.3.1 step 3: a UE that was told and never announced anything is called in the clear; nothing was agreed", async () => {
    const alice = await open({ announceUnasked: "always" }, transports[0]);
    const { challenge, ok, path } = await alice.register({ dialect: "none" });
    expect([security(challenge), security(ok)]).toEqual([["sdes-srtp;mediasec"], ["sdes-srtp;mediasec"]]);
    expect(scenario.edge.registrations()).toMatchObject([{ mode: "none", reason: "ue-not-capable" }]);
    expect(await called(alice, path)).toBe(coreSdp());
    expect(await calling(alice, ueOffer(), "asked")).toBe(488);
  });

  it("TS 24.229 7.2A.7: several Security-Client headers and lists, any order, among ipsec-3gpp and tls: the media entry counts, the others are kept apart", async () => {
    const ipsec =
      "ipsec-3gpp;prot=esp;mod=trans;spi-c=25656;spi-s=25657;port-c=6301;port-s=6300;alg=hmac-sha-1-96;ealg=aes-cbc";
    const shapes: readonly (readonly string[])[] = [
      [`${ipsec}, sdes-srtp;mediasec`],
      [`sdes-srtp;mediasec, ${ipsec}`, "tls"],
      ["tls", "msrp-tls;mediasec", "SDES-SRTP ; Mediasec", ipsec],
      [`${ipsec},tls;q=0.5,dtls-srtp;mediasec,sdes-srtp;q=0.1;mediasec`],
    ];
    const alice = await open({ e2ae: "offered" }, transports[0]);
    for (const [at, values] of shapes.entries()) {
      const headers = values.map((value) => ["Security-Client", value] as const);
      const contact = contactOf(alice, "").replace("alice@", `alice${at}@`);
      const sent = alice.send(rawRegister(alice, { aor: alice.aor, contacts: [contact], seq: at + 1, headers }));
      const arrived = await scenario.core.expect("REGISTER");
      expect(headerList(arrived.request, "security-client")).toEqual([]);
      scenario.core.respond(arrived, 200, { headers: [["Contact", `${contact};expires=600`]] });
      expect(security(await sent.final()), values.join(" | ")).toEqual(["sdes-srtp;mediasec"]);
    }
    expect(scenario.edge.registrations().map(({ mode }) => mode)).toEqual(shapes.map(() => "e2ae"));
  });

  it("TS 24.229 7.2A.7: sdes-srtp without the mediasec flag names a signalling mechanism and announces nothing", async () => {
    const alice = await open({ e2ae: "offered" }, transports[0]);
    expect(security(await challengeOf(alice, [["Security-Client", "sdes-srtp, tls;mediasec=no"]]))).toEqual([]);
  });
});
