// Takes REGISTER requests of UEs through: agreement, forwarding to the home network, and the binding that a 200 makes.
// TS 33.328 7.1 (announce and store), TS 24.229 5.2.2, RFC 3327, RFC 3608, RFC 3329. Must not know calls.
import { sparing, token } from "@sallyport/kit";
import { headerList, tagOf, type ServerTransaction, type SipRequest, type SipResponse } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import { withoutBody } from "../body/sdp-body.ts";
import { withoutKeying } from "../body/idle-sdp.ts";
import { mediaPolicy } from "../policy.ts";
import { noteQuirk } from "../quirks.ts";
import { acceptable, withViasOf } from "../routing/answer.ts";
import { chargingFunctionsOf } from "../routing/charging.ts";
import { countDown } from "../routing/hops.ts";
import { unknownProxyTags } from "../routing/option-tags.ts";
import { branchFor, coreTarget } from "../routing/outgoing.ts";
import type { ListeningPoint } from "../listening/points.ts";
import { pathUri } from "../routing/restoration.ts";
import { inTimeMs, sendRequest } from "../routing/sending.ts";
import { agree, type Agreement } from "./agreement.ts";
import { readAsked, type Asked } from "./asked.ts";
import {
  addressOfRecord,
  bindingKey,
  grantedTo,
  isEmergencyContact,
  keyOf,
  realmOf,
  type Binding,
  type ContactFacts,
} from "./binding.ts";
import { createCrossing, type Turn } from "./crossing.ts";
import { createPendingRegistrations } from "./pending.ts";
import { createRate } from "./rate.ts";
import { associatedUris, serviceRouteOf, towardsRegistering, towardsRegistrar } from "./register.ts";

export interface Registrar {
  handle(transaction: ServerTransaction, point: ListeningPoint): void;
}

/** One REGISTER under way. */
interface Attempt {
  readonly transaction: ServerTransaction;
  readonly point: ListeningPoint;
  readonly aor: string;
  readonly asked: Asked;
  /** What our Path names in this REGISTER. */
  readonly pathId: string;
  readonly agreement: Agreement;
  readonly turn: Turn;
}

/** Refusals that are told apart within a minute. */
const refusalsApart = 64;

/** Places above the limit that only emergency registrations may take. */
const emergencyReserve = (places: number): number => Math.ceil(places / 20);

/** `onMoved`: a binding got a flow, new or the same; `onGone` comes from the table of bindings. */
export const createRegistrar = (ctx: EdgeContext, onMoved: (binding: Binding) => void): Registrar => {
  const { config, clock, bindings, counters, log } = ctx;
  const policy = mediaPolicy(config);
  const pending = createPendingRegistrations(clock);
  const crossing = createCrossing();
  const rate = createRate(clock, config.limits.maxRegistersPerMinute);

  const mayTell = sparing(clock, { names: refusalsApart });
  /** One line for who was turned away, by whom and why; anybody may make it happen, so not for each time. */
  const tell = (
    { flow: { remote }, request }: ServerTransaction,
    status: number,
    reason: string | undefined,
    by: "core" | "edge",
  ): void => {
    const aor = addressOfRecord(request);
    const untold = mayTell(`${by} ${status} ${remote.address} ${aor}`);
    if (untold !== undefined)
      log.info("registration refused", { aor, from: remote.address, by, status, ...(reason && { reason }), untold });
  };

  const refuse = (
    transaction: ServerTransaction,
    status: number,
    reason?: string,
    headers: readonly (readonly [string, string])[] = [],
  ): void => {
    counters.count("requests_refused_total", { method: "REGISTER", status: String(status) });
    tell(transaction, status, reason, "edge");
    transaction.refuse(status, reason, headers);
  };

  /** Bindings leave when their registration does: by `*`, by expiry 0, or because the registrar no longer lists them. */
  const forget = async (
    { aor, asked, turn }: Attempt,
    contacts: readonly ContactFacts[],
    kept: ReadonlySet<string>,
  ) => {
    const gone = asked.all
      ? bindings.all().filter((binding) => binding.aor === aor && !turn.isOvertaken(keyOf(binding)))
      : contacts.flatMap((contact) => bindings.byContact(aor, contact) ?? []);
    // The contact that stays may be the same device's: its binding has just moved.
    for (const { id } of gone) if (!kept.has(id)) await bindings.drop(id);
  };

  const store = async (
    attempt: Attempt,
    contact: ContactFacts,
    expires: number,
    response: SipResponse,
  ): Promise<Binding> => {
    const { agreement, transaction, aor, pathId } = attempt;
    const { flow, request } = transaction;
    const identities = associatedUris(response);
    const charging = chargingFunctionsOf(response);
    const existing = bindings.byContact(aor, contact);
    const id = existing?.id ?? (bindings.byId(pathId) === undefined ? pathId : token(ctx.random, 32));
    const { instance, regId } = contact;
    const { accessNetwork, registration } = agreement;
    // What may be left out is added after the rest: a literal with parts in it is made piece by piece.
    const binding: { -readonly [K in keyof Binding]: Binding[K] } = {
      id,
      aor,
      contact: contact.uri,
      flow: {
        id: flow.id,
        protocol: flow.protocol,
        listener: attempt.point.name,
        address: flow.remote.address,
        port: flow.remote.port,
      },
      registeredAt: existing?.registeredAt ?? clock.now(),
      expiresAt: clock.now() + expires * 1000,
      serviceRoute: serviceRouteOf(response),
      identities: identities.length === 0 ? [aor] : identities,
      outbound: regId !== undefined && headerList(request, "supported").some((tag) => tag.toLowerCase() === "outbound"),
      indications: { ...registration.indications },
      mode: registration.mode,
      dialect: registration.dialect,
      securityServer: agreement.media,
      policy: agreement.rule,
      confidential: flow.protocol === "tls" || attempt.point.trusted,
    };
    if (id !== pathId) binding.path = pathId;
    if (instance !== undefined) binding.instance = instance;
    if (regId !== undefined) binding.regId = regId;
    if (charging.length > 0) binding.charging = charging;
    if (isEmergencyContact(contact.uri)) binding.emergency = true;
    if (accessNetwork !== undefined) binding.accessNetwork = accessNetwork;
    // What was learned of the phone outlives its refreshes.
    if (registration.mode === "sdes-phone" && (agreement.namesSdes || existing?.offersSdes === true))
      binding.offersSdes = true;
    if (registration.reason !== undefined) binding.reason = registration.reason;
    counters.count("registrations_total", {
      e2ae: binding.indications.ueE2ae && binding.indications.networkE2ae ? "yes" : "no",
    });
    // Asked for now, so that it is known when the first request takes that way.
    for (const route of binding.serviceRoute.slice(0, 1)) coreTarget(ctx, route);
    log.info("registration stored", { aor, flow: flow.id, expires, ...binding.indications });
    const stored = bindings.put(binding);
    onMoved(binding);
    await stored;
    return binding;
  };

  /** RFC 3261 10.3 step 8: each contact has the time the registrar gives it, or none. */
  const settleBindings = async (attempt: Attempt, response: SipResponse): Promise<void> => {
    const { aor, asked, transaction, turn } = attempt;
    const due = (contact: ContactFacts): boolean => !turn.isOvertaken(bindingKey(aor, contact));
    const [staying, leaving] = [asked.staying.filter(due), asked.leaving.filter(due)];
    turn.settles(
      [...staying, ...leaving].map((contact) => bindingKey(aor, contact)),
      asked.all,
    );
    const granted = staying.map((contact) => ({ contact, expires: grantedTo(contact, response) }));
    const kept = new Set<string>();
    for (const { contact, expires } of granted)
      if (expires > 0) kept.add((await store(attempt, contact, expires, response)).id);
    const refused = granted.flatMap(({ contact, expires }) => (expires > 0 ? [] : [contact]));
    await forget(attempt, [...refused, ...leaving], kept);
    pending.drop(transaction.flow.id, asked.key);
  };

  const settle = async (attempt: Attempt, response: SipResponse): Promise<void> => {
    const { agreement, transaction, turn } = attempt;
    let sent: readonly string[] = [];
    if (response.status === 401 || response.status === 407) {
      // The 401 of a first registration and of a refresh alike: clients of the draft read it only there.
      sent = agreement.challenge;
      pending.put(transaction.flow.id, attempt.asked.key, {
        pathId: attempt.pathId,
        sent: agreement.media,
        announced: agreement.announced,
      });
    } else if (response.status >= 200 && response.status < 300) {
      // 7.1: "the network shall include an indication ... in a message to the IMS UE during registration": the 200 too.
      sent = agreement.media;
      await settleBindings(attempt, response);
    }
    if (response.status >= 300) turn.ends();
    if (response.status >= 300 && response.status !== 401 && response.status !== 407) {
      counters.count("registrations_refused_total", { status: String(response.status) });
      tell(transaction, response.status, response.reason, "core");
    }
    // Nothing of media security stands in bodies here: neither way (invariants 1 and 2).
    const idle = withoutKeying(response);
    const bodied = idle.ok ? idle.message : withoutBody(response);
    const answer = towardsRegistering(withViasOf(bodied, transaction.request), sent, config.registration.keepAlive);
    for (const kind of answer.removed) counters.count("indications_removed_total", { kind, from: "core" });
    transaction.respond(answer.response);
  };

  const forward = (attempt: Attempt, counted: SipRequest): void => {
    const { transaction, point } = attempt;
    const { flow } = transaction;
    const path = pathUri(
      ctx,
      attempt.pathId,
      // RFC 5626 5.1: only the first hop may promise that it keeps the flow.
      attempt.asked.staying.some(({ regId }) => regId !== undefined) &&
        headerList(transaction.request, "via").length === 1,
    );
    if (path === undefined) {
      attempt.turn.ends();
      return refuse(transaction, 500);
    }
    const onFlow = (): boolean => bindings.onFlow(flow.id).some((binding) => binding.aor === attempt.aor);
    const { request, removed } = towardsRegistrar(counted, {
      path,
      requirePath: config.registration.requirePath,
      home: config.homeNetwork,
      accessNetworkInfo: point.accessNetworkInfo,
      integrity:
        config.registration.integrityProtected && flow.protocol === "tls"
          ? onFlow()
            ? "tls-yes"
            : "tls-pending"
          : undefined,
      random: ctx.random,
    });
    for (const kind of removed) counters.count("indications_removed_total", { kind, from: "access" });
    log.debug("registration forwarded", { aor: attempt.aor, point: point.name });
    /** TS 24.229 5.2.2: it could not be given to any entry point. */
    const unreached = (why: string): void => {
      attempt.turn.ends();
      const untold = mayTell(`unreached ${why}`);
      if (untold !== undefined) log.warn("registration not answered", { aor: attempt.aor, why, untold });
      refuse(transaction, 504);
    };
    sendRequest(
      ctx,
      { request, to: ctx.nextHop, branch: () => branchFor(ctx, transaction.request), withinMs: inTimeMs },
      {
        onResponse: (response) => {
          // RFC 4320 4.1: no provisional answer but the 100 of the transaction's own.
          if (response.status < 200) return;
          settle(attempt, response).catch((error: unknown) => {
            log.error("registration failed", { aor: attempt.aor, error: String(error) });
            refuse(transaction, 500);
          });
        },
        onTimeout: () => unreached("nobody answered in time"),
        onTransportError: (error) => unreached(error.message),
      },
    );
  };

  const securityHeaders = (agreement: Agreement): readonly (readonly [string, string])[] => [
    ...agreement.challenge.map((value) => ["Security-Server", value] as const),
    ...(agreement.secAgree ? [["Require", "sec-agree"] as const] : []),
  ];

  return {
    handle: (transaction, point) => {
      const { request, flow } = transaction;
      if (!rate.take(flow.id)) return refuse(transaction, 503, undefined, [["Retry-After", "60"]]);
      const unknown = unknownProxyTags(request);
      if (unknown.length > 0) return refuse(transaction, 420, undefined, [["Unsupported", unknown.join(", ")]]);
      const hops = countDown(request);
      if (!hops.ok) return refuse(transaction, hops.status, hops.reason);
      const idle = withoutKeying(hops.request);
      if (!idle.ok) return refuse(transaction, idle.status, idle.reason, acceptable(idle.status));
      const aor = addressOfRecord(request);
      if (aor === undefined || tagOf(request, "to") !== undefined) return refuse(transaction, 400, "Malformed To");
      const { minExpires } = config.registration;
      const reading = readAsked(request, aor, minExpires);
      if (!reading.ok) return refuse(transaction, reading.status, reading.reason, reading.headers);
      const { asked } = reading;
      const emergency = [...asked.staying, ...asked.leaving].some(({ uri }) => isEmergencyContact(uri));
      const places =
        config.limits.maxRegistrations + (emergency ? emergencyReserve(config.limits.maxRegistrations) : 0);
      const existing = [...asked.staying, ...asked.leaving].flatMap((each) => bindings.byContact(aor, each) ?? []);
      const before = pending.get(flow.id, asked.key);
      const fresh = asked.staying.filter((each) => bindings.byContact(aor, each) === undefined).length;
      if (before === undefined && fresh > 0 && bindings.size + fresh > places)
        return refuse(transaction, 503, undefined, [["Retry-After", "120"]]);
      const agreement = agree({
        request,
        protocol: flow.protocol,
        confidential: flow.protocol === "tls" || point.trusted,
        policy,
        sent: before?.sent ?? existing[0]?.securityServer,
        earlier: before?.announced,
        accessNetworkInfo: point.accessNetworkInfo,
        realm: realmOf(aor),
        emergency,
      });
      for (const sighting of agreement.quirks) noteQuirk(ctx, sighting, { aor });
      const pathId = existing[0]?.path ?? existing[0]?.id ?? before?.pathId ?? token(ctx.random, 32);
      if (!agreement.verdict.ok) {
        // RFC 3329 2.3.1: with our list, so that the UE can start over.
        pending.put(flow.id, asked.key, { pathId, sent: agreement.media, announced: agreement.announced });
        return refuse(transaction, 494, undefined, securityHeaders(agreement));
      }
      for (const what of agreement.verdict.tolerated) log.info("security verify tolerated", { aor, what });
      forward({ transaction, point, aor, asked, pathId, agreement, turn: crossing.begins(aor) }, idle.message);
    },
  };
};
