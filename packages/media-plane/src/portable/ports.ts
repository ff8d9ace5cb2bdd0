// Owns which pairs of media ports of one address are taken. Even for RTP, the odd one above for RTCP (RFC 3550 11).
// Round robin, and a freed pair rests for a while: late packets of the old call must not reach the next one. A pair whose sockets
// were kept goes before others once it has rested, for as long as they are likely to be there.
import type { Clock } from "@sallyport/kit";
import { mediaPlaneErrors } from "../errors.ts";

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** The pairs of every address, and of every range of its own on it. */
export class PortPools {
  readonly #newPairs: (range: PortRange) => PortPairs;
  readonly #range: PortRange;
  readonly #pools = new Map<string, PortPairs>();
  /** Asked for last: with one address for all media, always the same. */
  #latest: { readonly address: string; readonly range: PortRange; readonly pairs: PortPairs } | undefined;

  /** `range` is where none is given. @throws SALLY_PLANE_RANGE. */
  constructor(clock: Clock, range: PortRange, quarantineMs: number) {
    this.#newPairs = (of) => new PortPairs(clock, of, quarantineMs);
    this.#range = range;
    this.#newPairs(range);
  }

  /** @throws SALLY_PLANE_RANGE. */
  of(address: string, range: PortRange = this.#range): PortPairs {
    const latest = this.#latest;
    if (latest?.address === address && latest.range === range) return latest.pairs;
    const name = `${address} ${range.first}-${range.last}`;
    const pairs = this.#pools.get(name) ?? this.#newPairs(range);
    this.#pools.set(name, pairs);
    this.#latest = { address, range, pairs };
    return pairs;
  }

  clear(): void {
    this.#pools.clear();
    this.#latest = undefined;
  }
}

/**
 * So many pairs that other programs hold are passed over in one `open`: another gateway's calls stand in one row of the range.
 * Not the whole range, which would be a tenth of a second for each call that finds none.
 */
export const heldByOthers = 1024;

interface Freed {
  readonly port: number;
  readonly until: number;
  readonly kept: boolean;
}

/** Beyond its rest. Kept sockets nobody wants are closed after a while: then any other port is as good. */
const keptMs = 5000;

export class PortPairs {
  readonly #clock: Clock;
  readonly #quarantineMs: number;
  readonly #firstEven: number;
  readonly #count: number;
  readonly #taken = new Set<number>();
  /** Freed RTP ports that may not be used again yet. */
  readonly #resting = new Set<number>();
  /** The same, oldest first from `#oldest` on: a `Map` would find its first by passing all that were deleted before it. */
  #freed: Freed[] = [];
  #oldest = 0;
  #next = 0;

  /** @throws SALLY_PLANE_RANGE. */
  constructor(clock: Clock, range: PortRange, quarantineMs: number) {
    this.#clock = clock;
    this.#quarantineMs = quarantineMs;
    this.#firstEven = range.first + (range.first % 2);
    this.#count = Math.floor((range.last - this.#firstEven + 1) / 2);
    const whole = Number.isInteger(range.first) && Number.isInteger(range.last);
    if (!whole || range.first < 1 || range.last > 65535 || this.#count < 1) {
      throw mediaPlaneErrors("SALLY_PLANE_RANGE", `It says ${range.first} to ${range.last}.`);
    }
  }

  /** Pairs in use or resting. */
  get taken(): number {
    return this.#taken.size;
  }

  /** How many pairs the range has. */
  get count(): number {
    return this.#count;
  }

  /** The even port of a free pair, or `undefined`. */
  take(): number | undefined {
    const now = this.#clock.now();
    for (let freed = this.#freed[this.#oldest]; freed !== undefined && freed.until <= now;) {
      const { kept, port, until } = freed;
      this.#resting.delete(port);
      freed = this.#freed[++this.#oldest];
      if (!kept || now - until > keptMs) continue;
      this.#taken.add(port);
      return port;
    }
    if (this.#taken.size + this.#resting.size >= this.#count) return undefined;
    for (let tried = 0; tried < this.#count; tried++) {
      const port = this.#firstEven + 2 * this.#next;
      this.#next = (this.#next + 1) % this.#count;
      if (this.#taken.has(port) || this.#resting.has(port)) continue;
      this.#taken.add(port);
      return port;
    }
    return undefined;
  }

  /** `kept`: its sockets are still bound. */
  give(port: number, kept = false): void {
    if (!this.#taken.delete(port)) return;
    this.#resting.add(port);
    if (this.#oldest > 1000 && this.#oldest * 2 > this.#freed.length) {
      this.#freed = this.#freed.slice(this.#oldest);
      this.#oldest = 0;
    }
    this.#freed.push({ port, until: this.#clock.now() + this.#quarantineMs, kept });
  }
}
