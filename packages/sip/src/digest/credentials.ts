// Owns credentials: Authorization and Proxy-Authorization values, made by a client and verified by a server.
// RFC 3261 22.4, RFC 7616 3.4, RFC 8760.
import { timingSafeEqual } from "node:crypto";
import { fail, ok, token } from "@sallyport/kit";
import type { Random, Result } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import { quote, utf8 } from "../message/chars.ts";
import { digestHa1, digestResponse, findDigestAlgorithm } from "./algorithm.ts";
import type { DigestAlgorithm } from "./algorithm.ts";
import { parseDigestParams } from "./auth-params.ts";
import type { DigestParseCode } from "./auth-params.ts";
import type { DigestChallenge } from "./challenge.ts";

export interface DigestCredentials {
  /** Octets, as all header text. */
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  readonly response: string;
  readonly algorithm?: string;
  readonly cnonce?: string;
  readonly opaque?: string;
  readonly qop?: string;
  /** Eight hexadecimal digits. */
  readonly nc?: string;
}

/** Reads one header value. An IMS client's first REGISTER has an empty nonce and response: that reads well, and never verifies. */
export const parseCredentials = (value: string): Result<DigestCredentials, DigestParseCode> => {
  const params = parseDigestParams(value);
  if (!params.ok) return params;
  const get = (name: string): string | undefined => params.value.get(name);
  const [username, realm, nonce] = [get("username"), get("realm"), get("nonce")];
  const [uri, response] = [get("uri"), get("response")];
  if (username === undefined || realm === undefined || nonce === undefined) return fail("missing");
  if (uri === undefined || response === undefined) return fail("missing");
  const nc = get("nc");
  if (nc !== undefined && !/^[0-9a-f]{8}$/i.test(nc)) return fail("syntax");
  const optional: { algorithm?: string; cnonce?: string; opaque?: string; qop?: string; nc?: string } = {};
  for (const name of ["algorithm", "cnonce", "opaque", "qop", "nc"] as const) {
    const text = get(name);
    if (text !== undefined) optional[name] = text;
  }
  return ok({ username, realm, nonce, uri, response, ...optional });
};

export interface ChallengeAnswer {
  readonly challenge: DigestChallenge;
  readonly method: string;
  /** The Request-URI. RFC 3261 22.4. */
  readonly uri: string;
  /** Unicode. */
  readonly username: string;
  /** Unicode. */
  readonly password: string;
  readonly random: Random;
  /** 1 for the first use of the nonce. */
  readonly nonceCount: number;
  /** Needed where the server wants auth-int only. */
  readonly body?: Uint8Array | undefined;
}

/**
 * The Authorization value that answers a challenge; takes qop `auth` where offered, else `auth-int`.
 * @throws SALLY_SIP_DIGEST_UNSUPPORTED for an algorithm or qop we do not have.
 */
export const answerChallenge = (answer: ChallengeAnswer): string => {
  const { challenge, method, uri, nonceCount } = answer;
  const algorithm = findDigestAlgorithm(challenge.algorithm);
  if (algorithm === undefined) throw sipErrors("SALLY_SIP_DIGEST_UNSUPPORTED", `Algorithm ${challenge.algorithm}.`);
  const qop = (["auth", "auth-int"] as const).find((option) => challenge.qop.includes(option));
  if (qop === undefined && challenge.qop.length > 0) {
    throw sipErrors("SALLY_SIP_DIGEST_UNSUPPORTED", `Quality of protection ${challenge.qop.join(", ")}.`);
  }
  const { realm, nonce, opaque } = challenge;
  const username = utf8(answer.username);
  const ha1 = digestHa1(algorithm, username, realm, utf8(answer.password));
  const cnonce = qop === undefined && !algorithm.endsWith("-sess") ? undefined : token(answer.random, 32);
  const nc = qop === undefined ? undefined : nonceCount.toString(16).padStart(8, "0");
  const response = digestResponse({ algorithm, ha1, method, uri, nonce, cnonce, nc, qop, body: answer.body });
  const parts = [
    `username=${quote(username)}`,
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(uri)}`,
    `response="${response}"`,
  ];
  if (challenge.algorithm !== undefined) parts.push(`algorithm=${algorithm}`);
  if (cnonce !== undefined) parts.push(`cnonce="${cnonce}"`);
  if (opaque !== undefined) parts.push(`opaque=${quote(opaque)}`);
  if (qop !== undefined) parts.push(`qop=${qop}`, `nc=${nc}`);
  return `Digest ${parts.join(", ")}`;
};

export interface CredentialsCheck {
  readonly credentials: DigestCredentials;
  readonly method: string;
  readonly realm: string;
  /** What the subscriber shares with us: the password (Unicode), or its HA1 per algorithm (see `digestHa1`). */
  readonly secret: { readonly password: string } | { readonly ha1: Readonly<Partial<Record<DigestAlgorithm, string>>> };
  /** Those we challenged with: an answer in any other is refused. Default SHA-256, MD5. */
  readonly algorithms?: readonly DigestAlgorithm[];
  /** The nonce it must be, where the caller keeps one per client; else see `createNonceKeeper`. */
  readonly expectedNonce?: string;
  readonly body?: Uint8Array | undefined;
  /** Accepts credentials without qop (RFC 2069), which no nonce count protects. Default false. */
  readonly allowWithoutQop?: boolean;
}

const sharedHa1 = (check: CredentialsCheck, algorithm: DigestAlgorithm): string | undefined => {
  const { secret, credentials, realm } = check;
  if ("password" in secret) return digestHa1(algorithm, credentials.username, realm, utf8(secret.password));
  return secret.ha1[algorithm]?.toLowerCase();
};

/** Whether the response proves knowledge of the secret. Compares in constant time. The nonce's age and count are not judged. */
export const verifyCredentials = (check: CredentialsCheck): boolean => {
  const { credentials, method, realm, expectedNonce, body } = check;
  const algorithm = findDigestAlgorithm(credentials.algorithm);
  if (algorithm === undefined || !(check.algorithms ?? ["SHA-256", "MD5"]).includes(algorithm)) return false;
  if (credentials.realm !== realm) return false;
  if (expectedNonce !== undefined && credentials.nonce !== expectedNonce) return false;
  const { nonce, uri, cnonce, nc } = credentials;
  const qop = credentials.qop?.toLowerCase();
  if (qop === undefined ? check.allowWithoutQop !== true : qop !== "auth" && qop !== "auth-int") return false;
  if (qop !== undefined && (cnonce === undefined || nc === undefined)) return false;
  const ha1 = sharedHa1(check, algorithm);
  if (ha1 === undefined) return false;
  const expected = digestResponse({
    algorithm,
    ha1,
    method,
    uri,
    nonce,
    cnonce,
    nc,
    qop: qop as "auth" | "auth-int" | undefined,
    body,
  });
  const given = credentials.response.toLowerCase();
  return given.length === expected.length && timingSafeEqual(Buffer.from(given, "latin1"), Buffer.from(expected));
};
