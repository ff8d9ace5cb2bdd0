// Owns the table of crypto suites: lengths, tags, lifetimes. Knows no packet and no key.
// RFC 4568 6.2, RFC 6188 and RFC 7714 as registered for SDES; F8 and SEED are not implemented.

/** The registered names, as they are written in `a=crypto`. */
export type SuiteName =
  | "AES_CM_128_HMAC_SHA1_80"
  | "AES_CM_128_HMAC_SHA1_32"
  | "AES_192_CM_HMAC_SHA1_80"
  | "AES_192_CM_HMAC_SHA1_32"
  | "AES_256_CM_HMAC_SHA1_80"
  | "AES_256_CM_HMAC_SHA1_32"
  | "AEAD_AES_128_GCM"
  | "AEAD_AES_256_GCM";

/** One crypto suite; all lengths in octets, lifetimes in packets under one master key. */
export interface Suite {
  readonly name: SuiteName;
  readonly keyLength: number;
  readonly saltLength: number;
  /** Master key and master salt together: what `inline:` carries. */
  readonly masterLength: number;
  readonly srtpTagLength: number;
  readonly srtcpTagLength: number;
  readonly aead: boolean;
  readonly srtpLifetime: bigint;
  readonly srtcpLifetime: bigint;
}

// RFC 3711 9.2 and RFC 7714 11: the master key is spent after 2^48 SRTP or 2^31 SRTCP packets.
const lifetimes = { srtpLifetime: 2n ** 48n, srtcpLifetime: 2n ** 31n } as const;

const counterMode = (name: SuiteName, keyLength: number, srtpTagLength: number): Suite => ({
  name,
  keyLength,
  saltLength: 14,
  masterLength: keyLength + 14,
  srtpTagLength,
  // RFC 4568 6.2.2, RFC 6188 4: the short tag is for SRTP only, SRTCP keeps 80 bits.
  srtcpTagLength: 10,
  aead: false,
  ...lifetimes,
});

// RFC 7714 12: a 96-bit salt and a 16-octet tag on both.
const galois = (name: SuiteName, keyLength: number): Suite => ({
  name,
  keyLength,
  saltLength: 12,
  masterLength: keyLength + 12,
  srtpTagLength: 16,
  srtcpTagLength: 16,
  aead: true,
  ...lifetimes,
});

export const suites: Readonly<Record<SuiteName, Suite>> = {
  AES_CM_128_HMAC_SHA1_80: counterMode("AES_CM_128_HMAC_SHA1_80", 16, 10),
  AES_CM_128_HMAC_SHA1_32: counterMode("AES_CM_128_HMAC_SHA1_32", 16, 4),
  AES_192_CM_HMAC_SHA1_80: counterMode("AES_192_CM_HMAC_SHA1_80", 24, 10),
  AES_192_CM_HMAC_SHA1_32: counterMode("AES_192_CM_HMAC_SHA1_32", 24, 4),
  AES_256_CM_HMAC_SHA1_80: counterMode("AES_256_CM_HMAC_SHA1_80", 32, 10),
  AES_256_CM_HMAC_SHA1_32: counterMode("AES_256_CM_HMAC_SHA1_32", 32, 4),
  AEAD_AES_128_GCM: galois("AEAD_AES_128_GCM", 16),
  AEAD_AES_256_GCM: galois("AEAD_AES_256_GCM", 32),
};

// RFC 6188 registered AES_192_CM and AES_256_CM; drafts and deployed endpoints also write the RFC 4568 word order.
// The drafts' AEAD_AES_*_GCM_8 with short tags were never registered for SDES and stay unknown.
const byName: ReadonlyMap<string, Suite> = new Map([
  ...Object.values(suites).map((suite): [string, Suite] => [suite.name, suite]),
  ["AES_CM_192_HMAC_SHA1_80", suites.AES_192_CM_HMAC_SHA1_80],
  ["AES_CM_192_HMAC_SHA1_32", suites.AES_192_CM_HMAC_SHA1_32],
  ["AES_CM_256_HMAC_SHA1_80", suites.AES_256_CM_HMAC_SHA1_80],
  ["AES_CM_256_HMAC_SHA1_32", suites.AES_256_CM_HMAC_SHA1_32],
]);

/** The suite of that name, whatever its case, aliases `AES_CM_192_*` and `AES_CM_256_*` included. */
export const findSuite = (name: string): Suite | undefined => byName.get(name.toUpperCase());
