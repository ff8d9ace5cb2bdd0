// Test fixture: a small seeded generator for scripts of many packets. Nothing secret hangs on it.

export interface Dice {
  /** 0 to `below` - 1. */
  below(below: number): number;
  /** True once in `times`. */
  onceIn(times: number): boolean;
  pick<T>(from: readonly T[]): T;
  octets(length: number): Buffer;
}

export const diceOf = (seed: number): Dice => {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  const next = (): number => {
    // mulberry32
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (limit: number): number => next() % limit;
  return {
    below,
    onceIn: (times) => below(times) === 0,
    pick: (from) => {
      const picked = from[below(from.length)];
      if (picked === undefined) throw new Error("nothing to pick from");
      return picked;
    },
    octets: (length) => {
      const out = Buffer.alloc(length + 3);
      for (let at = 0; at < length; at += 4) out.writeUInt32LE(next(), at);
      return out.subarray(0, length);
    },
  };
};
