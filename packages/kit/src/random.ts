// Randomness as a port: the system's generator in service, a seeded one in tests that must repeat.
import { createHash, randomBytes } from "node:crypto";

export interface Random {
  /** `length` fresh octets. */
  bytes(length: number): Buffer;
}

/** The operating system's generator: the only one that may make keys in service. */
export const systemRandom: Random = { bytes: (length) => randomBytes(length) };

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
