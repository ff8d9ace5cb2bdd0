// The working copy of one step: the next state being built and the effects collected. Owns small edits of the state.
// The copy is the step's own and is changed in place; what the state before holds is never touched.
import type { Random } from "@sallyport/kit";
import type { EdgeConfig } from "../config.ts";
import type { Evidence } from "@sallyport/media-security";
import type { UnusableBody } from "./body.ts";
import type { CallDialog, CallEffect, CallInput, CallState, DecidedBody, Exchange, Side } from "./types.ts";

export interface CallEnvironment {
  readonly random: Random;
  /** Milliseconds since the epoch: when something was found, for the evidence. */
  readonly now: () => number;
  readonly limits: Pick<
    EdgeConfig["limits"],
    "maxQueuedPerCall" | "maxEvidence" | "setupMs" | "acknowledgeMs" | "flowLostMs"
  >;
}

type WorkingCall = { -readonly [K in keyof CallState]: CallState[K] };

export interface Work {
  readonly call: WorkingCall;
  readonly effects: CallEffect[];
  readonly env: CallEnvironment;
  /** The tables this step has copied already, and may write to; undefined until it needs to. */
  exchanges: Map<number, Exchange> | undefined;
  dialogs: Map<string, CallDialog> | undefined;
  decided: Map<string, DecidedBody> | undefined;
}

export const noInputs: readonly CallInput[] = [];

export const openWork = (state: CallState, env: CallEnvironment): Work => ({
  // Written out: one shape for every leg, whatever happened to it.
  call: {
    id: state.id,
    direction: state.direction,
    callId: state.callId,
    bindingId: state.bindingId,
    token: state.token,
    phase: state.phase,
    negotiation: state.negotiation,
    exchanges: state.exchanges,
    dialogs: state.dialogs,
    offer: state.offer,
    own: state.own,
    moved: state.moved,
    waiting: state.waiting,
    carried: state.carried,
    queue: state.queue,
    deferred: noInputs,
    decided: state.decided,
    evidence: state.evidence,
    ended: state.ended,
    released: state.released,
  },
  effects: [],
  env,
  exchanges: undefined,
  dialogs: undefined,
  decided: undefined,
});

/** The table of exchanges, to be written to. */
export const exchangesOf = (work: Work): Map<number, Exchange> =>
  (work.exchanges ??= work.call.exchanges = new Map(work.call.exchanges));

export const putExchange = (work: Work, exchange: Exchange): void => {
  exchangesOf(work).set(exchange.id, exchange);
};

export const putDialog = (work: Work, dialog: CallDialog): void => {
  work.dialogs ??= work.call.dialogs = new Map(work.call.dialogs);
  work.dialogs.set(dialog.tag, dialog);
};

/** Decided bodies remembered for retransmissions. */
const maxDecided = 32;

export const putDecided = (work: Work, key: string, body: DecidedBody): void => {
  work.decided ??= work.call.decided = new Map(work.call.decided);
  work.decided.set(key, body);
  if (work.decided.size <= maxDecided) return;
  const oldest = work.decided.keys().next();
  if (oldest.done !== true) work.decided.delete(oldest.value);
};

/** Keeps what was found and done, with its time, as far as there is room. */
export const putEvidence = (work: Work, evidence: readonly Evidence[]): void => {
  if (evidence.length === 0) return;
  const { call, env } = work;
  const room = Math.max(0, env.limits.maxEvidence - call.evidence.length);
  if (room > 0) {
    const at = env.now();
    const kept = [...call.evidence];
    for (const entry of evidence.slice(0, room)) kept.push({ ...entry, at });
    call.evidence = kept;
  }
  work.effects.push({ kind: "evidence", evidence });
};

/** A body in which keys or indications could be hidden: what became of the message. TS 33.328 7.2.1, 7.3.1, last sentences. */
export const noteUnusable = (work: Work, origin: Side, { reason }: UnusableBody, done: string): void => {
  const clause = origin === "access" ? "7.2.1" : "7.3.1";
  putEvidence(work, [{ clause, step: "remove", found: reason, changed: [done], origin }]);
};

/** Answers an exchange ourselves, once. */
export const refuse = (work: Work, exchange: Exchange, status: number, reason?: string): void => {
  if (exchange.final !== "none") return;
  putExchange(work, { ...exchange, final: "failure" });
  work.effects.push(
    reason === undefined
      ? { kind: "refuse", exchange: exchange.id, status }
      : { kind: "refuse", exchange: exchange.id, status, reason },
  );
};
