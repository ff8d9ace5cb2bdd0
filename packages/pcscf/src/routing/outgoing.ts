// Writes a request for the next hop on either side and says where that is. Knows no call state.
// RFC 3261 16.6, RFC 3608 (Service-Route), RFC 3325 (identity), RFC 5658 (Record-Route), TS 24.229 5.2.6.
import { token } from "@sallyport/kit";
import { param, parseSipUri, resolveTarget, tagOf, type Flow, type SipRequest, type SipTarget } from "@sallyport/sip";
import type { Side } from "@sallyport/media-security";
import type { EdgeContext } from "../context.ts";
import type { Binding } from "../registration/binding.ts";
import { withAccessInfo } from "./access-info.ts";
import { withCharging } from "./charging.ts";
import { loopMark } from "./hops.ts";
import { assertIdentity } from "./identity.ts";
import { uriOfHop, type ListeningPoint } from "../listening/points.ts";
import { alongRoutes, createsDialog, forceRoute, recordRoute } from "./route.ts";
import { scrub } from "./scrub.ts";
import { flowInDialog, flowTo } from "./ue-flow.ts";

export interface Outgoing {
  readonly request: SipRequest;
  readonly to: Flow | SipTarget;
  /** What `scrub` took out. */
  readonly removed: readonly string[];
}

/** The receiver inside a dialog. */
export interface DialogHop {
  readonly target: string;
  readonly routes: readonly string[];
  /** Written by a UE and not by the dialog's own bookkeeping: it may lead nowhere but to the places of the core it knows. */
  readonly claimed?: boolean;
}

export const countRemoved = (ctx: EdgeContext, removed: readonly string[], from: Side): void => {
  for (const kind of removed) ctx.counters.count("indications_removed_total", { kind, from });
};

/** A branch that carries the mark of RFC 3261 16.6 step 8; `arrived` is the request as it came in. */
export const branchFor = (ctx: EdgeContext, arrived: SipRequest): string =>
  `z9hG4bK${token(ctx.random, 24)}.${loopMark(ctx.loopKey, arrived)}`;

/** A URI of the core as a place to send to; the next hop where it is unclear or no listening point fits. */
export const coreTarget = (ctx: EdgeContext, value: string | undefined): SipTarget => {
  const next = ctx.nextHop;
  const uri = value === undefined ? undefined : uriOfHop(value);
  const target = uri === undefined ? undefined : resolveTarget(uri);
  if (uri === undefined || target === undefined) return next;
  if (target.address === next.address && target.port === next.port && target.protocol === next.protocol) return next;
  const found = ctx.entries.find(uri);
  if (found !== undefined) return found;
  const point = ctx.points.towardsCore(target);
  return point === undefined ? next : { ...target, listener: point.name };
};

const placeOf = ({ protocol, address, port }: SipTarget): string => `${protocol} ${address.toLowerCase()} ${port}`;

/** Where a URI leads, when its host says so itself: maddr would lead elsewhere (RFC 3261 19.1.1). */
const placeOfUri = (value: string): string | undefined => {
  const text = uriOfHop(value);
  const params = parseSipUri(text)?.params;
  const target = params === undefined || param(params, "maddr") !== undefined ? undefined : resolveTarget(text);
  return target === undefined ? undefined : placeOf(target);
};

/** Whether a URI leads to an element of the core this UE was given by its registration: host, port and transport alike. */
const isCoreUri = (ctx: EdgeContext, binding: Binding, value: string): boolean => {
  const place = placeOfUri(value);
  const known = [...binding.serviceRoute, ctx.config.core.nextHop, ...ctx.config.core.alternatives].map(placeOfUri);
  return place !== undefined && (place === placeOf(ctx.nextHop) || known.includes(place));
};

export const refusalOfLostFlow = (binding: Binding): 430 | 480 => (binding.outbound ? 430 : 480);

const pointOfTarget = (ctx: EdgeContext, to: Flow | SipTarget): ListeningPoint | undefined =>
  ctx.points.all.find((point) => point.name === to.listener);

interface OutgoingFacts {
  /** Hops counted, our own Route entries taken off. */
  readonly request: SipRequest;
  readonly binding: Binding;
  readonly cameIn: ListeningPoint;
  readonly hop: DialogHop | undefined;
  /** For Record-Route, where the request may create a dialog. */
  readonly token: string;
}

// RFC 6665 4.3: a NOTIFY makes the subscriber's dialog, before the 200 and for each fork; it has a To tag all the same.
// RFC 3261 16.6 step 4: a re-INVITE makes none, but where others insert themselves and we do not, there are ends (Sofia-SIP)
// whose ACK follows the Record-Route of its 2xx, past us.
const staysInPath = (request: SipRequest): boolean =>
  request.method === "NOTIFY" ||
  request.method === "INVITE" ||
  (createsDialog(request.method) && tagOf(request, "to") === undefined);

const withRecordRoute = (
  ctx: EdgeContext,
  request: SipRequest,
  facts: OutgoingFacts,
  to: Flow | SipTarget,
): SipRequest => {
  const leaves = pointOfTarget(ctx, to);
  return leaves === undefined || !staysInPath(facts.request)
    ? request
    : recordRoute(request, { cameIn: facts.cameIn, leaves, token: facts.token });
};

/** From the UE to the core. */
export const towardsCore = (ctx: EdgeContext, facts: OutgoingFacts): Outgoing => {
  const { binding, hop } = facts;
  const initial = tagOf(facts.request, "to") === undefined;
  const scrubbed = scrub(facts.request, "core");
  countRemoved(ctx, scrubbed.removed, "access");
  // RFC 3325: inside a dialog the UE's claims are dropped and nothing is asserted anew.
  let out = assertIdentity(scrubbed.message, initial ? binding.identities : []);
  // RFC 7315 5.7: not in ACK.
  if (out.method !== "ACK") out = withAccessInfo(out, facts.cameIn.accessNetworkInfo);
  if (initial) out = withCharging(out, ctx.config.homeNetwork, ctx.random, binding.charging);
  // RFC 3608 6.1 and TS 24.229 5.2.6.3: exactly the stored route, whatever the UE had put there, or forgotten.
  const routes = hop?.routes ?? binding.serviceRoute;
  out = hop === undefined ? forceRoute(out, routes) : alongRoutes(out, routes);
  const next = routes[0] ?? hop?.target;
  const stray = hop?.claimed === true && next !== undefined && !isCoreUri(ctx, binding, next);
  const to = coreTarget(ctx, stray ? undefined : next);
  return { request: withRecordRoute(ctx, out, facts, to), to, removed: scrubbed.removed };
};

/** From the core to the UE; undefined when its flow is gone. */
export const towardsUe = (ctx: EdgeContext, facts: OutgoingFacts): Outgoing | undefined => {
  const to = facts.hop === undefined ? flowTo(ctx, facts.binding) : flowInDialog(ctx, facts.binding);
  if (to === undefined) return undefined;
  const scrubbed = scrub(facts.request, "access");
  countRemoved(ctx, scrubbed.removed, "core");
  const out = facts.hop === undefined ? scrubbed.message : alongRoutes(scrubbed.message, facts.hop.routes);
  return { request: withRecordRoute(ctx, out, facts, to), to, removed: scrubbed.removed };
};
