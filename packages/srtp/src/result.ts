// Owns the outcome of protecting or unprotecting one packet. Failures are values, made once: an attacker costs no allocation.

/**
 * Why a packet was refused:
 * `short` too few octets for the suite; `malformed` not RTP or RTCP version 2, or header lengths that do not fit;
 * `mki` no such key; `authentication` the tag did not verify; `replay` index already received; `too-old` index below
 * the window; `unencrypted` SRTCP with E = 0 where encryption was agreed (or the reverse); `sources` no room for
 * another SSRC; `lifetime` the key is spent; `index-reuse` the sender would use an index twice; `released` no key any more.
 */
export type SrtpFailure =
  | "short"
  | "malformed"
  | "mki"
  | "authentication"
  | "replay"
  | "too-old"
  | "unencrypted"
  | "sources"
  | "lifetime"
  | "index-reuse"
  | "released";

export interface SrtpSuccess {
  readonly ok: true;
  /** A fresh buffer; the input is left as it was. */
  readonly packet: Buffer;
  /** The 48-bit SRTP index (ROC || SEQ) or the 31-bit SRTCP index. */
  readonly index: number;
}

export type SrtpResult = SrtpSuccess | { readonly ok: false; readonly code: SrtpFailure };

/** What one sender or receiver has done since it was made. Counts of packets, except `sources`. */
export interface SrtpCounters {
  /** SRTP packets protected, or accepted. */
  readonly rtp: number;
  /** SRTCP packets protected, or accepted. */
  readonly rtcp: number;
  /** SSRCs with a context now. */
  readonly sources: number;
  /** Senders: times that a source which had started again was carried forward. */
  readonly carriedForward: number;
  /** Receivers: SSRCs whose ROC was found by trial, another one than RFC 3711 3.3.1 guesses. */
  readonly rocTrials: number;
  readonly refused: Readonly<Record<SrtpFailure, number>>;
}

export const noneRefused = (): Record<SrtpFailure, number> => ({
  short: 0,
  malformed: 0,
  mki: 0,
  authentication: 0,
  replay: 0,
  "too-old": 0,
  unencrypted: 0,
  sources: 0,
  lifetime: 0,
  "index-reuse": 0,
  released: 0,
});

const failures = Object.fromEntries(
  Object.keys(noneRefused()).map((code) => [code, Object.freeze({ ok: false, code })]),
) as Readonly<Record<SrtpFailure, { readonly ok: false; readonly code: SrtpFailure }>>;

/** Counts one refusal and gives the shared failure value. */
export const refuse = (counts: Record<SrtpFailure, number>, code: SrtpFailure): SrtpResult => {
  counts[code] += 1;
  return failures[code];
};
