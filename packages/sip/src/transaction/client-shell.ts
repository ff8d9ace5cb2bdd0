// Owns a client transaction as its user sees it: the table that fits the method, joined to the transport and to the handlers.
// Must not know other transactions.
import type { Clock } from "@sallyport/kit";
import type { SipRequest, SipResponse } from "../message/index.ts";
import type { Flow } from "../transport/flow.ts";
import { startClient, stepClient } from "./client.ts";
import type { ClientInput, ClientState, ClientTimer } from "./client.ts";
import { startInviteClient, stepInviteClient } from "./invite-client.ts";
import type { InviteClientInput, InviteClientState, InviteClientTimer } from "./invite-client.ts";
import type { TransactionTimers } from "./machine.ts";
import { acknowledge, cancelOf } from "./own-requests.ts";
import { createRunner } from "./runner.ts";
import type { Runner, ShellEffect } from "./runner.ts";

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
  onEnd?(): void;
}

/** Tells nobody. */
export const silent: ClientHandlers = {
  onResponse: () => undefined,
  onTimeout: () => undefined,
  onTransportError: () => undefined,
};

export interface ClientShell {
  readonly transaction: ClientTransaction;
  begin(): void;
  receive(response: SipResponse, flow: Flow): void;
  drop(): void;
}

export interface ClientShellOptions {
  readonly request: SipRequest;
  readonly id: string;
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  readonly reliable: boolean;
  handlers: ClientHandlers;
  send(message: SipRequest): Promise<Flow>;
  /** Sends the CANCEL in a transaction of its own. */
  sendCancel(cancel: SipRequest): void;
  onEnd(): void;
  readonly onFault: (error: unknown) => void;
}

export const createClientTransaction = (options: ClientShellOptions): ClientShell => {
  const { request, clock } = options;
  let { handlers } = options;
  const setting = { timers: options.timers, reliable: options.reliable };
  let cancelHeaders: Headers = [];
  let lastFlow: Flow | undefined;

  const transmit = (message: SipRequest, fail: (error: Error) => void): void => {
    options.send(message).catch(fail);
  };

  const perform = (effect: ShellEffect<InviteClientTimer | ClientTimer>): void => {
    switch (effect.kind) {
      case "send-request":
        return transmit(request, failed);
      case "send-ack":
        return transmit(acknowledge(request, effect.response), failed);
      case "send-cancel":
        return options.sendCancel(cancelOf(request, cancelHeaders));
      case "up": {
        const { event } = effect;
        if (event.kind === "response" && lastFlow !== undefined) handlers.onResponse(event.response, lastFlow);
        else if (event.kind === "timeout") handlers.onTimeout();
        else if (event.kind === "transport-error") handlers.onTransportError(event.error);
        return undefined;
      }
      case "send-response":
      case "send-trying":
        return undefined;
    }
  };

  const onEnd = (): void => {
    options.onEnd();
    handlers.onEnd?.();
  };

  const invite = request.method === "INVITE";
  const inviteRunner: Runner<InviteClientState, InviteClientInput> | undefined = invite
    ? createRunner<InviteClientState, InviteClientTimer, InviteClientInput>({
        clock,
        first: startInviteClient(setting),
        step: stepInviteClient,
        onTimer: (timer) => ({ kind: "timer", timer }),
        perform,
        onEnd,
        onFault: options.onFault,
      })
    : undefined;
  const plainRunner: Runner<ClientState, ClientInput> | undefined = invite
    ? undefined
    : createRunner<ClientState, ClientTimer, ClientInput>({
        clock,
        first: startClient(setting),
        step: stepClient,
        onTimer: (timer) => ({ kind: "timer", timer }),
        perform,
        onEnd,
        onFault: options.onFault,
      });
  const feed = (input: ClientInput & { readonly kind: "response" | "transport-error" }): void => {
    inviteRunner?.feed(input);
    plainRunner?.feed(input);
  };
  const failed = (error: Error): void => feed({ kind: "transport-error", error });
  const runner = (inviteRunner ?? plainRunner) as Runner<InviteClientState | ClientState, never>;

  return {
    transaction: {
      id: options.id,
      request,
      get state() {
        return runner.state.name;
      },
      cancel: (headers = []) => {
        cancelHeaders = headers;
        inviteRunner?.feed({ kind: "cancel" });
      },
      forget: () => {
        handlers = silent;
        options.handlers = silent;
      },
    },
    begin: () => runner.begin(),
    receive: (response, flow) => {
      lastFlow = flow;
      feed({ kind: "response", response });
    },
    drop: () => runner.drop(),
  };
};
