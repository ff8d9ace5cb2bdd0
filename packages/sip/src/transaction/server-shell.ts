// Owns a server transaction as its user sees it: the table that fits the method, joined to the transport and to its owner.
// Must not know other transactions.
import type { Clock } from "@sallyport/kit";
import { createResponse, tagOf } from "../message/index.ts";
import type { SipRequest, SipResponse } from "../message/index.ts";
import type { Flow } from "../transport/flow.ts";
import { startInviteServer, stepInviteServer } from "./invite-server.ts";
import type { InviteServerInput, InviteServerState, InviteServerTimer } from "./invite-server.ts";
import type { TransactionTimers } from "./machine.ts";
import { createRunner } from "./runner.ts";
import type { Runner, ShellEffect } from "./runner.ts";
import { startServer, stepServer } from "./server.ts";
import type { ServerInput, ServerState, ServerTimer } from "./server.ts";

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
  onAck?: (ack: SipRequest) => void;
  /** `H`: the ACK never came; `unanswered`: nobody answered while the client was waiting. */
  onTimeout?: (what: "H" | "unanswered") => void;
  /** A response could not be sent; the transaction goes on (RFC 6026 8.8). */
  onTransportError?: (error: Error) => void;
  onEnd?: (() => void) | undefined;
}

export interface ServerShell {
  readonly transaction: ServerTransaction;
  begin(): void;
  /** A copy of the request, or the ACK. */
  receive(request: SipRequest): void;
  /** Whether an ACK with this transaction's key is its own. */
  acknowledges(ack: SipRequest, old: boolean): boolean;
  cancel(cancel: SipRequest): void;
  drop(): void;
}

export interface ServerShellOptions {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly id: string;
  /** Makes the tag when somebody asks for one: a proxy hardly ever does. */
  newTag(): string;
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  send(response: SipResponse): Promise<Flow>;
  onAckOf2xx(ack: SipRequest): void;
  onEnd(): void;
  readonly onFault: (error: unknown) => void;
}

export const createServerTransaction = (options: ServerShellOptions): ServerShell => {
  const { request, flow, clock } = options;
  const setting = { timers: options.timers, reliable: flow.protocol !== "udp" };
  let lastAck: SipRequest | undefined;
  let answeredTag: string | undefined;
  let ownTag: string | undefined;

  const transmit = (response: SipResponse): void => {
    options.send(response).catch((error: Error) => feed({ kind: "transport-error", error }));
  };

  const perform = (effect: ShellEffect<InviteServerTimer | ServerTimer>): void => {
    if (effect.kind === "send-response") transmit(effect.response);
    // RFC 3261 17.2.1: the 100 carries no To tag.
    else if (effect.kind === "send-trying") transmit(createResponse(request, 100));
    else if (effect.kind === "up") {
      const { event } = effect;
      if (event.kind === "ack" && lastAck !== undefined) transaction.onAck?.(lastAck);
      else if (event.kind === "ack-2xx" && lastAck !== undefined) options.onAckOf2xx(lastAck);
      else if (event.kind === "transport-error") transaction.onTransportError?.(event.error);
      else if (event.kind === "timeout" && (event.timer === "H" || event.timer === "unanswered")) {
        transaction.onTimeout?.(event.timer);
      }
    }
  };

  const onEnd = (): void => {
    options.onEnd();
    transaction.onEnd?.();
  };

  const invite = request.method === "INVITE";
  const inviteRunner: Runner<InviteServerState, InviteServerInput> | undefined = invite
    ? createRunner<InviteServerState, InviteServerTimer, InviteServerInput>({
        clock,
        first: startInviteServer(setting),
        step: stepInviteServer,
        onTimer: (timer) => ({ kind: "timer", timer }),
        perform,
        onEnd,
        onFault: options.onFault,
      })
    : undefined;
  const plainRunner: Runner<ServerState, ServerInput> | undefined = invite
    ? undefined
    : createRunner<ServerState, ServerTimer, ServerInput>({
        clock,
        first: startServer(setting),
        step: stepServer,
        onTimer: (timer) => ({ kind: "timer", timer }),
        perform,
        onEnd,
        onFault: options.onFault,
      });
  const feed = (input: Exclude<ServerInput, { readonly kind: "timer" }>): void => {
    inviteRunner?.feed(input);
    plainRunner?.feed(input);
  };
  const runner = (inviteRunner ?? plainRunner) as Runner<InviteServerState | ServerState, never>;

  const transaction: ServerTransaction = {
    id: options.id,
    request,
    flow,
    get toTag() {
      return (ownTag ??= options.newTag());
    },
    get state() {
      return runner.state.name;
    },
    respond: (response) => {
      if (response.status >= 200) answeredTag ??= tagOf(response, "to");
      feed({ kind: "respond", response });
    },
  };

  return {
    transaction,
    begin: () => runner.begin(),
    receive: (received) => {
      if (received.method !== "ACK") return feed({ kind: "request" });
      lastAck = received;
      return inviteRunner?.feed({ kind: "ack" });
    },
    // RFC 3261 17.2.3, second half: by the old rules the To tag must be that of our response.
    acknowledges: (ack, old) => !old || (answeredTag !== undefined && tagOf(ack, "to") === answeredTag),
    cancel: (cancel) => {
      if (runner.state.name === "proceeding") transaction.onCancel?.(cancel);
    },
    drop: () => runner.drop(),
  };
};
