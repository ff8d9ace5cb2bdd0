// The deviations of clients that signalling.md and peers.md name, one row each: what the client sends, what must come of it.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue, headerValues } from "@sallyport/sip";
import { bodyOf, contactUri, establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { rawRegister, registerRaw } from "./support/registering.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, keys, sdp, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
beforeEach(async () => {
  scenario = await openScenario({
    change: (config) => ({
      ...config,
      policy: {
        rules: [
          {
            e2ae: "offered",
            suites: [
              "AES_CM_128_HMAC_SHA1_80",
              "AES_CM_128_HMAC_SHA1_32",
              "AES_256_CM_HMAC_SHA1_80",
              "AEAD_AES_256_GCM",
            ],
          },
        ],
      },
    }),
  });
  alice = await scenario.ue("alice");
});
afterEach(() => scenario.close());

type Headers = readonly (readonly [string, string])[];
const tags: Headers = [
  ["Require", "mediasec"],
  ["Proxy-Require", "mediasec"],
];
const list: Headers = [["Security-Client", "sdes-srtp;mediasec"]];
const verify = (...values: readonly string[]): Headers => values.map((value) => ["Security-Verify", value] as const);
const authorization: Headers = [
  ["Authorization", 'Digest username="a", realm="home.example", nonce="n1", uri="sip:home.example", response="0"'],
];
const quirksMet = (): readonly (string | undefined)[] =>
  scenario.edge
    .counters()
    .filter(({ name }) => name === "quirks_total")
    .map(({ labels }) => labels["quirk"]);

describe("registrations", () => {
  const rows: readonly {
    readonly what: string;
    readonly first: Headers;
    readonly second: Headers;
    readonly status: number;
    readonly mode?: string;
    readonly quirk?: string;
  }[] = [
    {
      what: "Security-Verify in the first REGISTER already, remembered from an earlier life",
      first: [...list, ...tags, ...verify("sdes-srtp;mediasec")],
      second: [...list, ...tags, ...verify("sdes-srtp;mediasec")],
      status: 200,
      mode: "e2ae",
    },
    {
      what: "Security-Verify duplicated",
      first: [...list, ...tags],
      second: [...list, ...tags, ...verify("sdes-srtp;mediasec", "sdes-srtp;mediasec")],
      status: 200,
      mode: "e2ae",
      quirk: "verify-duplicated",
    },
    {
      what: "Security-Verify with blanks, other case and a q of its own",
      first: [...list, ...tags],
      second: [...list, ...tags, ...verify("SDES-SRTP ; q=0.3 ; MediaSec")],
      status: 200,
      mode: "e2ae",
    },
    {
      what: "Security-Client missing in the second REGISTER",
      first: [...list, ...tags],
      second: [...tags, ...verify("sdes-srtp;mediasec")],
      status: 200,
      mode: "e2ae",
      quirk: "client-missing",
    },
    {
      what: "a list of media mechanisms alone, without sec-agree",
      first: list,
      second: [...list, ...verify("sdes-srtp;mediasec")],
      status: 200,
      mode: "e2ae",
    },
    {
      what: "three mechanisms announced, as one operator lists them",
      first: [["Security-Client", "msrp-tls;mediasec, sdes-srtp;mediasec, dtls-srtp;mediasec"], ...tags],
      second: [
        ["Security-Client", "msrp-tls;mediasec, sdes-srtp;mediasec, dtls-srtp;mediasec"],
        ...tags,
        ...verify("sdes-srtp;mediasec"),
      ],
      status: 200,
      mode: "e2ae",
    },
    {
      what: "mediasec only in Proxy-Require",
      first: [...list, ["Proxy-Require", "mediasec"]],
      second: [...list, ["Proxy-Require", "mediasec"], ...verify("sdes-srtp;mediasec")],
      status: 200,
      mode: "e2ae",
    },
    {
      what: "Supported: mediasec, which nobody defined, and an empty Supported beside it",
      first: [...list, ["Supported", "mediasec"], ["Supported", ""]],
      second: [...list, ["Supported", "mediasec"], ["Supported", ""], ...verify("sdes-srtp;mediasec")],
      status: 200,
      mode: "e2ae",
    },
    {
      what: "Security-Verify of somebody else's list",
      first: [...list, ...tags],
      second: [...list, ...tags, ...verify("dtls-srtp;mediasec")],
      status: 494,
    },
  ];
  for (const { what, first, second, status, mode, quirk } of rows) {
    it(`RFC 3329 2.3.1: ${what}: ${status}`, async () => {
      const contacts = [`<${alice.contact}>`];
      const challenge = await registerRaw(
        scenario,
        alice,
        { aor: alice.aor, contacts, seq: 1, headers: first },
        { status: 401, headers: [["WWW-Authenticate", 'Digest realm="home.example", nonce="n1"']], granted: [] },
      );
      expect(headerValues(challenge.response, "security-server")).toEqual(["sdes-srtp;mediasec"]);
      const again = { aor: alice.aor, contacts, seq: 2, headers: [...second, ...authorization] };
      if (status === 494) {
        const refused = await alice.send(rawRegister(alice, again)).final();
        expect([refused.status, headerValues(refused, "security-server")]).toEqual([494, ["sdes-srtp;mediasec"]]);
        expect(scenario.edge.counts().registrations).toBe(0);
        return;
      }
      const { response, request } = await registerRaw(scenario, alice, again);
      expect([response.status, headerValues(response, "security-server")]).toEqual([200, ["sdes-srtp;mediasec"]]);
      // What is left of Supported is ours; nothing empty goes on.
      expect(headerList(request, "supported")).toEqual(["path"]);
      expect(scenario.edge.registrations()).toMatchObject([{ mode }]);
      if (quirk !== undefined) expect(quirksMet()).toContain(quirk);
    });
  }

  it("Linphone: registers again with the address it sees in received and rport: one registration, the old contact gone", async () => {
    const before = "<sip:alice@192.168.1.7:5060;transport=tcp>";
    await registerRaw(scenario, alice, { aor: alice.aor, contacts: [before], seq: 1 });
    const seen = `<sip:alice@127.0.0.1:${alice.port};transport=tcp>`;
    await registerRaw(
      scenario,
      alice,
      { aor: alice.aor, contacts: [`${before};expires=0`, seen], seq: 2 },
      { granted: [`${seen};expires=600`] },
    );
    expect(scenario.edge.registrations().map(({ contact }) => `<${contact}>`)).toEqual([seen]);
  });

  it("baresip: the domain with ;transport=tls as Request-URI, in digest uri and To, and an empty Supported, pass", async () => {
    const register = rawRegister(alice, {
      aor: alice.aor,
      contacts: [`<${alice.contact}>;expires=600`],
      seq: 1,
      headers: [["Supported", ""], ...authorization],
    });
    const sent = alice.send({
      ...register,
      uri: "sip:home.example;transport=tls",
      startLine: "REGISTER sip:home.example;transport=tls SIP/2.0",
    });
    const arrived = await scenario.core.expect("REGISTER");
    expect(arrived.request.uri).toBe("sip:home.example;transport=tls");
    expect(headerValue(arrived.request, "authorization")).toBe(authorization[0]?.[1]);
    scenario.core.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>;expires=600`]] });
    expect((await sent.final()).status).toBe(200);
    expect(scenario.edge.counts().registrations).toBe(1);
  });
});

describe("offers", () => {
  const name80 = "AES_CM_128_HMAC_SHA1_80";
  const rows: readonly {
    readonly what: string;
    readonly lines: readonly string[];
    /** The line the answer must carry, or the status of the refusal. */
    readonly answer: RegExp | number;
    readonly quirk?: string;
  }[] = [
    {
      what: "Oracle: tag 0",
      lines: [crypto(keys.k11, 0)],
      answer: /a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:/,
      quirk: "crypto-tag-zero",
    },
    {
      what: "pjsip: the suite in lower case",
      lines: [crypto(keys.k11, 1, name80.toLowerCase())],
      answer: /a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:/i,
      quirk: "suite-lower-case",
    },
    {
      what: "FreeSWITCH: the alias AES_CM_256_HMAC_SHA1_80",
      lines: [crypto(keyOf(0x11, 46), 1, "AES_CM_256_HMAC_SHA1_80")],
      answer: /a=crypto:1 AES_(?:CM_256|256_CM)_HMAC_SHA1_80 inline:[A-Za-z0-9+/]{62}==\r\n/,
      quirk: "suite-alias",
    },
    {
      what: "suites of no RFC around the one in common",
      lines: [
        crypto(keyOf(0x11, 44), 1, "AEAD_AES_256_GCM_8"),
        crypto(keyOf(0x11, 28), 2, "AEAD_AES_128_GCM_8"),
        crypto(keys.k11, 7),
      ],
      answer: /a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:/,
      quirk: "suite-unknown",
    },
    {
      what: "Linphone and rtpengine: base64 without padding",
      lines: [crypto(keyOf(0x11, 46).replace(/=+$/, ""), 1, "AES_256_CM_HMAC_SHA1_80")],
      answer: /a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:[A-Za-z0-9+/]{62}==\r\n/,
      quirk: "base64-unpadded",
    },
    {
      what: "more than ten crypto lines",
      lines: Array.from({ length: 16 }, (_, at) =>
        crypto(keyOf(at + 1), at + 1, at === 11 ? name80 : `X_UNKNOWN_${at}`),
      ),
      answer: /a=crypto:12 AES_CM_128_HMAC_SHA1_80 inline:/,
    },
    {
      what: "lifetime, MKI and FEC_ORDER, as TS 34.229-1 prints them",
      lines: [`${crypto(keys.k11)}|2^20|1:4 FEC_ORDER=FEC_SRTP`, crypto(keys.k11b, 2)],
      answer: /a=crypto:[12] AES_CM_128_HMAC_SHA1_80 inline:/,
    },
    {
      what: "a key of wrong length first, a good one second",
      lines: [crypto(keyOf(0x11, 28)), crypto(keys.k11b, 2)],
      answer: /a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:/,
    },
    { what: "nothing but a key of wrong length", lines: [crypto(keyOf(0x11, 28))], answer: 488 },
    { what: "unencrypted SRTP alone", lines: [`${crypto(keys.k11)} UNENCRYPTED_SRTP`], answer: 488 },
    { what: "an unknown parameter that may be ignored", lines: [`${crypto(keys.k11)} -x=1`], answer: /a=crypto:1 / },
    { what: "an unknown parameter that may not", lines: [`${crypto(keys.k11)} x=1`], answer: 488 },
  ];
  for (const { what, lines, answer, quirk } of rows) {
    it(`RFC 4568 6.1: ${what}: ${typeof answer === "number" ? answer : "answered with that line"}`, async () => {
      await alice.register();
      const body = sdp({ protocol: "RTP/SAVP", lines: [...lines, "a=3ge2ae:requested"] });
      if (typeof answer === "number") {
        const refused = await alice.send(alice.request("INVITE", "sip:carol@far.example", { body })).final();
        expect(refused.status).toBe(answer);
        expect(scenario.core.requests.all.map(({ request }) => request.method)).not.toContain("INVITE");
        return;
      }
      const dialog = await establishOriginating(scenario, alice, { body });
      expect(bodyOf(dialog.invite)).not.toMatch(/inline:|crypto|SAVP/);
      expect(bodyOf(dialog.ok)).toMatch(answer);
      expect(bodyOf(dialog.ok).match(/a=crypto:/g)).toHaveLength(1);
      if (quirk !== undefined) expect(quirksMet()).toContain(quirk);
    });
  }

  it("signalling.md 3: an INVITE without Security-Verify, in the draft dialect, is served", async () => {
    await alice.register({ dialect: "draft" });
    const { arrived } = await originate(scenario, alice, { headers: tags });
    expect(headerValue(arrived.request, "require")).toBeUndefined();
  });

  it("pjsua: UPDATE with one codec right after an answer with several, before its ACK is through", async () => {
    await alice.register();
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 200, { headers: [["Contact", "<sip:carol@127.0.0.1>"]], body: coreSdp() });
    const ok = await sent.final();
    const request = (method: string, seq: number, body?: string) =>
      alice.request(method, contactUri(ok), {
        seq,
        to: headerValue(ok, "to") ?? "",
        headers: headerList(ok, "record-route")
          .toReversed()
          .map((route) => ["Route", route] as const),
        ...(body === undefined ? {} : { body }),
      });
    const one = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keys.k11), "a=3ge2ae:requested"] });
    const update = alice.send(request("UPDATE", 2, one));
    await alice.ack(request("ACK", 1));
    const atCore = await scenario.core.expect("UPDATE");
    expect(bodyOf(atCore.request)).toContain("RTP/AVP");
    scenario.core.respond(atCore, 200, {
      headers: [["Contact", "<sip:carol@127.0.0.1>"]],
      body: coreSdp({ version: 2 }),
    });
    expect((await update.final()).status).toBe(200);
    await scenario.core.acks.next();
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
  });

  it("RFC 3261 18.1.1: an offer of sixteen crypto lines in one datagram of more than 1300 octets is taken whole", async () => {
    const bob = await scenario.ue("bob", { protocol: "udp" });
    await bob.register();
    const lines = Array.from({ length: 16 }, (_, at) =>
      crypto(keyOf(at + 1), at + 1, at === 15 ? name80 : `X_UNKNOWN_${at}`),
    );
    const dialog = await establishOriginating(scenario, bob, {
      body: sdp({ protocol: "RTP/SAVP", lines: [...lines, "a=3ge2ae:requested"] }),
    });
    expect(bodyOf(dialog.ok)).toMatch(/a=crypto:16 /);
  });
});

describe("answers", () => {
  const rows: readonly {
    readonly what: string;
    readonly lines: readonly string[];
    readonly protocol?: string;
    readonly good: boolean;
    readonly quirk?: string;
  }[] = [
    { what: "requested in an answer", lines: [crypto(keys.k22), "a=3ge2ae:requested"], good: true },
    {
      what: "the suite in lower case",
      lines: [crypto(keys.k22, 1, "aes_cm_128_hmac_sha1_80")],
      good: true,
      quirk: "suite-lower-case",
    },
    {
      what: "its own tag for the suite it was offered, where policy does not tolerate that",
      lines: [crypto(keys.k22, 9)],
      good: false,
    },
    {
      what: "a key without padding",
      lines: [crypto(keyOf(0x22, 46).replace(/=+$/, ""), 3, "AES_256_CM_HMAC_SHA1_80")],
      good: true,
      quirk: "base64-unpadded",
    },
    { what: "the second suite offered", lines: [crypto(keys.k22, 2, "AES_CM_128_HMAC_SHA1_32")], good: true },
    { what: "RTP/AVP with a key", lines: [crypto(keys.k22)], protocol: "RTP/AVP", good: false },
    { what: "RTP/SAVP without a key", lines: [], good: false },
    { what: "a suite that was never offered", lines: [crypto(keyOf(0x22, 28), 1, "AEAD_AES_128_GCM")], good: false },
    { what: "a key of wrong length", lines: [crypto(keyOf(0x22, 29))], good: false },
  ];
  for (const { what, lines, protocol = "RTP/SAVP", good, quirk } of rows) {
    it(`RFC 4568 5.1.3: ${what}: ${good ? "taken" : "the call ends, never in the clear"}`, async () => {
      const { path } = await alice.register();
      const answer = sdp({ protocol, lines });
      if (good) {
        const { answered } = await establishTerminating(scenario, alice, path, { answer });
        expect(answered).toMatch(/m=audio \d+ RTP\/AVP /);
        expect(answered).not.toMatch(/crypto|3ge2ae|inline/);
        if (quirk !== undefined) expect(quirksMet()).toContain(quirk);
        return;
      }
      const sent = scenario.core.send(
        coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
      );
      const arrived = await alice.expect("INVITE");
      alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: answer });
      expect((await sent.final()).status).toBe(488);
      alice.respond(await alice.expect("BYE"), 200);
      await until(() => scenario.iq.open.size === 0, "the context given back");
    });
  }

  it("all of them: 488 to what they do not want reaches the caller, and nothing is left", async () => {
    const { path } = await alice.register();
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
    );
    alice.respond(await alice.expect("INVITE"), 488);
    expect((await sent.final()).status).toBe(488);
    await until(() => scenario.iq.open.size === 0, "the context given back");
    expect(scenario.edge.counts().calls).toBe(0);
  });

  it("Asterisk with an unannounced network: ueOffer is refused and the same call in the clear passes", async () => {
    await alice.register({ dialect: "none" });
    const refused = await alice
      .send(alice.request("INVITE", "sip:carol@far.example", { body: ueOffer(), callId: "secure" }))
      .final();
    expect(refused.status).toBe(488);
    const { arrived } = await originate(scenario, alice, { body: sdp(), callId: "clear" });
    expect(bodyOf(arrived.request)).toBe(sdp());
  });
});
