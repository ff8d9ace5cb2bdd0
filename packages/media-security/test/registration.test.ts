import { describe, expect, it } from "vitest";
import {
  checkSecurityVerify,
  choosePolicy,
  decideRegistration,
  readMechanisms,
  type MediaPolicyRule,
} from "../src/index.ts";

const offered: MediaPolicyRule = { e2ae: "offered", suites: ["AES_CM_128_HMAC_SHA1_80"], announceUnasked: false };
const off: MediaPolicyRule = { ...offered, e2ae: "off" };

const register = (client: string, change: Partial<Parameters<typeof decideRegistration>[0]> = {}) =>
  decideRegistration({
    securityClient: readMechanisms(client === "" ? [] : [client]),
    usesOptionTag: false,
    policy: offered,
    confidential: true,
    ...change,
  });

describe("clause 7.1", () => {
  it('TS 33.328 7.1 (b): the network shall store "e2ae-security supported by UE" when it stands in the REGISTER', () => {
    for (const client of [
      "sdes-srtp;mediasec",
      "tls, SDES-SRTP ; MediaSec;q=0.1",
      "ipsec-3gpp;alg=a,sdes-srtp;mediasec",
    ]) {
      expect(register(client).indications.ueE2ae, client).toBe(true);
    }
  });

  it("TS 33.328 7.1 (b): mechanisms other than sdes-srtp, and entries without mediasec, store nothing", () => {
    for (const client of ["", "tls", "sdes-srtp", "dtls-srtp;mediasec, msrp-tls;mediasec", "sdes-srtp2;mediasec"]) {
      expect(register(client).indications.ueE2ae, client).toBe(false);
      expect(register(client).securityServer, client).toEqual([]);
    }
  });

  it('TS 33.328 7.1 (b): "e2e-security-with SDES" and "with KMS supported by UE" are stored under the names the operator gives', () => {
    const e2eNames = { sdes: "e2e-sdes", kms: "e2e-kms" };
    const { indications } = register("e2e-sdes;mediasec, E2E-KMS;mediasec", { e2eNames });
    expect(indications).toMatchObject({ ueE2eSdes: true, ueE2eKms: true, ueE2ae: false });
    expect(register("e2e-sdes;mediasec").indications.ueE2eSdes).toBe(false);
  });

  it('TS 33.328 7.1 (d): the network shall include "e2ae-security supported by network" when capable and policy prefers it', () => {
    const decided = register("sdes-srtp;mediasec");
    expect(decided.securityServer).toEqual(["sdes-srtp;mediasec"]);
    expect(decided.indications.networkE2ae).toBe(true);
    expect(decided.reason).toBeUndefined();
    expect(decided.evidence.every((each) => each.clause === "7.1")).toBe(true);
  });

  it.each([
    ["the policy is off", "sdes-srtp;mediasec", { policy: off }, "network-policy"],
    ["there is no suite", "sdes-srtp;mediasec", { policy: { ...offered, suites: [] } }, "network-policy"],
    ["signalling is not confidential", "sdes-srtp;mediasec", { confidential: false }, "signalling-not-confidential"],
    ["the UE did not announce it", "tls", {}, "ue-not-capable"],
  ])("TS 33.328 7.1 (d), 6.2.1.2 (b): nothing is announced when %s", (_, client, change, reason) => {
    expect(register(client, change)).toMatchObject({ securityServer: [], reason, indications: { networkE2ae: false } });
  });

  it("TS 33.328 7.1 (d): a UE that waits for the network's list gets it where policy announces unasked", () => {
    const decided = register("", { policy: { ...offered, announceUnasked: true } });
    expect(decided.securityServer).toEqual(["sdes-srtp;mediasec"]);
    expect(decided.indications).toMatchObject({ ueE2ae: false, networkE2ae: true });
  });

  it("knows both dialects by the option tag", () => {
    expect(register("sdes-srtp;mediasec").dialect).toBe("3gpp");
    expect(register("sdes-srtp;mediasec", { usesOptionTag: true }).dialect).toBe("draft");
    expect(register("tls").dialect).toBe("none");
  });

  it("TS 33.328 7.1 (d): the policy depends on the access network of the registration, first match wins, none is off", () => {
    const policy = {
      rules: [
        { ...off, match: { accessNetwork: ["3GPP-E-UTRAN*"] } },
        { ...offered, match: { accessNetwork: ["IEEE-802.11", "ieee-802.3"] } },
      ],
    };
    const rule = (accessNetwork?: string) =>
      choosePolicy(policy, {
        ...(accessNetwork === undefined ? {} : { accessNetwork }),
        transport: "tls",
        confidential: true,
      });
    expect(rule("3gpp-e-utran-fdd")).toBe(policy.rules[0]);
    expect(rule("ieee-802.11")).toBe(policy.rules[1]);
    expect(rule("IEEE-802.3")).toBe(policy.rules[1]);
    expect(rule("IEEE-802.3a").e2ae).toBe("off");
    expect(rule().e2ae).toBe("off");
    expect(choosePolicy({ rules: [...policy.rules, offered] }, { transport: "udp", confidential: false })).toBe(
      offered,
    );
    expect(choosePolicy({ rules: [] }, { transport: "tls", confidential: true }).e2ae).toBe("off");
  });
});

describe("Security-Verify", () => {
  const sent = ["sdes-srtp;mediasec"];
  const verify = (received: readonly string[], change: object = {}) =>
    checkSecurityVerify({ sent, received, draftDialect: true, hasCredentials: true, ...change }).ok;

  it.each([
    ["the same", ["sdes-srtp;mediasec"], true],
    ["case, blanks and q differ", ["SDES-SRTP ; q=0.1 ; MEDIASEC"], true],
    ["said twice", ["sdes-srtp;mediasec", "sdes-srtp;mediasec"], true],
    ["in one list with signalling entries", ["ipsec-3gpp;q=0.1;alg=x, sdes-srtp;mediasec"], true],
    ["signalling entries alone", ["tls"], false],
    ["missing", [], false],
    ["another mechanism", ["dtls-srtp;mediasec"], false],
    ["one more than sent", ["sdes-srtp;mediasec, dtls-srtp;mediasec"], false],
    ["altered parameter", ["sdes-srtp;mediasec;x=1"], false],
  ])("RFC 3329 2.3.1: %s", (_, received, good) => expect(verify(received)).toBe(good));

  it("RFC 3329 2.3.1: order does not count, a missing one of several does", () => {
    const several = { sent: ["msrp-tls;mediasec", "sdes-srtp;mediasec;a;b"] };
    expect(verify(["sdes-srtp;b;mediasec;a", "msrp-tls;mediasec"], several)).toBe(true);
    expect(verify(["sdes-srtp;b;mediasec;a"], several)).toBe(false);
  });

  it("asks for it only where the UE speaks the draft dialect and will not be challenged", () => {
    expect(verify([], { draftDialect: false })).toBe(true);
    expect(verify([], { hasCredentials: false })).toBe(true);
    expect(verify(["dtls-srtp;mediasec"], { draftDialect: false })).toBe(false);
  });

  it("says what it tolerated; what was never sent cannot have been bid down", () => {
    expect(
      checkSecurityVerify({ sent, received: [...sent, ...sent], draftDialect: true, hasCredentials: true }),
    ).toEqual({
      ok: true,
      tolerated: ["duplicate sdes-srtp;mediasec"],
      quirks: [{ quirk: "verify-duplicated", mode: "tolerant" }],
    });
    expect(checkSecurityVerify({ sent: [], received: sent, draftDialect: true, hasCredentials: true })).toEqual({
      ok: true,
      tolerated: ["never sent sdes-srtp;mediasec"],
      quirks: [{ quirk: "verify-never-sent", mode: "tolerant" }],
    });
  });

  it("reads hostile lists without growing: quotes, empty entries, thousands of them", () => {
    expect(readMechanisms(['a;x="1,2;3\\"",,b;;c', ""]).map(({ name }) => name)).toEqual(["a", "b"]);
    expect(readMechanisms([",a".repeat(5000)])).toHaveLength(64);
  });
});
