// Where an incoming request belongs: to the registrar, to a call leg, to a dialog that is no call, or nowhere.
// Owns admission: UEs that registered, the core we trust, nobody else. RFC 3261 16.3 and 16.4, TS 24.229 5.2.6 and 5.2.7.
import { sparing } from "@sallyport/kit";
import {
  headerList,
  headerValue,
  parseNameAddr,
  parseSipUri,
  tagOf,
  type Flow,
  type ServerTransaction,
  type SipRequest,
} from "@sallyport/sip";
import { isPreferred } from "../admission/gate.ts";
import type { Calls } from "../call/calls.ts";
import type { EdgeContext } from "../context.ts";
import { mediaPolicy } from "../policy.ts";
import { ruleFor } from "../registration/agreement.ts";
import { sameContactUri, type Binding } from "../registration/binding.ts";
import type { RegEvents } from "../registration/reg-event.ts";
import type { Registrar } from "../registration/registrar.ts";
import { isEmergencyUri, unregisteredBinding } from "./emergency.ts";
import { forwardRequest } from "./forwarding.ts";
import { countDown, hasLooped, loopMark } from "./hops.ts";
import { registeredAs } from "./identity.ts";
import { capabilities, unknownProxyTags } from "./option-tags.ts";
import type { ListeningPoint } from "../listening/points.ts";
import { refusalOfLostFlow } from "./outgoing.ts";
import { arrive, type Arrived } from "./route.ts";
import { refusedInterval } from "./session-interval.ts";
import { flowInDialog, flowTo, isFlowOf } from "./ue-flow.ts";

export interface Requests {
  onRequest(transaction: ServerTransaction): void;
  /** The ACK of a 2xx. */
  onAck(request: SipRequest, flow: Flow): void;
}

interface Admitted extends Arrived {
  readonly transaction: ServerTransaction;
  readonly point: ListeningPoint;
}

/**
 * The binding a UE speaks for: by the identity it prefers or writes in From, then by its Contact, else its newest
 * registration on this flow.
 */
const bindingOf = (bindings: readonly Binding[], request: SipRequest): Binding | undefined => {
  const claims = [...headerList(request, "p-preferred-identity"), headerValue(request, "from") ?? ""].flatMap(
    (value) => parseNameAddr(value)?.uri ?? [],
  );
  const contact = parseNameAddr(headerList(request, "contact")[0] ?? "")?.uri;
  const byContact = (among: readonly Binding[]): Binding | undefined =>
    contact === undefined || among.length < 2 ? undefined : among.find((each) => sameContactUri(each.contact, contact));
  for (const claim of claims) {
    const found = bindings.filter(({ identities, aor }) => registeredAs(claim, [...identities, aor]) !== undefined);
    if (found.length > 0) return byContact(found) ?? found[0];
  }
  return byContact(bindings) ?? bindings.at(-1);
};

const isEmergencyCall = (request: SipRequest): boolean =>
  request.method === "INVITE" && tagOf(request, "to") === undefined && isEmergencyUri(request.uri);

export const createRequests = (
  ctx: EdgeContext,
  registrar: Registrar,
  calls: Calls,
  regEvents?: RegEvents,
): Requests => {
  const policy = mediaPolicy(ctx.config);
  const mayTell = sparing(ctx.clock);
  /** Anybody may make them come: one line a minute, with how many there were since the last. */
  const noteStranger = ({ remote }: Flow): void => {
    const untold = mayTell("stranger");
    if (untold !== undefined) ctx.log.warn("stranger on the core side", { remote: remote.address, untold });
  };
  const refuse = (
    transaction: ServerTransaction,
    status: number,
    reason?: string,
    headers: readonly (readonly [string, string])[] = [],
  ): void => {
    ctx.counters.count("requests_refused_total", {
      method: knownMethod(transaction.request.method),
      status: String(status),
    });
    transaction.refuse(status, reason, headers);
  };

  /** RFC 6357: not all at the same moment again. */
  const turnAway = (transaction: ServerTransaction): void => {
    const { retryAfterS } = ctx.config.limits.overload;
    const spread = (ctx.random.bytes(1)[0] ?? 0) % (retryAfterS + 1);
    ctx.counters.count("admission_refused_total", { reason: "overload" });
    refuse(transaction, 503, undefined, [["Retry-After", String(retryAfterS + spread)]]);
  };

  const startCall = (admitted: Admitted, binding: Binding): void => {
    const { transaction, request, point } = admitted;
    if (!calls.start(transaction, request, binding, point.side))
      refuse(transaction, 503, undefined, [["Retry-After", "10"]]);
  };

  /** Who makes an emergency call without a registration. */
  const stranger = ({ transaction, request, point }: Admitted): Binding => {
    const { flow } = transaction;
    const confidential = flow.protocol === "tls" || point.trusted;
    const { accessNetworkInfo } = point;
    const rule = ruleFor({ request, protocol: flow.protocol, confidential, policy, accessNetworkInfo });
    return unregisteredBinding(request, flow, point, { rule, now: ctx.clock.now() });
  };

  const inCall = ({ transaction, request, token, point }: Admitted): void => {
    const leg = calls.byId(token?.subject ?? "");
    if (leg === undefined) return refuse(transaction, 481);
    // Another UE of this edge must not speak in its name: only the leg's own UE may, on its own flow.
    if (point.side === "access" && !leg.isUe(transaction.flow)) return refuse(transaction, 403);
    return leg.request(transaction, point.side, request);
  };

  const fromUe = (admitted: Admitted): void => {
    const { transaction, request, token, point } = admitted;
    if (request.method === "REGISTER") return registrar.handle(transaction, point);
    if (token?.kind === "call") return inCall(admitted);
    const registered = ctx.bindings.onFlow(transaction.flow.id);
    const binding = bindingOf(registered, request);
    // TS 24.229 5.2.6.3.1: no registration, no service; 5.2.10: save for emergency calls, where the operator serves them.
    if (binding === undefined) {
      return ctx.config.emergency.unregistered && isEmergencyCall(request)
        ? startCall(admitted, stranger(admitted))
        : refuse(transaction, 403, "Not Registered");
    }
    if (tagOf(request, "to") !== undefined) {
      const own = token?.kind === "dialog" ? ctx.bindings.byId(token.subject) : undefined;
      if (own === undefined || !isFlowOf(ctx, own, transaction.flow)) return refuse(transaction, 481);
      return forwardRequest(ctx, { transaction, request, point, binding: own });
    }
    if (request.method === "INVITE") return startCall(admitted, binding);
    return forwardRequest(ctx, { transaction, request, point, binding });
  };

  const fromCore = (admitted: Admitted): void => {
    const { transaction, request, token, point, forged } = admitted;
    if (!ctx.trust(transaction.flow)) {
      ctx.counters.count("strangers_refused_total");
      noteStranger(transaction.flow);
      return refuse(transaction, 403);
    }
    if (request.method === "REGISTER")
      return refuse(transaction, 405, undefined, [["Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS"]]);
    if (token?.kind === "call") return inCall(admitted);
    const watch = request.method === "NOTIFY" ? ctx.tokens.open(ctx.points.ownUri(request.uri)?.user) : undefined;
    if (watch?.kind === "watch")
      return regEvents === undefined ? refuse(transaction, 481) : regEvents.notify(transaction, watch.subject);
    const binding =
      token?.kind === "path"
        ? ctx.bindings.alongPath(token.subject, request.uri)
        : ctx.bindings.byId(token?.subject ?? "");
    // RFC 3327: terminating requests come along our Path; without it there is nobody to give them to.
    // RFC 5626 5.3: a flow token that somebody else made is forbidden.
    if (token === undefined) return refuse(transaction, forged ? 403 : 404);
    if (binding === undefined) return refuse(transaction, token.kind === "path" ? 480 : 481);
    const way = token.kind === "path" ? flowTo(ctx, binding) : flowInDialog(ctx, binding);
    if (way === undefined) return refuse(transaction, refusalOfLostFlow(binding));
    if (request.method === "INVITE" && tagOf(request, "to") === undefined) return startCall(admitted, binding);
    return forwardRequest(ctx, { transaction, request, point, binding });
  };

  return {
    onRequest: (transaction) => {
      const { request, flow } = transaction;
      const point = ctx.points.ofFlow(flow);
      if (point === undefined) return refuse(transaction, 403);
      if (ctx.overloaded() && !isPreferred(request)) return turnAway(transaction);
      if (request.method !== "REGISTER") {
        const unknown = unknownProxyTags(request);
        if (unknown.length > 0) return refuse(transaction, 420, undefined, [["Unsupported", unknown.join(", ")]]);
      }
      if (hasLooped(request, () => loopMark(ctx.loopKey, request), ctx.points.isOurs)) return refuse(transaction, 482);
      const arrived = arrive(request, ctx.points, ctx.tokens);
      // An OPTIONS that means us asks whether we live: no refusal, and not counted as one. RFC 3261 11.
      if (request.method === "OPTIONS" && isForUs(ctx, arrived.request))
        return transaction.refuse(200, undefined, capabilities(point.side));
      // REGISTER counts its own hops, after the checks that come before.
      const hops =
        request.method === "REGISTER" ? ({ ok: true, request: arrived.request } as const) : countDown(arrived.request);
      if (!hops.ok) return refuse(transaction, hops.status, hops.reason);
      const tooOften = refusedInterval(request, ctx.config.session);
      if (tooOften !== undefined) return refuse(transaction, 422, undefined, [["Min-SE", String(tooOften)]]);
      const { token, addressed, forged } = arrived;
      const admitted: Admitted = { request: hops.request, token, addressed, forged, transaction, point };
      return point.side === "access" ? fromUe(admitted) : fromCore(admitted);
    },
    onAck: (request, flow) => {
      const point = ctx.points.ofFlow(flow);
      if (point === undefined || (point.side === "core" && !ctx.trust(flow))) return;
      const arrived = arrive(request, ctx.points, ctx.tokens);
      const leg = arrived.token?.kind === "call" ? calls.byId(arrived.token.subject) : undefined;
      if (leg === undefined || (point.side === "access" && !leg.isUe(flow))) return;
      const hops = countDown(arrived.request);
      if (hops.ok) leg.feed({ kind: "ack", from: point.side, request: hops.request });
    },
  };
};

const isForUs = (ctx: EdgeContext, request: SipRequest): boolean => {
  const uri = parseSipUri(request.uri);
  return uri !== undefined && uri.user === undefined && ctx.points.isOurs(uri.host, uri.port);
};

const methods = new Set([
  "REGISTER",
  "INVITE",
  "BYE",
  "OPTIONS",
  "MESSAGE",
  "SUBSCRIBE",
  "NOTIFY",
  "PUBLISH",
  "REFER",
  "INFO",
  "UPDATE",
  "PRACK",
]);
/** Counter labels never come from the wire. */
const knownMethod = (method: string): string => (methods.has(method) ? method : "other");
