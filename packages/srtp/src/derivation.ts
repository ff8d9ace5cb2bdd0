// Owns key derivation: master key and salt in, session keys out (RFC 3711 4.3, RFC 6188 3, RFC 7714 11).
// Key derivation rate 0 only: each session key is derived once. Knows no packet.
import { createCipheriv, createSecretKey } from "node:crypto";
import type { Suite } from "./suites.ts";

export interface SessionKeys {
  readonly encryption: Buffer;
  /** Empty for AEAD suites. */
  readonly authentication: Buffer;
  readonly salt: Buffer;
}

// RFC 3711 4.3.1 and 4.3.2: the labels of the six session keys.
const labels = {
  srtp: { encryption: 0, authentication: 1, salt: 2 },
  srtcp: { encryption: 3, authentication: 4, salt: 5 },
} as const;

const authenticationLength = 20;
const blockLength = 16;

/**
 * The session keys of one direction, SRTP and SRTCP. `master` is key || salt, `suite.masterLength` octets; it stays the caller's.
 * The caller owns the buffers and zeroises them.
 */
export const deriveKeys = (
  suite: Suite,
  master: Buffer,
): { readonly srtp: SessionKeys; readonly srtcp: SessionKeys } => {
  const lengths = {
    encryption: suite.keyLength,
    authentication: suite.aead ? 0 : authenticationLength,
    salt: suite.saltLength,
  };
  // AES-CM is AES over counters (RFC 3711 4.1.1), so the counters of all six keys may go through one AES-ECB.
  const blocksOf = (length: number): number => Math.ceil(length / blockLength);
  const perProtocol = blocksOf(lengths.encryption) + blocksOf(lengths.authentication) + blocksOf(lengths.salt);
  const counters = Buffer.from(new ArrayBuffer(2 * perProtocol * blockLength));
  const places: { readonly at: number; readonly length: number }[] = [];
  let at = 0;
  for (const protocol of ["srtp", "srtcp"] as const) {
    for (const kind of ["encryption", "authentication", "salt"] as const) {
      places.push({ at, length: lengths[kind] });
      for (let block = 0; block < blocksOf(lengths[kind]); block++) {
        // RFC 3711 4.3.3: x = key_id XOR master salt, the counter block is x * 2^16 + block.
        // RFC 7714 11: a 96-bit salt enters the 112-bit PRF input left-aligned, zeros appended.
        master.copy(counters, at, suite.keyLength, suite.masterLength);
        // key_id = label || (index DIV kdr = 0, 48 bits), right-aligned in 112 bits: the label meets octet 7.
        counters[at + 7] = (counters[at + 7] ?? 0) ^ labels[protocol][kind];
        counters[at + 15] = block;
        at += blockLength;
      }
    }
  }
  const key = createSecretKey(master.subarray(0, suite.keyLength));
  const cipher = createCipheriv(`aes-${suite.keyLength * 8}-ecb`, key, null).setAutoPadding(false);
  const stream = cipher.update(counters);
  counters.fill(0);
  const take = (index: number): Buffer => {
    const { at: start, length } = places[index] ?? { at: 0, length: 0 };
    // Outside the heap, which the garbage collector copies about.
    const taken = Buffer.from(new ArrayBuffer(length));
    stream.copy(taken, 0, start, start + length);
    return taken;
  };
  const keys = {
    srtp: { encryption: take(0), authentication: take(1), salt: take(2) },
    srtcp: { encryption: take(3), authentication: take(4), salt: take(5) },
  };
  stream.fill(0);
  // Node from 22 on makes its output in a scratch buffer that it frees unwiped; the same length again takes that buffer's place.
  cipher.update(counters);
  return keys;
};

/** Those of one protocol; see `deriveKeys`. */
export const deriveSessionKeys = (suite: Suite, master: Buffer, protocol: "srtp" | "srtcp"): SessionKeys => {
  const keys = deriveKeys(suite, master);
  const other = keys[protocol === "srtp" ? "srtcp" : "srtp"];
  for (const buffer of [other.encryption, other.authentication, other.salt]) buffer.fill(0);
  return keys[protocol];
};
