// Where requests for the core go: the entry points of the home network when no route says otherwise, and the elements that
// routes name, as the DNS has their servers. RFC 3263, TS 24.229 5.2.2.
import { isIP } from "node:net";
import type { Clock, Random } from "@sallyport/kit";
import {
  createLocator,
  param,
  parseSipUri,
  resolveTarget,
  systemResolver,
  type Resolver,
  type SipTarget,
} from "@sallyport/sip";
import type { EdgeConfig } from "../config.ts";
import { pcscfErrors } from "../errors.ts";
import { pointTowards, type ListeningPoint } from "../listening/points.ts";

/** The entry points, and which of their servers failed lately. */
export interface EntryPoints {
  /**
   * The servers to try for what is sent to `to`, those that failed lately last; `routed`: a route leads there, so no other
   * entry point will do.
   */
  servers(to: SipTarget, routed: boolean): readonly SipTarget[];
  /**
   * The server of an element of the core that a route names without a port, so that the DNS decides (RFC 3263 4.1 and 4.2);
   * undefined where it does not, and until it has answered.
   */
  find(uri: string): SipTarget | undefined;
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

/** What of a URI the DNS is asked for; undefined where it has nothing to say. Routes of one element differ in the rest. */
const questionOf = (text: string): string | undefined => {
  const uri = parseSipUri(text);
  const transport = param(uri?.params ?? [], "transport");
  if (uri === undefined || uri.port !== undefined || param(uri.params, "maddr") !== undefined || isIP(uri.host) !== 0)
    return undefined;
  return `${uri.scheme}:${uri.host.toLowerCase()}${typeof transport === "string" ? `;transport=${transport}` : ""}`;
};

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
  /** All servers of which the first was given. */
  const others = new WeakMap<SipTarget, readonly SipTarget[]>();
  /** As the DNS has them, each from a listening point that reaches it. */
  const located = (uri: string, name?: string): readonly SipTarget[] =>
    (locator.known(uri) ?? []).flatMap((each) => {
      const point = pointTowards(core, each);
      const serverName = name ?? each.serverName;
      return point === undefined
        ? []
        : [{ ...each, listener: point.name, ...(serverName === undefined ? {} : { serverName }) }];
    });
  const serversOf = ({ uri, target }: Hop): readonly SipTarget[] => {
    const usable = needsLocating(uri) ? located(uri, target === nextHop ? nextHopName : undefined) : [];
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
      servers: (to, routed) =>
        to === nextHop ? locator.inOrder((routed ? [own] : hops).flatMap(serversOf)) : (others.get(to) ?? [to]),
      find: (uri) => {
        const question = questionOf(uri);
        const all = question === undefined ? [] : located(question);
        const [first] = all;
        if (first !== undefined && all.length > 1) others.set(first, all);
        return first;
      },
      failed: (target, ms) => locator.failed(target, ms),
    },
  };
};
