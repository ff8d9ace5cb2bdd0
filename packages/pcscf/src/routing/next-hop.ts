// Where requests for the core go when no route says otherwise, and who asks the DNS for it. RFC 3263.
import { isIP } from "node:net";
import type { Clock, Random } from "@sallyport/kit";
import {
  createLocator,
  resolveTarget,
  systemResolver,
  type Locator,
  type Resolver,
  type SipTarget,
} from "@sallyport/sip";
import type { EdgeConfig } from "../config.ts";
import { pcscfErrors } from "../errors.ts";
import type { ListeningPoint } from "./points.ts";

/** Whether the DNS has to say where the next hop is (RFC 3263). */
export const needsLocating = (config: EdgeConfig): boolean =>
  isIP(resolveTarget(config.core.nextHop)?.address ?? "") === 0;

/** The longest a start waits for the DNS, ms; requests go to the name itself until it has answered. */
const locateMs = 5000;

interface LocatorDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Takes the place of the system's DNS. */
  readonly resolver?: Resolver;
}

export const openLocator = async (
  config: EdgeConfig,
  core: readonly ListeningPoint[],
  { clock, random, resolver = systemResolver() }: LocatorDeps,
): Promise<Locator> => {
  const protocols = [...new Set(core.map(({ protocol }) => protocol))];
  const locator = createLocator({ clock, random, resolver, protocols });
  await new Promise<void>((resolve) => {
    const timer = clock.after(locateMs, resolve);
    locator.find(config.core.nextHop).then(
      () => {
        timer.cancel();
        resolve();
      },
      () => resolve(),
    );
  });
  return locator;
};

/** @throws SALLY_EDGE_NEXT_HOP where the edge listens on nothing that reaches it */
export const nextHopOf = (config: EdgeConfig, core: readonly ListeningPoint[]): SipTarget => {
  const { nextHop } = config.core;
  // A name without transport may be served by any: the DNS decides among those we listen on.
  const open = needsLocating(config) && !/;transport=/i.test(nextHop) && !/^sips:/i.test(nextHop);
  const bare = resolveTarget(nextHop);
  const has = core.some(({ protocol }) => protocol === bare?.protocol);
  const fallback = open && !has ? core[0]?.protocol : undefined;
  const target = fallback === undefined ? bare : resolveTarget(nextHop, { protocol: fallback });
  const point = core.find(({ protocol }) => protocol === target?.protocol);
  if (target === undefined || point === undefined)
    throw pcscfErrors("SALLY_EDGE_NEXT_HOP", "", { where: config.core.nextHop });
  const { nextHopName } = config.core;
  return { ...target, listener: point.name, ...(nextHopName === undefined ? {} : { serverName: nextHopName }) };
};
