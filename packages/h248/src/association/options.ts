// Owns what an association is told and what it offers. Defaults: H.248.1 Annex D.1.3, E.2 and what Iq allows on one hop.
import type { Clock, Log, Random } from "@sallyport/kit";
import type { ActionReply, ActionRequest, H248Version } from "../text/message.ts";
import type { H248Limits } from "../text/limits.ts";
import type { H248Style } from "../text/pen.ts";
import type { H248Peer, H248Transport } from "../transport/peer.ts";

/** Milliseconds, unless it is a limit. */
export interface AssociationTimers {
  /** First repetition before any delay was measured. */
  readonly firstRetryMs: number;
  readonly minRetryMs: number;
  readonly maxRetryMs: number;
  readonly longTimerMs: number;
  /** The longest a datagram may stay in the network: answers are kept LONG-TIMER and three times this long. */
  readonly maxDelayMs: number;
  readonly provisionalMs: number;
  readonly pendingRetryMs: number;
  /** Pendings we send for one request before error 506. */
  readonly pendingLimit: number;
  /** Pendings we take for one request before giving it up. */
  readonly peerPendingLimit: number;
  /** Version 3: after the last segment of a reply has come, missing ones are waited for this long. */
  readonly segmentationMs: number;
}

export const defaultAssociationTimers: AssociationTimers = {
  firstRetryMs: 1000,
  minRetryMs: 200,
  maxRetryMs: 8000,
  longTimerMs: 30_000,
  maxDelayMs: 5000,
  provisionalMs: 1000,
  pendingRetryMs: 5000,
  pendingLimit: 10,
  peerPendingLimit: 64,
  segmentationMs: 10_000,
};

export interface AssociationLimits {
  /** Requests of ours without an answer. */
  readonly maxOutstanding: number;
  /** Transactions remembered in all and for one peer, whatever message identifiers it uses; further requests are dropped unanswered. */
  readonly maxRemembered: number;
  readonly maxRememberedPerPeer: number;
  /** Octets of stored answers; the oldest are freed first, their ids stay remembered. */
  readonly maxAnswerOctets: number;
  readonly message?: Partial<H248Limits>;
}

export const defaultAssociationLimits: AssociationLimits = {
  maxOutstanding: 8192,
  maxRemembered: 131_072,
  maxRememberedPerPeer: 65_536,
  maxAnswerOctets: 64 * 1024 * 1024,
};

/** A transaction request to be carried out. `mid` is canonical; whether this peer may use it is the handler's to judge. */
export interface H248Request {
  readonly actions: readonly ActionRequest[];
  readonly mid: string;
  readonly peer: H248Peer;
  readonly version: H248Version;
}

export interface AssociationOptions {
  /** Our own message identifier. */
  readonly mid: string;
  readonly transport: Pick<H248Transport, "send" | "maxMessage">;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: Random;
  readonly timers?: Partial<AssociationTimers>;
  readonly limits?: Partial<AssociationLimits>;
  readonly style?: H248Style;
  /** Header version of our requests, 2 unless told. A reply carries the version of its request. */
  readonly version?: H248Version;
  /**
   * Carries a request out. Requests of one message run one after the other. A rejection becomes an error reply: `h248Error`
   * and `detail` of a SallyportError, else 500.
   */
  onRequest(request: H248Request): Promise<readonly ActionReply[]>;
  onPeerClosed?(peer: H248Peer): void;
}

export interface Destination {
  readonly peer: H248Peer;
  /** The mid that must answer; any of this peer's when absent. */
  readonly mid?: string;
}

export interface RequestOptions {
  readonly version?: H248Version;
  /** Instead of LONG-TIMER. */
  readonly timeoutMs?: number;
  /**
   * Told of a whole reply that comes after the request was given up (SALLY_H248_TIMEOUT), within LONG-TIMER of that: what it
   * tells of was done after all. At most once; never for a reply in segments or one that is an error.
   */
  readonly onLate?: (actions: readonly ActionReply[]) => void;
}

export interface AssociationCounts {
  readonly outstanding: number;
  readonly remembered: number;
  readonly answerOctets: number;
  /** Requests dropped because too many transactions are remembered. */
  readonly dropped: number;
  /** Messages that could not be read. */
  readonly refused: number;
  /** Repetitions we sent. */
  readonly repeated: number;
  /** Errors nobody foresaw: in a request's execution (answered 500), in the writing or sending of a message. */
  readonly faults: number;
}

export interface Association {
  /**
   * Sends one transaction and waits for its reply.
   * @throws SALLY_H248_TIMEOUT, SALLY_H248_CLOSED, SALLY_H248_ERROR (`h248Error` is the peer's code), SALLY_H248_UNREADABLE,
   * SALLY_H248_BUSY, SALLY_H248_TOO_LARGE, SALLY_H248_UNWRITABLE
   */
  request(
    actions: readonly ActionRequest[],
    to: Destination,
    options?: RequestOptions,
  ): Promise<readonly ActionReply[]>;
  /** To be called by the transport. The octets are not kept. */
  receive(octets: Buffer, peer: H248Peer): void;
  /** To be called by the transport. Rejects what waits for this peer. */
  peerClosed(peer: H248Peer): void;
  counts(): AssociationCounts;
  /** Rejects what is outstanding, forgets every answer, cancels every timer. */
  close(): void;
}
