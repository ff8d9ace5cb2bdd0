// Reads a whole bucket, a page at a time. Owns nothing.
import type { StateEntry, StateStore } from "@sallyport/store";

/** @throws SALLY_STORE_* */
export const readAll = async (store: StateStore, bucket: string): Promise<readonly StateEntry[]> => {
  const found: StateEntry[] = [];
  for (let after: string | undefined; ;) {
    const page = await store.list(bucket, after === undefined ? {} : { after });
    found.push(...page);
    const last = page.at(-1);
    if (last === undefined) return found;
    after = last.key;
  }
};
