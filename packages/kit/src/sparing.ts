// Keeps a log readable while the same thing happens again and again, by a peer that retries or by a stranger that attacks.
// Owns when something is told again; knows no log. CWE-779: what anybody can make us write needs a bound.
import type { Clock } from "./clock.ts";

/** Given what has just happened: how often it went untold since it was last told, or undefined where it is not to be told now. */
export type Sparing = (what: string) => number | undefined;

interface SparingRules {
  /** What was told is told again after so long, ms. */
  readonly everyMs?: number;
  /** So many things are told apart; beyond that what is new counts as one. */
  readonly names?: number;
}

export const sparing = (clock: Clock, { everyMs = 60_000, names = 256 }: SparingRules = {}): Sparing => {
  /** In the order of telling. */
  const told = new Map<string, { readonly at: number; untold: number }>();
  const hasRoom = (now: number): boolean => {
    if (told.size < names) return true;
    for (const [oldest, { at }] of told) {
      if (now - at >= everyMs) return told.delete(oldest);
      break;
    }
    return false;
  };
  return (what) => {
    const now = clock.now();
    const key = told.has(what) || hasRoom(now) ? what : "";
    const last = told.get(key);
    if (last !== undefined && now - last.at < everyMs) {
      last.untold += 1;
      return undefined;
    }
    told.delete(key);
    told.set(key, { at: now, untold: 0 });
    return last?.untold ?? 0;
  };
};
