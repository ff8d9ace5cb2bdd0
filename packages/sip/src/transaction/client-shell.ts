// Owns a client transaction as its user sees it: the table that fits the method, joined to the transport and to the handlers.
// Must not know other transactions.
import type { Clock } from "@sallyport/kit";
import type { SipRequest, SipResponse } from "../message/index.ts";
import type { Flow, SipTarget } from "../transport/flow.ts";
import { startClient, stepClient } from "./client.ts";
import type { ClientInput, ClientState, ClientTimer } from "./client.ts";
import { startInviteClient, stepInviteClient } from "./invite-client.ts";
import type { InviteClientInput, InviteClientState, InviteClientTimer } from "./invite-client.ts";
import type { Step, TransactionTimers, Up } from "./machine.ts";
import { acknowledge, cancelOf } from "./own-requests.ts";
import { Runner } from "./runner.ts";
import type { RunnerHost, ShellEffect } from "./runner.ts";

type Headers = readonly (readonly [name: string, value: string])[];

export interface ClientTransaction {
  readonly id: string;
  /** As sent, our Via on top. */
  readonly request: SipRequest;
  /** `calling`, `trying`, `proceeding`, `completed`, `accepted`, `terminated`. */
  readonly state: string;
  /** RFC 3261 9.1: goes out after the first provisional response; nothing happens once a final one came. INVITE only. */
  cancel(headers?: Headers): void;
  /** Its owner is gone: it ends as it must (RFC 6026 8.4 makes it linger for 64*T1), tells nobody, and holds nobody. */
  forget(): void;
}

export interface ClientHandlers {
  /** Every 1xx, every 2xx to an INVITE with its copies, else the first final response; our Via is already off. */
  onResponse(response: SipResponse, flow: Flow): void;
  /** No final response: Timer B or F, or 64*T1 after a CANCEL. */
  onTimeout(): void;
  onTransportError(error: Error): void;
  /** Nothing more will be told. */
  onEnd?(): void;
}

/** Tells nobody. */
export const silent: ClientHandlers = {
  onResponse: () => undefined,
  onTimeout: () => undefined,
  onTransportError: () => undefined,
};

/** What a client transaction needs of the layer it runs in. */
export interface ClientLayer {
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  send(message: SipRequest, to: Flow | SipTarget): Promise<Flow>;
  /** Sends the CANCEL in a transaction of its own. */
  sendCancel(shell: ClientShell, cancel: SipRequest): void;
  onEnd(shell: ClientShell): void;
  /** Nothing but copies of a final answer can come, and nobody is told of them. */
  onSpent(shell: ClientShell): void;
  onFault(error: unknown): void;
}

type State = InviteClientState | ClientState;
type Input = InviteClientInput | ClientInput;
type OwnTimer = InviteClientTimer | ClientTimer;

export interface ClientStart {
  readonly request: SipRequest;
  readonly id: string;
  readonly to: Flow | SipTarget;
  readonly handlers: ClientHandlers;
  /** Why it cannot even begin. */
  readonly refused: Error | undefined;
}

export class ClientShell implements ClientTransaction, RunnerHost<State, OwnTimer, Input> {
  readonly id: string;
  readonly request: SipRequest;
  readonly #layer: ClientLayer;
  readonly to: Flow | SipTarget;
  readonly #refused: Error | undefined;
  readonly #runner: Runner<State, OwnTimer, Input>;
  #handlers: ClientHandlers;
  #cancelHeaders: Headers = [];
  #lastFlow: Flow | undefined;
  /** Where the request went last. */
  #sent: Flow | undefined;

  constructor(layer: ClientLayer, { id, request, to, handlers, refused }: ClientStart) {
    this.id = id;
    this.request = request;
    this.#layer = layer;
    this.to = to;
    this.#refused = refused;
    this.#handlers = handlers;
    const setting = { timers: layer.timers, reliable: to.protocol !== "udp" };
    const first: Step<State, OwnTimer> =
      request.method === "INVITE" ? startInviteClient(setting) : startClient(setting);
    this.#runner = new Runner<State, OwnTimer, Input>(layer.clock, first, this);
  }

  get state(): string {
    return this.#runner.state.name;
  }

  cancel(headers: Headers = []): void {
    this.#cancelHeaders = headers;
    if (this.request.method === "INVITE") this.#runner.feed({ kind: "cancel" });
  }

  forget(): void {
    this.#handlers = silent;
    this.#settle();
  }

  begin(): void {
    this.#runner.begin();
  }

  receive(response: SipResponse, flow: Flow): void {
    this.#lastFlow = flow;
    this.#runner.feed({ kind: "response", response });
    this.#settle();
  }

  /** The flow the request left on last; what it was given to while that is not known. */
  get sent(): Flow | SipTarget {
    return this.#sent ?? this.to;
  }

  /** The connection that took the request last. */
  get sentOn(): string | undefined {
    return this.#sent === undefined || this.#sent.protocol === "udp" ? undefined : this.#sent.id;
  }

  /** The connection is gone that took the request. */
  connectionLost(error: Error): void {
    this.#runner.feed({ kind: "connection-lost", error });
  }

  /** The layer takes copies in from now on. */
  retire(): void {
    this.#runner.drop();
    const handlers = this.#handlers;
    this.#handlers = silent;
    try {
      handlers.onEnd?.();
    } catch (error) {
      this.#layer.onFault(error);
    }
  }

  /** Stops without a word to anybody. */
  drop(): void {
    this.#runner.drop();
  }

  /** @internal for the runner */
  step(state: State, input: Input): Step<State, OwnTimer> {
    return this.request.method === "INVITE"
      ? stepInviteClient(state as InviteClientState, input as InviteClientInput)
      : stepClient(state as ClientState, input as ClientInput);
  }

  /** @internal for the runner */
  perform(effect: ShellEffect<OwnTimer>): void {
    switch (effect.kind) {
      case "send-request":
        return this.#transmit(this.request);
      case "send-ack":
        return this.#transmit(acknowledge(this.request, effect.response));
      case "send-cancel":
        return this.#layer.sendCancel(this, cancelOf(this.request, this.#cancelHeaders));
      case "up":
        return this.#tell(effect.event);
      default:
        return undefined;
    }
  }

  /** @internal for the runner */
  ended(): void {
    this.#layer.onEnd(this);
    this.#handlers.onEnd?.();
  }

  /** @internal for the runner */
  fault(error: unknown): void {
    this.#layer.onFault(error);
  }

  #settle(): void {
    const { state } = this;
    if (this.request.method !== "INVITE") {
      // RFC 3261 17.1.2.2: Completed takes in copies of the answer until Timer K, and nothing else.
      if (state === "completed") this.#layer.onSpent(this);
      // RFC 6026 8.4: without an owner to hear of them, Accepted takes in copies of the 2xx and does nothing else.
    } else if (state === "accepted" && this.#handlers === silent) this.#layer.onSpent(this);
  }

  #tell(event: Up<OwnTimer>): void {
    const handlers = this.#handlers;
    if (event.kind === "response") {
      if (this.#lastFlow !== undefined) handlers.onResponse(event.response, this.#lastFlow);
    } else if (event.kind === "timeout") handlers.onTimeout();
    else if (event.kind === "transport-error") handlers.onTransportError(event.error);
  }

  #transmit(message: SipRequest): void {
    const sent = this.#refused === undefined ? this.#layer.send(message, this.to) : Promise.reject(this.#refused);
    sent.then(
      (flow) => {
        this.#sent = flow;
      },
      (error: Error) => this.#runner.feed({ kind: "transport-error", error }),
    );
  }
}
