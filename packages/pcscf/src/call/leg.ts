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
import { isFlowOf, noteFlow } from "../routing/ue-flow.ts";
import { otherSide } from "./dialog.ts";
import type { CallSurroundings } from "../state/call-record.ts";
import type { KeptCalls, LoadedCall } from "../state/kept-calls.ts";
import { createGatewayWork } from "./gateway-work.ts";
import { createKeeping } from "./keeping.ts";
import { openCall, resumeCall, step, type CallFacts } from "./step.ts";
import type { CallEffect, CallInput, CallState, CallTimer, Party } from "./types.ts";
import { removedIn, removedKinds, type CallView } from "./view.ts";

export interface Leg {
  readonly id: string;
  readonly bindingId: string;
  readonly ended: boolean;
  readonly context: IqContext | undefined;
  /** A restart will take it up where it is now. */
  readonly kept: boolean;
  /** Whether the leg's own UE speaks on this flow. */
  isUe(flow: Flow): boolean;
  /** A request that belongs to this leg; `arrived` is `transaction.request` with our Route entries off and hops counted. */
  request(transaction: ServerTransaction, from: Side, arrived: SipRequest): void;
  feed(input: CallInput): void;
  notify(notification: IqNotification): void;
  /** A gateway has registered (again). */
  gatewayBack(gateway: string): void;
  /** Lets go of the leg without ending the call: a successor takes it up. */
  abandon(): void;
  view(): CallView;
  /** Resolves when the gateway has everything back. */
  settled(): Promise<void>;
}

export interface LegOptions {
  readonly ctx: EdgeContext;
  readonly gateway: GatewayPort;
  readonly facts: CallFacts;
  readonly binding: Binding;
  /** Where the call is written down; undefined when calls end with this process. */
  readonly keep: KeptCalls | undefined;
  /** The call an earlier run left. */
  readonly restored?: LoadedCall;
  readonly onFinished: (view: CallView) => void;
}

/** RFC 4028 10: a refresh that was on its way while this edge was down has this long to come again, 64*T1. */
const refreshAgainMs = 32_000;

export const createLeg = (options: LegOptions): Leg => {
  const { ctx, gateway, facts, binding: registered, restored, onFinished } = options;
  const { clock, log, config } = ctx;
  const env = { random: ctx.random, limits: config.limits };
  const servers = new Map<number, ServerTransaction>();
  const clients = new Map<number, ClientTransaction>();
  const timers = new Map<CallTimer, Timer>();
  const inbox: CallInput[] = [];
  const startedAt = restored?.startedAt ?? clock.now();
  let state: CallState = restored === undefined ? openCall(facts) : resumeCall(facts, restored);
  let binding = registered;
  let summary: NegotiationSummary = summarise(state.negotiation);
  const media = createGatewayWork({
    call: facts.id,
    gateway,
    emergency: facts.media.emergency === true,
    log,
    held: restored?.context?.context,
  });
  let unsettled = restored?.unsettled ?? false;
  let exchanges = 0;
  let busy = false;
  let finished = false;
  let answeredAt: number | undefined = restored?.answeredAt;
  let sessionEndsAt: number | undefined = restored?.sessionEndsAt;
  let endedAt: number | undefined;

  /** The binding as it is now: a refresh may have moved the UE to another flow. */
  const current = (): Binding => (binding = ctx.bindings.byId(binding.id) ?? binding);

  const surroundings = (): CallSurroundings => {
    const held = media.describe();
    return {
      binding: current(),
      startedAt,
      ...(answeredAt === undefined ? {} : { answeredAt }),
      ...(sessionEndsAt === undefined ? {} : { sessionEndsAt }),
      ...(held === undefined ? {} : { context: held }),
    };
  };
  const keeping = createKeeping(options.keep, surroundings, restored === undefined ? undefined : state);

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

  const toGateway = ({ request, plan }: CallEffect & { readonly kind: "gateway" }): void => {
    unsettled = false;
    media.carryOut(plan, (reply) => {
      if (reply.ok) return feed({ kind: "gateway-done", request, access: reply.access, core: reply.core });
      ctx.counters.count("gateway_failures_total", { code: reply.code });
      log.warn("gateway refused", { call: facts.id, code: reply.code });
      return feed({ kind: "gateway-refused", request, status: reply.status });
    });
  };

  /** The last run may have died between an order to the gateway and its result: what is in force is said again. */
  const settleAgain = (): void => {
    unsettled = false;
    const streams = state.negotiation.installed.map(({ wish }) => wish);
    media.carryOut({ context: "existing", streams, remove: [] }, ({ ok }) =>
      log.info("gateway told again", { call: facts.id, answered: ok }),
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
        onResponse: (response, flow) => {
          noteFlow(ctx, current(), flow);
          feed({ kind: "response", exchange: id, response });
        },
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
        return media.release();
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

  const letGo = (): void => {
    finished = true;
    inbox.length = 0;
    for (const timer of timers.values()) timer.cancel();
    timers.clear();
    servers.clear();
  };

  const finish = (): void => {
    if (finished) return;
    letGo();
    onFinished(view());
  };

  const note = (effects: readonly CallEffect[]): void => {
    summary = summarise(state.negotiation);
    for (const effect of effects) {
      if (effect.kind === "arm" && effect.timer === "session") sessionEndsAt = clock.now() + effect.ms;
      else if (effect.kind === "disarm" && effect.timer === "session") sessionEndsAt = undefined;
    }
    if (state.phase === "confirmed") answeredAt ??= clock.now();
    if (state.phase === "ending") endedAt ??= clock.now();
  };

  const feed = (input: CallInput): void => {
    if (finished) return;
    inbox.push(input);
    if (!busy) work();
  };

  const performAll = (effects: readonly CallEffect[]): void => {
    for (const effect of effects) perform(effect);
  };

  /** Everything waits, in order, while the store takes in what the next message will promise. */
  const work = (): void => {
    busy = true;
    try {
      for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) {
        const { effects, state: after } = step(state, next, env);
        state = after;
        note(effects);
        const saved = keeping.before(state, effects);
        if (saved !== undefined) return media.track(performLater(saved, effects));
        performAll(effects);
      }
      busy = false;
    } catch (error) {
      busy = false;
      throw error;
    }
  };

  const performLater = async (saved: Promise<void>, effects: readonly CallEffect[]): Promise<void> => {
    await saved;
    if (finished) return;
    try {
      performAll(effects);
    } finally {
      work();
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
    ...(media.context === undefined
      ? {}
      : { gateway: { gateway: media.context.gateway, context: media.context.context } }),
  });

  if (sessionEndsAt !== undefined) {
    perform({ kind: "arm", timer: "session", ms: Math.max(sessionEndsAt - clock.now(), refreshAgainMs) });
  }

  return {
    id: facts.id,
    bindingId: facts.bindingId,
    get kept() {
      return keeping.kept;
    },
    isUe: (flow) => isFlowOf(ctx, current(), flow),
    get ended() {
      return state.phase === "ending";
    },
    get context() {
      return media.context;
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
        media.forget();
        feed({ kind: "end", reason: "gateway-lost", status: 503, detail: notification.reason });
      } else if (notification.kind === "media-inactivity") {
        feed({ kind: "end", reason: "media-inactive", status: 408, detail: "media inactivity" });
      }
    },
    gatewayBack: (id) => {
      if (unsettled && media.context?.gateway === id) settleAgain();
    },
    abandon: letGo,
    view,
    settled: () => media.settled(),
  };
};
