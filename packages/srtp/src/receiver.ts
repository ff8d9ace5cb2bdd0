// Owns the receiving side of one direction, in the order of RFC 3711 3.3 and 3.4: length, SSRC looked up read-only,
// index guessed, replay checked, tag verified and payload decrypted, and only then anything remembered (invariant 3).
import { srtpErrors } from "./errors.ts";
import { keyAt, liveKeys, tellExpiring, type LiveKey, type SrtpKey } from "./keys.ts";
import { rtpHeaderLength } from "./packet.ts";
import { guessIndex, IndexWindow, type HighestIndices, type SrtpIndices } from "./replay.ts";
import { noneRefused, refuse, type SrtpCounters, type SrtpFailure, type SrtpResult } from "./result.ts";
import type { Suite } from "./suites.ts";
import { encryptedFlag, rtcpClearLength } from "./transform-port.ts";

export interface SrtpReceiverOptions {
  readonly suite: Suite;
  /** One key, or several with distinct MKIs of one length. All share the ROC and replay list of an SSRC (RFC 3711 3.3.1). */
  readonly keys: readonly SrtpKey[];
  /** Replay window in packets, 64 to 32768, default 128; rounded up to a multiple of 32. */
  readonly window?: number;
  /** SSRCs remembered, default 16. None is ever forgotten: that would let its old packets be replayed. */
  readonly maxSources?: number;
  /** True only where UNENCRYPTED_SRTCP was negotiated: SRTCP is then accepted with E = 0 and with nothing else. */
  readonly unencryptedSrtcp?: boolean;
  /**
   * What was verified under the keys before this one (`reached()` of the receiver it replaces). RFC 3711 3.3.1 keeps the ROC over a re-key, many peers start
   * again at 0, and the wrap may fall between: until an SSRC known there or in `resume` has verified here, the tag is
   * tried with the kept ROC, 0 and the kept one's neighbours, and the one that verifies is adopted.
   */
  readonly predecessor?: SrtpIndices;
  /** What an earlier receiver verified under this very key, from its `indices()`: those and all before are replays. */
  readonly resume?: SrtpIndices;
  /** Called once a key, with the packet that brings its use to 7/8 of its lifetime. */
  readonly onExpiring?: () => void;
}

export interface SrtpReceiver {
  unprotectRtp(packet: Buffer): SrtpResult;
  unprotectRtcp(packet: Buffer): SrtpResult;
  /** Zeroises and drops the session keys; every later packet is refused with `released`. The masters stay the caller's. */
  release(): void;
  /** The highest index verified, by SSRC; to be read before `release`. */
  indices(): SrtpIndices;
  /**
   * How far each SSRC is known to have come, under this key or, where it was silent since, under those before: `predecessor`
   * of the receiver that replaces this one. RFC 3711 3.3.1 keeps a ROC over any number of re-keys.
   */
  reached(): SrtpIndices;
  readonly counters: SrtpCounters;
}

interface Source {
  readonly rtp: IndexWindow;
  readonly rtcp: IndexWindow;
  rtpPackets: number;
  /** An RTP packet has verified here: the ROC is known. */
  settled: boolean;
}

const indexEnd = 2 ** 48;

/**
 * RFC 3711 3.3.1 knows the ROC; after a change of keys it is only likely: the guess first, then 0 and the neighbours. Where
 * nothing was heard (`kept` is -1) it is 0, or 1 if all packets before a wrap were lost (RFC 4771 1).
 */
const indicesToTry = (kept: number, sequence: number): readonly number[] => {
  if (kept < 0) return sequence < 32768 ? [sequence, 65536 + sequence] : [sequence];
  const guess = guessIndex(kept, sequence);
  const rollover = Math.floor(kept / 65536);
  const all = [guess];
  for (const tried of [rollover, 0, rollover - 1, rollover + 1]) {
    const index = tried * 65536 + sequence;
    if (index >= 0 && index < indexEnd && !all.includes(index)) all.push(index);
  }
  return all;
};

/** @throws SALLY_SRTP_KEY_LENGTH, SALLY_SRTP_KEYS, SALLY_SRTP_LIFETIME, SALLY_SRTP_LIMIT. */
export const createSrtpReceiver = (options: SrtpReceiverOptions): SrtpReceiver => {
  const { suite, window = 128, maxSources = 16 } = options;
  if (!(window >= 64 && window <= 32768) || !(maxSources >= 1)) {
    throw srtpErrors("SALLY_SRTP_LIMIT", `window is ${window}, maxSources is ${maxSources}.`);
  }
  let keys = liveKeys(suite, options.keys);
  const mkiLength = keys[0]?.mki.length ?? 0;
  const rtpTrailer = mkiLength + suite.srtpTagLength;
  const rtcpTrailer = 4 + mkiLength + suite.srtcpTagLength;
  // Where the trailers put the MKI and the SRTCP word: RFC 3711 3.1 and 3.4, and RFC 7714 8.2 and 9.
  const mkiFromEnd = suite.aead ? mkiLength : rtpTrailer;
  const rtcpMkiFromEnd = suite.aead ? mkiLength : mkiLength + suite.srtcpTagLength;
  const wordFromEnd = rtcpMkiFromEnd + 4;
  const encryption = options.unencryptedSrtcp !== true;
  const sources = new Map<number, Source>();
  for (const [ssrc, before] of options.resume ?? []) {
    const rtp = new IndexWindow(window, before.rtp);
    sources.set(ssrc, {
      rtp,
      rtcp: new IndexWindow(window, before.rtcp),
      rtpPackets: before.rtpPackets,
      settled: false,
    });
  }
  const refused = noneRefused();
  const { onExpiring } = options;
  let rtp = 0;
  let rtcp = 0;
  let rocTrials = 0;

  const no = (code: SrtpFailure): SrtpResult => refuse(refused, code);
  const remember = (ssrc: number): Source => {
    const source = { rtp: new IndexWindow(window), rtcp: new IndexWindow(window), rtpPackets: 0, settled: false };
    sources.set(ssrc, source);
    return source;
  };

  const open = (key: LiveKey, packet: Buffer, headerLength: number, index: number): Buffer | undefined =>
    index < indexEnd ? key.transform.openRtp(packet, headerLength, Math.floor(index / 65536)) : undefined;

  /** The packet opened under one of these indices, none of them seen before; `index` tells which. */
  const openAny = (
    key: LiveKey,
    packet: Buffer,
    headerLength: number,
    tries: readonly number[],
    known: Source | undefined,
  ): { readonly opened: Buffer; readonly index: number } | undefined => {
    for (const index of tries) {
      if (known !== undefined && known.rtp.check(index) !== "fresh") continue;
      const opened = open(key, packet, headerLength, index);
      if (opened !== undefined) return { opened, index };
    }
    return undefined;
  };

  const reached = (): SrtpIndices => {
    const own = new Map<number, HighestIndices>();
    const all = new Map<number, HighestIndices>();
    for (const [ssrc, before] of options.predecessor ?? []) if (before.rtp >= 0) all.set(ssrc, before);
    for (const [ssrc, { rtp, rtcp, rtpPackets, settled }] of sources) {
      if (rtp.highest < 0) continue;
      const kept = settled ? -1 : (all.get(ssrc)?.rtp ?? -1);
      const highest = { rtp: Math.max(rtp.highest, kept), rtcp: rtcp.highest, rtpPackets };
      own.set(ssrc, highest);
      all.set(ssrc, highest);
    }
    // Those that were silent are kept as long as there is room for them.
    return all.size > 2 * maxSources ? own : all;
  };

  return {
    unprotectRtp: (packet) => {
      if (keys.length === 0) return no("released");
      const end = packet.length - rtpTrailer;
      if (end < 12) return no("short");
      const headerLength = rtpHeaderLength(packet, end);
      if (headerLength < 0) return no("malformed");

      const ssrc = packet.readUInt32BE(8);
      const sequence = packet.readUInt16BE(2);
      const known = sources.get(ssrc);
      if (known === undefined && sources.size >= maxSources) return no("sources");
      const highest = known?.rtp.highest ?? -1;
      // Without an index of our own the sender's ROC is unknown: it starts at 0, or goes on where an earlier key ended.
      const tries =
        known?.settled === true
          ? undefined
          : indicesToTry(Math.max(highest, options.predecessor?.get(ssrc)?.rtp ?? -1), sequence);
      const guess = tries?.[0] ?? guessIndex(highest, sequence);
      const seen = known?.rtp.check(guess) ?? "fresh";
      if (seen !== "fresh" && (tries === undefined || tries.every((index) => known?.rtp.check(index) !== "fresh"))) {
        return no(seen);
      }

      const key = keyAt(keys, packet, packet.length - mkiFromEnd);
      if (key === undefined) return no("mki");
      if (key.srtpUsed >= key.srtpLimit) return no("lifetime");
      let index = guess;
      let opened: Buffer | undefined;
      if (tries === undefined) opened = open(key, packet, headerLength, guess);
      else {
        const found = openAny(key, packet, headerLength, tries, known);
        opened = found?.opened;
        index = found?.index ?? guess;
        if (index !== guess) rocTrials += 1;
      }
      // A packet that no ROC opens and whose likely index was there before is the replay it looks like.
      if (opened === undefined) return no(seen === "fresh" ? "authentication" : seen);

      const source = known ?? remember(ssrc);
      source.rtp.mark(index);
      source.rtpPackets += 1;
      source.settled = true;
      key.srtpUsed += 1;
      rtp += 1;
      tellExpiring(key, onExpiring);
      return { ok: true, packet: opened, index };
    },

    unprotectRtcp: (packet) => {
      if (keys.length === 0) return no("released");
      if (packet.length < rtcpClearLength + rtcpTrailer) return no("short");
      if ((packet[0] ?? 0) >> 6 !== 2) return no("malformed");
      const word = packet.readUInt32BE(packet.length - wordFromEnd);
      if (word >= encryptedFlag !== encryption) return no("unencrypted");

      const ssrc = packet.readUInt32BE(4);
      const index = word % encryptedFlag;
      const known = sources.get(ssrc);
      if (known === undefined && sources.size >= maxSources) return no("sources");
      const seen = known?.rtcp.check(index) ?? "fresh";
      if (seen !== "fresh") return no(seen);

      const key = keyAt(keys, packet, packet.length - rtcpMkiFromEnd);
      if (key === undefined) return no("mki");
      if (key.srtcpUsed >= key.srtcpLimit) return no("lifetime");
      const opened = key.transform.openRtcp(packet, word);
      if (opened === undefined) return no("authentication");

      (known ?? remember(ssrc)).rtcp.mark(index);
      key.srtcpUsed += 1;
      rtcp += 1;
      tellExpiring(key, onExpiring);
      return { ok: true, packet: opened, index };
    },

    release: () => {
      for (const key of keys) key.transform.wipe();
      keys = [];
      sources.clear();
    },

    indices: () =>
      new Map(
        Array.from(sources, ([ssrc, { rtp, rtcp, rtpPackets }]) => [
          ssrc,
          { rtp: rtp.highest, rtcp: rtcp.highest, rtpPackets },
        ]),
      ),

    reached,

    get counters() {
      return { rtp, rtcp, sources: sources.size, carriedForward: 0, rocTrials, refused };
    },
  };
};
