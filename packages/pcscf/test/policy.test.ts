import { afterEach, describe, expect, it } from "vitest";
import { headerValues } from "@sallyport/sip";
import { edgeConfigSchema, mediaPolicy, type EdgeConfigInput } from "../src/index.ts";
import { bodyOf, establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { baseConfig, coreRequest, openScenario, settled, type Scenario } from "./support/scenario.ts";
import { coreSdp, crypto, keys, sdp, ueOffer } from "./support/sdp.ts";

let scenario: Scenario | undefined;
afterEach(async () => {
  await scenario?.close();
  scenario = undefined;
});

type Rule = EdgeConfigInput["policy"]["rules"][number];

const withRules =
  (...rules: readonly Rule[]) =>
  (config: EdgeConfigInput): EdgeConfigInput => ({ ...config, policy: { rules: [...rules] } });

const countOf = (name: string, quirk?: string): number =>
  (scenario?.edge.counters() ?? []).reduce(
    (sum, each) =>
      each.name === name && (quirk === undefined || each.labels["quirk"] === quirk) ? sum + each.value : sum,
    0,
  );

/** An SDES phone: SAVP with keys and without the indication. */
const phoneOffer = sdp({ protocol: "RTP/SAVP", lines: [crypto(keys.k11, 7)] });

describe("policy as it is written", () => {
  it("TS 33.328 7.1 NOTE 2: every key of a rule reaches the decision, none that was left out is invented", () => {
    const rule = {
      match: { accessNetwork: ["IEEE-*"], transport: ["tls"], userAgent: ["Desk*"], realm: ["*.example"] },
      e2ae: "required",
      suites: ["AES_CM_128_HMAC_SHA1_80"],
      accept: ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"],
      announceUnasked: "unannounced",
      downgrade: "allow",
      sdesPhone: "offer",
      bestEffortCrypto: "pass",
      t38: "refuse",
      quirks: { mode: "observe", each: { "verify-duplicated": "strict" } },
    } as const;
    const input = {
      ...baseConfig(5060),
      policy: { rules: [rule, { e2ae: "off" }], quirks: { mode: "strict" } },
    } as unknown as EdgeConfigInput;
    expect(mediaPolicy(edgeConfigSchema.parse(input))).toStrictEqual({
      rules: [
        rule,
        { e2ae: "off", suites: ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"], announceUnasked: false },
      ],
      quirks: { mode: "strict" },
    });
    const misspelt = {
      ...baseConfig(5060),
      policy: { rules: [{ e2ae: "off", quirks: { each: { "no-such": "strict" } } }] },
    };
    expect(edgeConfigSchema.safeParse(misspelt).success).toBe(false);
  });

  it("TS 33.328 7.1 NOTE 2: transport, user agent and realm of a registration choose its rule", async () => {
    scenario = await openScenario({
      change: withRules(
        { match: { transport: ["udp"] }, e2ae: "off" },
        { match: { userAgent: ["Old*"] }, e2ae: "off" },
        { match: { realm: ["elsewhere.example"] }, e2ae: "off" },
        { match: { realm: ["HOME.*"] }, e2ae: "offered" },
      ),
    });
    const announcedTo = async (name: string, options: { readonly protocol?: "udp"; readonly agent?: string }) => {
      const ue = await scenario?.ue(name, options.protocol === undefined ? {} : { protocol: options.protocol });
      const { ok } = (await ue?.register(
        options.agent === undefined ? {} : { headers: [["User-Agent", options.agent]] },
      )) ?? { ok: undefined };
      return ok === undefined ? undefined : headerValues(ok, "security-server").length;
    };
    expect(await announcedTo("alice", {})).toBe(1);
    expect(await announcedTo("bob", { protocol: "udp" })).toBe(0);
    expect(await announcedTo("carol", { agent: "OldPhone/1.0" })).toBe(0);
    expect(scenario.edge.registrations().map(({ mode }) => mode)).toEqual(["e2ae", "none", "none"]);
  });
});

describe("required", () => {
  it("TS 33.328 7.1: required refuses clear calls with 488 in both directions, an emergency call passes", async () => {
    scenario = await openScenario({ change: withRules({ e2ae: "required" }) });
    const alice = await scenario.ue("alice");
    const { path } = await alice.register();
    const clear = alice.send(alice.request("INVITE", "sip:carol@far.example", { body: sdp(), callId: "clear" }));
    expect((await clear.final()).status).toBe(488);
    expect(scenario.core.requests.all.filter(({ request }) => request.method === "INVITE")).toEqual([]);
    const bob = await scenario.ue("bob");
    const registered = await bob.register({ dialect: "none" });
    expect(path).not.toBe(registered.path);
    const towards = scenario.core.send(
      coreRequest(scenario.core, "INVITE", bob.contact, { route: [registered.path], body: coreSdp() }),
    );
    expect((await towards.final()).status).toBe(488);
    const help = await originate(scenario, bob, { to: "urn:service:sos", body: sdp(), callId: "help" });
    expect(bodyOf(help.arrived.request)).toContain("RTP/AVP");
    expect(scenario.edge.calls().map(({ reason }) => reason)).toContain("security-required");
  });

  it("TS 33.328 7.2.1: a protected line offered again in the clear is refused, the call stays protected", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    const dialog = await establishOriginating(scenario, alice);
    const again = await alice.send(dialog.byCaller("INVITE", 2, sdp({ version: 2 }))).final();
    expect(again.status).toBe(488);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
  });
});

describe("SDES phones", () => {
  it("TS 33.328 7.2.1: under sdesPhone terminate the SAVP call of a phone without mediasec ends at the gateway", async () => {
    scenario = await openScenario({ change: withRules({ e2ae: "offered", sdesPhone: "terminate" }) });
    const bob = await scenario.ue("bob");
    const { challenge, ok, path } = await bob.register({ dialect: "none" });
    expect(textOf(challenge) + textOf(ok)).not.toMatch(/security-server|mediasec/i);
    expect(scenario.edge.registrations()).toMatchObject([{ mode: "sdes-phone", reason: "ue-not-capable" }]);
    const dialog = await establishOriginating(scenario, bob, { body: phoneOffer });
    expect(bodyOf(dialog.invite)).toMatch(/m=audio \d+ RTP\/AVP /);
    expect(bodyOf(dialog.invite)).not.toContain("a=crypto");
    const answer = bodyOf(dialog.ok);
    expect(answer).toMatch(/m=audio \d+ RTP\/SAVP /);
    expect(answer).toMatch(/a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:/);
    expect(answer).not.toContain("3ge2ae");
    expect(scenario.iq.commands[0]?.streams[0]?.access?.protocol).toBe("RTP/SAVP");
    expect(scenario.edge.calls()).toMatchObject([{ security: "e2ae", reason: "sdes-phone" }]);
    // Terminate offers nothing of itself, but this phone has shown that it speaks SRTP.
    const called = scenario.core.send(
      coreRequest(scenario.core, "INVITE", bob.contact, { route: [path], body: coreSdp() }),
    );
    const arrived = await bob.expect("INVITE");
    expect(bodyOf(arrived.request)).toMatch(/RTP\/SAVP (?![\s\S]*3ge2ae)/);
    void called;
  });

  it("TS 33.328 7.3.1: under sdesPhone offer the phone is offered SAVP with a key and without the indication", async () => {
    scenario = await openScenario({ change: withRules({ e2ae: "offered", sdesPhone: "offer" }) });
    const bob = await scenario.ue("bob");
    const { path } = await bob.register({ dialect: "none" });
    const dialog = await establishTerminating(scenario, bob, path);
    expect(dialog.offered).toMatch(/m=audio \d+ RTP\/SAVP /);
    expect(dialog.offered).toMatch(/a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:/);
    expect(dialog.offered).not.toContain("3ge2ae");
    expect(dialog.answered).toMatch(/m=audio \d+ RTP\/AVP /);
    expect(dialog.answered).not.toContain("a=crypto");
    expect(scenario.edge.calls()).toMatchObject([{ security: "e2ae", reason: "sdes-phone" }]);
  });

  it("TS 33.328 7.2.2: without the mode the same SAVP offer is end to end and passes untouched", async () => {
    scenario = await openScenario();
    const bob = await scenario.ue("bob");
    await bob.register({ dialect: "none" });
    const body = sdp({ protocol: "RTP/SAVP", lines: [crypto(keys.e2e, 7)] });
    const { arrived } = await originate(scenario, bob, { body });
    expect(bodyOf(arrived.request)).toBe(body);
    expect(scenario.iq.commands).toEqual([]);
  });
});

describe("quirks", () => {
  const observed = { quirks: { mode: "observe" } } as const;

  it("RFC 3329 2.3.1: a duplicated Security-Verify is counted, and told loudly where the mode is observe", async () => {
    for (const [rule, loud] of [
      [{ e2ae: "offered" }, 0],
      [{ e2ae: "offered", ...observed }, 1],
    ] as const) {
      scenario = await openScenario({ change: withRules(rule) });
      const alice = await scenario.ue("alice");
      await alice.register({ headers: [["Security-Verify", "sdes-srtp;mediasec"]] });
      expect(countOf("quirks_total", "verify-duplicated")).toBe(1);
      const warned = scenario.logs.filter(({ event, level }) => event === "quirk observed" && level === "warn");
      expect(warned.map(({ fields }) => fields["quirk"]).filter((quirk) => quirk === "verify-duplicated")).toHaveLength(
        loud,
      );
      await scenario.close();
      scenario = undefined;
    }
  });

  it("RFC 3329 2.3.1: strict mode refuses the duplicate with 494", async () => {
    scenario = await openScenario({ change: withRules({ e2ae: "offered", quirks: { mode: "strict" } }) });
    const alice = await scenario.ue("alice");
    const first = alice.register();
    await first;
    const twice = alice.register({ headers: [["Security-Verify", "sdes-srtp;mediasec, sdes-srtp;mediasec"]] });
    await expect(Promise.race([twice.then(() => "accepted"), settled().then(() => "held")])).resolves.toBe("held");
    expect(scenario.edge.counters()).toContainEqual({
      name: "requests_refused_total",
      labels: { method: "REGISTER", status: "494" },
      value: 1,
    });
    twice.catch(() => undefined);
  });

  it("RFC 3329 2.3.1: a UE that leaves Security-Client out of the second REGISTER keeps its first one", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const { ok } = await alice.register({ dialect: "none", clientOnce: true });
    expect(headerValues(ok, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(scenario.edge.registrations()).toMatchObject([{ mode: "e2ae" }]);
    expect(countOf("quirks_total", "client-missing")).toBe(1);
  });

  it("RFC 4568 6.1: deviations met inside calls are counted as well", async () => {
    scenario = await openScenario({ change: withRules({ e2ae: "offered", ...observed }) });
    const alice = await scenario.ue("alice");
    await alice.register();
    await originate(scenario, alice, {
      body: ueOffer().replace("AES_CM_128_HMAC_SHA1_80", "aes_cm_128_hmac_sha1_80"),
    });
    expect(countOf("quirks_total", "suite-lower-case")).toBe(1);
    expect(scenario.logs.filter(({ event }) => event === "quirk observed")).toHaveLength(1);
  });
});
