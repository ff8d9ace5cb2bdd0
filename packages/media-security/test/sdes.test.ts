import { Secret, seededRandom } from "@sallyport/kit";
import { formatCrypto, type CryptoAttribute } from "@sallyport/sdp";
import { suites, type SuiteName } from "@sallyport/srtp";
import { describe, expect, it } from "vitest";
import { checkAnswer, createAnswer, createOffer, parse3ge2ae, sameKeys, selectCrypto } from "../src/index.ts";
import { inline } from "./support/bodies.ts";

const all = Object.keys(suites) as SuiteName[];
const wish: readonly SuiteName[] = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"];
const s80 = "AES_CM_128_HMAC_SHA1_80";

describe("the offer", () => {
  it("RFC 4568 5.1.1: one line per suite in order, unique tags, its own fresh key of the suite's length each", () => {
    const offer = createOffer(all, seededRandom(1));
    expect(offer.map(({ suite }) => suite)).toEqual(all);
    expect(offer.map(({ tag }) => tag)).toEqual(all.map((_, at) => at + 1));
    for (const line of offer) expect(line.keys[0]?.master.length).toBe(suites[line.suite as SuiteName].masterLength);
    expect(new Set(offer.map((line) => line.keys[0]?.master.use((octets) => octets.toString("hex")))).size).toBe(
      all.length,
    );
    expect(offer.every((line) => line.sessionParams.length === 0 && line.keys[0]?.lifetime === undefined)).toBe(true);
  });
});

describe("choosing from an offer", () => {
  const cases: readonly (readonly [string, readonly string[], number | undefined])[] = [
    [
      "the first usable line wins",
      [`4 F8_128_HMAC_SHA1_80 ${inline(1)}`, `9 ${s80} ${inline(2)}`, `1 ${s80} ${inline(3)}`],
      9,
    ],
    ["tag 0 and a suite in lower case", [`0 ${s80.toLowerCase()} ${inline(1)}`], 0],
    ["an alias of the suite", [`3 AES_CM_256_HMAC_SHA1_80 ${inline(1, 46)}`], 3],
    ["base64 without padding", [`2 AEAD_AES_128_GCM ${inline(1, 28).replace(/=+$/, "")}`], 2],
    ["28 octets for a suite of 30", [`1 ${s80} ${inline(1, 28)}`], undefined],
    ["30 octets for a suite of 28", [`1 AEAD_AES_128_GCM ${inline(1, 30)}`], undefined],
    ["lifetime and MKI", [`1 ${s80} ${inline(1)}|2^20|1:4`], 1],
    ["the whole lifetime of the suite", [`1 ${s80} ${inline(1)}|2^48`], 1],
    ["a lifetime beyond the suite's", [`1 ${s80} ${inline(1)}|2^49`], undefined],
    ["a lifetime of zero", [`1 ${s80} ${inline(1)}|0`], undefined],
    ["two keys with MKIs", [`1 ${s80} ${inline(1)}|1:1;${inline(2)}|2:1`], 1],
    ["two keys without MKI", [`1 ${s80} ${inline(1)};${inline(2)}`], undefined],
    ["KDR=0 and WSH", [`1 ${s80} ${inline(1)} KDR=0 WSH=128`], 1],
    ["another KDR", [`1 ${s80} ${inline(1)} KDR=5`], undefined],
    ["FEC_ORDER=FEC_SRTP, the default order", [`1 ${s80} ${inline(1)} FEC_ORDER=FEC_SRTP`], 1],
    ["FEC_ORDER=SRTP_FEC", [`1 ${s80} ${inline(1)} FEC_ORDER=SRTP_FEC`], undefined],
    ["FEC_KEY", [`1 ${s80} ${inline(1)} FEC_KEY=${inline(2)}`], undefined],
    ["UNENCRYPTED_SRTP", [`1 ${s80} ${inline(1)} UNENCRYPTED_SRTP`], undefined],
    ["UNENCRYPTED_SRTCP", [`1 ${s80} ${inline(1)} UNENCRYPTED_SRTCP`], undefined],
    ["UNAUTHENTICATED_SRTP", [`1 ${s80} ${inline(1)} UNAUTHENTICATED_SRTP`], undefined],
    ["an unknown parameter that may be ignored", [`1 ${s80} ${inline(1)} -new=1`], 1],
    ["an unknown parameter that may not", [`1 ${s80} ${inline(1)} new=1`], undefined],
    ["an unknown key method", [`1 ${s80} clear:abc`], undefined],
    ["bad base64", [`1 ${s80} inline:****`], undefined],
    ["a bad line before a good one", ["garbage", `8 ${s80} ${inline(1)}`], 8],
    ["a tag said twice counts once", [`1 AEAD_AES_128_GCM ${inline(1, 28)}`, `1 ${s80} ${inline(2)}`], 1],
    ["nothing", [], undefined],
  ];
  it.each(cases)("RFC 4568 5.1.2, 6.1 to 6.3: %s", (_, offered, tag) => {
    const selected = selectCrypto(offered, all);
    expect(selected.ok ? selected.crypto.tag : undefined).toBe(tag);
  });

  it("a suite outside the acceptance set is skipped and named", () => {
    const selected = selectCrypto([`1 AES_256_CM_HMAC_SHA1_80 ${inline(1, 46)}`, `2 ${s80} ${inline(1)}`], wish);
    expect(selected).toMatchObject({
      ok: true,
      crypto: { tag: 2 },
      skipped: [{ position: 0, why: "suite-not-accepted" }],
    });
  });

  it("invariant 7: keys of lines not chosen are zeroised, and no more than 32 lines are looked at", () => {
    const lines = Array.from({ length: 500 }, (_, at) => `${at} NO_SUCH_SUITE ${inline(1)}`);
    const selected = selectCrypto(lines, wish);
    expect(selected.ok).toBe(false);
    expect(selected.skipped).toHaveLength(33);
    expect(selected.skipped.at(-1)).toEqual({ position: 32, why: "too-many" });
  });
});

describe("the answer", () => {
  const random = seededRandom(3);
  const offered = createOffer(wish, random);
  const second = offered[1] ?? { tag: -1, suite: "", keys: [], sessionParams: [] };
  const own = (change: Partial<CryptoAttribute> = {}): string =>
    formatCrypto({ ...createAnswer(second, random), ...change });

  it("RFC 4568 5.1.2: has the tag and the suite as written of the chosen line, and its own key", () => {
    const chosen = selectCrypto([`7 aes_cm_128_hmac_sha1_32 ${inline(9)}|2^20|1:4`], wish);
    if (!chosen.ok) throw new Error("not chosen");
    const answer = createAnswer(chosen.crypto, random);
    expect(answer).toMatchObject({ tag: 7, suite: "aes_cm_128_hmac_sha1_32", sessionParams: [] });
    expect(sameKeys(answer, chosen.crypto)).toBe(false);
    expect(formatCrypto(answer)).not.toContain("|");
  });

  it("refuses to answer a suite it does not know", () => {
    expect(() => createAnswer({ tag: 1, suite: "F8_128_HMAC_SHA1_80", keys: [], sessionParams: [] }, random)).toThrow(
      /SALLY_MEDIASEC_SUITE/,
    );
  });

  it("RFC 4568 5.1.3: the offerer sends with the offered line's key and receives with the answer's", () => {
    const checked = checkAnswer(offered, [own()]);
    expect(checked).toMatchObject({ ok: true, ours: offered[1], suite: suites.AES_CM_128_HMAC_SHA1_32 });
  });

  const faults: readonly (readonly [string, readonly string[], string])[] = [
    ["no line", [], "missing"],
    ["two lines", [own(), own({ tag: 1, suite: s80 })], "several"],
    ["a tag never offered", [own({ tag: 5 })], "wrong-tag"],
    ["another line's suite", [own({ tag: 1 })], "wrong-suite"],
    ["a key of the wrong length", [own({ keys: [{ master: Secret.copyOf(Buffer.alloc(28, 1)) }] })], "key-length"],
    ["our own key sent back", [own({ keys: second.keys })], "key-reflected"],
    ["UNENCRYPTED_SRTP never offered", [own({ sessionParams: [{ kind: "UNENCRYPTED_SRTP" }] })], "session-parameter"],
    ["garbage", ["garbage"], "tag"],
  ];
  it.each(faults)("RFC 4568 5.1.3: %s is a failed exchange", (_, answered, why) => {
    expect(checkAnswer(offered, answered)).toMatchObject({ ok: false, why });
  });
});

describe("the indication", () => {
  it("TS 24.229 7.5.2: requested and applied, blanks and case around them, anything else means nothing", () => {
    expect(["requested", " requested", "Applied ", "", "requested by me", "none"].map(parse3ge2ae)).toEqual([
      "requested",
      "requested",
      "applied",
      "other",
      "other",
      "other",
    ]);
  });
});
