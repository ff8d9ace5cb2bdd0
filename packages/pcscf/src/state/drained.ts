// Which gateways the operator wants no new calls at, over a restart of the edge. Owns their bucket; knows no controller.
import type { Log } from "@sallyport/kit";
import type { StateStore } from "@sallyport/store";
import type { EdgeCounters } from "../counters.ts";
import { readAll } from "./read-all.ts";

const drained = "pcscf/drained";

export interface Drained {
  /** Those of an earlier run. @throws SALLY_STORE_* */
  load(): Promise<readonly string[]>;
  /** Written in the background, in the order asked for; a store that fails is told in the log. */
  note(gateway: string, on: boolean): void;
}

export const createDrained = (options: {
  readonly store: StateStore;
  readonly log: Log;
  readonly counters: EdgeCounters;
}): Drained => {
  const { store, log, counters } = options;
  return {
    load: async () => (await readAll(store, drained)).map(({ key }) => key),
    note: (gateway, on) => {
      const written = on ? store.put(drained, gateway, true) : store.delete(drained, gateway);
      written.catch((error: unknown) => {
        counters.count("store_failures_total");
        log.error("drain not kept", { gateway, on, error: error instanceof Error ? error.message : String(error) });
      });
    },
  };
};
