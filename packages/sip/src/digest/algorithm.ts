// Owns the arithmetic of digest: which hash, HA1, the response. RFC 2617 3.2.2, RFC 7616 3.4, RFC 8760.
import { createHash } from "node:crypto";

export type DigestAlgorithm = "MD5" | "MD5-sess" | "SHA-256" | "SHA-256-sess";

interface Hash {
  readonly name: DigestAlgorithm;
  readonly hash: "md5" | "sha256";
  readonly session: boolean;
}

const hashes: readonly Hash[] = [
  { name: "MD5", hash: "md5", session: false },
  { name: "MD5-sess", hash: "md5", session: true },
  { name: "SHA-256", hash: "sha256", session: false },
  { name: "SHA-256-sess", hash: "sha256", session: true },
];

/** The algorithm of that name, in any case; undefined when we do not have it. RFC 2617 3.2.1: none named means MD5. */
export const findDigestAlgorithm = (name: string | undefined): DigestAlgorithm | undefined =>
  hashes.find((known) => known.name.toLowerCase() === (name ?? "MD5").toLowerCase())?.name;

const hashOf = (algorithm: DigestAlgorithm): Hash => hashes.find((known) => known.name === algorithm)!;

// Header text is Latin-1: one character is one octet, so this hashes what was on the wire.
const digestOf = (hash: string, text: string): string => createHash(hash).update(text, "latin1").digest("hex");

/** H(username:realm:password) in lower-case hexadecimal, for a server to keep instead of the password. Text is octets, see `utf8`. */
export const digestHa1 = (algorithm: DigestAlgorithm, username: string, realm: string, password: string): string =>
  digestOf(hashOf(algorithm).hash, `${username}:${realm}:${password}`);

export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  /** As `digestHa1` gives it, also for the -sess algorithms. */
  readonly ha1: string;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  readonly cnonce?: string | undefined;
  /** Eight hexadecimal digits. */
  readonly nc?: string | undefined;
  readonly qop?: "auth" | "auth-int" | undefined;
  readonly body?: Uint8Array | undefined;
}

/** The `response` value in lower-case hexadecimal. Without qop it is that of RFC 2069. */
export const digestResponse = (input: DigestInput): string => {
  const { hash, session } = hashOf(input.algorithm);
  const { nonce, method, uri, qop } = input;
  const cnonce = input.cnonce ?? "";
  // RFC 7616 3.4.2
  const a1 = session ? digestOf(hash, `${input.ha1}:${nonce}:${cnonce}`) : input.ha1;
  // RFC 7616 3.4.3
  const integrity =
    qop === "auth-int"
      ? `:${createHash(hash)
          .update(input.body ?? "")
          .digest("hex")}`
      : "";
  const a2 = digestOf(hash, `${method}:${uri}${integrity}`);
  const middle = qop === undefined ? nonce : `${nonce}:${input.nc ?? ""}:${cnonce}:${qop}`;
  return digestOf(hash, `${a1}:${middle}:${a2}`);
};
