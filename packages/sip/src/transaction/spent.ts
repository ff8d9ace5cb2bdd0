// Owns what is left of transactions that are over for everybody but the network: for 64*T1 copies of their messages may
// still come (RFC 3261 17.2.2 Timer J, RFC 6026 7.1 and 8.4). They outnumber the living by far, so each is one text and
// all share one timer. Must not know machines or shells.
import type { Clock, Timer } from "@sallyport/kit";

export interface Spent<T> {
  readonly size: number;
  /** Remembers for the layer's time. What is oldest goes early when there is no more room. */
  put(key: string, what: T, weight: number): void;
  get(key: string): T | undefined;
  clear(): void;
}

interface Entry<T> {
  readonly what: T;
  readonly weight: number;
  readonly until: number;
}

/** Entries may stay this much longer. */
const pauseMs = 100;

/** @param limits entries, and the sum of their weights */
export const createSpent = <T>(
  clock: Clock,
  ms: number,
  limits: { readonly entries: number; readonly weight: number },
): Spent<T> => {
  // All stay equally long: the order of insertion is that of their ends.
  const entries = new Map<string, Entry<T>>();
  let weight = 0;
  let timer: Timer | undefined;

  const drop = (key: string, entry: Entry<T>): void => {
    weight -= entry.weight;
    entries.delete(key);
  };
  // A table finds its first entry by passing those that went before it, so this happens now and then, not for each.
  const sweep = (): void => {
    const now = clock.now();
    timer = undefined;
    for (const [key, entry] of entries) {
      if (entry.until > now) {
        timer = clock.after(Math.max(entry.until - now, pauseMs), sweep);
        return;
      }
      drop(key, entry);
    }
  };

  return {
    get size() {
      return entries.size;
    },
    put: (key, what, ownWeight) => {
      const before = entries.get(key);
      if (before !== undefined) drop(key, before);
      weight += ownWeight;
      entries.set(key, { what, weight: ownWeight, until: clock.now() + ms });
      timer ??= clock.after(ms, sweep);
      if (entries.size <= limits.entries && weight <= limits.weight) return;
      for (const [oldest, entry] of entries) {
        if (entries.size <= limits.entries && weight <= limits.weight) break;
        drop(oldest, entry);
      }
    },
    get: (key) => entries.get(key)?.what,
    clear: () => {
      timer?.cancel();
      timer = undefined;
      weight = 0;
      entries.clear();
    },
  };
};
