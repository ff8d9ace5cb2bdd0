// Owns the crypto attribute of RFC 4568 section 9 as a value. Must not know what a suite means, nor which exist.
import type { Secret } from "@sallyport/kit";

export interface CryptoKey {
  /** Master key and master salt, decoded. */
  readonly master: Secret;
  /** Packets. Absent means the suite's maximum. */
  readonly lifetime?: bigint | undefined;
  /** The lifetime as received, `2^20` or `1048576`. */
  readonly lifetimeText?: string | undefined;
  /** `length` in octets, 1 to 128. */
  readonly mki?: { readonly value: bigint; readonly length: number } | undefined;
}

export type SessionParam =
  /** Keys are derived anew every 2^value packets, 0 to 24. */
  | { readonly kind: "KDR"; readonly value: number }
  | { readonly kind: "UNENCRYPTED_SRTP" }
  | { readonly kind: "UNENCRYPTED_SRTCP" }
  | { readonly kind: "UNAUTHENTICATED_SRTP" }
  | { readonly kind: "FEC_ORDER"; readonly value: "FEC_SRTP" | "SRTP_FEC" }
  | { readonly kind: "FEC_KEY"; readonly keys: readonly CryptoKey[] }
  /** Replay window in packets, 64 or more. */
  | { readonly kind: "WSH"; readonly value: number }
  /** A parameter RFC 4568 does not define; `text` without the leading "-", which `mayIgnore` stands for. */
  | { readonly kind: "extension"; readonly text: string; readonly mayIgnore: boolean };

export interface CryptoAttribute {
  readonly tag: number;
  /** As received: compare without case, echo as it stands. */
  readonly suite: string;
  readonly keys: readonly CryptoKey[];
  readonly sessionParams: readonly SessionParam[];
}

/** Zeroises every key of the attribute. */
export const releaseCrypto = (crypto: CryptoAttribute): void => {
  for (const key of allKeys(crypto)) key.master.release();
};

const allKeys = (crypto: CryptoAttribute): readonly CryptoKey[] => [
  ...crypto.keys,
  ...crypto.sessionParams.flatMap((param) => (param.kind === "FEC_KEY" ? param.keys : [])),
];

/** Whether two attributes mean the same: keys in constant time, suites without case, parameters in any order. */
export const sameCrypto = (a: CryptoAttribute, b: CryptoAttribute): boolean =>
  a.tag === b.tag &&
  a.suite.toUpperCase() === b.suite.toUpperCase() &&
  sameKeys(a.keys, b.keys) &&
  a.sessionParams.length === b.sessionParams.length &&
  a.sessionParams.every((param) => b.sessionParams.some((other) => sameParam(param, other)));

const sameKeys = (a: readonly CryptoKey[], b: readonly CryptoKey[]): boolean =>
  a.length === b.length && a.every((key, at) => sameKey(key, b[at] as CryptoKey));

const sameKey = (a: CryptoKey, b: CryptoKey): boolean =>
  a.master.equals(b.master) &&
  a.lifetime === b.lifetime &&
  a.mki?.value === b.mki?.value &&
  a.mki?.length === b.mki?.length;

const sameParam = (a: SessionParam, b: SessionParam): boolean => {
  if (a.kind === "FEC_KEY") return b.kind === "FEC_KEY" && sameKeys(a.keys, b.keys);
  if (a.kind === "extension") return b.kind === "extension" && a.text === b.text && a.mayIgnore === b.mayIgnore;
  return a.kind === b.kind && ("value" in a ? a.value : 0) === ("value" in b ? b.value : 0);
};
