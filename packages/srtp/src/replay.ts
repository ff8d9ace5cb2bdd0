// Owns packet indices: the guess of the 48-bit index from 16 bits, and which indices were used already.
// RFC 3711 3.3.1, 3.3.2 and appendix A. Knows no key: a receiver marks only what verified, a sender only what it sends.

/**
 * RFC 3711 3.3.1: the index nearest to `highest` whose low 16 bits are `sequence`. Indices are numbers below 2^48 plus
 * one wrap, so they are exact. At ROC 0 there is nothing before: the guess stays at ROC 0.
 */
export const guessIndex = (highest: number, sequence: number): number => {
  const last = highest % 65536;
  const base = highest - last;
  if (last < 32768) return sequence - last > 32768 && base > 0 ? base - 65536 + sequence : base + sequence;
  return last - 32768 > sequence ? base + 65536 + sequence : base + sequence;
};

/** At ROC 0: what RFC 3711 3.3.1 takes for a packet of ROC -1. A receiver may try it at 0; a sender can not rely on that. */
export const isBeforeAll = (highest: number, sequence: number): boolean =>
  highest >= 0 && highest < 32768 && sequence - highest > 32768;

/** The highest SRTP and SRTCP index used or verified under one key for one SSRC; -1 where there was none. */
export interface HighestIndices {
  readonly rtp: number;
  readonly rtcp: number;
  /** How many SRTP packets there were, for the key's lifetime; SRTCP counts by its index. */
  readonly rtpPackets: number;
}

/** Highest indices by SSRC: what must outlive a key's contexts so that no index is taken twice under that key. */
export type SrtpIndices = ReadonlyMap<number, HighestIndices>;

/** The indices seen below and up to the highest one, `size` of them (RFC 3711 3.3.2: at least 64). */
export class IndexWindow {
  readonly #size: number;
  readonly #seen: Uint32Array;
  #highest: number;

  /** `size` is rounded up to a multiple of 32. With `resumeAt`, that index and all before it count as seen. */
  constructor(size: number, resumeAt = -1) {
    this.#seen = new Uint32Array(Math.ceil(size / 32));
    this.#size = this.#seen.length * 32;
    this.#highest = resumeAt;
    if (resumeAt >= 0) this.#seen.fill(0xffff_ffff);
  }

  /** The highest index marked, or -1 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Read only: nothing changes until `mark`. */
  check(index: number): "fresh" | "replay" | "too-old" {
    if (index > this.#highest) return "fresh";
    if (this.#highest - index >= this.#size) return "too-old";
    const bit = index % this.#size;
    return (((this.#seen[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) === 1 ? "replay" : "fresh";
  }

  /** Marks an index that `check` called fresh, and moves the window up to it if it is the highest. */
  mark(index: number): void {
    if (index > this.#highest) {
      if (this.#highest < 0 || index - this.#highest >= this.#size) this.#seen.fill(0);
      else for (let skipped = this.#highest + 1; skipped < index; skipped++) this.#put(skipped, false);
      this.#highest = index;
    }
    this.#put(index, true);
  }

  #put(index: number, seen: boolean): void {
    const bit = index % this.#size;
    const word = this.#seen[bit >>> 5] ?? 0;
    this.#seen[bit >>> 5] = seen ? word | (1 << (bit & 31)) : word & ~(1 << (bit & 31));
  }
}
