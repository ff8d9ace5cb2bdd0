// Owns the choice among gateways: which may serve a plan, and in which order they are asked. Pure.
// By realm (ipdc/realm), load (contexts against weight and capacity) and health; emergency calls are refused last.
import type { GatewayState } from "./types.ts";
import type { Standing } from "./standing.ts";
import { waitFor } from "./throttle.ts";

export interface Candidate {
  readonly id: string;
  readonly state: GatewayState;
  readonly mayHoldKeys: boolean;
  /** Realms it serves, lower case; undefined: all. */
  readonly realms: readonly string[] | undefined;
  /** Its share of the load against others. */
  readonly weight: number;
  /** Contexts it may hold for us; undefined: as many as it takes. */
  readonly capacity: number | undefined;
  /** Held there and being made there. */
  readonly contexts: number;
  /** Its last heartbeat was not answered. */
  readonly silent: boolean;
  readonly standing: Standing;
}

export interface Need {
  readonly keys: boolean;
  /** Lower case. */
  readonly realms: readonly string[];
  readonly emergency: boolean;
}

export type Choice = {
  /** Left alone because the bucket of their overload was full (H.248.11). */
  readonly spared?: readonly string[];
} &
  /** Best first. */
  (
    | { readonly kind: "ask"; readonly ids: readonly string[] }
    /** `retryMs`: when it may be worth another try, as far as known. */
    | {
        readonly kind: "none";
        readonly why: "no-gateway" | "unprotected" | "realm" | "full" | "draining";
        readonly retryMs?: number;
      }
  );

export const servesRealms = (candidate: Pick<Candidate, "realms" | "standing">, realms: readonly string[]): boolean =>
  realms.every(
    (realm) =>
      (candidate.realms === undefined || candidate.realms.includes(realm)) &&
      !candidate.standing.withoutRealms.includes(realm),
  );

const isFull = ({ capacity, contexts }: Candidate): boolean => capacity !== undefined && contexts >= capacity;

/** `chance` gives a fresh random number in [0, 1). */
export const chooseGateways = (
  candidates: readonly Candidate[],
  need: Need,
  now: number,
  chance: () => number,
): Choice => {
  const up = candidates.filter(({ state }) => state === "up");
  if (up.length === 0) return { kind: "none", why: "no-gateway" };
  const fit = up.filter(({ mayHoldKeys }) => mayHoldKeys || !need.keys);
  if (fit.length === 0) return { kind: "none", why: "unprotected" };
  const near = fit.filter((candidate) => servesRealms(candidate, need.realms));
  if (near.length === 0) return { kind: "none", why: "realm" };
  const open = near.filter(({ standing }) => !standing.draining);
  if (open.length === 0 && !need.emergency) return { kind: "none", why: "draining" };
  // H.248.10: what a gateway asked to be kept away is kept away by lot, each gateway for itself.
  const spared = ({ standing: { reduction } }: Candidate): boolean => reduction > 0 && chance() * 100 < reduction;
  // H.248.11: so is what its bucket does not hold.
  const throttled = open.filter(
    ({ standing }) => standing.throttle !== undefined && waitFor(standing.throttle, now) > 0,
  );
  const willing = open.filter(
    (candidate) =>
      !isFull(candidate) && candidate.standing.busyUntil <= now && !throttled.includes(candidate) && !spared(candidate),
  );
  const rank = (candidate: Candidate): number =>
    (candidate.silent ? 2 : 0) + (candidate.standing.lastUntil > now ? 1 : 0);
  const load = ({ contexts, weight }: Candidate): number => (contexts + 1) / weight;
  const ordered = (some: readonly Candidate[]): readonly string[] =>
    some.toSorted((a, b) => rank(a) - rank(b) || load(a) - load(b)).map(({ id }) => id);
  const first = ordered(willing);
  // An emergency call is the last to be refused: whoever is full, busy, congested or draining is asked all the same.
  if (need.emergency) {
    const others = near.filter(({ id }) => !first.includes(id));
    const draining = others.filter(({ standing }) => standing.draining);
    return {
      kind: "ask",
      ids: [...first, ...ordered(others.filter((each) => !draining.includes(each))), ...ordered(draining)],
    };
  }
  const held = throttled.length === 0 ? {} : { spared: throttled.map(({ id }) => id) };
  if (first.length > 0) return { kind: "ask", ids: first, ...held };
  const waits = open
    .map(({ standing }) => Math.max(standing.busyUntil - now, waitFor(standing.throttle, now)))
    .filter((ms) => ms > 0);
  return {
    kind: "none",
    why: "full",
    ...(waits.length === 0 ? {} : { retryMs: Math.min(...waits) }),
    ...held,
  };
};
