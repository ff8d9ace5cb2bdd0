// Where requests for the core go when no route says otherwise: the entry points of the home network, as configured and as the
// DNS has their servers. RFC 3263, TS 24.229 5.2.2.
import { isIP } from "node:net";
import type { Clock, Random } from "@sallyport/kit";
import { createLocator, resolveTarget, systemResolver, type Resolver, type SipTarget } from "@sallyport/sip";
import type { EdgeConfig } from "../config.ts";
import { pcscfErrors } from "../errors.ts";
import { pointTowards, type ListeningPoint } from "./points.ts";

/** The entry points, and which of their servers failed lately. */
export interface EntryPoints {
  /** The servers to try, those that failed lately last; `routed`: a route leads to the next hop, so no other will do. */
  servers(routed: boolean): readonly SipTarget[];
  /** One did not take a request: transport error, silence or 503. `ms`: its own Retry-After. */
  failed(target: SipTarget, ms?: number): void;
}

/** The longest a start waits for the DNS, ms; requests go to the name itself until it has answered. */
const locateMs = 5000;

interface EntryDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Takes the place of the system's DNS. */
  readonly resolver?: Resolver;
}

interface Hop {
  readonly uri: string;
  /** What the URI says without the DNS. */
  readonly target: SipTarget;
}

/** Whether the DNS has to say where a URI leads (RFC 3263). */
const needsLocating = (uri: string): boolean => isIP(resolveTarget(uri)?.address ?? "") === 0;

const targetOf = (uri: string, core: readonly ListeningPoint[], name: string | undefined): SipTarget => {
  // A name without transport may be served by any: the DNS decides among those we listen on.
  const open = needsLocating(uri) && !/;transport=/i.test(uri) && !/^sips:/i.test(uri);
  const bare = resolveTarget(uri);
  const has = core.some(({ protocol }) => protocol === bare?.protocol);
  const fallback = open && !has ? core[0]?.protocol : undefined;
  const target = fallback === undefined ? bare : resolveTarget(uri, { protocol: fallback });
  const point = target === undefined ? undefined : pointTowards(core, target);
  if (target === undefined || point === undefined) throw pcscfErrors("SALLY_EDGE_NEXT_HOP", "", { where: uri });
  return { ...target, listener: point.name, ...(name === undefined ? {} : { serverName: name }) };
};

/**
 * `nextHop` is what stands for the first of them in the whole element. Waits for the DNS, but not for long.
 * @throws SALLY_EDGE_NEXT_HOP where the edge listens on nothing that reaches one of them
 */
export const openEntryPoints = async (
  { core: { nextHop: first, nextHopName, alternatives } }: Pick<EdgeConfig, "core">,
  core: readonly ListeningPoint[],
  { clock, random, resolver = systemResolver() }: EntryDeps,
): Promise<{ readonly nextHop: SipTarget; readonly entries: EntryPoints }> => {
  const nextHop = targetOf(first, core, nextHopName);
  const own: Hop = { uri: first, target: nextHop };
  const hops = [own, ...alternatives.map((uri): Hop => ({ uri, target: targetOf(uri, core, undefined) }))];
  const named = hops.filter(({ uri }) => needsLocating(uri));
  const protocols = [...new Set(core.map(({ protocol }) => protocol))];
  const locator = createLocator({ clock, random, resolver, protocols });
  /** As the DNS has them, each from a listening point of its transport. */
  const serversOf = ({ uri, target }: Hop): readonly SipTarget[] => {
    const located = named.some((hop) => hop.uri === uri) ? (locator.known(uri) ?? []) : [];
    const usable = located.flatMap((each) => {
      const point = pointTowards(core, each);
      const serverName = (target === nextHop ? nextHopName : undefined) ?? each.serverName;
      return point === undefined
        ? []
        : [{ ...each, listener: point.name, ...(serverName === undefined ? {} : { serverName }) }];
    });
    return usable.length > 0 ? usable : [target];
  };
  if (named.length > 0)
    await new Promise<void>((resolve) => {
      const timer = clock.after(locateMs, resolve);
      const go = (): void => {
        timer.cancel();
        resolve();
      };
      Promise.all(named.map(({ uri }) => locator.find(uri))).then(go, go);
    });
  return {
    nextHop,
    entries: {
      servers: (routed) => locator.inOrder((routed ? [own] : hops).flatMap(serversOf)),
      failed: (target, ms) => locator.failed(target, ms),
    },
  };
};
