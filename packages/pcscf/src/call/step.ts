// One step of a call leg: an input in, the next state and the effects out. Pure. Owns the queue in which SIP events wait
// while the gateway works, so that nothing overtakes (invariant 6). TS 33.328 7.2.1 and 7.3.1.
import { liveKeys, openNegotiation, type NegotiationFacts } from "@sallyport/media-security";
import { decideNext, pass } from "./decide.ts";
import { endCall } from "./ending.ts";
import { onAck, onCancel, onRequest, onUnanswered } from "./requests.ts";
import { onOwnResponse, onReOffer, onReOfferTimer } from "./reoffer.ts";
import { onResponse, onStray } from "./responses.ts";
import type { CallEffect, CallEvidence, CallInput, CallState, CallTimer } from "./types.ts";
import { offerFailed } from "./requests.ts";
import { forgetDecided, noInputs, openWork, refuse, type CallEnvironment, type Work } from "./work.ts";

export interface CallFacts {
  readonly id: string;
  readonly token: string;
  readonly direction: CallState["direction"];
  readonly callId: string;
  readonly bindingId: string;
  readonly media: NegotiationFacts;
  /** Of the call's context at the gateway, 0 to 15; undefined: a call like all others. */
  readonly priority?: number | undefined;
  /** What was decided before the first message. */
  readonly evidence?: readonly CallEvidence[];
}

// Shared by all: a step that writes to a table copies it first.
const noExchanges: CallState["exchanges"] = new Map();
const noDialogs: CallState["dialogs"] = new Map();
const noneDecided: CallState["decided"] = new Map();

export const openCall = (facts: CallFacts): CallState => ({
  id: facts.id,
  direction: facts.direction,
  callId: facts.callId,
  bindingId: facts.bindingId,
  token: facts.token,
  phase: "setup",
  negotiation: openNegotiation(facts.media),
  exchanges: noExchanges,
  dialogs: noDialogs,
  offer: undefined,
  own: undefined,
  moved: undefined,
  waiting: [],
  carried: undefined,
  queue: noInputs,
  deferred: noInputs,
  decided: noneDecided,
  evidence: facts.evidence ?? [],
  ended: undefined,
  released: false,
});

/** A confirmed leg again, as it was before a restart. */
export const resumeCall = (
  facts: CallFacts,
  kept: Pick<CallState, "negotiation" | "dialogs" | "evidence">,
): CallState => ({
  ...openCall(facts),
  phase: "confirmed",
  negotiation: kept.negotiation,
  dialogs: kept.dialogs,
  evidence: kept.evidence,
});

/** Timer C for the initial INVITE (RFC 3261 16.8), the same patience for later ones, and the end of a CANCEL. */
const onSetupTimer = (work: Work): void => {
  for (const exchange of work.call.exchanges.values()) {
    if (exchange.method !== "INVITE" || exchange.final !== "none") continue;
    if (exchange.initial) {
      return endCall(
        work,
        exchange.cancelled ? "cancelled" : "setup-timeout",
        exchange.cancelled ? 487 : 408,
        "no final response",
      );
    }
    if (!exchange.cancelled && exchange.forwarded) work.effects.push({ kind: "cancel", exchange: exchange.id });
    refuse(work, exchange, exchange.cancelled ? 487 : 408);
    offerFailed(work, exchange);
  }
};

const onTimer = (work: Work, timer: CallTimer): void => {
  switch (timer) {
    case "setup":
      return onSetupTimer(work);
    case "acknowledge":
      // RFC 3261 13.3.1.4: without ACK the session is never confirmed.
      return endCall(work, "no-acknowledgement", 408, "no ACK");
    case "session":
      return endCall(work, "session-expired", 408, "no refresh");
    case "flow":
      return endCall(work, "flow-lost", 480, "the UE's flow is gone", "access");
    case "re-offer":
      return onReOfferTimer(work);
    case "forget":
      return forgetDecided(work);
    case "linger":
      work.effects.push({ kind: "finished" });
      return;
  }
};

/** A 2xx without SDP that waited until the gateway had what its early answer agreed on. */
const passPlain = (work: Work): void => {
  const { carried, waiting } = work.call;
  if (carried?.kind !== "response" || carried.plain !== true || waiting.length > 0) return;
  work.call.carried = undefined;
  pass(work, carried, undefined);
};

const apply = (work: Work, input: CallInput): void => {
  switch (input.kind) {
    case "request":
      return onRequest(work, input.exchange, input.from, input.request);
    case "response":
      return onResponse(work, input.exchange, input.response);
    case "unanswered":
      return onUnanswered(work, input.exchange, input.status);
    case "cancel":
      return onCancel(work, input.exchange, input.reasons);
    case "ack":
      return onAck(work, input.from, input.request);
    case "gateway-done":
    case "gateway-refused":
      work.call.waiting = work.call.waiting.filter((request) => request !== input.request);
      decideNext(work, input);
      return passPlain(work);
    case "timer":
      return onTimer(work, input.timer);
    case "flow-lost":
      if (work.call.phase !== "ending")
        work.effects.push({ kind: "arm", timer: "flow", ms: input.ms ?? work.env.limits.flowLostMs });
      return;
    case "flow-back":
      work.effects.push({ kind: "disarm", timer: "flow" });
      return;
    case "re-offer":
      return onReOffer(work, input.why, input.detail);
    case "own-response":
      return onOwnResponse(work, input.towards, input.seq, input.response);
    case "stray":
      return onStray(work, input.from, input.response);
    case "end":
      return endCall(work, input.reason, input.status, input.detail);
  }
};

const isGatewayReply = (input: CallInput): boolean => input.kind === "gateway-done" || input.kind === "gateway-refused";

/** A stranger must not fill the queue: what does not fit is refused, or lost like a datagram and sent again. */
const enqueue = (work: Work, input: CallInput): void => {
  const full = work.call.queue.length >= work.env.limits.maxQueuedPerCall;
  if (full && input.kind === "request") work.effects.push({ kind: "refuse", exchange: input.exchange, status: 503 });
  if (
    full &&
    (input.kind === "request" || input.kind === "ack" || (input.kind === "response" && input.response.status < 200))
  )
    return;
  work.call.queue = [...work.call.queue, input];
};

/**
 * Ends a leg that met an error of ours: whatever it waits for is given up, both sides hear 503 or BYE, and nothing is left.
 * RFC 3261 21.5.4 and 15.1.1, RFC 3326.
 */
export const breakOff = (
  state: CallState,
  detail: string,
  env: CallEnvironment,
): { readonly state: CallState; readonly effects: readonly CallEffect[] } => {
  const calm = {
    ...state,
    waiting: [],
    carried: undefined,
    offer: undefined,
    own: undefined,
    queue: noInputs,
    deferred: noInputs,
  };
  const work = openWork(calm, env);
  work.call.released = true;
  decideNext(work, { kind: "ended", now: true });
  endCall(work, "internal-error", 503, detail);
  return { state: work.call, effects: work.effects };
};

/** The same where not even that can be decided: its keys are let go of, nobody is told. */
export const giveUp = (state: CallState, detail: string): CallState => {
  for (const key of liveKeys(state.negotiation)) key.release();
  const ended = state.ended ?? ({ reason: "internal-error", detail } as const);
  return { ...state, phase: "ending", released: true, ended };
};

/** What came with the end of the call is still answered: the leg lets go of everything when it is told that it is over. */
const finishedLast = (effects: readonly CallEffect[]): readonly CallEffect[] => {
  const over = effects.find(({ kind }) => kind === "finished");
  return over === undefined || effects.at(-1) === over
    ? effects
    : [...effects.filter(({ kind }) => kind !== "finished"), over];
};

/** Takes one input. While a gateway request is under way everything but its reply waits in order. */
export const step = (
  state: CallState,
  input: CallInput,
  env: CallEnvironment,
): { readonly state: CallState; readonly effects: readonly CallEffect[] } => {
  const { deferred } = state;
  const work = openWork(state, env);
  const { call } = work;
  if (call.waiting.length > 0 && !isGatewayReply(input)) enqueue(work, input);
  else apply(work, input);
  if (deferred.length > 0) call.queue = [...call.queue, ...deferred];
  while (call.waiting.length === 0 && call.queue.length > 0) {
    const [next] = call.queue;
    call.queue = call.queue.length === 1 ? noInputs : call.queue.slice(1);
    if (next !== undefined) apply(work, next);
  }
  return { state: call, effects: finishedLast(work.effects) };
};
