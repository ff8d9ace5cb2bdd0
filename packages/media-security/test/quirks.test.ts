import { seededRandom } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import {
  checkAnswer,
  checkSecurityVerify,
  createOffer,
  decideRegistration,
  mergeModes,
  quirkMode,
  quirkOf,
  quirks,
  readMechanisms,
  selectCrypto,
  type MediaPolicyRule,
  type QuirkId,
  type QuirkMode,
  type QuirkModes,
} from "../src/index.ts";
import { coreBody, crypto, head, inline, requested, secureAudio, ueOffer } from "./support/bodies.ts";
import { both, facts, kinds, openCall } from "./support/call.ts";

const s80 = "AES_CM_128_HMAC_SHA1_80";
const wide: MediaPolicyRule = {
  ...facts.policy,
  suites: [s80, "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80", "AEAD_AES_128_GCM"],
};

/** What one situation gives under some modes: was it borne, and which quirks were told with which mode. */
interface Seen {
  readonly borne: boolean;
  readonly told: readonly (readonly [QuirkId | undefined, QuirkMode | undefined])[];
}

const verify =
  (sent: readonly string[], received: readonly string[], change: object = {}) =>
  (modes: QuirkModes): Seen => {
    const base = { draftDialect: true, hasCredentials: true, announced: true, quirks: modes };
    const result = checkSecurityVerify({ sent, received, ...base, ...change });
    return { borne: result.ok, told: result.quirks.map(({ quirk, mode }) => [quirk, mode]) };
  };

/** One offer of the UE, on a fresh call or on one that runs with key 0x11 under tag 7. */
const offering =
  (attributes: readonly string[], running: boolean, change: object = {}) =>
  (modes: QuirkModes): Seen => {
    const call = openCall({ policy: { ...wide, quirks: modes }, ...change });
    if (running) {
      call.offer("access", [...head(), ...secureAudio(crypto(7, 0x11), requested)]);
      call.answer("core", coreBody());
      call.evidence.length = 0;
    }
    const effects = call.offer("access", [...head(1, 2), ...secureAudio(...attributes)]);
    const told = call.evidence.filter((each) => each.quirk !== undefined);
    return { borne: kinds(effects).includes("forward"), told: told.map((each) => [each.quirk, each.quirkMode]) };
  };

const answering =
  (...attributes: readonly string[]) =>
  (modes: QuirkModes): Seen => {
    const call = openCall({ ueRole: "terminating", policy: { ...facts.policy, quirks: modes } });
    call.offer("core", coreBody());
    const effects = call.answer("access", [...head(3), ...secureAudio(...attributes)]);
    const told = call.evidence.filter((each) => each.quirk !== undefined);
    return { borne: kinds(effects).includes("forward"), told: told.map((each) => [each.quirk, each.quirkMode]) };
  };

const second = (modes: QuirkModes): Seen => {
  const decided = decideRegistration({
    securityClient: [],
    earlier: readMechanisms(["tls, sdes-srtp;mediasec"]),
    usesOptionTag: true,
    policy: { ...facts.policy, quirks: modes },
    confidential: true,
  });
  const told = decided.evidence.filter((each) => each.quirk !== undefined);
  return { borne: decided.indications.ueE2ae, told: told.map((each) => [each.quirk, each.quirkMode]) };
};

const sdes = ["sdes-srtp;mediasec"];
const phone = { registration: { ...both, ueE2ae: false, networkE2ae: false } };

/** The situation that each entry of the table is about. */
const situations: Readonly<Record<Exclude<QuirkId, "rekey-resets-roc">, (modes: QuirkModes) => Seen>> = {
  "client-missing": second,
  "verify-missing": verify(sdes, [], { draftDialect: false }),
  "verify-missing-draft": verify(sdes, []),
  "verify-duplicated": verify(sdes, ["sdes-srtp;mediasec, sdes-srtp;mediasec"]),
  "verify-q-dropped": verify(["sdes-srtp;q=0.2;mediasec"], sdes),
  "verify-reordered": verify(["msrp-tls;mediasec", ...sdes], [...sdes, "msrp-tls;mediasec"]),
  "verify-never-sent": verify([], sdes),
  "indication-spelling": offering([crypto(1, 0x21), "a=3ge2ae: requested"], false),
  "indication-unannounced": (modes) =>
    offering([crypto(1, 0x21), requested], false, {
      ...phone,
      policy: { ...wide, sdesPhone: "terminate", quirks: modes },
    })(modes),
  "indication-not-repeated": offering([crypto(7, 0x11)], true),
  "crypto-tag-zero": offering([crypto(0, 0x21), requested], false),
  "crypto-tag-renumbered": offering([crypto(1, 0x11), requested], true),
  "suite-lower-case": offering([crypto(1, 0x21, s80.toLowerCase()), requested], false),
  "suite-alias": offering([crypto(1, 0x21, "AES_CM_256_HMAC_SHA1_80", 46), requested], false),
  "suite-unknown": offering([crypto(1, 0x21, "AEAD_AES_256_GCM_9"), crypto(7, 0x22), requested], false),
  "base64-unpadded": offering([`a=crypto:1 AEAD_AES_128_GCM ${inline(0x21, 28).replace(/=+$/, "")}`, requested], false),
  "indication-in-answer": answering(crypto(1, 0x41), requested),
  "answer-tag-renumbered": answering(crypto(1, 0x41, "AES_CM_128_HMAC_SHA1_32")),
};

describe("the table of quirks", () => {
  it("has an id, words, a line from the wire and a clause for each, each id once", () => {
    expect(new Set(quirks.map(({ id }) => id)).size).toBe(quirks.length);
    for (const quirk of quirks) {
      expect(quirk.id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)+$/);
      expect(quirk.summary).toMatch(/^[A-Z].*\.$/);
      expect(quirk.capturedLine.length).toBeGreaterThan(10);
      expect(quirk.capturedLine).not.toMatch(/inline:[A-Za-z0-9+/]{20}/);
      expect(quirk.clause).toMatch(/^(RFC \d+|TS \d\d\.\d{3}) \d/);
      expect(quirkOf(quirk.id)).toBe(quirk);
    }
  });

  it("every entry has its situation here, but the one of the media plane", () => {
    const met = quirks.filter(({ where }) => where !== "media").map(({ id }) => id);
    expect(Object.keys(situations)).toEqual(met);
  });
});

describe.each(Object.entries(situations))("%s", (name, situation) => {
  const id = name as QuirkId;
  const { clause, mode: own } = quirkOf(id);

  it(`${clause}: by default it is ${own === "strict" ? "an error" : "borne"}, and told once`, () => {
    expect(situation({})).toEqual({ borne: own !== "strict", told: [[id, own]] });
  });

  it.each(["tolerant", "observe"] as const)(`${clause}: borne and told in mode %s`, (mode) => {
    expect(situation({ each: { [id]: mode } })).toEqual({ borne: true, told: [[id, mode]] });
  });

  it(`${clause}: in strict mode an error, and told`, () => {
    const { borne, told } = situation({ each: { [id]: "strict" } });
    expect(borne).toBe(false);
    expect(told).toContainEqual([id, "strict"]);
    expect(situation({ mode: "strict" }).borne).toBe(false);
  });
});

describe("modes", () => {
  it("what is named goes before what is for all, before the table; nothing but a name loosens a strict entry", () => {
    expect(quirkMode(undefined, "verify-duplicated")).toBe("tolerant");
    expect(quirkMode({ mode: "observe" }, "verify-duplicated")).toBe("observe");
    expect(quirkMode({ mode: "strict", each: { "verify-duplicated": "tolerant" } }, "verify-duplicated")).toBe(
      "tolerant",
    );
    expect(quirkMode({ mode: "tolerant" }, "answer-tag-renumbered")).toBe("strict");
    expect(quirkMode({ each: { "answer-tag-renumbered": "observe" } }, "answer-tag-renumbered")).toBe("observe");
  });

  it("a rule's modes go before the policy's", () => {
    const policy = { mode: "strict", each: { "suite-alias": "observe" } } as const;
    expect(mergeModes(policy, undefined)).toBe(policy);
    expect(mergeModes(policy, { each: { "crypto-tag-zero": "tolerant" } })).toEqual({
      mode: "strict",
      each: { "suite-alias": "observe", "crypto-tag-zero": "tolerant" },
    });
    expect(mergeModes(policy, { mode: "tolerant" })).toEqual({ mode: "tolerant" });
  });
});

describe("what is no quirk", () => {
  it("peers.md 2: the REGISTER that will be challenged has no list to repeat", () => {
    expect(verify(sdes, [], { hasCredentials: false })({ mode: "strict" })).toEqual({ borne: true, told: [] });
  });

  it("a phone that never announced anything is not asked for Security-Verify", () => {
    const silent = { draftDialect: false, announced: false };
    expect(verify(sdes, [], silent)({ mode: "strict" })).toEqual({ borne: true, told: [] });
  });

  it("RFC 4568 5.1.2: registered suites we do not build are passed over in silence, also in strict mode", () => {
    const lines = [crypto(1, 0x21, "F8_128_HMAC_SHA1_80"), crypto(2, 0x22), requested];
    expect(offering(lines, false)({ mode: "strict" })).toEqual({ borne: true, told: [] });
  });

  it("RFC 4568 7.1.4: after a swap of roles the UE numbers its own offer", () => {
    const call = openCall({ ueRole: "terminating", policy: { ...facts.policy, quirks: { mode: "strict" } } });
    call.offer("core", coreBody());
    call.answer("access", [...head(3), ...secureAudio(crypto(1, 0x41))]);
    const effects = call.offer("access", [...head(3, 2), ...secureAudio(crypto(5, 0x41), requested)]);
    expect(kinds(effects)).toContain("forward");
    expect(call.evidence.filter((each) => each.quirk !== undefined)).toEqual([]);
  });

  it("strict in everything, a faultless call goes through and tells nothing", () => {
    const call = openCall({ policy: { ...facts.policy, quirks: { mode: "strict" } } });
    call.offer("access", ueOffer());
    expect(kinds(call.answer("core", coreBody()))).toContain("forward");
    expect(call.evidence.filter((each) => each.quirk !== undefined)).toEqual([]);
  });
});

describe("the SDES rules for both ends", () => {
  it("RFC 4568 5.1.2: a suite offered once names its line, whatever tag the answer bears; twice offered it does not", () => {
    const offered = createOffer([s80, "AES_CM_128_HMAC_SHA1_32"], seededRandom(3));
    const modes = { each: { "answer-tag-renumbered": "tolerant" } } as const;
    const answer = [`9 AES_CM_128_HMAC_SHA1_32 ${inline(0x41)}`];
    const checked = checkAnswer(offered, answer, modes);
    expect(checked.ok && checked.ours).toBe(offered[1]);
    expect(checked.ok && checked.quirks).toEqual(["answer-tag-renumbered"]);
    expect(
      checkAnswer([...offered, ...createOffer(["AES_CM_128_HMAC_SHA1_32"], seededRandom(4))], answer, modes).ok,
    ).toBe(false);
    expect(checkAnswer(offered, [`9 ${s80} ${inline(0x41)}`, ...answer], modes).ok).toBe(false);
  });

  it("RFC 4568 6.1: keys of lines that strict modes refuse are zeroised like all others", () => {
    const selected = selectCrypto([`0 ${s80} ${inline(1)}`, `2 ${s80} ${inline(2)}`], [s80], { mode: "strict" });
    expect(selected.ok && selected.crypto.tag).toBe(2);
    expect(selected.skipped).toEqual([{ position: 0, why: "quirk", quirk: "crypto-tag-zero" }]);
  });
});
