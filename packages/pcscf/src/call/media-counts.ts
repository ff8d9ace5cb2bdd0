// What a gateway counted for a call, as the call's record keeps it: the proof of protection. Reads the answer to Subtract, whose
// items may all be missing in another maker's. TS 23.334 5.8 (statistics), H.248.1 annex E.11 and E.12, docs/iq.md (`xsrtp`).
import type { IqContext, IqStatistics } from "@sallyport/iq";

/** One leg of one stream, or of all streams where the gateway counts them together. Packets are RTP, octets those of RTP and RTCP. */
export interface MediaCounts {
  readonly gateway: string;
  readonly context: number;
  readonly side: "access" | "core";
  readonly stream?: number;
  readonly packetsIn?: number;
  readonly packetsOut?: number;
  readonly octetsIn?: number;
  readonly octetsOut?: number;
  readonly lost?: number;
  /** RFC 3550 6.4.1, in RTP timestamp units. */
  readonly jitter?: number;
  /** RFC 3550 6.4.1; left out where no report came back. */
  readonly roundTripMs?: number;
  /** SRTP and SRTCP tags that did not verify. */
  readonly authenticationFailures?: number;
  readonly replays?: number;
  /** Clear packets that came on a protected leg. */
  readonly clearDropped?: number;
  readonly keyChanges?: number;
  /** Packets refused because their index had been used under the key. */
  readonly indexReuse?: number;
}

const items = [
  ["packetsIn", "rtp/pr"],
  ["packetsOut", "rtp/ps"],
  ["octetsIn", "nt/or"],
  ["octetsOut", "nt/os"],
  ["lost", "xsrtp/lost"],
  ["jitter", "rtp/jit"],
  ["roundTripMs", "xsrtp/rtt"],
  ["authenticationFailures", "xsrtp/af"],
  ["replays", "xsrtp/rp"],
  ["clearDropped", "xsrtp/cd"],
  ["keyChanges", "xsrtp/kc"],
  ["indexReuse", "xsrtp/ir"],
] as const;

/** A whole number as H.248 writes it; anything else counts nothing. */
const whole = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;

export const mediaCounts = ({ gateway, context }: IqContext, statistics: IqStatistics): readonly MediaCounts[] => {
  const counts: MediaCounts[] = [];
  for (const { side, stream, values } of statistics.terminations) {
    if (side === undefined) continue;
    const counted: { -readonly [K in keyof MediaCounts]: MediaCounts[K] } = { gateway, context, side };
    if (stream !== undefined) counted.stream = stream;
    for (const [name, item] of items) {
      const value = whole(values.get(item));
      if (value !== undefined && !(name === "roundTripMs" && value === 0)) counted[name] = value;
    }
    counts.push(counted);
  }
  return counts;
};

/** What was sent at a protected leg and not let through, by kind, where it was counted; nothing of the core side. */
export const droppedOf = (counted: MediaCounts): readonly (readonly [string, number])[] =>
  counted.side === "core"
    ? []
    : [
        ["bad-tag", counted.authenticationFailures ?? 0],
        ["replay", counted.replays ?? 0],
        ["clear", counted.clearDropped ?? 0],
      ];
