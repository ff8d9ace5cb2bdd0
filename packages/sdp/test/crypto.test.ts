import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { Secret } from "@sallyport/kit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatCrypto,
  parseCrypto,
  releaseCrypto,
  sameCrypto,
  type CryptoAttribute,
  type CryptoKey,
  type SessionParam,
} from "../src/index.ts";

interface Accepted {
  readonly name: string;
  readonly text: string;
  readonly tag?: number;
  readonly suite?: string;
  readonly lengths?: readonly number[];
  readonly lifetimes?: readonly string[];
  readonly mkis?: readonly string[];
  readonly params?: readonly string[];
  readonly write?: string;
}

const vectors = JSON.parse(readFileSync(new URL("vectors/crypto.json", import.meta.url), "utf8")) as {
  readonly accepted: readonly Accepted[];
  readonly refused: readonly { readonly name: string; readonly text: string; readonly code: string }[];
};

const parsed = (text: string): CryptoAttribute => {
  const result = parseCrypto(text);
  if (!result.ok) throw new Error(`${result.code} at ${result.offset}`);
  return result.crypto;
};

describe("accepted", () => {
  for (const each of vectors.accepted) {
    it(`RFC 4568 section 9: ${each.name}`, () => {
      const crypto = parsed(each.text);
      if (each.tag !== undefined) expect(crypto.tag).toBe(each.tag);
      if (each.suite !== undefined) expect(crypto.suite).toBe(each.suite);
      if (each.lengths !== undefined) expect(crypto.keys.map((key) => key.master.length)).toEqual(each.lengths);
      if (each.lifetimes !== undefined) expect(crypto.keys.map((key) => String(key.lifetime))).toEqual(each.lifetimes);
      if (each.mkis !== undefined) {
        expect(crypto.keys.map((key) => `${key.mki?.value}:${key.mki?.length}`)).toEqual(each.mkis);
      }
      if (each.params !== undefined) {
        const kinds = crypto.sessionParams.map((param) =>
          param.kind === "extension" ? `extension ${param.mayIgnore ? "may" : "must"}` : param.kind,
        );
        expect(kinds).toEqual(each.params);
      }
      if (each.write !== undefined) expect(formatCrypto(crypto)).toBe(each.write);
      expect(sameCrypto(parsed(formatCrypto(crypto)), crypto)).toBe(true);
    });
  }

  it("RFC 4568 6.1: the octets of the key are those of the base64", () => {
    const octets = Buffer.from("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6", "hex");
    const crypto = parsed("1 AES_CM_128_HMAC_SHA1_80 inline:4fl6DT4Bi+DWT6MsBt5BOQ7Gda1Jiv7rtpYLOqvm");
    expect(crypto.keys[0]?.master.equals(Secret.copyOf(octets))).toBe(true);
  });
});

describe("refused", () => {
  for (const { name, text, code } of vectors.refused) {
    it(`RFC 4568 section 9: ${name}`, () => expect(parseCrypto(text)).toMatchObject({ ok: false, code }));
  }

  it("a line of 4097 characters, 17 keys, 33 parameters", () => {
    const key = "inline:AAAA";
    expect(parseCrypto(`1 X ${key} ${"x".repeat(4090)}`)).toMatchObject({ code: "length" });
    const keys = Array.from({ length: 17 }, (_, at) => `${key}|${at}:1`).join(";");
    expect(parseCrypto(`1 X ${keys}`)).toMatchObject({ code: "length" });
    expect(parseCrypto(`1 X ${key}${" -x".repeat(33)}`)).toMatchObject({ code: "length" });
  });
});

describe("invariant 7: a key cannot be printed", () => {
  const key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

  it("not by inspect, not by JSON, wherever it stood in the line", () => {
    const crypto = parsed(`1 AES_CM_128_HMAC_SHA1_80 inline:${key}|2^20|1:4 FEC_KEY=inline:${key} -y`);
    const json = JSON.stringify(crypto, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    const shown = inspect(crypto, { depth: 9, showHidden: true }) + json;
    expect(shown).toContain(crypto.keys[0]?.master.fingerprint);
    expect(shown).not.toContain(key);
    expect(shown).not.toContain(Buffer.from(key, "base64").toString("hex"));
  });

  it("refuses to keep a key as the text of a parameter", () => {
    for (const place of [`inline:${key}`, `-inline:${key}`, `X=INLINE:${key}`]) {
      const result = parseCrypto(`1 AES_CM_128_HMAC_SHA1_80 inline:${key} ${place}`);
      expect(result).toEqual({ ok: false, code: "session-param", offset: expect.any(Number) as number });
    }
  });

  it("release zeroises every key, those of FEC_KEY too, and a released attribute is not written", () => {
    const crypto = parsed(`1 AES_CM_128_HMAC_SHA1_80 inline:${key} FEC_KEY=inline:${key}`);
    const [fec] = crypto.sessionParams;
    releaseCrypto(crypto);
    expect(crypto.keys[0]?.master.released).toBe(true);
    expect(fec?.kind === "FEC_KEY" && fec.keys[0]?.master.released).toBe(true);
    expect(() => formatCrypto(crypto)).toThrow(/SALLY_SECRET_RELEASED/);
  });
});

describe("writing", () => {
  const master = Secret.copyOf(Buffer.alloc(30));
  const keys: readonly CryptoKey[] = [{ master }];
  const wrong: readonly [string, CryptoAttribute][] = [
    ["a tag of ten digits", { tag: 1_234_567_890, suite: "X", keys, sessionParams: [] }],
    ["a suite with a line end", { tag: 1, suite: "X\r\na=x", keys, sessionParams: [] }],
    ["no key", { tag: 1, suite: "X", keys: [], sessionParams: [] }],
    [
      "a parameter with a blank",
      { tag: 1, suite: "X", keys, sessionParams: [{ kind: "extension", text: "a b", mayIgnore: true }] },
    ],
    ["a lifetime that is none", { tag: 1, suite: "X", keys: [{ master, lifetimeText: "9 9" }], sessionParams: [] }],
  ];
  it.each(wrong)("throws SALLY_SDP_CRYPTO for %s", (_name, crypto) => {
    expect(() => formatCrypto(crypto)).toThrow(/SALLY_SDP_CRYPTO/);
  });
});

describe("properties", () => {
  const mki = fc.record({ value: fc.bigInt(0n, 255n), length: fc.integer({ min: 1, max: 128 }) });
  const secret = fc.uint8Array({ minLength: 1, maxLength: 64 }).map((octets) => Secret.copyOf(octets));
  const key = fc.record(
    { master: secret, lifetime: fc.bigInt(1n, 1n << 48n), mki },
    { requiredKeys: ["master"] },
  ) as fc.Arbitrary<CryptoKey>;
  const param: fc.Arbitrary<SessionParam> = fc.oneof(
    fc.record({ kind: fc.constant("KDR" as const), value: fc.nat(24) }),
    fc.record({ kind: fc.constantFrom("UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP") }),
    fc.record({ kind: fc.constant("FEC_ORDER" as const), value: fc.constantFrom("FEC_SRTP", "SRTP_FEC") }),
    fc.record({ kind: fc.constant("WSH" as const), value: fc.integer({ min: 64, max: 999_999_999 }) }),
    fc.record({ kind: fc.constant("FEC_KEY" as const), keys: fc.tuple(key) }),
    fc.record({
      kind: fc.constant("extension" as const),
      text: fc.stringMatching(/^Z[!-~]{0,8}$/),
      mayIgnore: fc.boolean(),
    }),
  );
  const crypto: fc.Arbitrary<CryptoAttribute> = fc.record({
    tag: fc.nat(999_999_999),
    suite: fc.stringMatching(/^[A-Za-z0-9_]{1,20}$/),
    keys: fc.oneof(
      fc.tuple(key),
      fc
        .array(secret, { minLength: 2, maxLength: 4 })
        .map((masters) => masters.map((master, at) => ({ master, mki: { value: BigInt(at), length: 4 } }))),
    ),
    sessionParams: fc.uniqueArray(param, { maxLength: 5, selector: (each) => each.kind }),
  });

  it("parseCrypto(formatCrypto(x)) means what x means", () => {
    fc.assert(
      fc.property(crypto, (each) => {
        const back = parseCrypto(formatCrypto(each));
        return back.ok && sameCrypto(back.crypto, each);
      }),
      { numRuns: 1000, seed: 4568 },
    );
  });

  it("any text: never throws, and what parsed means the same once written and read again", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "1",
        " ",
        "AES_CM_128_HMAC_SHA1_80",
        "inline:",
        "AAAA",
        "|",
        "2^20",
        ":",
        ";",
        "1:4",
        "KDR=",
        "-",
        "=",
      ),
      fc.string({ unit: "binary", maxLength: 4 }),
    );
    const text = fc
      .tuple(fc.constantFrom("1 X inline:AAAA", "1 X inline:AAA=|1:1", "1 X ", ""), fc.array(piece, { maxLength: 12 }))
      .map(([start, pieces]) => start + pieces.join(""));
    let read = 0;
    fc.assert(
      fc.property(text, (each) => {
        const result = parseCrypto(each);
        if (!result.ok) return result.offset <= each.length;
        read += 1;
        return sameCrypto(parsed(formatCrypto(result.crypto)), result.crypto);
      }),
      { numRuns: 3000, seed: 9 },
    );
    expect(read).toBeGreaterThan(100);
  });
});
