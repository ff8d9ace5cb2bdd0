// Owns what an RTP receiver knows of the way its packets came: loss and jitter, by SSRC (RFC 3550 6.4.1, A.1, A.3, A.8).
// It is shown accepted packets only, so it decides nothing; bounded in SSRCs.

const maxSources = 64;
const maxDropout = 3000;
const maxMisorder = 100;
const cycle = 65_536;

interface Source {
  /** Extended: cycles and sequence number. */
  base: number;
  highest: number;
  received: number;
  packets: number;
  /** The next sequence number that would show a restart (RFC 3550 A.1), -1 for none. */
  restartAt: number;
  /** Of the run of numbers before the last restart. */
  lostBefore: number;
  readonly firstAt: number;
  readonly firstTimestamp: number;
  rate: number;
  /** In timestamp units; undefined before the first packet whose clock rate is known. */
  transit: number | undefined;
  jitter: number;
}

// RFC 3551 6, tables 4 and 5: the payload types that name their clock.
const staticRates: Readonly<Record<number, number>> = {
  6: 16_000,
  10: 44_100,
  11: 44_100,
  14: 90_000,
  16: 11_025,
  17: 22_050,
  ...Object.fromEntries([0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18].map((type) => [type, 8000])),
  ...Object.fromEntries([25, 26, 28, 31, 32, 33, 34].map((type) => [type, 90_000])),
};

const usualRates = [8000, 16_000, 32_000, 48_000, 90_000] as const;
const measureMs = 500;

/** The usual clock rate nearest to what the stream showed; the gateway is not told which codec a payload type is. */
const measuredRate = (advance: number, ms: number): number => {
  const shown = (advance * 1000) / ms;
  let best: number = usualRates[0];
  for (const rate of usualRates) if (Math.abs(rate - shown) < Math.abs(best - shown)) best = rate;
  return best;
};

const rateOf = (source: Source, packet: Buffer, timestamp: number, now: number): number => {
  if (source.rate > 0) return source.rate;
  const known = staticRates[(packet[1] ?? 0) & 0x7f];
  if (known !== undefined) source.rate = known;
  else if (now - source.firstAt >= measureMs) {
    source.rate = measuredRate((timestamp - source.firstTimestamp) >>> 0, now - source.firstAt);
  }
  return source.rate;
};

const lostOf = (source: Source): number => source.highest - source.base + 1 - source.received;

/** RFC 3550 A.1 without probation; false for a packet that stands outside the sequence. */
const follow = (source: Source, sequence: number): boolean => {
  const ahead = (sequence - source.highest) & 0xffff;
  if (ahead < maxDropout) source.highest += ahead;
  else if (ahead <= cycle - maxMisorder) {
    if (sequence !== source.restartAt) {
      source.restartAt = (sequence + 1) & 0xffff;
      return false;
    }
    source.lostBefore += lostOf(source);
    source.base = sequence;
    source.highest = sequence;
    source.received = 0;
  }
  source.restartAt = -1;
  source.received += 1;
  return true;
};

export class Reception {
  readonly #sources = new Map<number, Source>();

  /** One accepted RTP packet, header in clear. */
  arrived(packet: Buffer, now: number): void {
    const ssrc = packet.readUInt32BE(8);
    const sequence = packet.readUInt16BE(2);
    const timestamp = packet.readUInt32BE(4);
    let source = this.#sources.get(ssrc);
    if (source === undefined) {
      if (this.#sources.size >= maxSources) return;
      source = {
        base: sequence,
        highest: sequence,
        received: 0,
        packets: 0,
        restartAt: -1,
        lostBefore: 0,
        firstAt: now,
        firstTimestamp: timestamp,
        rate: 0,
        transit: undefined,
        jitter: 0,
      };
      this.#sources.set(ssrc, source);
    }
    source.packets += 1;
    if (!follow(source, sequence)) return;
    const rate = rateOf(source, packet, timestamp, now);
    if (rate === 0) return;
    // RFC 3550 A.8: J += (|D| - J) / 16. Timestamps wrap; the difference of two transits does not.
    const transit = (Math.round((now * rate) / 1000) - timestamp) | 0;
    if (source.transit !== undefined) {
      source.jitter += (Math.abs((transit - source.transit) | 0) - source.jitter) / 16;
    }
    source.transit = transit;
  }

  get lost(): number {
    let lost = 0;
    for (const source of this.#sources.values()) lost += source.lostBefore + lostOf(source);
    return Math.max(0, lost);
  }

  get jitter(): number {
    let busiest: Source | undefined;
    for (const source of this.#sources.values()) {
      if (busiest === undefined || source.packets > busiest.packets) busiest = source;
    }
    return Math.floor(busiest?.jitter ?? 0);
  }
}
