// Owns nonces: made without storing anything, so that a flood of strangers costs no memory; only nonces that were used
// are remembered, with their counts. RFC 7616 3.3, 3.4.5, 5.4.
import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import type { Clock, Random } from "@sallyport/kit";

export interface NonceKeeperOptions {
  readonly random: Random;
  readonly clock: Clock;
  readonly lifetimeMs: number;
  /** Used nonces remembered at most; when passed, the oldest become stale. */
  readonly max: number;
}

export type NonceVerdict =
  /** Ours, young, and this count is new: it is marked as used. */
  | "ok"
  /** Ours, but too old: challenge again with stale=true. */
  | "stale"
  /** The count was used before, or there is none. */
  | "replayed"
  /** Not made by this keeper. */
  | "unknown";

export interface NonceKeeper {
  issue(): string;
  /** To be called once `verifyCredentials` has said yes: memory is spent on those who know a password only. */
  check(nonce: string, nc: string | number | undefined): NonceVerdict;
}

interface Use {
  readonly issued: number;
  highest: number;
  /** Bit n: the count `highest - n` was used. */
  seen: bigint;
}

const window = 64;
const windowMask = (1n << BigInt(window)) - 1n;

const countOf = (nc: string | number | undefined): number | undefined => {
  if (typeof nc === "string") return /^[0-9a-f]{8}$/i.test(nc) ? Number.parseInt(nc, 16) : undefined;
  return nc;
};

/** Marks a count; false when it was used or is too far behind to tell. Requests may overtake each other on the way. */
const markUse = (use: Use, count: number): boolean => {
  const ahead = count - use.highest;
  if (ahead > 0) {
    use.seen = ahead >= window ? 1n : ((use.seen << BigInt(ahead)) | 1n) & windowMask;
    use.highest = count;
    return true;
  }
  if (-ahead >= window) return false;
  const bit = 1n << BigInt(-ahead);
  if ((use.seen & bit) !== 0n) return false;
  use.seen |= bit;
  return true;
};

/** A nonce is 12 digits of issue time, 16 random ones and 32 of HMAC over them, all hexadecimal. */
export const createNonceKeeper = (options: NonceKeeperOptions): NonceKeeper => {
  const { random, clock, lifetimeMs, max } = options;
  const key = createSecretKey(random.bytes(32));
  const uses = new Map<string, Use>();
  let floor = 0;
  const seal = (text: string): Buffer => createHmac("sha256", key).update(text).digest().subarray(0, 16);

  const remember = (nonce: string, issued: number, count: number): void => {
    const now = clock.now();
    for (const [old, use] of uses) {
      const overdue = now - use.issued > lifetimeMs;
      if (!overdue && uses.size < max) break;
      // What is forgotten while young must not come back as new.
      if (!overdue) floor = Math.max(floor, use.issued + 1);
      uses.delete(old);
    }
    uses.set(nonce, { issued, highest: count, seen: 1n });
  };

  return {
    issue: () => {
      const text = Math.floor(clock.now()).toString(16).padStart(12, "0") + random.bytes(8).toString("hex");
      return text + seal(text).toString("hex");
    },
    check: (nonce, nc) => {
      if (!/^[0-9a-f]{60}$/.test(nonce)) return "unknown";
      const text = nonce.slice(0, 28);
      if (!timingSafeEqual(seal(text), Buffer.from(nonce.slice(28), "hex"))) return "unknown";
      const issued = Number.parseInt(nonce.slice(0, 12), 16);
      if (clock.now() - issued > lifetimeMs || issued < floor) return "stale";
      const count = countOf(nc);
      if (count === undefined || count < 1) return "replayed";
      const use = uses.get(nonce);
      if (use !== undefined) return markUse(use, count) ? "ok" : "replayed";
      remember(nonce, issued, count);
      return "ok";
    },
  };
};
