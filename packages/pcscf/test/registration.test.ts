import { afterEach, describe, expect, it } from "vitest";
import { createRequest, headerList, headerValue, headerValues, type SipRequest } from "@sallyport/sip";
import { memoryStore } from "@sallyport/store";
import { originate } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp } from "./support/sdp.ts";

let scenario: Scenario;
afterEach(async () => {
  await scenario.close();
});

const registerOf = (ue: TestUe, headers: readonly (readonly [string, string])[], seq = 50): SipRequest =>
  createRequest({
    method: "REGISTER",
    uri: "sip:home.example",
    headers: [
      ["Max-Forwards", "70"],
      ["From", `<${ue.aor}>;tag=x`],
      ["To", `<${ue.aor}>`],
      ["Call-ID", `registration-of-${ue.name}`],
      ["CSeq", `${seq} REGISTER`],
      ["Contact", `<${ue.contact}>`],
      ["Expires", "600"],
      ...headers,
    ],
  });

const draft: readonly (readonly [string, string])[] = [
  ["Security-Client", "sdes-srtp;mediasec"],
  ["Require", "mediasec"],
  ["Proxy-Require", "mediasec"],
];
const credentials = [
  "Authorization",
  'Digest username="alice", realm="home.example", nonce="n1", uri="sip:home.example", response="0123456789abcdef0123456789abcdef"',
] as const;

describe("TS 33.328 7.1: announcing and storing", () => {
  for (const dialect of ["draft", "3gpp"] as const) {
    it(`TS 33.328 7.1: the media Security-Server stands in the 401 and in the 200 (${dialect} dialect)`, async () => {
      scenario = await openScenario();
      const alice = await scenario.ue("alice");
      const { challenge, ok } = await alice.register({ dialect });
      expect(headerValues(challenge, "security-server")).toEqual(["sdes-srtp;mediasec"]);
      expect(headerValues(ok, "security-server")).toEqual(["sdes-srtp;mediasec"]);
      expect(scenario.edge.registrations()).toMatchObject([
        { aor: alice.aor, dialect, indications: { ueE2ae: true, networkE2ae: true } },
      ]);
    });
  }

  it("TS 33.328 7.1: a UE that announces nothing gets no announcement, with its reason", async () => {
    scenario = await openScenario();
    const carol = await scenario.ue("carol");
    const { challenge, ok } = await carol.register({ dialect: "none" });
    expect(textOf(challenge) + textOf(ok)).not.toMatch(/security-server|mediasec/i);
    expect(scenario.edge.registrations()).toMatchObject([
      { indications: { ueE2ae: false, networkE2ae: false }, reason: "ue-not-capable" },
    ]);
  });

  it("TS 33.328 7.1 (d): NOTE 2, the policy follows the access network of the registration", async () => {
    scenario = await openScenario({
      change: (config) => ({
        ...config,
        policy: { rules: [{ match: { accessNetwork: ["3GPP-*"] }, e2ae: "off" }, { e2ae: "offered" }] },
      }),
    });
    const alice = await scenario.ue("alice");
    const bob = await scenario.ue("bob");
    const mobile = await alice.register({
      headers: [["P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1"]],
    });
    const fixed = await bob.register({ headers: [["P-Access-Network-Info", "IEEE-802.11"]] });
    expect(headerValues(mobile.ok, "security-server")).toEqual([]);
    expect(headerValues(fixed.ok, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(scenario.edge.registrations().map(({ reason, accessNetwork }) => [reason, accessNetwork])).toEqual([
      ["network-policy", "3GPP-E-UTRAN-FDD"],
      [undefined, "IEEE-802.11"],
    ]);
  });

  it("TS 33.328 6.2.1.2: clear signalling on an access not declared trusted gets no announcement", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice", { listener: 2 });
    const { ok } = await alice.register();
    expect(headerValues(ok, "security-server")).toEqual([]);
    expect(scenario.edge.registrations()).toMatchObject([{ reason: "signalling-not-confidential" }]);
  });

  it("TS 33.328 7.1: after the binding expires nothing of it is left", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register({ expires: 100 });
    scenario.clock.advance(121_000);
    expect(scenario.edge.counts().registrations).toBe(0);
    const refused = await alice.send(alice.request("MESSAGE", "sip:bob@home.example")).final();
    expect(refused.status).toBe(403);
  });

  it("RFC 3261 10.2.2: Expires 0 removes the binding when the registrar agrees", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    await alice.register({ expires: 0 });
    expect(scenario.edge.counts().registrations).toBe(0);
  });
});

describe("what leaves towards the registrar", () => {
  it("invariant 1: no Security header and no mediasec or sec-agree tag; emptied headers are gone", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const { first, second } = await alice.register();
    for (const request of [first, second]) {
      expect(textOf(request)).not.toMatch(/security-|mediasec|sec-agree/i);
      expect(headerValue(request, "require")).toBeUndefined();
      expect(headerValue(request, "proxy-require")).toBeUndefined();
    }
  });

  it("RFC 3261 20.32: tags of others in Require stay when mediasec is taken out", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const attempt = alice.send(
      registerOf(alice, [
        ["Security-Client", "sdes-srtp;mediasec"],
        ["Require", "gruu, mediasec"],
      ]),
    );
    const { request } = await scenario.core.expect("REGISTER");
    expect(headerValues(request, "require")).toEqual(["gruu"]);
    void attempt;
  });

  it("RFC 3327 5.2: our Path on top, Supported: path, and Require: path only by configuration", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const { second, path } = await alice.register();
    expect(path).toMatch(/^<sip:p\.[0-9a-f]{32}\.[\w-]{22}@127\.0\.0\.1:\d+;transport=tcp;lr>$/);
    expect(headerList(second, "supported")).toContain("path");
    await scenario.close();
    scenario = await openScenario({ change: (config) => ({ ...config, registration: { requirePath: true } }) });
    const bob = await scenario.ue("bob");
    expect(headerValues((await bob.register()).second, "require")).toEqual(["path"]);
  });

  it("TS 24.229 5.2.2: visited network and charging are ours, and the UE's own claims are dropped", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const { second } = await alice.register({
      headers: [
        ["P-Charging-Vector", "icid-value=forged"],
        ["P-Visited-Network-ID", "forged"],
        ["P-Asserted-Identity", "<sip:ceo@home.example>"],
        ["P-Access-Network-Info", "IEEE-802.11, 3GPP-GERAN;network-provided"],
      ],
    });
    expect(textOf(second)).not.toMatch(/forged|ceo@|network-provided/);
    expect(headerValue(second, "p-visited-network-id")).toBe('"home.example"');
    expect(headerValue(second, "p-charging-vector")).toMatch(/^icid-value="[0-9a-f]{32}".*orig-ioi="home\.example"$/);
    expect(headerValue(second, "p-access-network-info")).toBe("IEEE-802.11");
  });

  it("TS 24.229 5.2.2: a UE cannot claim integrity protection, and clear TCP gets none", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const attempt = alice.send(
      registerOf(alice, [...draft, [credentials[0], `${credentials[1]}, integrity-protected="yes"`]]),
    );
    void attempt;
    const { request } = await scenario.core.expect("REGISTER");
    expect(headerValue(request, "authorization")).toBe(credentials[1]);
  });
});

describe("what comes back to the UE", () => {
  it("TS 24.229 5.2.2: ik and ck are taken out of the challenge, the rest stays as written", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const attempt = alice.send(registerOf(alice, draft));
    const asked = await scenario.core.expect("REGISTER");
    scenario.core.respond(asked, 401, {
      headers: [
        [
          "WWW-Authenticate",
          'Digest realm="home.example", nonce="a,b", ik="00112233", ck="44556677", algorithm=AKAv1-MD5',
        ],
        ["Security-Server", "sdes-srtp;mediasec, forged;mediasec"],
        ["P-Charging-Vector", "icid-value=1"],
      ],
    });
    const challenge = await attempt.final();
    expect(headerValue(challenge, "www-authenticate")).toBe(
      'Digest realm="home.example", nonce="a,b", algorithm=AKAv1-MD5',
    );
    expect(headerValues(challenge, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(headerValue(challenge, "p-charging-vector")).toBeUndefined();
  });

  it("RFC 3261 10.3 step 7: a registration too short is refused here with Min-Expires", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const refused = await alice.send(shortRegister(alice)).final();
    expect([refused.status, headerValue(refused, "min-expires")]).toEqual([423, "60"]);
    expect(scenario.core.requests.all).toEqual([]);
  });

  it("RFC 3261 16.3 step 5: an unknown Proxy-Require tag is refused with 420, mediasec is not", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const refused = await alice.send(registerOf(alice, [["Proxy-Require", "mediasec, teleport"]])).final();
    expect([refused.status, headerValue(refused, "unsupported")]).toEqual([420, "teleport"]);
  });
});

const shortRegister = (ue: TestUe): SipRequest =>
  createRequest({
    method: "REGISTER",
    uri: "sip:home.example",
    headers: [
      ["From", `<${ue.aor}>;tag=x`],
      ["To", `<${ue.aor}>`],
      ["Call-ID", "short"],
      ["CSeq", "1 REGISTER"],
      ["Contact", `<${ue.contact}>;expires=10`],
    ],
  });

describe("RFC 3329: Security-Verify", () => {
  it("RFC 3329 2.3.1: an altered list in a REGISTER with credentials is answered 494 with the list", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    const refused = await alice
      .send(registerOf(alice, [...draft, ["Security-Verify", "dtls-srtp;mediasec"], credentials]))
      .final();
    expect([refused.status, headerValues(refused, "security-server")]).toEqual([494, ["sdes-srtp;mediasec"]]);
  });

  it("RFC 3329 2.3.1: a missing list in a REGISTER of the draft dialect with credentials is answered 494", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    expect((await alice.send(registerOf(alice, [...draft, credentials])).final()).status).toBe(494);
  });

  it("RFC 3329 2.3.1: a duplicate, another order, other case and q do no harm", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    const sent = alice.send(
      registerOf(alice, [
        ...draft,
        ["Security-Verify", "SDES-SRTP ; q=0.1 ; mediasec"],
        ["Security-Verify", "sdes-srtp;mediasec"],
        credentials,
      ]),
    );
    scenario.core.respond(await scenario.core.expect("REGISTER"), 200, {
      headers: [["Contact", `<${alice.contact}>;expires=600`]],
    });
    expect((await sent.final()).status).toBe(200);
  });

  it("RFC 3329 2.3.1: sec-agree over a hop without protection is answered 494 with our mechanisms", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const refused = await alice
      .send(
        registerOf(alice, [
          ["Security-Client", "ipsec-3gpp;alg=hmac-sha-1-96, sdes-srtp;mediasec"],
          ["Require", "sec-agree"],
          ["Proxy-Require", "sec-agree"],
        ]),
      )
      .final();
    expect(refused.status).toBe(494);
    expect(headerValues(refused, "security-server")).toEqual(["tls", "sdes-srtp;mediasec"]);
    expect(headerValue(refused, "require")).toBe("sec-agree");
  });
});

describe("bindings", () => {
  it("RFC 3608 6.1: the stored Service-Route is put in, whatever Route the UE sent or forgot", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    const { arrived } = await originate(scenario, alice, { headers: [["Route", "<sip:203.0.113.66;lr>"]] });
    expect(headerList(arrived.request, "route")).toEqual([
      `<sip:orig@127.0.0.1:${scenario.core.port};transport=tcp;lr>`,
    ]);
  });

  it("TS 24.229 5.2.6.3.1: a UE without registration gets 403 for anything but REGISTER", async () => {
    scenario = await openScenario();
    const mallory = await scenario.ue("mallory");
    for (const method of ["INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS"]) {
      expect(
        (await mallory.send(mallory.request(method, "sip:bob@home.example", { callId: method })).final()).status,
      ).toBe(403);
    }
    expect(scenario.core.requests.all).toEqual([]);
  });

  it("RFC 5626 5.3: a request for a UE without outbound whose flow is gone gets 480", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, registration: { reconnect: "never" } }) });
    const bob = await scenario.ue("bob");
    const { path } = await bob.register();
    bob.hangUp();
    await until(() => scenario.logs.some(({ event }) => event === "connection closed"), "closed");
    const gone = await scenario.core
      .send(coreRequest(scenario.core, "INVITE", bob.contact, { route: [path], body: coreSdp() }))
      .final();
    expect(gone.status).toBe(480);
  });

  it("RFC 5626 5.3: a Path that this edge did not seal is forbidden", async () => {
    scenario = await openScenario();
    const bob = await scenario.ue("bob");
    const { path } = await bob.register();
    const forged = path.replace(
      /\.(.)([\w-]{21})@/,
      (_all, first: string, rest: string) => `.${first === "A" ? "B" : "A"}${rest}@`,
    );
    const refused = await scenario.core
      .send(coreRequest(scenario.core, "MESSAGE", bob.contact, { route: [forged] }))
      .final();
    expect(refused.status).toBe(403);
    expect(bob.requests.all).toEqual([]);
  });

  it("RFC 3327 5.2: over UDP a binding and its Path outlive a restart of the edge", async () => {
    const store = memoryStore();
    scenario = await openScenario({ store });
    const bob = await scenario.ue("bob", { protocol: "udp" });
    const { path } = await bob.register();
    const token = /<sip:([^@]+)@/.exec(path)?.[1] ?? "";
    const [before] = await store.list("pcscf/bindings");
    await scenario.close();
    scenario = await openScenario({ store, seed: "second life" });
    expect(scenario.edge.registrations()).toMatchObject([{ aor: bob.aor, indications: { ueE2ae: true } }]);
    expect(before?.key).toBe(token.split(".")[1]);
    // The flow names the listening point and the UE's address, so a message goes there.
    const sent = scenario.core.send(
      coreRequest(scenario.core, "MESSAGE", bob.contact, {
        route: [`<sip:${token}@127.0.0.1:${scenario.edge.core[0]?.port};lr>`],
      }),
    );
    await until(() => scenario.edge.counts().transactions >= 2, "forwarded");
    void sent;
  });

  it("RFC 3261 8.1.1.5: one flow may not register more often than the limit", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, limits: { maxRegistersPerMinute: 3 } }) });
    const alice = await scenario.ue("alice");
    const statuses: number[] = [];
    for (let seq = 1; seq <= 5; seq += 1) statuses.push((await alice.send(shortRegister(alice)).final()).status);
    expect(statuses).toEqual([423, 423, 423, 503, 503]);
  });

  it("CWE-778: who was turned away, by whom and why stands in the log once a minute and in the counters each time", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, limits: { maxRegistersPerMinute: 6 } }) });
    const alice = await scenario.ue("alice");
    for (let seq = 1; seq <= 3; seq += 1) {
      const sent = alice.send(registerOf(alice, [], seq));
      scenario.core.respond(await scenario.core.expect("REGISTER"), 403);
      expect((await sent.final()).status).toBe(403);
    }
    for (let seq = 1; seq <= 5; seq += 1) await alice.send(shortRegister(alice)).final();
    const told = scenario.logs.filter(({ event }) => event === "registration refused");
    expect(
      told.map(({ level, fields }) => [level, fields["by"], fields["status"], fields["aor"], fields["from"]]),
    ).toEqual([
      ["info", "core", 403, alice.aor, "127.0.0.1"],
      ["info", "edge", 423, alice.aor, "127.0.0.1"],
      ["info", "edge", 503, alice.aor, "127.0.0.1"],
    ]);
    const counted = scenario.edge.counters().filter(({ name }) => name === "registrations_refused_total");
    expect(counted).toEqual([{ name: "registrations_refused_total", labels: { status: "403" }, value: 3 }]);
    expect(JSON.stringify(scenario.logs)).not.toContain("0123456789abcdef");
  });
});
