// What a registration that is still being challenged has to remember. Owns a bounded table: what is too old leaves, then the
// oldest. Nobody has authenticated yet: an entry is small, and holds no message in memory.
import { ownText, type Clock } from "@sallyport/kit";

interface PendingRegistration {
  /** What our Path names: the same in the REGISTER that answers the challenge. */
  readonly pathId: string;
  /** The media entries sent in the last Security-Server. */
  readonly sent: readonly string[];
  /** The media entries of the Security-Client that was challenged. */
  readonly announced: readonly string[];
}

export interface PendingRegistrations {
  readonly size: number;
  get(flowId: string, key: string): PendingRegistration | undefined;
  put(flowId: string, key: string, pending: PendingRegistration): void;
  drop(flowId: string, key: string): void;
}

const maxPending = 20_000;
/** A UE answers a challenge within seconds; a stale list must not haunt it for ever. */
const lifetimeMs = 600_000;

export const createPendingRegistrations = (clock: Clock): PendingRegistrations => {
  const table = new Map<string, PendingRegistration & { readonly at: number }>();
  const place = (flowId: string, key: string): string => `${flowId} ${key}`;
  /** The table is in the order of its times. */
  const forgetOld = (): void => {
    for (const [name, { at }] of table) {
      if (clock.now() - at < lifetimeMs && table.size <= maxPending) return;
      table.delete(name);
    }
  };
  return {
    get size() {
      return table.size;
    },
    get: (flowId, key) => {
      const found = table.get(place(flowId, key));
      return found !== undefined && clock.now() - found.at < lifetimeMs ? found : undefined;
    },
    put: (flowId, key, { pathId, sent, announced }) => {
      const name = place(flowId, key);
      table.delete(name);
      table.set(name, { pathId: ownText(pathId), sent, announced: announced.map(ownText), at: clock.now() });
      forgetOld();
    },
    drop: (flowId, key) => void table.delete(place(flowId, key)),
  };
};
