// From two crypto attributes to a leg's protection: which suites, lengths and parameters are taken, and what is said of others.
import * as fc from "fast-check";
import type { CryptoAttribute, SessionParam } from "@sallyport/sdp";
import { parseCrypto } from "@sallyport/sdp";
import type { SuiteName } from "@sallyport/srtp";
import { suites } from "@sallyport/srtp";
import { Secret } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { protectionOf } from "../src/protection.ts";
import { cryptoOf } from "./rig.ts";

const refusalOf = (protocol: string, local?: CryptoAttribute, remote?: CryptoAttribute) => {
  const result = protectionOf(protocol, {
    ...(local === undefined ? {} : { local }),
    ...(remote === undefined ? {} : { remote }),
  });
  return result.ok ? undefined : result.error;
};

const withParam = (param: SessionParam): CryptoAttribute => ({ ...cryptoOf(0x12), sessionParams: [param] });

describe("protection", () => {
  it.each(Object.keys(suites) as SuiteName[])("RFC 4568 6.2: %s with both keys", (suite) => {
    const result = protectionOf("RTP/SAVPF", { local: cryptoOf(1, suite), remote: cryptoOf(2, suite) });
    expect(result).toMatchObject({ ok: true, value: { kind: "srtp", suite } });
  });

  it("RFC 4568 6.2: names are compared without case, aliases are known", () => {
    const local = { ...cryptoOf(1, "AES_256_CM_HMAC_SHA1_80"), suite: "aes_cm_256_hmac_sha1_80" };
    expect(protectionOf("RTP/SAVP", { local, remote: cryptoOf(2, "AES_256_CM_HMAC_SHA1_80") })).toMatchObject({
      ok: true,
      value: { suite: "AES_256_CM_HMAC_SHA1_80" },
    });
  });

  it("RTP/SAVP without one or both keys awaits them; RTP/AVP is clear", () => {
    for (const cryptos of [{}, { local: cryptoOf(1) }, { remote: cryptoOf(2) }]) {
      expect(protectionOf("RTP/SAVP", cryptos)).toEqual({ ok: true, value: { kind: "awaiting-keys" } });
    }
    expect(protectionOf("RTP/AVPF", {})).toEqual({ ok: true, value: { kind: "clear" } });
  });

  it("H.248.1 error 449: the 28 octets of GCM and the 30 of counter mode are not taken for each other", () => {
    const short = { ...cryptoOf(1, "AEAD_AES_128_GCM"), suite: "AES_CM_128_HMAC_SHA1_80" };
    const long = { ...cryptoOf(1), suite: "AEAD_AES_128_GCM" };
    expect(refusalOf("RTP/SAVP", short)).toEqual({
      code: 449,
      text: "Local a=crypto key length 28, AES_CM_128_HMAC_SHA1_80 has 30",
    });
    expect(refusalOf("RTP/SAVP", undefined, long)).toEqual({
      code: 449,
      text: "Remote a=crypto key length 30, AEAD_AES_128_GCM has 28",
    });
  });

  it.each<readonly [string, SessionParam]>([
    ["UNENCRYPTED_SRTP", { kind: "UNENCRYPTED_SRTP" }],
    ["UNENCRYPTED_SRTCP", { kind: "UNENCRYPTED_SRTCP" }],
    ["UNAUTHENTICATED_SRTP", { kind: "UNAUTHENTICATED_SRTP" }],
    ["KDR=5", { kind: "KDR", value: 5 }],
    ["FEC_ORDER=SRTP_FEC", { kind: "FEC_ORDER", value: "SRTP_FEC" }],
    ["FEC_KEY", { kind: "FEC_KEY", keys: [] }],
    ["unknown session parameter", { kind: "extension", text: "X=1", mayIgnore: false }],
  ])("H.248.1 error 449: session parameter %s", (shown, param) => {
    expect(refusalOf("RTP/SAVP", withParam(param))).toEqual({ code: 449, text: `Local a=crypto ${shown}` });
    expect(refusalOf("RTP/SAVP", undefined, withParam(param))).toEqual({ code: 449, text: `Remote a=crypto ${shown}` });
  });

  it.each<SessionParam>([
    { kind: "KDR", value: 0 },
    { kind: "WSH", value: 128 },
    { kind: "FEC_ORDER", value: "FEC_SRTP" },
    { kind: "extension", text: "X=1", mayIgnore: true },
  ])("RFC 4568 6.3: session parameter %o is harmless", (param) => {
    expect(refusalOf("RTP/SAVP", withParam(param), cryptoOf(0x11))).toBeUndefined();
  });

  it("H.248.1 errors 449 and 473: suites, lifetimes, several keys, equal keys, keys in the clear", () => {
    expect(refusalOf("RTP/SAVP", { ...cryptoOf(1), suite: "F8_128_HMAC_SHA1_80" })).toEqual({
      code: 449,
      text: "Local a=crypto suite F8_128_HMAC_SHA1_80",
    });
    expect(refusalOf("RTP/SAVP", cryptoOf(1), cryptoOf(2, "AES_CM_128_HMAC_SHA1_32"))?.code).toBe(473);
    expect(refusalOf("RTP/SAVP", cryptoOf(1), cryptoOf(1))).toEqual({
      code: 473,
      text: "a=crypto keys of Local and Remote are equal",
    });
    expect(refusalOf("RTP/AVP", cryptoOf(1))).toEqual({ code: 473, text: "a=crypto under RTP/AVP" });
    const [key] = cryptoOf(1).keys;
    const spent = {
      ...cryptoOf(1),
      keys: [{ ...key, master: Secret.copyOf(Buffer.alloc(30, 1)), lifetime: 2n ** 48n + 1n }],
    };
    expect(refusalOf("RTP/SAVP", spent)).toEqual({ code: 449, text: `Local a=crypto lifetime ${2n ** 48n + 1n}` });
    const two = { ...cryptoOf(1), keys: [...cryptoOf(1).keys, ...cryptoOf(2).keys] };
    expect(refusalOf("RTP/SAVP", two)).toEqual({ code: 449, text: "Local a=crypto with several keys" });
    expect(refusalOf("RTP/SAVP", undefined, two)).toBeUndefined();
    expect(refusalOf("RTP/SAVP", { ...cryptoOf(1), keys: [] })?.code).toBe(472);
  });

  it("RFC 4568 6.1: MKI and lifetime reach the plane as octets of the length given", () => {
    const parsed = parseCrypto(`1 AES_CM_128_HMAC_SHA1_80 inline:${Buffer.alloc(30, 9).toString("base64")}|2^20|258:4`);
    if (!parsed.ok) throw new Error(parsed.code);
    const result = protectionOf("RTP/SAVP", { local: cryptoOf(1), remote: parsed.crypto });
    expect(result.ok && result.value.kind === "srtp" && result.value.receive[0]).toMatchObject({
      mki: Buffer.from([0, 0, 1, 2]),
      lifetime: 2n ** 20n,
    });
  });

  it("invariant 7: no refusal ever shows a key, whatever the attribute", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 20, maxLength: 60 }),
        fc.constantFrom("RTP/AVP", "RTP/SAVP"),
        fc.constantFrom(...Object.keys(suites), "SEED_CTR_128_HMAC_SHA1_80"),
        (octets, protocol, suite) => {
          const crypto: CryptoAttribute = {
            tag: 1,
            suite,
            keys: [{ master: Secret.copyOf(octets) }],
            sessionParams: [],
          };
          const text = refusalOf(protocol, crypto, crypto)?.text ?? "";
          expect(text).not.toContain(Buffer.from(octets).toString("base64").slice(0, 12));
          expect(text).not.toContain(Buffer.from(octets).toString("hex").slice(0, 12));
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });
});
