// One call leg at work: runs the pure steps and carries their effects out on transactions, timers and the gateway.
// Owns the leg's lifetime: when it is finished nothing of it is left (invariant 10). Decides nothing itself.
import { isIPv6 } from "node:net";
import type { Timer } from "@sallyport/kit";
import type { IqContext, IqNotification } from "@sallyport/iq";
import type { Side } from "@sallyport/media-security";
import type { Flow, ServerTransaction, SipRequest } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import { codeOf } from "../faults.ts";
import type { Binding } from "../registration/binding.ts";
import { isFlowOf } from "../routing/ue-flow.ts";
import { noteEvidence, withRemoved } from "./evidence.ts";
import type { CallSurroundings } from "../state/call-record.ts";
import { createGatewayWork, type GatewayWork } from "./gateway-work.ts";
import { createKeeping, type Keeping } from "./keeping.ts";
import type { Leg, LegOptions } from "./leg-port.ts";
import { LegTransactions } from "./leg-transactions.ts";
import type { MediaCounts } from "./media-counts.ts";
import { passOn } from "./pass-on.ts";
import { breakOff, giveUp, openCall, resumeCall, step, type CallFacts } from "./step.ts";
import type { CallEffect, CallInput, CallState, CallTimer } from "./types.ts";
import { viewOf, type CallView } from "./view.ts";
import type { CallEnvironment } from "./work.ts";

/** RFC 4028 10: a refresh that was on its way while this edge was down has this long to come again, 64*T1. */
const refreshAgainMs = 32_000;

// A class: legs come by the hundred a second, and their functions need not be made anew for each.
class CallLeg implements Leg {
  readonly #ctx: EdgeContext;
  readonly #facts: Pick<CallFacts, "id" | "callId" | "direction" | "token" | "bindingId" | "priority">;
  readonly #env: CallEnvironment;
  readonly #transactions: LegTransactions;
  readonly #media: GatewayWork;
  readonly #keeping: Keeping;
  readonly #onFinished: (leg: Leg, view: CallView) => void;
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
  #broken = false;
  #finished = false;
  #answeredAt: number | undefined;
  #sessionEndsAt: number | undefined;
  #endedAt: number | undefined;

  constructor(options: LegOptions) {
    const { ctx, facts, restored } = options;
    const { id, callId, direction, token, bindingId, priority } = facts;
    this.#ctx = ctx;
    this.#facts = { id, callId, direction, token, bindingId, priority };
    this.#env = options.env;
    this.#onFinished = options.onFinished;
    this.#startedAt = restored?.startedAt ?? ctx.clock.now();
    this.#state = restored === undefined ? openCall(facts) : resumeCall(facts, restored);
    this.#binding = options.binding;
    this.#unsettled = restored?.unsettled ?? false;
    this.#answeredAt = restored?.answeredAt;
    this.#sessionEndsAt = restored?.sessionEndsAt;
    this.#transactions = new LegTransactions(ctx, {
      id,
      token,
      binding: () => this.#current(),
      feed: (input) => this.feed(input),
      removed: (from, message, removed) => {
        const { limits } = this.#env;
        this.#state = withRemoved(this.#state, {
          from,
          message,
          removed,
          at: ctx.clock.now(),
          room: limits.maxEvidence,
        });
      },
    });
    this.#media = createGatewayWork({
      call: id,
      gateway: options.gateway,
      marks: {
        emergency: facts.media.emergency === true,
        ...(facts.priority === undefined ? {} : { priority: facts.priority }),
      },
      family: () => (isIPv6(this.#current().flow.address) ? "IP6" : "IP4"),
      log: ctx.log,
      faults: ctx.faults,
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

  get flowId(): string {
    return this.#current().flow.id;
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
    this.#transactions.take(exchange, transaction);
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
    this.#transactions.letGo();
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
      ...(this.#facts.priority === undefined ? {} : { priority: this.#facts.priority }),
    };
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
        return this.#transactions.forward(effect);
      case "respond":
        return this.#transactions.respond(effect);
      case "refuse":
        return this.#transactions.refuse(effect, this.#retryAfter);
      case "cancel":
        return this.#transactions.cancel(effect);
      case "acknowledge":
      case "originate":
      case "ask":
        return this.#transactions.sendOwn(effect);
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
    this.#transactions.refuseRest(this.#state.exchanges);
    this.abandon();
    this.#media.end();
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

  /** Everything waits, in order, while the store takes in what the next message will promise. Never throws. */
  #work(): void {
    this.#busy = true;
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
      const later = this.#take(next);
      if (later !== undefined) return this.#media.track(later);
    }
    this.#busy = false;
  }

  /** One step; what is left of it when its effects wait for the store. */
  #take(input: CallInput): Promise<void> | undefined {
    try {
      const { effects, state } = step(this.#state, input, this.#env);
      this.#state = state;
      this.#note(effects);
      const saved = this.#keeping.before(state, effects);
      if (saved !== undefined) return this.#performLater(saved, effects);
      this.#performAll(effects);
    } catch (error) {
      const again = this.#broken;
      this.#breakOff(error);
      // A 2xx among them still wants its ACK and BYE.
      if (!again && input.kind === "response") this.#inbox.unshift(input);
    }
    return undefined;
  }

  async #performLater(saved: Promise<void>, effects: readonly CallEffect[]): Promise<void> {
    try {
      await saved;
      if (this.#finished) return;
      this.#performAll(effects);
    } catch (error) {
      this.#breakOff(error);
    }
    this.#work();
  }

  /** One that fails does not take those after it along. */
  #performAll(effects: readonly CallEffect[]): void {
    let fault: { readonly error: unknown } | undefined;
    for (const effect of effects) {
      try {
        this.#perform(effect);
      } catch (error) {
        fault ??= { error };
      }
    }
    if (fault !== undefined) this.#breakOff(fault.error);
  }

  /** A defect of ours shows in this leg: it ends, told to both sides, and gives back what it holds. */
  #breakOff(error: unknown): void {
    this.#ctx.faults.tell("call", error, { call: this.#facts.id });
    if (this.#finished) return;
    if (!this.#broken && this.#state.phase !== "ending") {
      this.#broken = true;
      try {
        this.#transactions.refuseUnknown(this.#state.exchanges);
        const { effects, state } = breakOff(this.#state, codeOf(error), this.#env);
        this.#state = state;
        this.#note(effects);
        const dropped = this.#keeping.before(state, effects);
        if (dropped !== undefined) this.#media.track(dropped);
        return this.#performAll(effects);
      } catch (second) {
        this.#ctx.faults.tell("call", second, { call: this.#facts.id });
      }
    }
    // Even that went wrong, or it was over anyhow.
    this.#ctx.faults.guard("call", () => this.#transactions.abort());
    if (this.#state.phase === "ending" && this.#timers.has("linger")) return;
    this.#state = giveUp(this.#state, codeOf(error));
    this.#ctx.faults.guard("call", () => {
      const dropped = this.#keeping.before(this.#state, []);
      if (dropped !== undefined) this.#media.track(dropped);
    });
    this.#finish();
  }
}

export const createLeg = (options: LegOptions): Leg => new CallLeg(options);
