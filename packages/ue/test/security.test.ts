import { seededRandom } from "@sallyport/kit";
import { createOffer } from "@sallyport/media-security";
import { formatCrypto } from "@sallyport/sdp";
import { describe, expect, it } from "vitest";
import { chooseOffer, judgeAnswer, judgeOffer, type SecurityFacts } from "../src/call/security.ts";

const facts: SecurityFacts = {
  e2ae: "preferred",
  e2e: "accepted",
  suites: ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"],
  ueE2ae: true,
  networkE2ae: true,
  confidential: true,
};
const random = seededRandom("security");
const offered = createOffer(facts.suites, random);
const written = offered.map(formatCrypto);
const theirs = (tag: number, suite = offered[tag - 1]?.suite ?? ""): string => {
  const [line] = createOffer(["AES_CM_128_HMAC_SHA1_80"], random);
  return line === undefined ? "" : formatCrypto({ ...line, tag, suite });
};

describe("what an offer asks for", () => {
  const cases: readonly [string, Partial<SecurityFacts>, Parameters<typeof chooseOffer>[1], string | undefined][] = [
    ["TS 33.328 7.2.1 (a): e2ae when both announced it", {}, "policy", "e2ae"],
    ["TS 33.328 7.2.1 (a): nothing when the network did not announce it", { networkE2ae: false }, "policy", "none"],
    ["TS 33.328 7.2.1 (a): nothing when the UE did not announce it", { ueE2ae: false }, "policy", "none"],
    [
      "TS 33.328 7.2.1 (a): not e2ae when the UE prefers end-to-end security by policy",
      { e2e: "preferred" },
      "policy",
      "e2e",
    ],
    ["TS 33.328 7.2.1 (a): not e2ae when the user prefers end-to-end security for this call", {}, "e2e", "e2e"],
    [
      "a required policy refuses where the network announced nothing",
      { e2ae: "required", networkE2ae: false },
      "policy",
      undefined,
    ],
    ["a required policy refuses the wish for clear media", { e2ae: "required" }, "none", undefined],
    ["the wish for e2ae is refused where it cannot be had", { networkE2ae: false }, "e2ae", undefined],
    [
      "TS 33.328 6.2.1.2 (b): no key over signalling that is not confidential",
      { confidential: false },
      "e2e",
      undefined,
    ],
    ["the wish for clear media is granted by a preferred policy", {}, "none", "none"],
    ["end-to-end security that is off is refused", { e2e: "off" }, "e2e", undefined],
  ];
  it.each(cases)("%s", (_name, change, wish, expected) => {
    const choice = chooseOffer({ ...facts, ...change }, wish);
    expect(choice.ok ? choice.asked : undefined).toBe(expected);
  });

  it("says so when it announced e2ae and the network stays silent", () => {
    const choice = chooseOffer({ ...facts, networkE2ae: false }, "policy");
    expect(choice.ok && choice.notes.map(({ code }) => code)).toEqual(["network-silent"]);
  });
});

describe("the answer to our offer", () => {
  const answer = (change: Partial<Parameters<typeof judgeAnswer>[3]> = {}) => ({
    protocol: "RTP/SAVP",
    cryptos: [theirs(1)],
    indications: ["applied" as const],
    ...change,
  });

  it("TS 33.328 7.2.1 step 8: SRTP, one crypto attribute and applied make e2ae", () => {
    const judged = judgeAnswer(facts, "e2ae", offered, answer());
    expect(judged).toMatchObject({ ok: true, security: "e2ae", notes: [] });
    expect(judged.ok && judged.keys?.ours).toBe(offered[0]);
  });

  it("TS 33.328 5.4.1: without applied the UE says so, and does not call it e2ae", () => {
    const judged = judgeAnswer(facts, "e2ae", offered, answer({ indications: [] }));
    expect(judged).toMatchObject({ ok: true, security: "unconfirmed", notes: [{ code: "no-applied" }] });
  });

  it("TS 33.328 5.4.1: without applied a required policy ends the call", () => {
    const judged = judgeAnswer({ ...facts, e2ae: "required" }, "e2ae", offered, answer({ indications: ["requested"] }));
    expect(judged).toMatchObject({ ok: false, notes: [{ code: "no-applied" }] });
  });

  const refused: readonly [string, Partial<Parameters<typeof judgeAnswer>[3]>][] = [
    ["clear media", { protocol: "RTP/AVP", cryptos: [] }],
    ["clear media that says applied", { protocol: "RTP/AVP" }],
    ["no crypto", { cryptos: [] }],
    ["two cryptos", { cryptos: [theirs(1), theirs(2)] }],
    ["a tag never offered", { cryptos: [theirs(3, "AES_CM_128_HMAC_SHA1_80")] }],
    ["the suite of another line", { cryptos: [theirs(1, "AES_CM_128_HMAC_SHA1_32")] }],
    ["our own key sent back", { cryptos: [written[0] ?? ""] }],
  ];
  it.each(refused)("RFC 4568 5.1.3: %s is refused under every policy", (_name, change) => {
    for (const e2ae of ["preferred", "required"] as const) {
      for (const asked of ["e2ae", "e2e"] as const) {
        expect(judgeAnswer({ ...facts, e2ae }, asked, offered, answer(change)).ok).toBe(false);
      }
    }
  });

  it("end-to-end: applied does not make it e2ae", () => {
    const judged = judgeAnswer(facts, "e2e", offered, answer());
    expect(judged).toMatchObject({ ok: true, security: "e2e", notes: [{ code: "applied-unasked" }] });
  });

  it("RFC 3264 6: a clear offer is answered clear; applied there is remarked, and believed by nobody", () => {
    const clear = { protocol: "RTP/AVP", cryptos: [], indications: ["applied" as const] };
    const judged = judgeAnswer(facts, "none", [], clear);
    expect(judged).toMatchObject({ ok: true, security: "none", notes: [{ code: "applied-unasked" }] });
    expect(judgeAnswer(facts, "none", [], { ...clear, protocol: "RTP/SAVP" }).ok).toBe(false);
  });
});

describe("an offer from the network", () => {
  const offer = (change: Partial<Parameters<typeof judgeOffer>[1]> = {}) => ({
    protocol: "RTP/SAVP",
    cryptos: written,
    indications: ["applied" as const],
    ...change,
  });

  it("TS 33.328 7.3.1 step 4: SRTP with applied is e2ae when both announced it", () => {
    const judged = judgeOffer(facts, offer());
    expect(judged).toMatchObject({ ok: true, security: "e2ae", chosen: { crypto: { tag: 1 } } });
  });

  it("TS 33.328 5.4.1: applied from a network that announced nothing is not believed", () => {
    const judged = judgeOffer({ ...facts, networkE2ae: false }, offer());
    expect(judged).toMatchObject({ ok: true, security: "unconfirmed", notes: [{ code: "applied-unannounced" }] });
    expect(judgeOffer({ ...facts, networkE2ae: false, e2e: "off" }, offer()).ok).toBe(false);
  });

  it("TS 33.328 7.3.1 (a): NOTE, SRTP without the indication is end-to-end, taken or refused by policy", () => {
    expect(judgeOffer(facts, offer({ indications: [] }))).toMatchObject({ ok: true, security: "e2e" });
    expect(judgeOffer({ ...facts, e2e: "off" }, offer({ indications: [] })).ok).toBe(false);
  });

  it("clear media: remarked when both announced e2ae, refused when e2ae is required", () => {
    const clear = offer({ protocol: "RTP/AVP", cryptos: [] });
    expect(judgeOffer(facts, clear)).toMatchObject({ ok: true, security: "none", notes: [{ code: "clear-offer" }] });
    expect(judgeOffer({ ...facts, e2ae: "required" }, clear).ok).toBe(false);
  });

  it("keys beside RTP/AVP are not used; an unknown profile and no usable line are refused", () => {
    const beside = judgeOffer({ ...facts, networkE2ae: false }, offer({ protocol: "RTP/AVP" }));
    expect(beside).toMatchObject({ ok: true, security: "none", notes: [{ code: "keys-on-clear-media" }] });
    expect(judgeOffer(facts, offer({ protocol: "UDP/TLS/RTP/SAVPF" })).ok).toBe(false);
    expect(judgeOffer(facts, offer({ cryptos: ["1 F8_128_HMAC_SHA1_80 inline:AAAA"] })).ok).toBe(false);
    expect(judgeOffer({ ...facts, confidential: false }, offer()).ok).toBe(false);
  });

  it("RFC 4568 5.1.2: the offerer's order decides among the suites we take", () => {
    const judged = judgeOffer({ ...facts, suites: ["AES_CM_128_HMAC_SHA1_32"] }, offer());
    expect(judged).toMatchObject({ ok: true, chosen: { crypto: { tag: 2 } } });
  });
});
