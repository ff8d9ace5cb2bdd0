// The SIP transactions of one call leg: what it was asked and has to answer, what it asked and waits for. Owns them until
// they are let go of (invariant 10); writes what leaves for its receiver. Decides nothing.
import { otherSide, type Side } from "@sallyport/media-security";
import {
  appendHeader,
  createResponse,
  headerValues,
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
import { acceptable, answerTowards, warning } from "../routing/answer.ts";
import { branchFor, refusalOfLostFlow, towardsCore, towardsUe, type Outgoing } from "../routing/outgoing.ts";
import type { ListeningPoint } from "../listening/points.ts";
import { restoration } from "../routing/restoration.ts";
import { sendRequest } from "../routing/sending.ts";
import { withAnsweredInterval, withInterval } from "../routing/session-interval.ts";
import { noteFlow } from "../routing/ue-flow.ts";
import { offerPending } from "./offer-answer.ts";
import type { CallEffect, CallInput, CallState, Party } from "./types.ts";

/** What becomes of a BYE or of anything else we send in our own name interests nobody. */
const ignore = (): void => undefined;
const unheard: ClientHandlers = { onResponse: ignore, onTimeout: ignore, onTransportError: ignore };

/** What the transactions need of their leg. */
export interface TransactionOwner {
  readonly id: string;
  /** What names the leg in Record-Route. */
  readonly token: string;
  /** The binding as it is now. */
  binding(): Binding;
  feed(input: CallInput): void;
  /** `removed` of that message of the side `from` did not cross. */
  removed(from: Side, message: string, removed: readonly string[]): void;
}

// A class, as the leg is.
export class LegTransactions {
  readonly #ctx: EdgeContext;
  readonly #owner: TransactionOwner;
  readonly #servers = new Map<number, ServerTransaction>();
  readonly #clients = new Map<number, ClientTransaction>();
  /** What nobody in the core has answered at all. */
  readonly #unreached = new Set<number>();
  /** Offers of our own. */
  readonly #asked = new Set<ClientTransaction>();

  constructor(ctx: EdgeContext, owner: TransactionOwner) {
    this.#ctx = ctx;
    this.#owner = owner;
  }

  /** A request that is to be answered under `exchange`. */
  take(exchange: number, server: ServerTransaction): void {
    this.#servers.set(exchange, server);
    server.onCancel = (cancel) =>
      this.#owner.feed({ kind: "cancel", exchange, reasons: headerValues(cancel, "reason") });
    server.onEnd = () => {
      this.#servers.delete(exchange);
      this.#unreached.delete(exchange);
    };
  }

  /** Nothing that lives on behind the leg, such as a transaction of RFC 6026, may hold on to it. */
  letGo(): void {
    for (const server of this.#servers.values()) server.forget();
    this.#servers.clear();
    this.#unreached.clear();
    for (const client of [...this.#clients.values(), ...this.#asked]) client.forget();
    this.#clients.clear();
    this.#asked.clear();
  }

  /** Nothing can be decided any more: whoever waits hears 503, what was asked is cancelled. */
  abort(): void {
    for (const server of this.#servers.values())
      server.respond(createResponse(server.request, 503, undefined, { toTag: server.toTag }));
    for (const client of this.#clients.values()) client.cancel();
  }

  /**
   * The call is over: what waited for its turn hears so (RFC 3261 12.2.2). No INVITE may be left without an answer: nothing else
   * would ever end its transaction.
   */
  refuseRest(exchanges: CallState["exchanges"]): void {
    for (const [exchange, server] of this.#servers) {
      const open = server.state === "trying" || server.state === "proceeding";
      if (open && (server.request.method === "INVITE" || !exchanges.has(exchange))) server.refuse(481);
    }
  }

  /** What the leg's state does not know of, because the step that was to take it in failed. */
  refuseUnknown(exchanges: CallState["exchanges"]): void {
    for (const [exchange, server] of this.#servers)
      if (!exchanges.has(exchange))
        server.respond(createResponse(server.request, 503, undefined, { toTag: server.toTag }));
  }

  forward(effect: CallEffect & { readonly kind: "forward" }): void {
    const ctx = this.#ctx;
    const owner = this.#owner;
    const { exchange, towards } = effect;
    const server = this.#servers.get(exchange);
    const point = server === undefined ? undefined : ctx.points.ofFlow(server.flow);
    const request = withInterval(effect.request, ctx.config.session);
    const out = point === undefined ? undefined : this.#outgoing(towards, request, effect.party, point);
    if (server === undefined || out === undefined) {
      return owner.feed({ kind: "unanswered", exchange, status: refusalOfLostFlow(owner.binding()) });
    }
    let heard = false;
    const unanswered = (status: 408 | 430 | 480 | 503): void => {
      if (!heard && towards === "core") this.#unreached.add(exchange);
      owner.feed({ kind: "unanswered", exchange, status });
    };
    const handlers: ClientHandlers = {
      onResponse: (response, flow) => {
        heard = true;
        noteFlow(ctx, owner.binding(), flow);
        const timed = withAnsweredInterval(response, server.request, ctx.config.session);
        owner.feed({ kind: "response", exchange, response: timed });
      },
      onTimeout: () => unanswered(408),
      onTransportError: (error) => {
        ctx.log.info("request not sent", { call: owner.id, error: error.message });
        unanswered(towards === "access" ? refusalOfLostFlow(owner.binding()) : 503);
      },
      onEnd: () => this.#clients.delete(exchange),
    };
    const branch = (): string => branchFor(ctx, server.request);
    this.#clients.set(exchange, sendRequest(ctx, { ...out, branch }, handlers));
  }

  /** RFC 3261 9.1: goes when it may. RFC 3326 2: a phone that hears of "completed elsewhere" counts no missed call. */
  cancel({ exchange, reasons = [] }: CallEffect & { readonly kind: "cancel" }): void {
    this.#clients.get(exchange)?.cancel(reasons.map((reason) => ["Reason", reason] as const));
  }

  /** Requests no UE or core element sent: they leave by any point of the other side. */
  sendOwn(effect: CallEffect & { readonly kind: "acknowledge" | "originate" | "ask" }): void {
    const ctx = this.#ctx;
    const side = otherSide(effect.towards);
    const point = ctx.points.all.find((each) => each.side === side);
    const out = point === undefined ? undefined : this.#outgoing(effect.towards, effect.request, effect.party, point);
    if (out === undefined) {
      ctx.log.info("flow gone", { call: this.#owner.id, method: effect.request.method });
      if (effect.kind === "ask") this.#answered(effect, undefined);
      return undefined;
    }
    if (effect.kind === "acknowledge") return this.#acknowledge(out.to, out.request);
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

  respond(effect: CallEffect & { readonly kind: "respond" }): void {
    const server = this.#servers.get(effect.exchange);
    if (server === undefined) return;
    const { status } = effect.response;
    const answering = {
      asked: server.request,
      towards: otherSide(effect.from),
      binding: this.#owner.binding(),
      onRemoved: (removed: readonly string[]) =>
        this.#owner.removed(effect.from, `${status} to ${server.request.method}`, removed),
    };
    server.respond(answerTowards(this.#ctx, effect.response, answering));
  }

  /** `retryAfter`: seconds, of a 503 that is not this edge's own. RFC 3261 20.33. */
  refuse({ exchange, status, reason }: CallEffect & { readonly kind: "refuse" }, retryAfter: number | undefined): void {
    const server = this.#servers.get(exchange);
    if (server === undefined) return;
    const { request, toTag } = server;
    // RFC 4320 4.2: whoever sent it has given up by itself.
    if (status === 408 && request.method !== "INVITE") return;
    const told = this.#unreached.has(exchange) && status !== 487 ? this.#restoration(server) : undefined;
    if (told !== undefined) return server.respond(told);
    this.#ctx.counters.count("requests_refused_total", { method: request.method, status: String(status) });
    const headers = [...acceptable(status), ...warning(this.#ctx.config.homeNetwork, status, reason)];
    const refusal = createResponse(request, status, undefined, { toTag, headers });
    // RFC 3261 14.2, RFC 3311 5.2: who offers again too early is told when it may.
    const pause = (): number => (this.#ctx.random.bytes(1)[0] ?? 0) % 11;
    const later = status === 503 ? retryAfter : status === 500 && reason === offerPending ? pause() : undefined;
    server.respond(later === undefined ? refusal : appendHeader(refusal, "Retry-After", String(later)));
  }

  /** TS 24.229 5.2.6.3.2A. */
  #restoration(server: ServerTransaction): SipResponse | undefined {
    const { request } = server;
    const told = restoration(this.#ctx, server, this.#owner.binding());
    if (told !== undefined)
      this.#ctx.counters.count("requests_refused_total", { method: request.method, status: String(told.status) });
    return told;
  }

  #outgoing(towards: Side, request: SipRequest, party: Party | undefined, point: ListeningPoint): Outgoing | undefined {
    const owner = this.#owner;
    const parts = { request, binding: owner.binding(), cameIn: point, hop: party, token: owner.token };
    const out = towards === "core" ? towardsCore(this.#ctx, parts) : towardsUe(this.#ctx, parts);
    if (out !== undefined && out.removed.length > 0) owner.removed(otherSide(towards), request.method, out.removed);
    return out;
  }

  #acknowledge(to: Flow | SipTarget, request: SipRequest): void {
    const { transactions, log } = this.#ctx;
    transactions
      .sendAck(request, to)
      .catch((error: unknown) => log.info("ack not sent", { call: this.#owner.id, error: String(error) }));
  }

  #answered({ towards, seq }: CallEffect & { readonly kind: "ask" }, response: SipResponse | undefined): void {
    this.#owner.feed({ kind: "own-response", towards, seq, response });
  }
}
