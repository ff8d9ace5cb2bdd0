// Owns a server transaction as its user sees it: the table that fits the method, joined to the transport and to its owner.
// Must not know other transactions.
import type { Clock } from "@sallyport/kit";
import { createResponse, tagOf } from "../message/index.ts";
import type { SipRequest, SipResponse } from "../message/index.ts";
import type { Flow } from "../transport/flow.ts";
import { startInviteServer, stepInviteServer } from "./invite-server.ts";
import type { InviteServerInput, InviteServerState, InviteServerTimer } from "./invite-server.ts";
import type { Step, TransactionTimers, Up } from "./machine.ts";
import { Runner } from "./runner.ts";
import type { RunnerHost, ShellEffect } from "./runner.ts";
import { startServer, stepServer } from "./server.ts";
import type { ServerInput, ServerState, ServerTimer } from "./server.ts";

type Headers = readonly (readonly [name: string, value: string])[];

export interface ServerTransaction {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  /** `trying`, `proceeding`, `completed`, `confirmed`, `accepted`, `terminated`. */
  readonly state: string;
  /** A fresh tag for the To of responses made here; the 200 to a CANCEL uses it too. */
  readonly toTag: string;
  /** Responses that come too late for the state (a second final one) are dropped, as RFC 3261 17.2 says. */
  respond(response: SipResponse): void;
  /** The CANCEL has been answered 200 already; the owner answers this request, with 487 if nothing better is at hand. */
  onCancel?: ((cancel: SipRequest) => void) | undefined;
  /** ACK for a final response other than 2xx. */
  onAck?: ((ack: SipRequest) => void) | undefined;
  /** `H`: the ACK never came; `unanswered`: nobody answered while the client was waiting. */
  onTimeout?: ((what: "H" | "unanswered") => void) | undefined;
  /** A response could not be sent; the transaction goes on (RFC 6026 8.8). */
  onTransportError?: ((error: Error) => void) | undefined;
  /** Nothing more can come of it for its owner: copies of the request are answered without anybody. */
  onEnd?: (() => void) | undefined;
  /**
   * Its final answer, with `toTag` and further headers. Of a stranger's request nothing is kept then: a copy of it is a
   * request of its own and refused alike, and the ACK belongs to nothing (RFC 3261 8.2.7).
   */
  refuse(status: number, reason?: string, headers?: Headers): void;
  /** Its owner is gone: the transaction ends as it must, tells nobody, and holds nobody. */
  forget(): void;
}

/** What a server transaction needs of the layer it runs in. */
export interface ServerLayer {
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  /** Makes the tag when somebody asks for one: a proxy hardly ever does. */
  newTag(): string;
  /** The tag all copies of one request get. RFC 3261 8.2.7. */
  tagOf(id: string): string;
  send(response: SipResponse, flow: Flow): Promise<Flow>;
  /** Whether a stranger is sent its final answer once more without having asked again. */
  mayRepeat(flow: Flow): boolean;
  onAckOf2xx(ack: SipRequest, flow: Flow): void;
  onEnd(shell: ServerShell): void;
  /** It is over with this answer, and nothing of it is to be kept. */
  onRefused(shell: ServerShell, response: SipResponse): void;
  /** Nothing but copies of the request can come, and they get `last` again; undefined: they get nothing. */
  onSpent(shell: ServerShell, last: SipResponse | undefined): void;
  onFault(error: unknown): void;
}

type State = InviteServerState | ServerState;
type Input = InviteServerInput | ServerInput;
type OwnTimer = InviteServerTimer | ServerTimer;

export interface ServerStart {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly stranger: boolean;
}

export class ServerShell implements ServerTransaction, RunnerHost<State, OwnTimer, Input> {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  /** Nobody knows who sent it. */
  readonly stranger: boolean;
  onCancel: ((cancel: SipRequest) => void) | undefined = undefined;
  onAck: ((ack: SipRequest) => void) | undefined = undefined;
  onTimeout: ((what: "H" | "unanswered") => void) | undefined = undefined;
  onTransportError: ((error: Error) => void) | undefined = undefined;
  onEnd: (() => void) | undefined = undefined;
  readonly #layer: ServerLayer;
  readonly #runner: Runner<State, OwnTimer, Input>;
  #lastAck: SipRequest | undefined;
  #answeredTag: string | undefined;
  #ownTag: string | undefined;
  #forgotten = false;

  constructor(layer: ServerLayer, id: string, { request, flow, stranger }: ServerStart) {
    this.id = id;
    this.request = request;
    this.flow = flow;
    this.stranger = stranger;
    this.#layer = layer;
    const setting = { timers: layer.timers, reliable: flow.protocol !== "udp" };
    const first: Step<State, OwnTimer> =
      request.method === "INVITE" ? startInviteServer(setting) : startServer(setting);
    this.#runner = new Runner<State, OwnTimer, Input>(layer.clock, first, this);
  }

  get state(): string {
    return this.#runner.state.name;
  }

  get toTag(): string {
    return (this.#ownTag ??= this.stranger ? this.#layer.tagOf(this.id) : this.#layer.newTag());
  }

  respond(response: SipResponse): void {
    if (response.status >= 200) this.#answeredTag ??= tagOf(response, "to");
    this.#runner.feed({ kind: "respond", response });
    this.#settle();
  }

  refuse(status: number, reason?: string, headers: Headers = []): void {
    this.end(createResponse(this.request, status, reason, { toTag: this.toTag, headers }));
  }

  /** The final answer to a request that leads to nothing. */
  end(response: SipResponse): void {
    if (this.stranger) this.#layer.onRefused(this, response);
    else this.respond(response);
  }

  forget(): void {
    this.onCancel = undefined;
    this.onAck = undefined;
    this.onTimeout = undefined;
    this.onTransportError = undefined;
    this.onEnd = undefined;
    this.#forgotten = true;
    this.#settle();
  }

  begin(): void {
    this.#runner.begin();
  }

  /** A copy of the request, or the ACK. */
  receive(received: SipRequest): void {
    if (received.method !== "ACK") return this.#runner.feed({ kind: "request" });
    this.#lastAck = received;
    if (this.request.method === "INVITE") this.#runner.feed({ kind: "ack" });
  }

  /** Whether an ACK with this transaction's key is its own. */
  acknowledges(ack: SipRequest, old: boolean): boolean {
    // RFC 3261 17.2.3, second half: by the old rules the To tag must be that of our response.
    return !old || (this.#answeredTag !== undefined && tagOf(ack, "to") === this.#answeredTag);
  }

  cancel(cancel: SipRequest): void {
    if (this.state === "proceeding") this.onCancel?.(cancel);
  }

  /** Stops without a word to anybody. */
  drop(): void {
    this.#runner.drop();
  }

  /** @internal for the runner */
  step(state: State, input: Input): Step<State, OwnTimer> {
    if (this.request.method !== "INVITE") return stepServer(state as ServerState, input as ServerInput);
    const next = stepInviteServer(state as InviteServerState, input as InviteServerInput);
    // RFC 3261 17.2.1: Timer G. A forged source would be sent eleven answers for one datagram.
    const repeats = input.kind === "timer" && input.timer === "G" && next.state.name === "completed";
    if (!repeats || !this.stranger || this.#layer.mayRepeat(this.flow)) return next;
    return { state: next.state, effects: next.effects.filter(({ kind }) => kind !== "send-response") };
  }

  /** @internal for the runner */
  perform(effect: ShellEffect<OwnTimer>): void {
    if (effect.kind === "send-response") this.#transmit(effect.response);
    // RFC 3261 17.2.1: the 100 carries no To tag.
    else if (effect.kind === "send-trying") this.#transmit(createResponse(this.request, 100));
    else if (effect.kind === "up") this.#tell(effect.event);
  }

  /** @internal for the runner */
  ended(): void {
    this.#layer.onEnd(this);
    this.onEnd?.();
  }

  /** @internal for the runner */
  fault(error: unknown): void {
    this.#layer.onFault(error);
  }

  #settle(): void {
    const { state } = this.#runner;
    // RFC 3261 17.2.2: Completed answers copies of the request until Timer J, and nothing else.
    if (state.name === "completed" && this.request.method !== "INVITE") {
      const { last } = state as ServerState;
      this.#layer.onSpent(this, last);
      // RFC 6026 7.1: Accepted passes responses of its owner on, as long as there is one, and takes in copies.
    } else if (state.name === "accepted" && this.#forgotten) this.#layer.onSpent(this, undefined);
  }

  #tell(event: Up<OwnTimer>): void {
    if (event.kind === "ack") {
      if (this.#lastAck !== undefined) this.onAck?.(this.#lastAck);
    } else if (event.kind === "ack-2xx") {
      if (this.#lastAck !== undefined) this.#layer.onAckOf2xx(this.#lastAck, this.flow);
    } else if (event.kind === "transport-error") this.onTransportError?.(event.error);
    else if (event.kind === "timeout" && (event.timer === "H" || event.timer === "unanswered")) {
      this.onTimeout?.(event.timer);
    }
  }

  #transmit(response: SipResponse): void {
    this.#layer
      .send(response, this.flow)
      .catch((error: Error) => this.#runner.feed({ kind: "transport-error", error }));
  }
}
