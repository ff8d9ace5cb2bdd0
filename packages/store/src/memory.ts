// The in-memory driver: for tests, the lab and single nodes that may forget on restart. Owns nothing but its maps.
import { storeErrors } from "./errors.ts";
import type { StateChange, StateEntry, StatePage, StateStore, StateValue } from "./port.ts";
import { checkName, defaultMaxValue, encodeValue } from "./value.ts";

export interface MemoryStoreLimits {
  /** Entries over all buckets (default 200 000). */
  readonly maxEntries?: number;
  /** Octets of one value as JSON text (default 65 536). */
  readonly maxValue?: number;
}

/** A store that lives as long as the process. Values are kept as text, so nobody shares an object with it. */
export const memoryStore = (limits: MemoryStoreLimits = {}): StateStore => {
  const maxEntries = limits.maxEntries ?? 200_000;
  const maxValue = limits.maxValue ?? defaultMaxValue;
  const buckets = new Map<string, Map<string, string>>();
  let entries = 0;
  let open = true;

  const bucketOf = (name: string, key?: string): ReadonlyMap<string, string> | undefined => {
    if (!open) throw storeErrors("SALLY_STORE_CLOSED");
    checkName(name, key);
    return buckets.get(name);
  };

  const remove = (bucket: string, key: string): boolean => {
    const found = buckets.get(bucket);
    if (found?.delete(key) !== true) return false;
    if (found.size === 0) buckets.delete(bucket);
    entries -= 1;
    return true;
  };

  const write = (bucket: string, key: string, text: string): void => {
    let found = buckets.get(bucket);
    if (found === undefined) buckets.set(bucket, (found = new Map()));
    if (!found.has(key)) entries += 1;
    found.set(key, text);
  };

  // Counts what the store would hold after the batch: deletions make room, a key put twice counts once.
  const sizeAfter = (changes: readonly StateChange[]): number => {
    const present = new Map<string, boolean>();
    let size = entries;
    for (const change of changes) {
      const place = JSON.stringify([change.bucket, change.key]);
      const was = present.get(place) ?? buckets.get(change.bucket)?.has(change.key) === true;
      const is = change.kind === "put";
      present.set(place, is);
      size += Number(is) - Number(was);
    }
    return size;
  };

  const apply = (changes: readonly StateChange[]): void => {
    if (!open) throw storeErrors("SALLY_STORE_CLOSED");
    const texts = changes.map((change) => {
      checkName(change.bucket, change.key);
      return change.kind === "put" ? encodeValue(change.bucket, change.key, change.value, maxValue) : undefined;
    });
    const size = sizeAfter(changes);
    if (size > maxEntries && size > entries)
      throw storeErrors("SALLY_STORE_FULL", `Its limit is ${maxEntries} entries.`);
    changes.forEach((change, index) => {
      const text = texts[index];
      if (text === undefined) remove(change.bucket, change.key);
      else write(change.bucket, change.key, text);
    });
  };

  const page = (bucket: string, { after, limit = 1000 }: StatePage): readonly StateEntry[] => {
    const found = bucketOf(bucket, after);
    if (found === undefined) return [];
    return [...found.keys()]
      .filter((key) => after === undefined || key > after)
      .toSorted((a, b) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map((key) => ({ key, value: JSON.parse(found.get(key) ?? "null") as StateValue }));
  };

  return {
    get: async (bucket, key) => {
      const text = bucketOf(bucket, key)?.get(key);
      return text === undefined ? undefined : (JSON.parse(text) as StateValue);
    },
    put: async (bucket, key, value) => apply([{ kind: "put", bucket, key, value }]),
    delete: async (bucket, key) => {
      bucketOf(bucket, key);
      return remove(bucket, key);
    },
    list: async (bucket, options = {}) => page(bucket, options),
    batch: async (changes) => apply(changes),
    close: async () => {
      open = false;
      entries = 0;
      buckets.clear();
    },
  };
};
