// One call leg at work: runs the pure steps and carries their effects out on transactions, timers and the gateway.
// Owns the leg's lifetime: when it is finished nothing of it is left (invariant 10). Decides nothing itself.
import type { Timer } from "@sallyport/kit";
import type { IqContext, IqNotification } from "@sallyport/iq";
import type { Side } from "@sallyport/media-security";
import {
  appendHeader,
  createResponse,
  type ClientHandlers,
  type ClientTransaction,
  type Flow,
  type ServerTransaction,
  type SipRequest,
  type SipResponse,
  type SipTarget,
} from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { Binding } from "../registration/binding.ts";
import { answerTowards } from "../routing/answer.ts";
import { branchFor, refusalOfLostFlow, towardsCore, towardsUe, type Outgoing } from "../routing/outgoing.ts";
import type { ListeningPoint } from "../routing/points.ts";
import { sendRequest } from "../routing/sending.ts";
import { withAnsweredInterval, withInterval } from "../routing/session-interval.ts";
import { isFlowOf, noteFlow } from "../routing/ue-flow.ts";
import { otherSide } from "./dialog.ts";
import { noteEvidence } from "./evidence.ts";
import type { CallSurroundings } from "../state/call-record.ts";
import { createGatewayWork, type GatewayWork } from "./gateway-work.ts";
import { createKeeping, type Keeping } from "./keeping.ts";
import type { Leg, LegOptions } from "./leg-port.ts";
import type { MediaCounts } from "./media-counts.ts";
import { passOn } from "./pass-on.ts";
import { openCall, resumeCall, step, type CallFacts } from "./step.ts";
import type { CallEffect, CallInput, CallState, CallTimer, Party } from "./types.ts";
import { viewOf, type CallView } from "./view.ts";
import type { CallEnvironment } from "./work.ts";

/** RFC 4028 10: a refresh that was on its way while this edge was down has this long to come again, 64*T1. */
const refreshAgainMs = 32_000;

/** What becomes of a BYE or of anything else we send in our own name interests nobody. */
const ignore = (): void => undefined;
const unheard: ClientHandlers = { onResponse: ignore, onTimeout: ignore, onTransportError: ignore };

// A class: legs come by the hundred a second, and their functions need not be made anew for each.
class CallLeg implements Leg {
  readonly #ctx: EdgeContext;
  readonly #facts: Pick<CallFacts, "id" | "callId" | "direction" | "token" | "bindingId">;
  readonly #env: CallEnvironment;
  readonly #media: GatewayWork;
  readonly #keeping: Keeping;
  readonly #onFinished: (leg: Leg, view: CallView) => void;
  readonly #servers = new Map<number, ServerTransaction>();
  readonly #clients = new Map<number, ClientTransaction>();
  /** Offers of our own. */
  readonly #asked = new Set<ClientTransaction>();
  readonly #timers = new Map<CallTimer, Timer>();
  readonly #inbox: CallInput[] = [];
  readonly #startedAt: number;
  #state: CallState;
  #binding: Binding;
  #unsettled: boolean;
  /** Seconds, of the gateway's last refusal. */
  #retryAfter: number | undefined;
  #exchanges = 0;
  #busy = false;
  #finished = false;
  #answeredAt: number | undefined;
  #sessionEndsAt: number | undefined;
  #endedAt: number | undefined;

  constructor(options: LegOptions) {
    const { ctx, facts, restored } = options;
    const { id, callId, direction, token, bindingId } = facts;
    this.#ctx = ctx;
    this.#facts = { id, callId, direction, token, bindingId };
    this.#env = options.env;
    this.#onFinished = options.onFinished;
    this.#startedAt = restored?.startedAt ?? ctx.clock.now();
    this.#state = restored === undefined ? openCall(facts) : resumeCall(facts, restored);
    this.#binding = options.binding;
    this.#unsettled = restored?.unsettled ?? false;
    this.#answeredAt = restored?.answeredAt;
    this.#sessionEndsAt = restored?.sessionEndsAt;
    this.#media = createGatewayWork({
      call: id,
      gateway: options.gateway,
      emergency: facts.media.emergency === true,
      log: ctx.log,
      held: restored?.context?.context,
    });
    this.#keeping = createKeeping(
      options.keep,
      () => this.#surroundings(),
      restored === undefined ? undefined : this.#state,
    );
    if (this.#sessionEndsAt !== undefined)
      this.#arm("session", Math.max(this.#sessionEndsAt - ctx.clock.now(), refreshAgainMs));
  }

  get id(): string {
    return this.#facts.id;
  }

  get bindingId(): string {
    return this.#facts.bindingId;
  }

  get kept(): boolean {
    return this.#keeping.kept;
  }

  get ended(): boolean {
    return this.#state.phase === "ending";
  }

  get context(): IqContext | undefined {
    return this.#media.context;
  }

  get counted(): readonly MediaCounts[] {
    return this.#media.counted;
  }

  isUe(flow: Flow): boolean {
    return isFlowOf(this.#ctx, this.#current(), flow);
  }

  request(transaction: ServerTransaction, from: Side, arrived: SipRequest): void {
    this.#exchanges += 1;
    const exchange = this.#exchanges;
    this.#servers.set(exchange, transaction);
    transaction.onCancel = () => this.feed({ kind: "cancel", exchange });
    transaction.onEnd = () => this.#servers.delete(exchange);
    this.feed({ kind: "request", exchange, from, request: arrived });
  }

  feed(input: CallInput): void {
    if (this.#finished) return;
    this.#inbox.push(input);
    if (!this.#busy) this.#work();
  }

  notify(notification: IqNotification): void {
    if (notification.kind === "context-lost") {
      // It may have waited for its turn, and the call have moved or ended meanwhile.
      const held = this.#media.context;
      if (held?.gateway !== notification.gateway || held.context !== notification.context.context) return;
      this.#media.forget();
      this.feed({ kind: "re-offer", why: "gateway-lost", detail: notification.reason });
    } else if (notification.kind === "key-expiring") {
      this.feed({ kind: "re-offer", why: "key-expiring", detail: "7/8 of a key used" });
    } else if (notification.kind === "media-inactivity") {
      this.feed({ kind: "end", reason: "media-inactive", status: 408, detail: "media inactivity" });
    }
  }

  gatewayBack(gateway: string): void {
    if (this.#unsettled && this.#media.context?.gateway === gateway) this.#settleAgain();
  }

  /** Nothing that lives on behind us, such as a transaction of RFC 6026, may hold on to us. */
  abandon(): void {
    this.#finished = true;
    this.#inbox.length = 0;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    for (const server of this.#servers.values()) server.forget();
    this.#servers.clear();
    for (const client of [...this.#clients.values(), ...this.#asked]) client.forget();
    this.#clients.clear();
    this.#asked.clear();
  }

  view(): CallView {
    return viewOf(this.#state, {
      aor: this.#binding.aor,
      startedAt: this.#startedAt,
      answeredAt: this.#answeredAt,
      endedAt: this.#endedAt,
      context: this.#media.context,
      counted: this.#media.counted,
    });
  }

  settled(): Promise<void> {
    return this.#media.settled();
  }

  /** The binding as it is now: a refresh may have moved the UE to another flow. */
  #current(): Binding {
    return (this.#binding = this.#ctx.bindings.byId(this.#binding.id) ?? this.#binding);
  }

  #surroundings(): CallSurroundings {
    const held = this.#media.describe();
    return {
      binding: this.#current(),
      startedAt: this.#startedAt,
      ...(this.#answeredAt === undefined ? {} : { answeredAt: this.#answeredAt }),
      ...(this.#sessionEndsAt === undefined ? {} : { sessionEndsAt: this.#sessionEndsAt }),
      ...(held === undefined ? {} : { context: held }),
    };
  }

  #outgoing(towards: Side, request: SipRequest, party: Party | undefined, point: ListeningPoint): Outgoing | undefined {
    const parts = { request, binding: this.#current(), cameIn: point, hop: party, token: this.#facts.token };
    return towards === "core" ? towardsCore(this.#ctx, parts) : towardsUe(this.#ctx, parts);
  }

  #toGateway({ request, plan }: CallEffect & { readonly kind: "gateway" }): void {
    this.#unsettled = false;
    this.#media.carryOut(plan, (reply) => {
      if (reply.ok) return this.feed({ kind: "gateway-done", request, access: reply.access, core: reply.core });
      this.#retryAfter = reply.retryAfter;
      this.#ctx.counters.count("gateway_failures_total", { code: reply.code });
      this.#ctx.log.warn("gateway refused", { call: this.#facts.id, code: reply.code });
      return this.feed({ kind: "gateway-refused", request, status: reply.status });
    });
  }

  /** The last run may have died between an order to the gateway and its result: what is in force is said again. */
  #settleAgain(): void {
    this.#unsettled = false;
    const streams = this.#state.negotiation.installed.map(({ wish }) => wish);
    this.#media.carryOut({ context: "existing", streams, remove: [] }, ({ ok }) =>
      this.#ctx.log.info("gateway told again", { call: this.#facts.id, answered: ok }),
    );
  }

  #forward(effect: CallEffect & { readonly kind: "forward" }): void {
    const ctx = this.#ctx;
    const { exchange, towards } = effect;
    const server = this.#servers.get(exchange);
    const point = server === undefined ? undefined : ctx.points.ofFlow(server.flow);
    const request = withInterval(effect.request, ctx.config.session);
    const out = point === undefined ? undefined : this.#outgoing(towards, request, effect.party, point);
    if (server === undefined || out === undefined) {
      return this.feed({ kind: "unanswered", exchange, status: refusalOfLostFlow(this.#current()) });
    }
    const handlers: ClientHandlers = {
      onResponse: (response, flow) => {
        noteFlow(ctx, this.#current(), flow);
        const timed = withAnsweredInterval(response, server.request, ctx.config.session);
        this.feed({ kind: "response", exchange, response: timed });
      },
      onTimeout: () => this.feed({ kind: "unanswered", exchange, status: 408 }),
      onTransportError: (error) => {
        ctx.log.info("request not sent", { call: this.#facts.id, error: error.message });
        const status = towards === "access" ? refusalOfLostFlow(this.#current()) : 503;
        this.feed({ kind: "unanswered", exchange, status });
      },
      onEnd: () => this.#clients.delete(exchange),
    };
    const branch = (): string => branchFor(ctx, server.request);
    this.#clients.set(exchange, sendRequest(ctx, out.request, out.to, handlers, branch));
  }

  #send(to: Flow | SipTarget, request: SipRequest): void {
    const { transactions, log } = this.#ctx;
    transactions
      .sendAck(request, to)
      .catch((error: unknown) => log.info("ack not sent", { call: this.#facts.id, error: String(error) }));
  }

  /** Requests no UE or core element sent: they leave by any point of the other side. */
  #sendOwn(effect: CallEffect & { readonly kind: "acknowledge" | "originate" | "ask" }): void {
    const ctx = this.#ctx;
    const side = otherSide(effect.towards);
    const point = ctx.points.all.find((each) => each.side === side);
    const out = point === undefined ? undefined : this.#outgoing(effect.towards, effect.request, effect.party, point);
    if (out === undefined) {
      ctx.log.info("flow gone", { call: this.#facts.id, method: effect.request.method });
      if (effect.kind === "ask") this.#answered(effect, undefined);
      return undefined;
    }
    if (effect.kind === "acknowledge") return this.#send(out.to, out.request);
    if (effect.kind === "originate") return void ctx.transactions.request(out.request, out.to, unheard);
    const client = ctx.transactions.request(out.request, out.to, {
      onResponse: (response) => this.#answered(effect, response),
      onTimeout: () => this.#answered(effect, undefined),
      onTransportError: () => this.#answered(effect, undefined),
      onEnd: () => this.#asked.delete(client),
    });
    this.#asked.add(client);
    return undefined;
  }

  #answered({ towards, seq }: CallEffect & { readonly kind: "ask" }, response: SipResponse | undefined): void {
    this.feed({ kind: "own-response", towards, seq, response });
  }

  #respond(effect: CallEffect & { readonly kind: "respond" }): void {
    const server = this.#servers.get(effect.exchange);
    if (server === undefined) return;
    const answering = { asked: server.request, towards: otherSide(effect.from), binding: this.#current() };
    server.respond(answerTowards(this.#ctx, effect.response, answering));
  }

  #refuse({ exchange, status }: CallEffect & { readonly kind: "refuse" }): void {
    const server = this.#servers.get(exchange);
    if (server === undefined) return;
    const { request, toTag } = server;
    this.#ctx.counters.count("requests_refused_total", { method: request.method, status: String(status) });
    const refusal = createResponse(request, status, undefined, { toTag });
    // RFC 3261 20.33: the gateways were full or gone, not this edge.
    const later = status === 503 ? this.#retryAfter : undefined;
    server.respond(later === undefined ? refusal : appendHeader(refusal, "Retry-After", String(later)));
  }

  #arm(timer: CallTimer, ms: number): void {
    this.#timers.get(timer)?.cancel();
    this.#timers.set(
      timer,
      this.#ctx.clock.after(ms, () => this.feed({ kind: "timer", timer })),
    );
  }

  #disarm(timer: CallTimer): void {
    this.#timers.get(timer)?.cancel();
    this.#timers.delete(timer);
  }

  #perform(effect: CallEffect): void {
    switch (effect.kind) {
      case "forward":
        return this.#forward(effect);
      case "respond":
        return this.#respond(effect);
      case "refuse":
        return this.#refuse(effect);
      case "cancel":
        return this.#clients.get(effect.exchange)?.cancel();
      case "acknowledge":
      case "originate":
      case "ask":
        return this.#sendOwn(effect);
      case "pass-on":
        return passOn(this.#ctx, this.#current(), effect);
      case "gateway":
        return this.#toGateway(effect);
      case "release-gateway":
        return this.#media.release();
      case "zeroise":
        for (const key of effect.keys) key.release();
        return undefined;
      case "evidence":
        return noteEvidence(this.#ctx, { call: this.#facts.id, binding: this.#current() }, effect.evidence);
      case "arm":
        return this.#arm(effect.timer, effect.ms);
      case "disarm":
        return this.#disarm(effect.timer);
      case "finished":
        return this.#finish();
    }
  }

  #finish(): void {
    if (this.#finished) return;
    this.abandon();
    this.#onFinished(this, this.view());
  }

  #note(effects: readonly CallEffect[]): void {
    const { clock } = this.#ctx;
    for (const effect of effects) {
      if (effect.kind === "arm" && effect.timer === "session") this.#sessionEndsAt = clock.now() + effect.ms;
      else if (effect.kind === "disarm" && effect.timer === "session") this.#sessionEndsAt = undefined;
    }
    if (this.#state.phase === "setup") return;
    if (this.#state.phase === "confirmed") this.#answeredAt ??= clock.now();
    else this.#endedAt ??= clock.now();
  }

  /** Everything waits, in order, while the store takes in what the next message will promise. */
  #work(): void {
    this.#busy = true;
    try {
      for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
        const { effects, state } = step(this.#state, next, this.#env);
        this.#state = state;
        this.#note(effects);
        const saved = this.#keeping.before(state, effects);
        if (saved !== undefined) return this.#media.track(this.#performLater(saved, effects));
        for (const effect of effects) this.#perform(effect);
      }
      this.#busy = false;
    } catch (error) {
      this.#busy = false;
      throw error;
    }
  }

  async #performLater(saved: Promise<void>, effects: readonly CallEffect[]): Promise<void> {
    await saved;
    if (this.#finished) return;
    try {
      for (const effect of effects) this.#perform(effect);
    } finally {
      this.#work();
    }
  }
}

export const createLeg = (options: LegOptions): Leg => new CallLeg(options);
