// Owns the port of the two ways a packet is sealed and opened; a transform holds the session keys of one master key.
// Knows neither replay nor which SSRC is allowed: those are its callers' decisions.
import type { SessionKeys } from "./derivation.ts";

/** The E bit in front of the 31-bit SRTCP index (RFC 3711 3.4). */
export const encryptedFlag = 0x8000_0000;

/** Octets of the fixed part of an RTCP packet that stays in clear (RFC 3711 3.4). */
export const rtcpClearLength = 8;

export interface Transform {
  /**
   * Seals a whole RTP packet whose payload starts at `headerLength`; gives a fresh buffer. It goes out under `sequence`,
   * whatever stands in the packet: a source that started again is carried forward.
   */
  sealRtp(packet: Buffer, headerLength: number, rollover: number, sequence: number): Buffer;
  /** Opens a packet that is long enough; `undefined` when the tag does not verify. */
  openRtp(packet: Buffer, headerLength: number, rollover: number): Buffer | undefined;
  /** `word` is the E bit and the index as they go on the wire. */
  sealRtcp(packet: Buffer, word: number): Buffer;
  openRtcp(packet: Buffer, word: number): Buffer | undefined;
  /** Zeroises what this process can reach of the session keys; the transform must not be used again. */
  wipe(): void;
}

export interface TransformKeys {
  readonly srtp: SessionKeys;
  readonly srtcp: SessionKeys;
  /** Empty where no MKI was negotiated. */
  readonly mki: Buffer;
}
