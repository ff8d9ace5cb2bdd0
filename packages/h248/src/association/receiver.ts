// Owns the answerer's half of a transaction as a pure machine (H.248.1 8.2.3, Annex D.1.1 and D.1.2): a request is carried
// out at most once, its answer is repeated to whoever asks again, Pending tells that it takes longer.

export interface ReceiverRules {
  readonly reliable: boolean;
  /** Pending is sent after this long, and again after each such time. */
  readonly provisionalMs: number;
  /** Pendings before the request is given up with error 506; none at all with 0. */
  readonly pendingLimit: number;
  /** False for a ServiceChange that opens the association: a peer need not expect Pending there. */
  readonly mayPend: boolean;
  /** How long an answer, or the memory that there was one, is kept: LONG-TIMER and the longest delays of a datagram. */
  readonly keepMs: number;
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
}

export type ReceiverState =
  | { readonly kind: "new" }
  | { readonly kind: "executing"; readonly pendings: number }
  /** `refused`: error 506 was answered; what the execution still brings is dropped. */
  | {
      readonly kind: "answered";
      readonly refused: boolean;
      readonly wantsAck: boolean;
      readonly interval: number;
      readonly expiresAt: number;
    }
  /** The peer has the answer: it is freed, but a late copy of the request must not be carried out. */
  | { readonly kind: "confirmed"; readonly refused: boolean; readonly expiresAt: number }
  | { readonly kind: "forgotten" };

export type ReceiverInput =
  | { readonly kind: "request" }
  | { readonly kind: "executed"; readonly now: number }
  | { readonly kind: "timer"; readonly now: number }
  | { readonly kind: "acknowledged"; readonly now: number };

export type ReceiverEffect =
  | { readonly kind: "execute" }
  | { readonly kind: "send-pending" }
  /** Composes, stores and sends the answer: the result, or error 506. */
  | { readonly kind: "answer"; readonly with: "result" | "506"; readonly ackRequired: boolean }
  | { readonly kind: "send-stored" }
  | { readonly kind: "free-answer" }
  | { readonly kind: "timer"; readonly ms: number }
  | { readonly kind: "forget" };

export interface ReceiverStep {
  readonly state: ReceiverState;
  readonly effects: readonly ReceiverEffect[];
}

const answer = (rules: ReceiverRules, pendings: number, refused: boolean, now: number): ReceiverStep => {
  // D.1.2.2: an answer that follows a Pending asks for an acknowledgement and, on datagrams, is repeated until it comes.
  const wantsAck = pendings > 0;
  const interval = wantsAck && !rules.reliable ? rules.firstRetryMs : rules.keepMs;
  return {
    state: { kind: "answered", refused, wantsAck, interval, expiresAt: now + rules.keepMs },
    effects: [
      { kind: "answer", with: refused ? "506" : "result", ackRequired: wantsAck },
      { kind: "timer", ms: Math.min(interval, rules.keepMs) },
    ],
  };
};

const whileExecuting = (rules: ReceiverRules, pendings: number, input: ReceiverInput): ReceiverStep => {
  const state: ReceiverState = { kind: "executing", pendings };
  switch (input.kind) {
    case "request":
      // D.1.1: a copy of a request in progress is answered with Pending once the peer was told so, else with nothing.
      return { state, effects: pendings > 0 ? [{ kind: "send-pending" }] : [] };
    case "timer":
      // 8.2.3 and E.2: Pending as often as the limit allows, then error 506.
      if (pendings >= rules.pendingLimit) return answer(rules, pendings, true, input.now);
      return {
        state: { kind: "executing", pendings: pendings + 1 },
        effects: [{ kind: "send-pending" }, { kind: "timer", ms: rules.provisionalMs }],
      };
    case "executed":
      return answer(rules, pendings, false, input.now);
    default:
      return { state, effects: [] };
  }
};

const whileAnswered = (
  rules: ReceiverRules,
  state: ReceiverState & { readonly kind: "answered" },
  input: ReceiverInput,
): ReceiverStep => {
  switch (input.kind) {
    case "request":
      // D.1.1: the stored answer, without carrying the request out again.
      return { state, effects: [{ kind: "send-stored" }] };
    case "timer": {
      if (input.now >= state.expiresAt) return { state: { kind: "forgotten" }, effects: [{ kind: "forget" }] };
      const left = state.expiresAt - input.now;
      if (!state.wantsAck || rules.reliable) return { state, effects: [{ kind: "timer", ms: left }] };
      const interval = Math.min(state.interval * 2, rules.maxRetryMs);
      return {
        state: { ...state, interval },
        effects: [{ kind: "send-stored" }, { kind: "timer", ms: Math.min(interval, left) }],
      };
    }
    case "acknowledged":
      // D.1.2: the answer is freed, the id is remembered.
      return {
        state: { kind: "confirmed", refused: state.refused, expiresAt: state.expiresAt },
        effects: [{ kind: "free-answer" }, { kind: "timer", ms: Math.max(0, state.expiresAt - input.now) }],
      };
    default:
      return { state, effects: [] };
  }
};

export const stepReceiver = (rules: ReceiverRules, state: ReceiverState, input: ReceiverInput): ReceiverStep => {
  switch (state.kind) {
    case "new": {
      if (input.kind !== "request") return { state, effects: [] };
      const pend: readonly ReceiverEffect[] =
        rules.mayPend && rules.pendingLimit > 0 ? [{ kind: "timer", ms: rules.provisionalMs }] : [];
      // The timer runs before the execution starts: it may end at once.
      return { state: { kind: "executing", pendings: 0 }, effects: [...pend, { kind: "execute" }] };
    }
    case "executing":
      return whileExecuting(rules, state.pendings, input);
    case "answered":
      return whileAnswered(rules, state, input);
    case "confirmed":
      if (input.kind !== "timer") return { state, effects: [] };
      if (input.now < state.expiresAt) return { state, effects: [{ kind: "timer", ms: state.expiresAt - input.now }] };
      return { state: { kind: "forgotten" }, effects: [{ kind: "forget" }] };
    default:
      return { state, effects: [] };
  }
};
