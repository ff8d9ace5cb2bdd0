// One call leg at work: runs the pure steps and carries their effects out on transactions, timers and the gateway.
// Owns the leg's lifetime: when it is finished nothing of it is left (invariant 10). Decides nothing itself.
import type { Timer } from "@sallyport/kit";
import type { IqContext, IqNotification } from "@sallyport/iq";
import { summarise, type NegotiationSummary, type Side } from "@sallyport/media-security";
import {
  createResponse,
  type ClientTransaction,
  type Flow,
  type ServerTransaction,
  type SipRequest,
  type SipTarget,
} from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { GatewayPort } from "../iq/gateway-port.ts";
import { noteQuirk } from "../quirks.ts";
import type { Binding } from "../registration/binding.ts";
import { answersAs } from "../routing/identity.ts";
import {
  branchFor,
  refusalOfLostFlow,
  responseTowards,
  towardsCore,
  towardsUe,
  type Outgoing,
} from "../routing/outgoing.ts";
import type { ListeningPoint } from "../routing/points.ts";
import { otherSide } from "./dialog.ts";
import { openCall, step, type CallFacts } from "./step.ts";
import type { CallEffect, CallInput, CallState, CallTimer, Party } from "./types.ts";
import { removedIn, removedKinds, type CallView } from "./view.ts";

export interface Leg {
  readonly id: string;
  readonly bindingId: string;
  /** The flow of the UE, as last registered. */
  readonly flowId: string;
  readonly ended: boolean;
  readonly context: IqContext | undefined;
  /** A request that belongs to this leg; `arrived` is `transaction.request` with our Route entries off and hops counted. */
  request(transaction: ServerTransaction, from: Side, arrived: SipRequest): void;
  feed(input: CallInput): void;
  notify(notification: IqNotification): void;
  view(): CallView;
  /** Resolves when the gateway has everything back. */
  settled(): Promise<void>;
}

export interface LegOptions {
  readonly ctx: EdgeContext;
  readonly gateway: GatewayPort;
  readonly facts: CallFacts;
  readonly binding: Binding;
  readonly onFinished: (view: CallView) => void;
}

export const createLeg = ({ ctx, gateway, facts, binding: registered, onFinished }: LegOptions): Leg => {
  const { clock, log, config } = ctx;
  const env = { random: ctx.random, limits: config.limits };
  const servers = new Map<number, ServerTransaction>();
  const clients = new Map<number, ClientTransaction>();
  const timers = new Map<CallTimer, Timer>();
  const gatewayWork = new Set<Promise<void>>();
  const inbox: CallInput[] = [];
  const startedAt = clock.now();
  let state: CallState = openCall(facts);
  let binding = registered;
  let summary: NegotiationSummary = summarise(state.negotiation);
  let context: IqContext | undefined;
  let exchanges = 0;
  let busy = false;
  let finished = false;
  let answeredAt: number | undefined;
  let endedAt: number | undefined;

  /** The binding as it is now: a refresh may have moved the UE to another flow. */
  const current = (): Binding => (binding = ctx.bindings.byId(binding.id) ?? binding);

  const cameIn = (transaction: ServerTransaction): ListeningPoint | undefined => ctx.points.ofFlow(transaction.flow);

  const outgoing = (
    towards: Side,
    request: SipRequest,
    party: Party | undefined,
    point: ListeningPoint,
  ): Outgoing | undefined => {
    const parts = { request, binding: current(), cameIn: point, hop: party, token: facts.token };
    return towards === "core" ? towardsCore(ctx, parts) : towardsUe(ctx, parts);
  };

  const anyPoint = (side: Side): ListeningPoint | undefined => ctx.points.all.find((point) => point.side === side);

  const track = (work: Promise<void>): void => {
    gatewayWork.add(work);
    work.then(
      () => gatewayWork.delete(work),
      () => gatewayWork.delete(work),
    );
  };

  const toGateway = ({ request, plan }: CallEffect & { readonly kind: "gateway" }): void =>
    track(
      (async () => {
        const reply = await gateway.carryOut(plan, context, { emergency: facts.media.emergency === true });
        if (reply.ok) {
          ({ context } = reply);
          feed({ kind: "gateway-done", request, access: reply.access, core: reply.core });
          return;
        }
        ctx.counters.count("gateway_failures_total", { code: reply.code });
        log.warn("gateway refused", { call: facts.id, code: reply.code });
        feed({ kind: "gateway-refused", request, status: reply.status });
      })(),
    );

  const releaseGateway = (): void => {
    const held = context;
    context = undefined;
    if (held === undefined) return;
    track(
      (async () => {
        const statistics = await gateway.release(held);
        log.info("gateway released", {
          call: facts.id,
          gateway: held.gateway,
          context: held.context,
          answered: statistics !== undefined,
        });
      })(),
    );
  };

  const forward = (effect: CallEffect & { readonly kind: "forward" }): void => {
    const { exchange: id } = effect;
    const server = servers.get(id);
    const point = server === undefined ? undefined : cameIn(server);
    const out = point === undefined ? undefined : outgoing(effect.towards, effect.request, effect.party, point);
    if (server === undefined || out === undefined) {
      return feed({ kind: "unanswered", exchange: id, status: refusalOfLostFlow(current()) });
    }
    const client = ctx.transactions.request(
      out.request,
      out.to,
      {
        onResponse: (response) => feed({ kind: "response", exchange: id, response }),
        onTimeout: () => feed({ kind: "unanswered", exchange: id, status: 408 }),
        onTransportError: (error) => {
          log.info("request not sent", { call: facts.id, error: error.message });
          feed({
            kind: "unanswered",
            exchange: id,
            status: effect.towards === "access" ? refusalOfLostFlow(current()) : 503,
          });
        },
        onEnd: () => clients.delete(id),
      },
      { branch: branchFor(ctx, server.request) },
    );
    clients.set(id, client);
  };

  const send = (to: Flow | SipTarget, request: SipRequest): void => {
    ctx.transactions
      .sendAck(request, to)
      .catch((error: unknown) => log.info("ack not sent", { call: facts.id, error: String(error) }));
  };

  /** Requests no UE or core element sent: they leave by any point of the other side. */
  const sendOwn = (effect: CallEffect & { readonly kind: "acknowledge" | "originate" }): void => {
    const point = anyPoint(otherSide(effect.towards));
    const out = point === undefined ? undefined : outgoing(effect.towards, effect.request, effect.party, point);
    if (out === undefined) return log.info("flow gone", { call: facts.id, method: effect.request.method });
    if (effect.kind === "acknowledge") return send(out.to, out.request);
    const ignore = (): void => undefined;
    ctx.transactions.request(out.request, out.to, { onResponse: ignore, onTimeout: ignore, onTransportError: ignore });
  };

  const perform = (effect: CallEffect): void => {
    switch (effect.kind) {
      case "forward":
        return forward(effect);
      case "respond": {
        // RFC 3325 and TS 24.229 5.2.6.4: the UE that answers is who it registered as.
        const asked = servers.get(effect.exchange)?.request;
        const answers =
          effect.from === "access" && effect.initial && asked !== undefined
            ? answersAs(asked, current().identities)
            : undefined;
        const response = responseTowards(ctx, effect.response, otherSide(effect.from), answers);
        return servers.get(effect.exchange)?.respond(response);
      }
      case "refuse": {
        const server = servers.get(effect.exchange);
        if (server === undefined) return undefined;
        ctx.counters.count("requests_refused_total", { method: server.request.method, status: String(effect.status) });
        return server.respond(createResponse(server.request, effect.status, undefined, { toTag: server.toTag }));
      }
      case "cancel":
        return clients.get(effect.exchange)?.cancel();
      case "acknowledge":
      case "originate":
        return sendOwn(effect);
      case "gateway":
        return toGateway(effect);
      case "release-gateway":
        return releaseGateway();
      case "zeroise":
        for (const key of effect.keys) key.release();
        return undefined;
      case "evidence":
        for (const { changed, origin, quirk, quirkMode = "tolerant" } of effect.evidence) {
          if (quirk !== undefined) noteQuirk(ctx, { quirk, mode: quirkMode }, { call: facts.id });
          for (const change of changed) {
            for (const kind of removedKinds(change)) {
              ctx.counters.count("indications_removed_total", { kind, from: origin });
            }
          }
        }
        return undefined;
      case "arm":
        timers.get(effect.timer)?.cancel();
        timers.set(
          effect.timer,
          clock.after(effect.ms, () => feed({ kind: "timer", timer: effect.timer })),
        );
        return undefined;
      case "disarm":
        timers.get(effect.timer)?.cancel();
        timers.delete(effect.timer);
        return undefined;
      case "finished":
        return finish();
    }
  };

  const finish = (): void => {
    if (finished) return;
    finished = true;
    for (const timer of timers.values()) timer.cancel();
    timers.clear();
    servers.clear();
    onFinished(view());
  };

  const note = (): void => {
    summary = summarise(state.negotiation);
    if (state.phase === "confirmed") answeredAt ??= clock.now();
    if (state.phase === "ending") endedAt ??= clock.now();
  };

  const feed = (input: CallInput): void => {
    if (finished) return;
    inbox.push(input);
    if (busy) return;
    busy = true;
    try {
      for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) {
        const { effects, state: after } = step(state, next, env);
        state = after;
        note();
        for (const effect of effects) perform(effect);
      }
    } finally {
      busy = false;
    }
  };

  const view = (): CallView => ({
    id: facts.id,
    callId: facts.callId,
    direction: facts.direction,
    aor: binding.aor,
    phase: state.phase === "ending" ? "ended" : state.phase,
    startedAt,
    ...(answeredAt === undefined ? {} : { answeredAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(state.ended === undefined ? {} : { ended: state.ended }),
    security: summary.security,
    reason: summary.reason,
    streams: summary.streams,
    evidence: state.evidence,
    removed: removedIn(state.evidence),
    ...(context === undefined ? {} : { gateway: { gateway: context.gateway, context: context.context } }),
  });

  return {
    id: facts.id,
    bindingId: facts.bindingId,
    get flowId() {
      return current().flow.id;
    },
    get ended() {
      return state.phase === "ending";
    },
    get context() {
      return context;
    },
    request: (transaction, from, arrived) => {
      exchanges += 1;
      const id = exchanges;
      servers.set(id, transaction);
      transaction.onCancel = () => feed({ kind: "cancel", exchange: id });
      transaction.onEnd = () => servers.delete(id);
      feed({ kind: "request", exchange: id, from, request: arrived });
    },
    feed,
    notify: (notification) => {
      if (notification.kind === "context-lost") {
        // The gateway holds nothing any more: there is nothing to give back.
        context = undefined;
        feed({ kind: "end", reason: "gateway-lost", status: 503, detail: notification.reason });
      } else if (notification.kind === "media-inactivity") {
        feed({ kind: "end", reason: "media-inactive", status: 408, detail: "media inactivity" });
      }
    },
    view,
    settled: async () => {
      while (gatewayWork.size > 0) await Promise.allSettled(gatewayWork);
    },
  };
};
