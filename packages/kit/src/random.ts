// Randomness as a port: the system's generator in service, a seeded one in tests that must repeat.
import { createHash, randomBytes, randomFillSync } from "node:crypto";

export interface Random {
  /** `length` fresh octets. */
  bytes(length: number): Buffer;
}

const poolSize = 8_192;
/** More than this is asked for on its own, so that one request does not empty the pool. */
const largestPiece = 256;

/** Asking the system costs far more than the octets: they are fetched by the pool and handed out once, as copies. */
export const pooledRandom = (fill: (pool: Buffer) => void, pool: Buffer): Random => {
  let at = pool.length;
  return {
    bytes: (length) => {
      if (length > largestPiece) return randomBytes(length);
      if (at + length > pool.length) {
        fill(pool);
        at = 0;
      }
      const out = Buffer.allocUnsafe(length);
      pool.copy(out, 0, at, at + length);
      // Keys are made of these octets: what has been handed out is not kept here.
      pool.fill(0, at, at + length);
      at += length;
      return out;
    },
  };
};

/** The operating system's generator: the only one that may make keys in service. */
export const systemRandom: Random = pooledRandom((pool) => void randomFillSync(pool), Buffer.alloc(poolSize));

/** The same octets for the same seed. For tests only: it is predictable by design. */
export const seededRandom = (seed: number | string): Random => {
  let block = 0;
  let rest = Buffer.alloc(0);
  return {
    bytes: (length) => {
      while (rest.length < length) {
        rest = Buffer.concat([rest, createHash("sha256").update(`${seed}/${block++}`).digest()]);
      }
      const out = Buffer.from(rest.subarray(0, length));
      rest = rest.subarray(length);
      return out;
    },
  };
};

/** A lower-case hexadecimal token of 4 bits a character, for tags, branches, Call-IDs and nonces. */
export const token = (random: Random, characters = 16): string =>
  random
    .bytes(Math.ceil(characters / 2))
    .toString("hex")
    .slice(0, characters);
