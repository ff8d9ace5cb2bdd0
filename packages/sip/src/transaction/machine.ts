// The words the four transaction machines share (RFC 3261 17): timer values, effects, the form of a step.
// Pure: no clock, no socket, no transport.
import type { SipResponse } from "../message/index.ts";

/** Milliseconds (RFC 3261 table 4). */
export interface TransactionTimers {
  /** Round trip estimate. */
  readonly T1: number;
  /** Longest retransmission interval for requests other than INVITE and for responses to INVITE. */
  readonly T2: number;
  /** Longest time a message stays in the network. */
  readonly T4: number;
  /** RFC 3261 17.2.1: when an INVITE gets a 100 that nobody sent yet; Infinity for never. */
  readonly trying: number;
  /** RFC 3261 16.6 step 11: how long a proceeding INVITE may stay without news, more than three minutes. */
  readonly C: number;
}

export const defaultTimers: TransactionTimers = { T1: 500, T2: 4_000, T4: 5_000, trying: 200, C: 185_000 };

/** What a machine knows about the world it runs in. */
export interface MachineSetting {
  readonly timers: TransactionTimers;
  /** TCP and TLS: nothing is retransmitted, nobody waits for stragglers. */
  readonly reliable: boolean;
}

export type Up<T extends string> =
  | { readonly kind: "response"; readonly response: SipResponse }
  /** ACK for a final response other than 2xx. */
  | { readonly kind: "ack" }
  /** ACK of a 2xx that carries the INVITE's branch: its owner is the user agent, not the transaction. */
  | { readonly kind: "ack-2xx" }
  | { readonly kind: "timeout"; readonly timer: T }
  | { readonly kind: "transport-error"; readonly error: Error };

export type Effect<T extends string> =
  | { readonly kind: "send-request" }
  | { readonly kind: "send-response"; readonly response: SipResponse }
  /** Send the 100 of the transaction's own making. */
  | { readonly kind: "send-trying" }
  | { readonly kind: "send-ack"; readonly response: SipResponse }
  | { readonly kind: "send-cancel" }
  /** Starts the timer, or starts it anew. */
  | { readonly kind: "start"; readonly timer: T; readonly ms: number }
  | { readonly kind: "stop"; readonly timer: T }
  | { readonly kind: "up"; readonly event: Up<T> };

/** A machine in the state `terminated` has no timers: whoever runs it stops all that are left. */
export interface Step<S extends { readonly name: string }, T extends string> {
  readonly state: S;
  readonly effects: readonly Effect<T>[];
}

export const stay = <S extends { readonly name: string }, T extends string>(
  state: S,
  ...effects: readonly Effect<T>[]
): Step<S, T> => ({ state, effects });

export const start = <T extends string>(timer: T, ms: number): Effect<T> => ({ kind: "start", timer, ms });
export const stop = <T extends string>(timer: T): Effect<T> => ({ kind: "stop", timer });
export const up = <T extends string>(event: Up<T>): Effect<T> => ({ kind: "up", event });
