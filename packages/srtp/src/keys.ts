// Owns the choice among the keys of one direction: by MKI where there are several (RFC 3711 3.1, 8.1; RFC 4568 6.1).
// Refuses keys that do not fit the suite or cannot be told apart.
import type { Secret } from "@sallyport/kit";
import { srtpErrors } from "./errors.ts";
import type { Suite } from "./suites.ts";
import { transformFor } from "./transform.ts";
import type { Transform } from "./transform-port.ts";

export interface SrtpKey {
  /** Master key || master salt, `suite.masterLength` octets. Stays the caller's: it is read once and not kept. */
  readonly master: Secret;
  /** Present where an MKI was negotiated, 1 to 128 octets. */
  readonly mki?: Uint8Array;
  /** Packets under this key, SRTP and SRTCP counted apart; the suite's maximum when left out. */
  readonly lifetime?: bigint;
}

/** One key at work. The two counts are the packets it protected or verified. */
export interface LiveKey {
  readonly mki: Buffer;
  readonly transform: Transform;
  readonly srtpLimit: number;
  readonly srtcpLimit: number;
  srtpUsed: number;
  srtcpUsed: number;
  /** Its user was told that it nears its end. */
  told: boolean;
}

/** Tells once a key when 7/8 of its lifetime are used, so that there is time for another one (RFC 3711 9.2). */
export const tellExpiring = (key: LiveKey, tell: (() => void) | undefined): void => {
  if (key.told || tell === undefined) return;
  if (key.srtpUsed < key.srtpLimit * 0.875 && key.srtcpUsed < key.srtcpLimit * 0.875) return;
  key.told = true;
  tell();
};

const least = (a: bigint, b: bigint): number => Number(a < b ? a : b);

/**
 * Derives the session keys of one master key.
 * @throws SALLY_SRTP_KEY_LENGTH, SALLY_SRTP_KEYS for an impossible MKI, SALLY_SRTP_LIFETIME.
 */
export const liveKey = (suite: Suite, key: SrtpKey): LiveKey => {
  if (key.master.length !== suite.masterLength) {
    throw srtpErrors(
      "SALLY_SRTP_KEY_LENGTH",
      `${suite.name} needs ${suite.masterLength} octets, not ${key.master.length}.`,
    );
  }
  if (key.mki !== undefined && (key.mki.length < 1 || key.mki.length > 128)) {
    throw srtpErrors("SALLY_SRTP_KEYS", `The MKI has ${key.mki.length} octets.`);
  }
  const lifetime = key.lifetime ?? suite.srtpLifetime;
  if (lifetime < 1n || lifetime > suite.srtpLifetime) {
    throw srtpErrors("SALLY_SRTP_LIFETIME", `It says ${lifetime} packets.`);
  }
  return {
    mki: Buffer.from(key.mki ?? []),
    transform: key.master.use((octets) => transformFor(suite, octets, key.mki)),
    srtpLimit: least(lifetime, suite.srtpLifetime),
    srtcpLimit: least(lifetime, suite.srtcpLifetime),
    srtpUsed: 0,
    srtcpUsed: 0,
    told: false,
  };
};

const maxKeys = 16;

/** The receive keys of one direction, at most 16; see `liveKey` for the errors. */
export const liveKeys = (suite: Suite, keys: readonly SrtpKey[]): readonly LiveKey[] => {
  const names = new Set(keys.map((key) => Buffer.from(key.mki ?? []).toString("hex")));
  const lengths = new Set(keys.map((key) => key.mki?.length ?? 0));
  // RFC 4568 6.1: several keys in one line need an MKI each, all of one length; else no receiver could tell them apart.
  if (keys.length === 0 || keys.length > maxKeys || names.size !== keys.length || lengths.size !== 1) {
    throw srtpErrors("SALLY_SRTP_KEYS", `There are ${keys.length} keys with ${names.size} distinct MKIs.`);
  }
  const live: LiveKey[] = [];
  try {
    for (const key of keys) live.push(liveKey(suite, key));
  } catch (error) {
    for (const key of live) key.transform.wipe();
    throw error;
  }
  return live;
};

/** The key whose MKI stands at `at` in the packet. */
export const keyAt = (keys: readonly LiveKey[], packet: Buffer, at: number): LiveKey | undefined => {
  for (const key of keys) {
    if (key.mki.length === 0 || packet.compare(key.mki, 0, key.mki.length, at, at + key.mki.length) === 0) return key;
  }
  return undefined;
};
