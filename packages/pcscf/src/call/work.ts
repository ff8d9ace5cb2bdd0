// The working copy of one step: the next state being built and the effects collected. Owns small edits of the state.
// The copy is the step's own and is changed in place; what the state before holds is never touched.
import { hash } from "node:crypto";
import type { Random } from "@sallyport/kit";
import type { EdgeConfig } from "../config.ts";
import { decide, type Effect, type Evidence, type NegotiationEvent } from "@sallyport/media-security";
import type { UnusableBody } from "../body/sdp-body.ts";
import type {
  CallDialog,
  CallEffect,
  CallEvidence,
  CallInput,
  CallState,
  DecidedBody,
  Exchange,
  Side,
} from "./types.ts";

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

/** The exchange with what has become of it. Written out: a few times in each call, always in one shape. */
export const changeExchange = (
  work: Work,
  exchange: Exchange,
  { forwarded, cancelled, final, offered, shift }: Partial<Exchange>,
): void =>
  putExchange(work, {
    id: exchange.id,
    from: exchange.from,
    method: exchange.method,
    seq: exchange.seq,
    fromTag: exchange.fromTag,
    toTag: exchange.toTag,
    opens: exchange.opens,
    initial: exchange.initial,
    forwarded: forwarded ?? exchange.forwarded,
    cancelled: cancelled ?? exchange.cancelled,
    final: final ?? exchange.final,
    offered: offered ?? exchange.offered,
    shift: shift ?? exchange.shift,
    contact: exchange.contact,
  });

export const putDialog = (work: Work, dialog: CallDialog): void => {
  work.dialogs ??= work.call.dialogs = new Map(work.call.dialogs);
  work.dialogs.set(dialog.tag, dialog);
};

export const dropEarly = (work: Work, tag: string): void => {
  work.dialogs ??= work.call.dialogs = new Map(work.call.dialogs);
  work.dialogs.delete(tag);
};

/** Decided bodies remembered for retransmissions. */
const maxDecided = 32;

/** 64*T1: how long a response or an ACK may come again (RFC 3261 13.3.1.4, RFC 3262 3). */
const againMs = 32_000;

const put = (work: Work, key: string, body: DecidedBody): void => {
  work.decided ??= work.call.decided = new Map(work.call.decided);
  work.decided.set(key, body);
  if (work.decided.size <= maxDecided) return;
  const oldest = work.decided.keys().next();
  if (oldest.done !== true) work.decided.delete(oldest.value);
};

const digestOf = (octets: Buffer): string => hash("sha256", octets, "base64");

const hasText = ({ sent }: DecidedBody): boolean => sent !== undefined;

/** Remembers that something happened, and nothing of it. */
export const putMark = (work: Work, key: string): void => put(work, key, { received: "", sent: undefined, at: 0 });

/** Remembers what became of SDP, as long as it may come again. */
export const putDecided = (work: Work, key: string, received: Buffer, sent: Buffer): void => {
  const armed = [...work.call.decided.values()].some(hasText);
  put(work, key, { received: digestOf(received), sent: sent.toString("latin1"), at: work.env.now() });
  if (!armed) work.effects.push({ kind: "arm", timer: "forget", ms: againMs });
};

/** The SDP was decided before. */
export const isCopy = (known: DecidedBody | undefined, received: Buffer): known is DecidedBody =>
  known !== undefined && known.received !== "" && known.received === digestOf(received);

/** Lets go of what need not be sent again. The marks stay. */
export const forgetDecided = (work: Work): void => {
  const now = work.env.now();
  let next = Infinity;
  for (const [key, body] of work.call.decided) {
    if (!hasText(body)) continue;
    const left = body.at + againMs - now;
    // A clock that was set back keeps nothing longer.
    if (left <= 0 || left > againMs) put(work, key, { ...body, sent: undefined });
    else next = Math.min(next, left);
  }
  if (next < Infinity) work.effects.push({ kind: "arm", timer: "forget", ms: next });
};

// Written out: a dozen in each call, of many shapes.
const dated = (entry: Evidence, at: number): CallEvidence => ({
  clause: entry.clause,
  step: entry.step,
  found: entry.found,
  changed: entry.changed,
  origin: entry.origin,
  stream: entry.stream,
  reason: entry.reason,
  mode: entry.mode,
  quirk: entry.quirk,
  quirkMode: entry.quirkMode,
  at,
});

/** Keeps what was found and done, with its time, as far as there is room. */
export const putEvidence = (work: Work, evidence: readonly Evidence[]): void => {
  if (evidence.length === 0) return;
  const { call, env } = work;
  const room = Math.max(0, env.limits.maxEvidence - call.evidence.length);
  if (room > 0) {
    const at = env.now();
    const kept = [...call.evidence];
    for (let index = 0; index < evidence.length && index < room; index += 1) kept.push(dated(evidence[index]!, at));
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
  changeExchange(work, exchange, { final: "failure" });
  work.effects.push(
    reason === undefined
      ? { kind: "refuse", exchange: exchange.id, status }
      : { kind: "refuse", exchange: exchange.id, status, reason },
  );
};

/** Hands an event to the negotiation. What it decides is for the caller to carry out, in its order. */
export const negotiate = (work: Work, event: NegotiationEvent): readonly Effect[] => {
  const { state, effects, evidence } = decide(work.call.negotiation, event, work.env.random);
  work.call.negotiation = state;
  putEvidence(work, evidence);
  return effects;
};
