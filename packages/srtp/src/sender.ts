// Owns the sending side of one direction: protects RTP and RTCP and never uses an index twice (RFC 3711 3.3, 3.4, 9.1).
// Knows no socket. What it refuses it does not send: a caller drops and counts.
import { srtpErrors } from "./errors.ts";
import { liveKey, tellExpiring, type LiveKey, type SrtpKey } from "./keys.ts";
import { rtpHeaderLength } from "./packet.ts";
import { guessIndex, IndexWindow, isBeforeAll, type SrtpIndices } from "./replay.ts";
import { noneRefused, refuse, type SrtpCounters, type SrtpFailure, type SrtpResult } from "./result.ts";
import type { Suite } from "./suites.ts";
import { encryptedFlag, rtcpClearLength } from "./transform-port.ts";

export interface SrtpSenderOptions {
  readonly suite: Suite;
  readonly key: SrtpKey;
  /** SSRCs that may send under this key, default 16. None is ever forgotten: that would allow its indices again. */
  readonly maxSources?: number;
  /** Packets under this key; `key.lifetime` or the suite's maximum when left out. */
  readonly lifetime?: bigint;
  /** True only where UNENCRYPTED_SRTCP was negotiated: SRTCP goes out authenticated, in clear, with E = 0. */
  readonly unencryptedSrtcp?: boolean;
  /** What an earlier sender used under this very key, from its `indices()`: those and all before them are never sent again, and its packets count towards the lifetime. */
  readonly resume?: SrtpIndices;
  /** Called once, with the packet that brings the use of the key to 7/8 of its lifetime. */
  readonly onExpiring?: () => void;
  /** Asked before a source that started again is carried forward; its packets are refused where it says no. Yes when left out. */
  readonly mayCarryForward?: () => boolean;
}

export interface SrtpSender {
  /**
   * The rule for indices, per SSRC: the index is guessed as a receiver guesses it (RFC 3711 3.3.1), so a sequence
   * number that wraps advances the ROC. An index above every used one is sent; one up to 127 below the highest is sent
   * if it was not used (reordering); everything else is refused with `index-reuse`. When a packet was refused because it
   * was below those 127 and the very next of its SSRC follows it by one, the source has started again (RFC 3550 A.1): it
   * is carried forward, which means that from then on its sequence numbers are shifted to go on above the highest used.
   */
  protectRtp(packet: Buffer): SrtpResult;
  /** SRTCP indices are counted per SSRC from 0 (RFC 3711 3.4). */
  protectRtcp(packet: Buffer): SrtpResult;
  /** Zeroises and drops the session keys; every later packet is refused with `released`. The master stays the caller's. */
  release(): void;
  /** The highest index used, by SSRC; to be read before `release`. */
  indices(): SrtpIndices;
  readonly counters: SrtpCounters;
}

interface Source {
  readonly used: IndexWindow;
  packets: number;
  rtcpNext: number;
  /** Added to the sequence numbers of the source, modulo 2^16. */
  shift: number;
  /** The sequence number that would show that the source has started again; -1: the last packet was where it should be. */
  restartAt: number;
}

// More than what RFC 3550 A.1 takes for misordered (100).
const reorderWindow = 128;
const indexEnd = 2 ** 48;
const rtcpIndexEnd = 2 ** 31;

/** @throws SALLY_SRTP_KEY_LENGTH, SALLY_SRTP_KEYS, SALLY_SRTP_LIFETIME, SALLY_SRTP_LIMIT. */
export const createSrtpSender = (options: SrtpSenderOptions): SrtpSender => {
  const { suite, maxSources = 16 } = options;
  if (!(maxSources >= 1)) throw srtpErrors("SALLY_SRTP_LIMIT", `maxSources is ${maxSources}.`);
  let key: LiveKey | undefined = liveKey(
    suite,
    options.lifetime === undefined ? options.key : { ...options.key, lifetime: options.lifetime },
  );
  const flag = options.unencryptedSrtcp === true ? 0 : encryptedFlag;
  const sources = new Map<number, Source>();
  for (const [ssrc, before] of options.resume ?? []) {
    const used = new IndexWindow(reorderWindow, before.rtp);
    sources.set(ssrc, {
      used,
      packets: before.rtpPackets,
      rtcpNext: before.rtcp + 1,
      shift: 0,
      restartAt: -1,
    });
    key.srtpUsed += before.rtpPackets;
    key.srtcpUsed += before.rtcp + 1;
  }
  const refused = noneRefused();
  const { mayCarryForward, onExpiring } = options;
  let rtp = 0;
  let rtcp = 0;
  let carriedForward = 0;

  const sourceFor = (ssrc: number): Source | undefined => {
    const known = sources.get(ssrc);
    if (known !== undefined || sources.size >= maxSources) return known;
    const source = { used: new IndexWindow(reorderWindow), packets: 0, rtcpNext: 0, shift: 0, restartAt: -1 };
    sources.set(ssrc, source);
    return source;
  };
  const no = (code: SrtpFailure): SrtpResult => refuse(refused, code);

  /**
   * The index this packet may have, or -1. RFC 3711 9.1: two packets under one key, SSRC and index are a two-time pad.
   * A packet below the window is refused and remembered; the next one tells whether the source has started again.
   */
  const indexFor = (source: Source, sequence: number): number => {
    const { used, restartAt } = source;
    const shifted = (sequence + source.shift) & 0xffff;
    const index = used.highest < 0 ? shifted : guessIndex(used.highest, shifted);
    const state = isBeforeAll(used.highest, shifted) ? "too-old" : used.check(index);
    source.restartAt = -1;
    if (state === "fresh") return index;
    if (state === "replay") return -1;
    if (sequence !== restartAt || mayCarryForward?.() === false) {
      source.restartAt = (sequence + 1) & 0xffff;
      return -1;
    }
    const next = used.highest + 1;
    source.shift = (next - sequence) & 0xffff;
    carriedForward += 1;
    return next;
  };

  return {
    protectRtp: (packet) => {
      if (key === undefined) return no("released");
      if (packet.length < 12) return no("short");
      const headerLength = rtpHeaderLength(packet, packet.length);
      if (headerLength < 0) return no("malformed");
      // RFC 3711 9.2: after the last packet of its lifetime a key must not be used.
      if (key.srtpUsed >= key.srtpLimit) return no("lifetime");
      const source = sourceFor(packet.readUInt32BE(8));
      if (source === undefined) return no("sources");
      const index = indexFor(source, packet.readUInt16BE(2));
      if (index < 0) return no("index-reuse");
      if (index >= indexEnd) return no("lifetime");
      source.used.mark(index);
      source.packets += 1;
      key.srtpUsed += 1;
      rtp += 1;
      tellExpiring(key, onExpiring);
      const rollover = Math.floor(index / 65536);
      return { ok: true, packet: key.transform.sealRtp(packet, headerLength, rollover, index % 65536), index };
    },

    protectRtcp: (packet) => {
      if (key === undefined) return no("released");
      if (packet.length < rtcpClearLength) return no("short");
      if ((packet[0] ?? 0) >> 6 !== 2) return no("malformed");
      if (key.srtcpUsed >= key.srtcpLimit) return no("lifetime");
      const source = sourceFor(packet.readUInt32BE(4));
      if (source === undefined) return no("sources");
      const index = source.rtcpNext;
      if (index >= rtcpIndexEnd) return no("lifetime");
      source.rtcpNext = index + 1;
      key.srtcpUsed += 1;
      rtcp += 1;
      tellExpiring(key, onExpiring);
      return { ok: true, packet: key.transform.sealRtcp(packet, flag + index), index };
    },

    release: () => {
      key?.transform.wipe();
      key = undefined;
      sources.clear();
    },

    indices: () =>
      new Map(
        Array.from(sources, ([ssrc, { used, packets, rtcpNext }]) => [
          ssrc,
          { rtp: used.highest, rtcp: rtcpNext - 1, rtpPackets: packets },
        ]),
      ),

    get counters() {
      return { rtp, rtcp, sources: sources.size, carriedForward, rocTrials: 0, refused };
    },
  };
};
