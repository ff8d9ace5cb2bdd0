// Vectors: RFC 2617 3.5, RFC 2069 2.4, RFC 7616 3.9.1 as published, the others recomputed with another implementation.
import { readFileSync } from "node:fs";
import { VirtualClock, seededRandom } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import {
  answerChallenge,
  chooseChallenge,
  createChallenge,
  createNonceKeeper,
  digestHa1,
  digestResponse,
  parseChallenge,
  parseCredentials,
  utf8,
  verifyCredentials,
} from "@sallyport/sip";
import type { CredentialsCheck, DigestAlgorithm } from "@sallyport/sip";
import { must } from "./must.ts";

interface Vector {
  readonly title: string;
  readonly algorithm: DigestAlgorithm;
  readonly username: string;
  readonly password: string;
  readonly realm: string;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  readonly cnonce?: string;
  readonly nc?: string;
  readonly qop?: "auth" | "auth-int";
  readonly body?: string;
  readonly ha1: string;
  readonly response: string;
}

const vectors = JSON.parse(readFileSync(new URL("./vectors/digest.json", import.meta.url), "utf8")) as Vector[];
const algorithms: readonly DigestAlgorithm[] = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"];

const credentialsOf = (vector: Vector): string => {
  const parts = ["username", "realm", "nonce", "uri", "response", "cnonce"]
    .filter((name) => name in vector)
    .map((name) => `${name}="${utf8(String(vector[name as keyof Vector]))}"`);
  if (vector.qop !== undefined) parts.push(`qop=${vector.qop}`, `nc=${vector.nc}`);
  return `Digest ${parts.join(",")}, algorithm=${vector.algorithm}`;
};

describe("digest arithmetic", () => {
  it.each(vectors)("RFC 7616 3.4: $title", (vector) => {
    const { username, password, realm, ...input } = vector;
    const ha1 = digestHa1(vector.algorithm, utf8(username), realm, utf8(password));
    expect(ha1).toBe(vector.ha1);
    expect(digestResponse({ ...input, ha1, body: Buffer.from(vector.body ?? "") })).toBe(vector.response);
  });

  it.each(vectors)("RFC 7616 3.4.6: a server verifies $title and nothing near it", (vector) => {
    const credentials = parseCredentials(credentialsOf(vector));
    if (!credentials.ok) throw new Error(credentials.error);
    const check: CredentialsCheck = {
      credentials: credentials.value,
      method: vector.method,
      realm: vector.realm,
      secret: { password: vector.password },
      algorithms,
      expectedNonce: vector.nonce,
      body: Buffer.from(vector.body ?? ""),
      allowWithoutQop: true,
    };
    expect(verifyCredentials(check)).toBe(true);
    expect(verifyCredentials({ ...check, secret: { ha1: { [vector.algorithm]: vector.ha1 } } })).toBe(true);
    expect(verifyCredentials({ ...check, secret: { password: `${vector.password}x` } })).toBe(false);
    expect(verifyCredentials({ ...check, secret: { ha1: {} } })).toBe(false);
    const stored = { ha1: { [vector.algorithm]: vector.ha1 } };
    expect(verifyCredentials({ ...check, secret: stored, realm: "elsewhere" })).toBe(false);
    expect(verifyCredentials({ ...check, method: "BYE" })).toBe(false);
    expect(verifyCredentials({ ...check, realm: "elsewhere" })).toBe(false);
    expect(verifyCredentials({ ...check, expectedNonce: "other" })).toBe(false);
    expect(verifyCredentials({ ...check, algorithms: algorithms.filter((name) => name !== vector.algorithm) })).toBe(
      false,
    );
    expect(verifyCredentials({ ...check, allowWithoutQop: false })).toBe(vector.qop !== undefined);
    expect(verifyCredentials({ ...check, body: Buffer.from("changed") })).toBe(vector.qop !== "auth-int");
    for (const response of ["", "0", vector.response.slice(1), `${vector.response}0`, "\u00e9".repeat(32)]) {
      expect(verifyCredentials({ ...check, credentials: { ...check.credentials, response } })).toBe(false);
    }
    const { nc: _nc, ...withoutCount } = check.credentials;
    expect(verifyCredentials({ ...check, credentials: withoutCount })).toBe(vector.qop === undefined);
  });
});

describe("challenges and credentials", () => {
  it("RFC 8760 2.3 and 2.4: one challenge per algorithm, the client takes the first it knows", () => {
    const values = createChallenge({ realm: 'a "realm"', nonce: "n", opaque: "o", stale: true });
    expect(values).toEqual([
      'Digest realm="a \\"realm\\"", nonce="n", opaque="o", stale=true, algorithm=SHA-256, qop="auth"',
      'Digest realm="a \\"realm\\"", nonce="n", opaque="o", stale=true, algorithm=MD5, qop="auth"',
    ]);
    expect(parseChallenge(must(values[0]))).toEqual({
      ok: true,
      value: { realm: 'a "realm"', nonce: "n", opaque: "o", stale: true, algorithm: "SHA-256", qop: ["auth"] },
    });
    const aka = 'Digest realm="r", nonce="n", algorithm=AKAv1-MD5, qop="auth"';
    expect(chooseChallenge(["Basic realm=x", aka, ...values])?.algorithm).toBe("SHA-256");
    expect(chooseChallenge(["Basic realm=x", aka])).toBeUndefined();
  });

  it.each(algorithms)("RFC 3261 22.4: what a client answers with %s a server verifies", (algorithm) => {
    for (const qop of [["auth"], ["auth-int"], ["auth", "auth-int"]] as const) {
      const [value] = createChallenge({ realm: "ims.example", nonce: "abc", algorithms: [algorithm], qop });
      const challenge = must(chooseChallenge([must(value)]));
      const body = Buffer.from("v=0\r\n");
      const asked = { method: "REGISTER", uri: "sip:ims.example" };
      const answer = answerChallenge({
        ...asked,
        challenge,
        username: 'Алиса "x"',
        password: "пароль",
        random: seededRandom(1),
        nonceCount: 26,
        body,
      });
      const credentials = parseCredentials(answer);
      if (!credentials.ok) throw new Error(credentials.error);
      expect(credentials.value).toMatchObject({ nc: "0000001a", qop: qop[0], username: utf8('Алиса "x"'), algorithm });
      const check = { credentials: credentials.value, realm: "ims.example", algorithms, body, ...asked };
      expect(verifyCredentials({ ...check, secret: { password: "пароль" } })).toBe(true);
      expect(verifyCredentials({ ...check, secret: { password: "parol" } })).toBe(false);
    }
  });

  it("RFC 2069 2.1.2: a challenge without qop is answered without one", () => {
    const challenge = chooseChallenge(['digest REALM="r" , nonce=bare'])!;
    const answer = { challenge, method: "BYE", uri: "sip:x", username: "u", password: "p", nonceCount: 1 };
    const value = answerChallenge({ ...answer, random: seededRandom(1) });
    expect(value).not.toMatch(/qop|nc=|cnonce|algorithm/);
    const parsed = parseCredentials(value);
    expect(
      parsed.ok &&
        verifyCredentials({
          credentials: parsed.value,
          method: "BYE",
          realm: "r",
          secret: { password: "p" },
          allowWithoutQop: true,
        }),
    ).toBe(true);
  });

  it("RFC 7616 3.3: what we cannot answer is said, not guessed", () => {
    const base = { method: "BYE", uri: "sip:x", username: "u", password: "p", nonceCount: 1, random: seededRandom(1) };
    const challenge = { realm: "r", nonce: "n", stale: false, qop: ["auth"] };
    expect(() => answerChallenge({ ...base, challenge: { ...challenge, algorithm: "SHA-512-256" } })).toThrow(
      "SALLY_SIP_DIGEST_UNSUPPORTED",
    );
    expect(() => answerChallenge({ ...base, challenge: { ...challenge, qop: ["auth-conf"] } })).toThrow(
      "SALLY_SIP_DIGEST_UNSUPPORTED",
    );
  });

  it.each([
    ["Basic dXNlcg==", "scheme"],
    ["", "scheme"],
    ["Digestive realm=x", "scheme"],
    ["Digest", "syntax"],
    ["Digest realm", "syntax"],
    ["Digest realm=", "syntax"],
    ['Digest realm="open', "syntax"],
    ['Digest realm="a" nonce="b"', "syntax"],
    ['Digest realm="a", nonce="b",', "syntax"],
    ['Digest realm="a", realm="b", nonce="c"', "repeated"],
    ['Digest realm="a"', "missing"],
  ])("RFC 7235 2.1: %j is refused: %s", (value, error) => {
    expect(parseChallenge(value)).toEqual({ ok: false, error });
    expect(parseCredentials(value)).toEqual({ ok: false, error });
  });

  it("RFC 7616 3.4: a nonce count is eight digits", () => {
    const value = 'Digest username="u", realm="r", nonce="n", uri="sip:x", response="", nc=';
    expect(parseCredentials(`${value}1`)).toEqual({ ok: false, error: "syntax" });
    expect(parseCredentials(`${value}0000000g`)).toEqual({ ok: false, error: "syntax" });
    expect(parseCredentials(`${value}0000000F`).ok).toBe(true);
  });

  it("TS 24.229 5.1.1.2: an empty first Authorization reads, and never verifies", () => {
    const parsed = parseCredentials('Digest username="u",realm="r",nonce="",uri="sip:r",response=""');
    if (!parsed.ok) throw new Error(parsed.error);
    const secret = { password: "" };
    expect(
      verifyCredentials({ credentials: parsed.value, method: "REGISTER", realm: "r", secret, allowWithoutQop: true }),
    ).toBe(false);
  });
});

describe("nonces", () => {
  const keeperOf = (max = 100) => {
    const clock = new VirtualClock(1_000_000);
    return { clock, keeper: createNonceKeeper({ random: seededRandom(7), clock, lifetimeMs: 60_000, max }) };
  };

  it("RFC 7616 3.4.5: each count of a nonce works once, in any order within the window", () => {
    const { keeper } = keeperOf();
    const nonce = keeper.issue();
    const counts = [1, "00000002", 5, 4, 4, 2, 1, 69, 5, 6, 70, 69, 200, 136, 137, "0000012c"];
    expect(counts.map((count) => keeper.check(nonce, count))).toEqual(
      "ok ok ok ok replayed replayed replayed ok replayed ok ok replayed ok replayed ok ok".split(" "),
    );
    for (const none of [undefined, 0, -1, "x"]) expect(keeper.check(nonce, none)).toBe("replayed");
  });

  it("RFC 7616 5.4: an old nonce is stale, a foreign or changed one unknown", () => {
    const { clock, keeper } = keeperOf();
    const nonce = keeper.issue();
    clock.advance(60_000);
    expect(keeper.check(nonce, 1)).toBe("ok");
    clock.advance(1);
    expect(keeper.check(nonce, 2)).toBe("stale");
    const changed = nonce.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    for (const other of ["", "x", changed, `${nonce}0`, nonce.toUpperCase()]) {
      expect(keeper.check(other, 1), other).toBe("unknown");
    }
    const stranger = createNonceKeeper({ random: seededRandom(8), clock, lifetimeMs: 60_000, max: 1 });
    expect(keeper.check(stranger.issue(), 1)).toBe("unknown");
  });

  it("RFC 7616 5.4: what the keeper forgets for want of room becomes stale, never fresh", () => {
    const { clock, keeper } = keeperOf(3);
    const nonces = Array.from({ length: 5 }, () => {
      clock.advance(10);
      return keeper.issue();
    });
    expect(nonces.map((nonce) => keeper.check(nonce, 1))).toEqual(["ok", "ok", "ok", "ok", "ok"]);
    expect(nonces.map((nonce) => keeper.check(nonce, 1))).toEqual([
      "stale",
      "stale",
      "replayed",
      "replayed",
      "replayed",
    ]);
  });

  it("RFC 7616 5.4: no two nonces are alike", () => {
    const { keeper } = keeperOf();
    expect(new Set(Array.from({ length: 500 }, () => keeper.issue())).size).toBe(500);
  });
});
