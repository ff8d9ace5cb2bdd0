// Owns challenges: WWW-Authenticate and Proxy-Authenticate values. RFC 3261 20.27, 20.44, RFC 7616 3.3, RFC 8760 2.
import { fail, ok } from "@sallyport/kit";
import type { Result } from "@sallyport/kit";
import { quote } from "../message/chars.ts";
import { findDigestAlgorithm } from "./algorithm.ts";
import type { DigestAlgorithm } from "./algorithm.ts";
import { parseDigestParams } from "./auth-params.ts";
import type { DigestParseCode } from "./auth-params.ts";

export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  /** As received: `MD5`, `AKAv1-MD5`...; absent means MD5. */
  readonly algorithm?: string;
  readonly opaque?: string;
  readonly stale: boolean;
  /** In the server's order; empty means RFC 2069. */
  readonly qop: readonly string[];
}

/** Reads one header value, which holds one challenge. Of another scheme: code `scheme`. */
export const parseChallenge = (value: string): Result<DigestChallenge, DigestParseCode> => {
  const params = parseDigestParams(value);
  if (!params.ok) return params;
  const get = (name: string): string | undefined => params.value.get(name);
  const realm = get("realm");
  const nonce = get("nonce");
  if (realm === undefined || nonce === undefined) return fail("missing");
  const algorithm = get("algorithm");
  const opaque = get("opaque");
  const qop = (get("qop") ?? "").split(",").map((option) => option.trim().toLowerCase());
  return ok({
    realm,
    nonce,
    ...(algorithm === undefined ? {} : { algorithm }),
    ...(opaque === undefined ? {} : { opaque }),
    stale: get("stale")?.toLowerCase() === "true",
    qop: qop.filter((option) => option !== ""),
  });
};

/** RFC 8760 2.4: the topmost challenge whose algorithm and qop we have. */
export const chooseChallenge = (values: readonly string[]): DigestChallenge | undefined => {
  for (const value of values) {
    const challenge = parseChallenge(value);
    if (!challenge.ok || findDigestAlgorithm(challenge.value.algorithm) === undefined) continue;
    const { qop } = challenge.value;
    if (qop.length === 0 || qop.includes("auth") || qop.includes("auth-int")) return challenge.value;
  }
  return undefined;
};

export interface ChallengeParts {
  readonly realm: string;
  readonly nonce: string;
  /** Best first (RFC 8760 2.3); default SHA-256, MD5. */
  readonly algorithms?: readonly DigestAlgorithm[];
  readonly stale?: boolean;
  readonly opaque?: string;
  /** Default `auth`. */
  readonly qop?: readonly ("auth" | "auth-int")[];
}

/** One header value per algorithm. */
export const createChallenge = (parts: ChallengeParts): readonly string[] => {
  const opaque = parts.opaque === undefined ? "" : `, opaque=${quote(parts.opaque)}`;
  const stale = parts.stale === true ? ", stale=true" : "";
  const qop = quote((parts.qop ?? ["auth"]).join(","));
  return (parts.algorithms ?? ["SHA-256", "MD5"]).map(
    (algorithm) =>
      `Digest realm=${quote(parts.realm)}, nonce=${quote(parts.nonce)}${opaque}${stale}, algorithm=${algorithm}, qop=${qop}`,
  );
};
