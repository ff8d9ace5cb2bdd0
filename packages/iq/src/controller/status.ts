// Owns how a gateway looks to an operator: state, health, load, and why. Pure.
import type { H248Peer } from "@sallyport/h248";
import type { GatewayView } from "./registry.ts";
import { isCongested, type Standing } from "./standing.ts";
import type { GatewayHealth, GatewayStatus, IqGatewayEntry } from "./types.ts";

export interface StatusFacts {
  readonly entry: IqGatewayEntry;
  readonly view: GatewayView;
  readonly standing: Standing;
  readonly contexts: number;
  readonly protected: boolean;
  readonly peer: H248Peer | undefined;
  readonly now: number;
}

const healthOf = ({ view, standing, now }: StatusFacts): GatewayHealth => {
  if (view.state === "down") return "down";
  if (view.missed > 0) return "silent";
  if (isCongested(standing, now)) return "congested";
  return standing.lastUntil > now ? "refusing" : "good";
};

const reasonOf = ({ view, standing, contexts }: StatusFacts): string => {
  const { draining, withoutRealms } = standing;
  return [
    view.reason,
    ...(draining ? [contexts === 0 ? "drained, it may be stopped" : "draining"] : []),
    ...(withoutRealms.length === 0 ? [] : [`without ${withoutRealms.join(", ")}`]),
  ].join("; ");
};

export const statusOf = (facts: StatusFacts): GatewayStatus => {
  const { entry, view, standing, contexts, peer } = facts;
  const { capacity, weight = 1, realms } = entry;
  return {
    id: entry.id,
    mid: entry.mid,
    state: view.state,
    protected: facts.protected,
    contexts,
    draining: standing.draining,
    health: healthOf(facts),
    weight,
    ...(capacity === undefined ? {} : { capacity, load: contexts / capacity }),
    ...(realms === undefined ? {} : { realms }),
    reason: reasonOf(facts),
    ...(peer === undefined ? {} : { remote: peer.remote, protocol: peer.protocol }),
  };
};
