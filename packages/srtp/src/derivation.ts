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

// RFC 3711 4.1.1: IV = (session salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16); here x * 2^16 with x of 4.3.3.
const keyStream = (suite: Suite, master: Buffer, label: number, length: number): Buffer => {
  const block = Buffer.alloc(16);
  // RFC 7714 11: a 96-bit salt enters the 112-bit PRF input left-aligned, zeros appended.
  master.copy(block, 0, suite.keyLength, suite.masterLength);
  // key_id = label || (index DIV kdr = 0, 48 bits), right-aligned in 112 bits: the label meets octet 7.
  block[7] = (block[7] ?? 0) ^ label;
  const key = createSecretKey(master.subarray(0, suite.keyLength));
  const stream = createCipheriv(`aes-${suite.keyLength * 8}-ctr`, key, block).update(Buffer.alloc(length));
  block.fill(0);
  return stream;
};

/**
 * The session keys of one direction. `master` is key || salt, `suite.masterLength` octets.
 * The caller owns the buffers and zeroises them.
 */
export const deriveSessionKeys = (suite: Suite, master: Buffer, protocol: "srtp" | "srtcp"): SessionKeys => {
  const label = labels[protocol];
  return {
    encryption: keyStream(suite, master, label.encryption, suite.keyLength),
    authentication: suite.aead ? Buffer.alloc(0) : keyStream(suite, master, label.authentication, 20),
    salt: keyStream(suite, master, label.salt, suite.saltLength),
  };
};
