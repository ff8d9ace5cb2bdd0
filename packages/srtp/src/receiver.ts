// Owns the receiving side of one direction, in the order of RFC 3711 3.3 and 3.4: length, SSRC looked up read-only,
// index guessed, replay checked, tag verified and payload decrypted, and only then anything remembered (invariant 3).
import { srtpErrors } from "./errors.ts";
import { keyAt, liveKeys, type LiveKey, type SrtpKey } from "./keys.ts";
import { rtpHeaderLength } from "./packet.ts";
import { guessIndex, IndexWindow, type SrtpIndices } from "./replay.ts";
import { noneRefused, refuse, type SrtpCounters, type SrtpFailure, type SrtpResult } from "./result.ts";
import type { Suite } from "./suites.ts";
import { encryptedFlag, rtcpClearLength } from "./transform.ts";

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
   * What was verified under the key that this one replaces. RFC 3711 3.3.1 keeps the ROC over a re-key, many peers start
   * again at 0: until an SSRC known there has verified here, both are tried and the one that verifies is adopted.
   */
  readonly predecessor?: SrtpIndices;
  /** What an earlier receiver verified under this very key, from its `indices()`: those and all before are replays. */
  readonly resume?: SrtpIndices;
}

export interface SrtpReceiver {
  unprotectRtp(packet: Buffer): SrtpResult;
  unprotectRtcp(packet: Buffer): SrtpResult;
  /** Zeroises and drops the session keys; every later packet is refused with `released`. The masters stay the caller's. */
  release(): void;
  /** The highest index verified, by SSRC; to be read before `release`. */
  indices(): SrtpIndices;
  readonly counters: SrtpCounters;
}

interface Source {
  readonly rtp: IndexWindow;
  readonly rtcp: IndexWindow;
  rtpPackets: number;
}

const indexEnd = 2 ** 48;

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
    sources.set(ssrc, { rtp, rtcp: new IndexWindow(window, before.rtcp), rtpPackets: before.rtpPackets });
  }
  const refused = noneRefused();
  let rtp = 0;
  let rtcp = 0;

  const no = (code: SrtpFailure): SrtpResult => refuse(refused, code);
  const remember = (ssrc: number): Source => {
    const source = { rtp: new IndexWindow(window), rtcp: new IndexWindow(window), rtpPackets: 0 };
    sources.set(ssrc, source);
    return source;
  };

  const open = (key: LiveKey, packet: Buffer, headerLength: number, index: number): Buffer | undefined =>
    index < indexEnd ? key.transform.openRtp(packet, headerLength, Math.floor(index / 65536)) : undefined;

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
      // Without an index of our own the sender's ROC is unknown: it starts at 0, or goes on where the old key ended.
      const earlier = highest < 0 ? (options.predecessor?.get(ssrc)?.rtp ?? -1) : -1;
      let index = highest < 0 ? sequence : guessIndex(highest, sequence);
      const seen = known?.rtp.check(index) ?? "fresh";
      if (seen !== "fresh") return no(seen);

      const key = keyAt(keys, packet, packet.length - mkiFromEnd);
      if (key === undefined) return no("mki");
      if (key.srtpUsed >= key.srtpLimit) return no("lifetime");
      let opened: Buffer | undefined;
      if (earlier >= 0) {
        const continued = guessIndex(earlier, sequence);
        opened = open(key, packet, headerLength, continued);
        if (opened !== undefined) index = continued;
      }
      opened ??= open(key, packet, headerLength, index);
      if (opened === undefined) return no("authentication");

      const source = known ?? remember(ssrc);
      source.rtp.mark(index);
      source.rtpPackets += 1;
      key.srtpUsed += 1;
      rtp += 1;
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

    get counters() {
      return { rtp, rtcp, sources: sources.size, refused };
    },
  };
};
