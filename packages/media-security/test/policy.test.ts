import { Secret, seededRandom, type Random } from "@sallyport/kit";
import { describe, expect, it, vi } from "vitest";
import {
  choosePolicy,
  decideRegistration,
  explainChoice,
  explainPolicy,
  readMechanisms,
  summarise,
  type ExplainFacts,
  type MediaPolicy,
  type MediaPolicyRule,
  type PolicyFacts,
} from "../src/index.ts";
import { audio, coreBody, crypto, cryptoLines, head, requested, secureAudio, ueOffer } from "./support/bodies.ts";
import { both, facts, forwarded, kinds, openCall } from "./support/call.ts";

const offered: MediaPolicyRule = facts.policy;
const off: MediaPolicyRule = { e2ae: "off", suites: [], announceUnasked: false };
const none = { ...both, ueE2ae: false, networkE2ae: false };
const register = (client: string, rule: MediaPolicyRule, confidential = true) =>
  decideRegistration({
    securityClient: readMechanisms(client === "" ? [] : [client]),
    usesOptionTag: false,
    policy: rule,
    confidential,
  });
const mark = (rule: MediaPolicyRule["match"]): MediaPolicy => ({
  rules: [{ ...offered, ...(rule === undefined ? {} : { match: rule }) }],
});
const tls: PolicyFacts = { transport: "tls", confidential: true };

describe("which rule governs", () => {
  it.each([
    [{ transport: ["tls", "tcp"] }, {}, true],
    [{ transport: ["udp"] }, {}, false],
    [{ userAgent: ["asterisk*"] }, { userAgent: "Asterisk PBX 20.5" }, true],
    [{ userAgent: ["asterisk"] }, { userAgent: "Asterisk PBX 20.5" }, false],
    [{ userAgent: ["*PBX*"] }, { userAgent: "Asterisk pbx 20.5" }, true],
    [{ userAgent: ["a*b*c"] }, { userAgent: "axxbxxc" }, true],
    [{ userAgent: ["a*b*c"] }, { userAgent: "axxcxxb" }, false],
    [{ userAgent: ["ab*ba"] }, { userAgent: "aba" }, false],
    [{ userAgent: ["*b*b"] }, { userAgent: "ab" }, false],
    [{ userAgent: ["*"] }, { userAgent: "" }, true],
    [{ userAgent: ["*"] }, {}, false],
    [{ realm: ["*.ims.example", "home.example"] }, { realm: "mnc001.IMS.example" }, true],
    [{ realm: ["home.example"] }, { realm: "other.example" }, false],
    [{ accessNetwork: ["3GPP*FDD"] }, { accessNetwork: "3gpp-e-utran-fdd" }, true],
    [{ transport: ["tls"], realm: ["home.example"] }, { realm: "other.example" }, false],
    [{ transport: ["tls"], realm: ["home.example"] }, { realm: "home.example" }, true],
    [undefined, {}, true],
  ] as const)("TS 33.328 7.1 NOTE 2: match %j for %j: %s", (match, change, governs) => {
    const rule = choosePolicy(mark(match), { ...tls, ...change });
    expect(rule.e2ae).toBe(governs ? "offered" : "off");
  });

  it("TS 33.328 7.1 NOTE 2: tells which rule, why, and what those before it missed", () => {
    const policy: MediaPolicy = {
      rules: [
        { ...off, match: { userAgent: ["old*"] } },
        { ...off, match: { transport: ["udp"] } },
        { ...offered, match: { transport: ["tls"], realm: ["*.example"] } },
      ],
    };
    const choice = explainChoice(policy, { ...tls, userAgent: "New 1", realm: "home.example" });
    expect(choice.rule).toBe(policy.rules[2]);
    expect(choice.index).toBe(2);
    expect(choice.because).toEqual(["transport tls fits tls", "realm home.example fits *.example"]);
    expect(choice.passedOver.map(({ index }) => index)).toEqual([0, 1]);
    expect(choice.passedOver[0]?.missed).toBe("userAgent new 1 fits none of old*");
    expect(explainChoice({ rules: [] }, tls)).toMatchObject({ index: undefined, rule: { e2ae: "off" } });
  });

  it("many wildcards against a header that almost fits are settled in one pass, not by trying every split", () => {
    const policy = mark({ userAgent: [`${"*a".repeat(200)}*b`] });
    const facing = (userAgent: string) => choosePolicy(policy, { ...tls, userAgent }).e2ae;
    expect(facing("a".repeat(100_000))).toBe("off");
    expect(facing(`${"a".repeat(300)}b`)).toBe("offered");
  });

  it("the policy's quirk modes reach a rule that has none of its own", () => {
    const policy: MediaPolicy = { rules: [offered], quirks: { mode: "observe" } };
    expect(choosePolicy(policy, tls).quirks).toEqual({ mode: "observe" });
  });
});

describe("who is told unasked", () => {
  it.each([
    [false, [false, false, true]],
    ["never", [false, false, true]],
    ["unannounced", [true, false, true]],
    ["always", [true, true, true]],
    [true, [true, true, true]],
  ] as const)("TS 33.328 7.1 (d), RFC 3329 2.3.1: announceUnasked %s", (announceUnasked, told) => {
    const clients = ["tls", "dtls-srtp;mediasec", "sdes-srtp;mediasec"];
    const rule = { ...offered, announceUnasked };
    expect(clients.map((client) => register(client, rule).securityServer.length === 1)).toEqual(told);
  });
});

describe("suites", () => {
  it("RFC 4568 5.1.2: what is accepted and what is offered may differ, the UE's order decides what is chosen", () => {
    const policy = { ...offered, accept: ["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_32"] } as const;
    const call = openCall({ policy });
    const gcm = crypto(3, 0x13, "AEAD_AES_128_GCM", 28);
    const lines = [crypto(1, 0x11), crypto(2, 0x12, "AES_CM_128_HMAC_SHA1_32"), gcm];
    call.offer("access", [...head(), ...secureAudio(...lines, requested)]);
    expect(cryptoLines(forwarded(call.answer("core", coreBody())))[0]).toMatch(/^a=crypto:2 AES_CM_128_HMAC_SHA1_32 /);
    const back = openCall({ policy, ueRole: "terminating" });
    const written = cryptoLines(forwarded(back.offer("core", coreBody())));
    expect(written.map((line) => line.split(" ")[1])).toEqual(offered.suites);
    expect(
      openCall({ policy }).offer(
        "access",
        ueOffer().filter((line) => !line.includes("_32")),
      )[0],
    ).toMatchObject({
      kind: "refuse",
      reason: "no-common-suite",
    });
  });

  it("TS 33.328 7.1 (d): a rule that accepts nothing announces nothing", () => {
    expect(register("sdes-srtp;mediasec", { ...offered, accept: [] })).toMatchObject({
      securityServer: [],
      reason: "network-policy",
    });
  });
});

describe("protection required", () => {
  const required: MediaPolicyRule = { ...offered, e2ae: "required" };

  it("TS 33.328 7.1: announced like offered, and the registration says what becomes of clear calls", () => {
    expect(register("sdes-srtp;mediasec", required)).toMatchObject({
      mode: "e2ae",
      securityServer: ["sdes-srtp;mediasec"],
    });
    const silent = register("", required);
    expect(silent).toMatchObject({ mode: "none", reason: "ue-not-capable", securityServer: [] });
    expect(silent.evidence[1]?.changed).toContain("clear calls will be refused");
  });

  it.each([
    ["from the UE", "access", audio()],
    ["to the UE", "core", audio()],
    ["from the UE over TCP framing", "access", ["m=audio 9 TCP/RTP/AVP 0", "c=IN IP4 10.0.0.7"]],
    ["with a=crypto on AVP", "access", audio(crypto(1, 1))],
  ] as const)("policy e2ae required: a clear call %s gets 488 security-required", (_, from, lines) => {
    const call = openCall({ policy: required, registration: none });
    expect(call.offer(from, [...head(), ...lines])).toEqual([
      { kind: "refuse", status: 488, reason: "security-required" },
    ]);
    expect(summarise(call.state).reason).toBe("security-required");
    expect(call.evidence.at(-1)).toMatchObject({ reason: "security-required", origin: from });
  });

  it.each([
    [{ ...required }, "refuse"],
    [{ ...required, t38: "pass" }, "forward"],
    [offered, "forward"],
    [{ ...offered, t38: "refuse" }, "refuse"],
  ] as const)(
    "policy t38: clear T.38 is refused where protection is required, else passes, unless said otherwise: %#",
    (policy, kind) => {
      const fax = [...head(), "m=image 6100 udptl t38", "c=IN IP4 10.0.0.7"];
      for (const from of ["access", "core"] as const) {
        expect(kinds(openCall({ policy }).offer(from, fax))).toEqual([kind]);
      }
      const dtls = fax.map((line) => line.replace("udptl", "UDP/TLS/UDPTL"));
      expect(kinds(openCall({ policy }).offer("access", dtls))).toEqual(["forward"]);
    },
  );

  it("RFC 3264 6, policy e2ae required: no way around by an answer in clear RTP to a line that was none", () => {
    const call = openCall({ policy: required });
    const message = [...head(), "m=image 40000 TCP/MSRP *", "c=IN IP4 10.0.0.7"];
    expect(kinds(call.offer("access", message))).toEqual(["forward"]);
    expect(call.answer("core", coreBody())[0]).toMatchObject({ kind: "end-call", reason: "answer-invalid" });
  });

  it("policy e2ae required: no way around by downgrade allow", () => {
    const call = openCall({ policy: { ...required, downgrade: "allow" } });
    call.offer("access", ueOffer());
    call.answer("core", coreBody());
    expect(call.offer("access", coreBody(2))).toEqual([{ kind: "refuse", status: 488, reason: "downgrade-refused" }]);
  });

  it("an emergency call is exempt from all of it: clear, T.38, and back into the clear", () => {
    const call = openCall({ policy: { ...required, t38: "refuse" }, emergency: true });
    call.offer("access", ueOffer());
    call.answer("core", coreBody());
    expect(kinds(call.offer("access", coreBody(2)))).toContain("forward");
    expect(kinds(call.answer("core", coreBody(2)))).toContain("forward");
    const fax = [...head(1, 3), "m=image 6100 udptl t38", "c=IN IP4 10.0.0.7"];
    expect(kinds(call.offer("access", fax))).toContain("forward");
  });
});

describe("a line protected once", () => {
  it("TS 33.328 7.3.1 step 3: an emergency call without announcement that is protected stays so when the core holds it", () => {
    const call = openCall({ registration: { ...both, networkE2ae: false }, emergency: true });
    call.offer("access", ueOffer());
    call.answer("core", coreBody());
    expect(forwarded(call.offer("core", coreBody(2, "a=sendonly")))).toContain("RTP/SAVP");
  });

  it("RFC 3264 6: an e2e re-offer on a line that was protected is not answered in the clear", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    call.answer("core", coreBody());
    call.offer("core", [...head(7, 2), ...secureAudio(crypto(1, 0x31))]);
    expect(call.answer("access", coreBody(3))[0]).toEqual({
      kind: "end-call",
      reason: "answer-invalid",
      coreStatus: 488,
      from: "access",
    });
  });

  it("RFC 3264 8.3.3: another medium in the same m-line shares no key with the one before", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const before = cryptoLines(forwarded(call.answer("core", coreBody())))[0]?.split("inline:")[1] ?? "";
    const video = (lines: readonly string[]) => lines.map((line) => line.replace("m=audio", "m=video"));
    call.offer("access", video(ueOffer(2)));
    expect(forwarded(call.answer("core", video(coreBody(2))))).not.toContain(before);
  });

  it("RFC 3264 8.3.3: a clear medium in a line that was protected is a downgrade, whatever medium", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    call.answer("core", coreBody());
    const video = coreBody(2).map((line) => line.replace("m=audio", "m=video"));
    expect(call.offer("access", video)).toEqual([{ kind: "refuse", status: 488, reason: "downgrade-refused" }]);
  });
});

describe("SDES phone mode", () => {
  const rule: MediaPolicyRule = { ...offered, e2ae: "off", sdesPhone: "terminate" };
  const phoneOffer = [...head(), ...secureAudio(crypto(7, 0x11))];

  it("evidence and summary say which mode applied; the reason is a word of its own", () => {
    const call = openCall({ policy: rule, registration: none });
    call.offer("access", phoneOffer);
    call.answer("core", coreBody());
    expect(summarise(call.state)).toMatchObject({
      security: "e2ae",
      mode: "sdes-phone",
      reason: "sdes-phone",
      streams: [{ mode: "sdes-phone", reason: "sdes-phone", suite: "AES_CM_128_HMAC_SHA1_80" }],
    });
    const told = call.evidence.filter((each) => each.reason === "sdes-phone" || each.reason === "secured");
    expect(told.length).toBeGreaterThan(2);
    expect(told.every((each) => each.mode === "sdes-phone" && each.reason === "sdes-phone")).toBe(true);
    const proper = openCall();
    proper.offer("access", ueOffer());
    proper.answer("core", coreBody());
    expect(summarise(proper.state)).toMatchObject({ mode: "e2ae", reason: "secured" });
  });

  it("TS 33.328 6.2.1.2 (b): keys of a phone over signalling that is not confidential are refused, none is offered to it", () => {
    const open = { registration: none, confidential: false };
    expect(openCall({ ...open, policy: rule }).offer("access", phoneOffer)).toEqual([
      { kind: "refuse", status: 488, reason: "signalling-not-confidential" },
    ]);
    const call = openCall({ ...open, policy: { ...rule, sdesPhone: "offer" } });
    expect(forwarded(call.offer("core", coreBody()))).toContain("RTP/AVP");
    expect(register("", rule, false).mode).toBe("none");
  });

  it("TS 33.328 7.2.1 step 2: off by default; and a UE that announced e2ae but does not ask wants e2e, also then", () => {
    const plain = openCall({ policy: { ...offered }, registration: none });
    expect(forwarded(plain.offer("access", phoneOffer))).toContain("inline:");
    for (const registration of [both, { ...both, networkE2ae: false }]) {
      const call = openCall({ policy: { ...rule, e2ae: "offered" }, registration });
      expect(forwarded(call.offer("access", phoneOffer))).toContain("inline:");
      expect(summarise(call.state).security).toBe("e2e");
    }
  });

  it("SRTP keyed otherwise than by SDES is e2e for a phone too", () => {
    const call = openCall({ policy: rule, registration: none });
    const mikey = [...head(), ...secureAudio("a=key-mgmt:mikey AQAF")];
    expect(forwarded(call.offer("access", mikey))).toBe(`${mikey.join("\r\n")}\r\n`);
  });

  it("policy e2ae required is met by a protected phone, and by the SRTP it is offered", () => {
    const policy: MediaPolicyRule = { ...rule, e2ae: "required", sdesPhone: "offer" };
    const call = openCall({ policy, registration: none });
    expect(kinds(call.offer("access", phoneOffer))).toContain("forward");
    const back = openCall({ policy, registration: none });
    expect(forwarded(back.offer("core", coreBody()))).toMatch(/RTP\/SAVP/);
    expect(back.offer("access", coreBody())[0]).toMatchObject({ kind: "refuse" });
  });

  it("registration says that the phone mode may apply", () => {
    expect(register("", rule)).toMatchObject({ mode: "sdes-phone", securityServer: [], reason: "network-policy" });
    expect(register("sdes-srtp;mediasec", { ...rule, e2ae: "offered" }).mode).toBe("e2ae");
  });
});

describe("explainPolicy", () => {
  const policy: MediaPolicy = {
    rules: [
      { ...off, match: { transport: ["udp"] } },
      { ...offered, match: { transport: ["tls"] } },
      { ...offered, e2ae: "required", match: { transport: ["tcp"] } },
    ],
  };
  const registration = { ...tls, securityClient: ["sdes-srtp;mediasec"] };
  const text = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join("");
  const explain = (change: Partial<ExplainFacts> = {}, random: Random = seededRandom(1)) =>
    explainPolicy({ policy, registration, ...change }, random);

  it("TS 33.328 7.1: tells the rule, why, and what the registration is told", () => {
    const found = explain();
    expect(found.choice).toMatchObject({ index: 1, because: ["transport tls fits tls"] });
    expect(found.registration.mode).toBe("e2ae");
    expect(found.inWords).toEqual([
      "rule 0 passed over: transport tls fits none of udp",
      "rule 1 governs: transport tls fits tls",
      "e2ae offered, SDES phone mode off",
      "announced in the 401 and the 200: Security-Server: sdes-srtp;mediasec",
      "calls are protected by e2ae",
    ]);
    expect(found.offer).toBeUndefined();
    const silent = explain({ registration: { ...registration, transport: "tcp", securityClient: [] } });
    expect(silent.inWords.slice(-3)).toEqual([
      "nothing is announced",
      "calls are not protected up to the gateway (ue-not-capable)",
      "clear calls are refused, emergency calls excepted",
    ]);
    expect(explain({ policy: { rules: [] } }).inWords[0]).toBe("no rule matches: e2ae is off");
  });

  it("TS 33.328 7.2.1 step 3: an offer of the UE, its effects in words and the body that would leave", () => {
    const { offer } = explain({ offer: { from: "access", sdp: text(ueOffer()) } });
    expect(offer).toMatchObject({ outcome: "sent-on", reasons: ["secured"], summary: { security: "e2ae" } });
    expect(offer?.sdp).toContain("m=audio 20002 RTP/AVP 96 8\r\nc=IN IP4 192.0.2.1\r\n");
    expect(offer?.inWords.filter((line) => !line.includes("zeroised"))).toEqual([
      "gateway reserves in a new context:",
      "stream 1: RTP/SAVP towards the UE, RTP/AVP towards the core",
      "sent on towards the core",
    ]);
  });

  it("invariant 7: an offer to the UE is shown with its keys redacted, and every key made is zeroised", () => {
    const made: Buffer[] = [];
    const source = seededRandom(1);
    const random: Random = {
      bytes: (length) => {
        const octets = source.bytes(length);
        made.push(Buffer.from(octets));
        return octets;
      },
    };
    const release = vi.spyOn(Secret.prototype, "release");
    const found = explain({ offer: { from: "core", sdp: text(coreBody()) } }, random);
    const gone = new Set(release.mock.contexts.map((secret) => (secret as Secret).fingerprint));
    release.mockRestore();
    for (const key of made) expect(gone).toContain(Secret.copyOf(key).fingerprint);
    expect(found.offer?.sdp?.match(/a=crypto:\d AES_CM_128_HMAC_SHA1_\d\d inline:<redacted>/g)).toHaveLength(2);
    const printed = JSON.stringify(found);
    expect(made).toHaveLength(2);
    for (const key of made) expect(printed).not.toContain(key.toString("base64").slice(0, 10));
    const e2e = explain({ offer: { from: "access", sdp: text([...head(), ...secureAudio(crypto(1, 0x66))]) } });
    expect(e2e.offer?.sdp).toContain("inline:<redacted>");
    expect(e2e.offer?.reasons).toEqual(["e2e-offered"]);
  });

  it("an offer that is refused, one in an emergency, one of IPv6, and one that is none", () => {
    const clear = text(coreBody());
    const silent = { ...registration, transport: "tcp", securityClient: [] } as const;
    expect(explain({ registration: silent, offer: { from: "access", sdp: clear } }).offer).toMatchObject({
      outcome: "refused",
      status: 488,
      reasons: ["ue-not-capable", "security-required"],
      inWords: ["refused with 488: security-required"],
    });
    const emergency = explain({ registration: silent, offer: { from: "access", sdp: clear, emergency: true } });
    expect(emergency.offer).toMatchObject({ outcome: "sent-on", summary: { security: "none" } });
    const six = ueOffer().map((line) => line.replace("IN IP4 10.0.0.7", "IN IP6 2001:db8::7"));
    expect(explain({ offer: { from: "access", sdp: text(six) } }).offer?.sdp).toContain("c=IN IP6 2001:db8::2");
    expect(explain({ offer: { from: "access", sdp: "v=0\r\nx" } }).offer?.outcome).toBe("unreadable");
  });

  it("quirks of the registration and the offer are told", () => {
    const odd = text([...head(), ...secureAudio(crypto(0, 0x11), requested)]);
    const { offer } = explain({ offer: { from: "access", sdp: odd } });
    expect(offer?.evidence.some((each) => each.quirk === "crypto-tag-zero")).toBe(true);
  });
});
