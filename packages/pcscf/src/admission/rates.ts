// How many requests a source may send. Owns a bounded table of token buckets. Knows neither messages nor answers.
import type { Clock } from "@sallyport/kit";

export interface Rates {
  readonly size: number;
  /** Takes one token; `preferred` requests may also use the reserve, a quarter of the burst. */
  take(source: string, preferred: () => boolean): boolean;
}

export const createRates = (
  clock: Clock,
  { perSecond, burst, max }: { readonly perSecond: number; readonly burst: number; readonly max: number },
): Rates => {
  const buckets = new Map<string, { readonly tokens: number; readonly at: number }>();
  const reserve = -burst / 4;
  return {
    get size() {
      return buckets.size;
    },
    take: (source, preferred) => {
      const now = clock.now();
      const found = buckets.get(source);
      const tokens =
        found === undefined ? burst : Math.min(burst, found.tokens + ((now - found.at) * perSecond) / 1000);
      const granted = tokens >= 1 || (tokens - 1 >= reserve && preferred());
      const left = granted ? tokens - 1 : tokens;
      // A full table gives up who has been silent longest.
      buckets.delete(source);
      buckets.set(source, { tokens: left, at: now });
      if (buckets.size > max) {
        const [oldest] = buckets.keys();
        if (oldest !== undefined) buckets.delete(oldest);
      }
      return granted;
    },
  };
};
