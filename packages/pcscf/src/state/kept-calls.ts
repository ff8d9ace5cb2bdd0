// Calls in the store: written before what they promise leaves, sealed where keys are concerned, read back at the start.
// Owns the buckets and what happens when the store fails: the call goes on, a restart would not know it.
import type { Log, Secret } from "@sallyport/kit";
import type { Sealer, StateChange, StateStore, StateValue } from "@sallyport/store";
import type { CallState } from "../call/types.ts";
import type { EdgeCounters } from "../counters.ts";
import {
  callRecordFrom,
  freezeCall,
  thawCall,
  type CallRecord,
  type CallSurroundings,
  type ThawedCall,
} from "./call-record.ts";
import { withPastFlow } from "./past-flow.ts";
import { readAll } from "./read-all.ts";

const calls = "pcscf/calls";
/** Calls whose gateway was asked for a change that no record tells of yet. */
const unsettled = "pcscf/unsettled";
/** Calls sealed anew in one write at the start. */
const renewedAtOnce = 200;

export interface KeptCalls {
  /** Resolves to whether the store has it. Never rejects. */
  put(call: CallState, surroundings: CallSurroundings): Promise<boolean>;
  /** Notes that the gateway is about to get other orders than the record says. Never rejects. */
  unsettle(id: string): Promise<void>;
  /** Never rejects. */
  drop(id: string): Promise<void>;
}

export interface LoadedCall extends ThawedCall {
  /** The gateway may have got orders that the record does not tell of. */
  readonly unsettled: boolean;
}

interface KeptCallsOptions {
  readonly store: StateStore;
  readonly sealer: Sealer;
  readonly log: Log;
  readonly counters: EdgeCounters;
}

const placeOf = (id: string, name: string): string => `${id}/${name}`;

export const createKeptCalls = ({ store, sealer, log, counters }: KeptCallsOptions): KeptCalls => {
  const failed = (id: string, error: unknown): void => {
    counters.count("store_failures_total");
    log.error("call not kept", { call: id, error: error instanceof Error ? error.message : String(error) });
  };
  const seal = (call: CallState, surroundings: CallSurroundings): StateValue => {
    const { record, secrets } = freezeCall(call, surroundings);
    try {
      const sealed = Object.fromEntries(
        secrets.map(({ name, secret }) => [name, sealer.seal(calls, placeOf(call.id, name), secret)]),
      );
      // A record is JSON through and through; interfaces have no index signature.
      return { ...record, sealed } as unknown as StateValue;
    } finally {
      for (const { secret, lent } of secrets) if (!lent) secret.release();
    }
  };
  return {
    put: async (call, surroundings) => {
      try {
        await store.batch([
          { kind: "put", bucket: calls, key: call.id, value: seal(call, surroundings) },
          { kind: "delete", bucket: unsettled, key: call.id },
        ]);
        return true;
      } catch (error) {
        failed(call.id, error);
        return false;
      }
    },
    unsettle: async (id) => {
      await store.put(unsettled, id, true).catch((error: unknown) => failed(id, error));
    },
    drop: async (id) => {
      await store
        .batch([
          { kind: "delete", bucket: calls, key: id },
          { kind: "delete", bucket: unsettled, key: id },
        ])
        .catch((error: unknown) => failed(id, error));
    },
  };
};

const openSecrets = (sealer: Sealer, id: string, sealed: Readonly<Record<string, string>>): Map<string, Secret> => {
  const secrets = new Map<string, Secret>();
  try {
    for (const [name, text] of Object.entries(sealed)) secrets.set(name, sealer.open(calls, placeOf(id, name), text));
    return secrets;
  } catch (error) {
    for (const secret of secrets.values()) secret.release();
    throw error;
  }
};

/** The same secrets under the key that seals now, so that a key of before can be let go after this start. */
const sealedAnew = (
  sealer: Sealer,
  record: CallRecord,
  secrets: ReadonlyMap<string, Secret>,
): CallRecord | undefined => {
  if (!Object.values(record.sealed).some((text) => sealer.isOutdated(text))) return undefined;
  const sealed = [...secrets].map(([name, secret]) => [name, sealer.seal(calls, placeOf(record.id, name), secret)]);
  return { ...record, sealed: Object.fromEntries(sealed) as CallRecord["sealed"] };
};

/**
 * The calls an earlier run left. What cannot be taken up again is told in the log and forgotten; its context goes with the
 * next audit. @throws SALLY_STORE_*
 */
export const loadCalls = async ({
  store,
  sealer,
  log,
}: Omit<KeptCallsOptions, "counters">): Promise<readonly LoadedCall[]> => {
  const loaded: LoadedCall[] = [];
  const renewed: StateChange[] = [];
  const marks = new Set((await readAll(store, unsettled)).map(({ key }) => key));
  for (const { key, value } of await readAll(store, calls)) {
    const record = callRecordFrom(value);
    let why = "not a record of this version";
    if (record !== undefined && record.id === key) {
      try {
        const secrets = openSecrets(sealer, key, record.sealed);
        const anew = sealedAnew(sealer, record, secrets);
        const thawed = thawCall(record, secrets);
        if (thawed.ok) {
          const { value: call } = thawed;
          loaded.push({ ...call, binding: withPastFlow(call.binding), unsettled: marks.has(key) });
          if (anew !== undefined)
            renewed.push({ kind: "put", bucket: calls, key, value: anew as unknown as StateValue });
          continue;
        }
        for (const secret of secrets.values()) secret.release();
        why = thawed.error;
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
    }
    log.warn("call not restored", { call: key, why });
    await store.batch([
      { kind: "delete", bucket: calls, key },
      { kind: "delete", bucket: unsettled, key },
    ]);
  }
  for (let at = 0; at < renewed.length; at += renewedAtOnce) await store.batch(renewed.slice(at, at + renewedAtOnce));
  return loaded;
};
