// What a registration that is still being challenged has to remember. Owns a bounded table, oldest out first.
import type { Clock } from "@sallyport/kit";

interface PendingRegistration {
  /** What our Path names: the same in the REGISTER that answers the challenge. */
  readonly pathId: string;
  /** The media entries sent in the last Security-Server. */
  readonly sent: readonly string[];
  /** The media entries of the Security-Client that was challenged. */
  readonly announced: readonly string[];
}

export interface PendingRegistrations {
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
  return {
    get: (flowId, key) => {
      const found = table.get(place(flowId, key));
      return found !== undefined && clock.now() - found.at < lifetimeMs ? found : undefined;
    },
    put: (flowId, key, pending) => {
      table.delete(place(flowId, key));
      table.set(place(flowId, key), { ...pending, at: clock.now() });
      if (table.size <= maxPending) return;
      const [oldest] = table.keys();
      if (oldest !== undefined) table.delete(oldest);
    },
    drop: (flowId, key) => void table.delete(place(flowId, key)),
  };
};
