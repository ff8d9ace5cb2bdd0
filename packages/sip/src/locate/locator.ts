// Remembers where URIs lead and which of their servers failed. Owns a bounded cache; the DNS is asked once for many.
// RFC 3263 4.3 (the next server after a failure, a failed one is left alone for a while). Must not know what is sent.
import type { Clock } from "@sallyport/kit";
import { parseSipUri } from "../message/index.ts";
import type { SipTarget } from "../transport/flow.ts";
import { locate, type LocateFacts } from "./locate.ts";

export interface LocatorOptions extends LocateFacts {
  readonly clock: Clock;
  /** How long an answer counts, ms. The system's resolver does not tell the records' own time. */
  readonly keepMs?: number;
  /** How long a server that failed is tried last, ms. */
  readonly failedMs?: number;
  readonly maxEntries?: number;
}

export interface Locator {
  /**
   * Targets for a URI, those that failed lately last; [] when there are none. An answer that has run out is still given
   * while the DNS does not answer. Never rejects.
   */
  find(uri: string): Promise<readonly SipTarget[]>;
  /** The same of what is known now, and asks anew where that has run out; undefined before the first answer. */
  known(uri: string): readonly SipTarget[] | undefined;
  /** Those of them that failed lately last. */
  inOrder(targets: readonly SipTarget[]): readonly SipTarget[];
  /** A target did not take a request: transport error, timeout or 503. `ms`: its own Retry-After. */
  failed(target: SipTarget, ms?: number): void;
}

interface Entry {
  readonly targets: readonly SipTarget[];
  readonly until: number;
}

const maxFailed = 1024;
/** RFC 3263 4.3 with RFC 3261 21.5.4: nobody may shut himself out for longer. */
const maxFailedMs = 3_600_000;

const keyOf = ({ protocol, address, port }: SipTarget): string => `${protocol} ${address} ${port}`;

const putBounded = <V>(map: Map<string, V>, key: string, value: V, max: number): void => {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
};

export const createLocator = (options: LocatorOptions): Locator => {
  const { clock, keepMs = 60_000, failedMs = 32_000, maxEntries = 256 } = options;
  const entries = new Map<string, Entry>();
  const asking = new Map<string, Promise<readonly SipTarget[]>>();
  const down = new Map<string, number>();

  const inOrder = (targets: readonly SipTarget[]): readonly SipTarget[] => {
    const now = clock.now();
    const isDown = (target: SipTarget): boolean => (down.get(keyOf(target)) ?? 0) > now;
    return [...targets.filter((target) => !isDown(target)), ...targets.filter(isDown)];
  };

  const ask = (text: string): Promise<readonly SipTarget[]> => {
    const under = asking.get(text);
    if (under !== undefined) return under;
    const uri = parseSipUri(text);
    if (uri === undefined) return Promise.resolve([]);
    const before = entries.get(text)?.targets ?? [];
    const asked = locate(uri, options)
      .catch(() => [])
      .then((found) => {
        const targets = found.length > 0 ? found : before;
        // What could not be found is asked again soon.
        putBounded(
          entries,
          text,
          { targets, until: clock.now() + (found.length > 0 ? keepMs : keepMs / 12) },
          maxEntries,
        );
        return targets;
      })
      .finally(() => asking.delete(text));
    asking.set(text, asked);
    return asked;
  };

  return {
    find: async (uri) => {
      const entry = entries.get(uri);
      return inOrder(entry !== undefined && entry.until > clock.now() ? entry.targets : await ask(uri));
    },
    known: (uri) => {
      const entry = entries.get(uri);
      if (entry === undefined || entry.until <= clock.now()) void ask(uri);
      return entry === undefined ? undefined : inOrder(entry.targets);
    },
    inOrder,
    failed: (target, ms = failedMs) =>
      putBounded(down, keyOf(target), clock.now() + Math.min(ms, maxFailedMs), maxFailed),
  };
};
