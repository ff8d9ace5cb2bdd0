// Real clients as they were watched: Asterisk with mediasec, pjsua, Linphone, baresip. Each behaviour is one test.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRequest, headerList, headerValue, headerValues, type SipRequest } from "@sallyport/sip";
import { bodyOf, dialogOf, establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keys, sdp, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let asterisk: TestUe;

beforeEach(async () => {
  scenario = await openScenario();
  asterisk = await scenario.ue("asterisk");
});
afterEach(async () => {
  await scenario.close();
});

const tags: readonly (readonly [string, string])[] = [
  ["Security-Verify", "sdes-srtp;mediasec"],
  ["Require", "mediasec"],
  ["Proxy-Require", "mediasec"],
];
const asks: readonly (readonly [string, string])[] = [["Security-Client", "sdes-srtp;mediasec"], ...tags.slice(1)];
const credentials = [
  "Authorization",
  'Digest username="asterisk", realm="home.example", nonce="n1", uri="sip:home.example", response="0123456789abcdef0123456789abcdef"',
] as const;

const refresh = (seq: number, headers: readonly (readonly [string, string])[]): SipRequest =>
  createRequest({
    method: "REGISTER",
    uri: "sip:home.example",
    headers: [
      ["Max-Forwards", "70"],
      ["From", `<${asterisk.aor}>;tag=r`],
      ["To", `<${asterisk.aor}>`],
      ["Call-ID", "registration-of-asterisk"],
      ["CSeq", `${seq} REGISTER`],
      ["Contact", `<${asterisk.contact}>`],
      ["Expires", "600"],
      ["Supported", "path"],
      ...headers,
    ],
  });

describe("Asterisk", () => {
  it("1: learns Security-Server from the 401 alone, with Require and Proxy-Require mediasec and Supported path", async () => {
    const { challenge, first } = await asterisk.register({ headers: [["Supported", "path"]] });
    expect(headerValues(challenge, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(headerList(first, "supported")).toEqual(["path"]);
  });

  it("2: begins each refresh without credentials and without Security-Verify, and finds the list in its 401 again", async () => {
    const { path } = await asterisk.register();
    const bare = asterisk.send(refresh(10, asks));
    scenario.core.respond(await scenario.core.expect("REGISTER"), 401, {
      headers: [["WWW-Authenticate", 'Digest realm="home.example", nonce="n2"']],
    });
    const challenge = await bare.final();
    expect([challenge.status, headerValues(challenge, "security-server")]).toEqual([401, ["sdes-srtp;mediasec"]]);
    const full = asterisk.send(refresh(11, [...asks, tags[0] ?? credentials, credentials]));
    const again = await scenario.core.expect("REGISTER");
    expect(headerValue(again.request, "path")).toBe(path);
    scenario.core.respond(again, 200, { headers: [["Contact", `<${asterisk.contact}>;expires=600`]] });
    expect((await full.final()).status).toBe(200);
    expect(scenario.edge.counts().registrations).toBe(1);
  });

  it("3: repeats the list without q and drops what it does not know", async () => {
    await asterisk.register();
    const sent = asterisk.send(refresh(10, [...asks, ["Security-Verify", "sdes-srtp;mediasec"], credentials]));
    scenario.core.respond(await scenario.core.expect("REGISTER"), 200, {
      headers: [["Contact", `<${asterisk.contact}>;expires=600`]],
    });
    expect((await sent.final()).status).toBe(200);
  });

  it("4: has mediasec in INVITE, BYE and OPTIONS; none of it reaches the core, which would answer 420", async () => {
    await asterisk.register();
    const { sent, arrived } = await originate(scenario, asterisk, { headers: tags });
    scenario.core.respond(arrived, 200, {
      headers: [["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`]],
      body: coreSdp(),
    });
    const ok = await sent.final();
    const dialog = dialogOf(asterisk.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
    await asterisk.ack(dialog.byCaller("ACK", 1));
    const bye = dialog.byCaller("BYE", 2);
    asterisk.send({
      ...bye,
      headers: [
        ...asterisk
          .request("BYE", bye.uri, { headers: tags })
          .headers.filter(({ name }) => /^(?:security|require|proxy-require)/.test(name)),
        ...bye.headers,
      ],
    });
    const atCore = await scenario.core.expect("BYE");
    asterisk.send(asterisk.request("OPTIONS", "sip:carol@far.example", { headers: tags, callId: "options" }));
    const options = await scenario.core.expect("OPTIONS");
    for (const { request } of [arrived, atCore, options]) {
      expect(textOf(request)).not.toMatch(/mediasec|security-/i);
      expect(headerValue(request, "require")).toBeUndefined();
      expect(headerValue(request, "proxy-require")).toBeUndefined();
    }
  });

  it("5: says requested in its offer although the network announced nothing; the keys do not leak", async () => {
    await scenario.close();
    scenario = await openScenario({ change: (config) => ({ ...config, policy: { rules: [] } }) });
    asterisk = await scenario.ue("asterisk");
    await asterisk.register();
    const refused = await asterisk
      .send(asterisk.request("INVITE", "sip:carol@far.example", { body: ueOffer() }))
      .final();
    expect(refused.status).toBe(488);
    expect(scenario.core.wire.map(({ text }) => text).join("")).not.toContain("inline:");
  });

  it("5: says requested also in its answers; tolerated and removed", async () => {
    const { path } = await asterisk.register();
    const answer = sdp({ protocol: "RTP/SAVP", lines: [crypto(keys.k22), "a=3ge2ae:requested"] });
    const { answered } = await establishTerminating(scenario, asterisk, path, { answer });
    expect(answered).not.toMatch(/3ge2ae|crypto/);
  });

  it("6: insists on SRTP when called, and gets it", async () => {
    const { path } = await asterisk.register();
    const { offered } = await establishTerminating(scenario, asterisk, path);
    expect(offered).toMatch(/m=audio \d+ RTP\/SAVP /);
  });

  it("7: ignores Service-Route; the stored one is put in for it", async () => {
    await asterisk.register();
    const { arrived } = await originate(scenario, asterisk);
    expect(headerList(arrived.request, "route")).toEqual([
      `<sip:orig@127.0.0.1:${scenario.core.port};transport=tcp;lr>`,
    ]);
  });

  it("8: would register hundreds of times a second when granted seconds: the flow is limited", async () => {
    await scenario.close();
    scenario = await openScenario({ change: (config) => ({ ...config, limits: { maxRegistersPerMinute: 4 } }) });
    asterisk = await scenario.ue("asterisk");
    await asterisk.register({ grantedExpires: 10 });
    await asterisk.register({ grantedExpires: 10 });
    const refused = await asterisk.send(refresh(20, asks)).final();
    expect([refused.status, headerValue(refused, "retry-after")]).toEqual([503, "60"]);
    scenario.clock.advance(61_000);
    asterisk.send(refresh(21, asks));
    await scenario.core.expect("REGISTER");
  });

  it("9: has ;line= in its Contact; the Request-URI towards it keeps it", async () => {
    const { path } = await asterisk.register();
    const dialog = await establishTerminating(scenario, asterisk, path);
    expect(dialog.invite.uri).toContain(";line=asterisk1");
  });
});

describe("other clients", () => {
  it("pjsua: eight crypto lines, tag 7 for the suite in common, two suites of no RFC", async () => {
    await asterisk.register();
    const lines = [
      crypto(keys.k11, 1, "AES_256_CM_UNKNOWN_80"),
      crypto(keys.k11b, 2, "AES_256_CM_UNKNOWN_32"),
      crypto(keys.k11, 7, "AES_CM_128_HMAC_SHA1_80"),
      "a=3ge2ae:requested",
    ];
    const { sent, arrived } = await originate(scenario, asterisk, { body: sdp({ protocol: "RTP/SAVP", lines }) });
    scenario.core.respond(arrived, 200, { headers: [["Contact", "<sip:carol@127.0.0.1>"]], body: coreSdp() });
    expect(bodyOf(await sent.final())).toMatch(/a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:/);
  });

  it("pjsua: a later offer with the same key under another tag does not change the key at the gateway", async () => {
    await asterisk.register();
    const dialog = await establishOriginating(scenario, asterisk, {
      body: sdp({ protocol: "RTP/SAVP", lines: [crypto(keys.k11, 7), "a=3ge2ae:requested"] }),
    });
    const before = scenario.iq.commands.at(-1)?.streams[0]?.access?.remoteCrypto?.keys[0]?.master;
    const sent = asterisk.send(
      dialog.byCaller(
        "INVITE",
        2,
        sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keys.k11, 1), "a=3ge2ae:requested"] }),
      ),
    );
    scenario.core.respond(await scenario.core.expect("INVITE"), 200, {
      headers: [["Contact", "<sip:carol@127.0.0.1>"]],
      body: coreSdp({ version: 2 }),
    });
    expect(bodyOf(await sent.final())).toContain("a=crypto:1 ");
    const after = scenario.iq.commands.at(-1)?.streams[0]?.access?.remoteCrypto?.keys[0]?.master;
    expect(after?.fingerprint).toBe(before?.fingerprint);
  });

  it("Linphone: keys towards the UE are written with their base64 padding", async () => {
    await scenario.close();
    scenario = await openScenario({
      change: (config) => ({
        ...config,
        policy: { rules: [{ e2ae: "offered", suites: ["AES_256_CM_HMAC_SHA1_80"] }] },
      }),
    });
    asterisk = await scenario.ue("linphone");
    const { path } = await asterisk.register();
    const key = Buffer.alloc(46, 0x22).toString("base64");
    const { offered } = await establishTerminating(scenario, asterisk, path, {
      answer: sdp({ protocol: "RTP/SAVP", lines: [crypto(key, 1, "AES_256_CM_HMAC_SHA1_80")] }),
    });
    expect(offered).toMatch(/inline:[A-Za-z0-9+/]{62}==\r\n/);
  });

  it("Linphone and baresip: without Supported: path the edge says it itself, and does not require it", async () => {
    const { first } = await asterisk.register();
    expect(headerList(first, "supported")).toEqual(["path"]);
    expect(headerValue(first, "require")).toBeUndefined();
  });

  it("RFC 3581 4: a UE behind a translator gets its answers on its own flow, over UDP", async () => {
    const phone = await scenario.ue("phone", { protocol: "udp" });
    await phone.register();
    const answers = phone.wire.filter(({ direction, text }) => direction === "in" && text.startsWith("SIP/2.0 200"));
    expect(answers.at(-1)?.text).toContain(`rport=${phone.port};received=127.0.0.1`);
  });
});
