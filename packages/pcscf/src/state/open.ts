// Opens what this edge remembers by: the store and the seal that the configuration names. Owns both until `close`.
import type { Clock, Log, Random } from "@sallyport/kit";
import { lmdbStore, memoryStore, readSealingKey, sealer, type Sealer, type StateStore } from "@sallyport/store";
import type { EdgeConfig } from "../config.ts";

export interface EdgeState {
  readonly store: StateStore;
  /** Undefined without a sealing key: then no call is kept. */
  readonly sealer: Sealer | undefined;
  /** What is kept here outlives the process, calls included. */
  readonly durable: boolean;
  close(): Promise<void>;
}

type StoreConfig = NonNullable<EdgeConfig["store"]>;

const openSealer = (sealing: StoreConfig["sealing"], random: Random): Sealer | undefined => {
  if (sealing === undefined) return undefined;
  const sourceOf = ({ file, env }: { readonly file?: string | undefined; readonly env?: string | undefined }) => ({
    ...(file === undefined ? {} : { file }),
    ...(env === undefined ? {} : { env }),
  });
  const keys = [sealing, ...sealing.previous].map((source) => readSealingKey(sourceOf(source)));
  try {
    const [key, ...previous] = keys;
    return key === undefined ? undefined : sealer({ key, previous, random });
  } finally {
    for (const key of keys) key.release();
  }
};

/**
 * `given` takes the place of the configured store and stays the caller's to close.
 * @throws SALLY_STORE_*
 */
export const openState = async (
  config: EdgeConfig["store"],
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Log; readonly given?: StateStore | undefined },
): Promise<EdgeState> => {
  const { random, log, given } = deps;
  const seal = openSealer(config?.sealing, random);
  const path = config?.driver === "lmdb" ? config.path : undefined;
  if (seal === undefined && path !== undefined) {
    log.warn("calls will not survive a restart", { why: "no sealing key", configure: "store.sealing" });
  }
  try {
    const store = given ?? (path === undefined ? memoryStore() : await lmdbStore({ path, log }));
    return {
      store,
      sealer: seal,
      durable: given === undefined && path !== undefined && seal !== undefined,
      close: async () => {
        seal?.close();
        if (given === undefined) await store.close();
      },
    };
  } catch (error) {
    seal?.close();
    throw error;
  }
};
