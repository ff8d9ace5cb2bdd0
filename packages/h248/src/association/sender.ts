// Owns the requester's half of a transaction as a pure machine (H.248.1 8.2.3 and Annex D.1: repetition, LONG-TIMER, Pending).
// Knows no sockets and no message: the shell sends the same octets every time.

export interface SenderRules {
  /** TCP and TLS: one repetition at most, for a peer that lost its state. */
  readonly reliable: boolean;
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
  /** Gives up after this long without answer or Pending. */
  readonly longTimerMs: number;
  /** After a Pending the request is repeated this seldom: the answer may have been lost. */
  readonly pendingRetryMs: number;
  /** A peer that says Pending more often than this is given up. */
  readonly pendingLimit: number;
}

export type SenderState =
  | { readonly kind: "idle" }
  | {
      readonly kind: "waiting";
      /** Milliseconds until the next repetition, when the last one was sent. */
      readonly interval: number;
      readonly sends: number;
      readonly pendings: number;
      readonly endsAt: number;
      /** Segments of the reply have come. */
      readonly partial: boolean;
    }
  | { readonly kind: "done" };

export type SenderInput =
  | { readonly kind: "start"; readonly now: number }
  | { readonly kind: "timer"; readonly now: number }
  | { readonly kind: "pending"; readonly now: number }
  /** Version 3: a part of the reply; the others are waited for this long. */
  | { readonly kind: "segment"; readonly now: number; readonly patienceMs: number }
  | { readonly kind: "reply"; readonly ackRequired: boolean }
  | { readonly kind: "closed" };

type SenderEffect =
  | { readonly kind: "send" }
  /** Replaces the timer that runs. */
  | { readonly kind: "timer"; readonly ms: number }
  | { readonly kind: "stop-timer" }
  | { readonly kind: "acknowledge" }
  | { readonly kind: "resolve" }
  | { readonly kind: "fail"; readonly why: "timeout" | "pendings" | "closed" };

export interface SenderStep {
  readonly state: SenderState;
  readonly effects: readonly SenderEffect[];
}

type Waiting = SenderState & { readonly kind: "waiting" };

const waitMore = (state: Waiting, now: number, send: boolean): SenderStep => ({
  state,
  effects: [
    ...(send ? [{ kind: "send" } as const] : []),
    { kind: "timer", ms: Math.max(0, Math.min(state.interval, state.endsAt - now)) },
  ],
});

const give = (why: "timeout" | "pendings" | "closed"): SenderStep => ({
  state: { kind: "done" },
  effects: [{ kind: "stop-timer" }, { kind: "fail", why }],
});

const start = (rules: SenderRules, now: number): SenderStep => {
  // 8.2: on a reliable transport the application timer stays, because the peer itself may fail; one repetition half way.
  const interval = rules.reliable ? rules.longTimerMs / 2 : rules.firstRetryMs;
  const endsAt = now + rules.longTimerMs;
  return waitMore({ kind: "waiting", interval, sends: 1, pendings: 0, endsAt, partial: false }, now, true);
};

const whileWaiting = (rules: SenderRules, state: Waiting, input: SenderInput): SenderStep => {
  switch (input.kind) {
    case "timer": {
      const { now } = input;
      // D.1.3: the peer is given up after LONG-TIMER.
      if (now >= state.endsAt) return give("timeout");
      const sends = state.sends + 1;
      if (rules.reliable) {
        const rest = { ...state, interval: state.endsAt - now };
        return state.sends > 1 ? waitMore(rest, now, false) : waitMore({ ...rest, sends }, now, true);
      }
      // E.14: the peer is there, and is asked steadily for the segments that were lost.
      if (state.partial) return waitMore({ ...state, sends }, now, true);
      // D.1.3: every repetition doubles the time to the next.
      const interval = state.pendings > 0 ? rules.pendingRetryMs : Math.min(state.interval * 2, rules.maxRetryMs);
      return waitMore({ ...state, interval, sends }, now, true);
    }
    case "pending": {
      // 8.2.3: the transaction is being processed: wait longer, but not for ever.
      const pendings = state.pendings + 1;
      if (pendings > rules.pendingLimit) return give("pendings");
      const endsAt = input.now + rules.longTimerMs;
      return waitMore({ ...state, interval: rules.pendingRetryMs, pendings, endsAt }, input.now, false);
    }
    case "segment": {
      const endsAt = input.now + input.patienceMs;
      return waitMore({ ...state, interval: rules.firstRetryMs, endsAt, partial: true }, input.now, false);
    }
    case "reply":
      // D.1.2.2: a reply with ImmAckRequired is acknowledged at once.
      return {
        state: { kind: "done" },
        effects: [
          { kind: "stop-timer" },
          ...(input.ackRequired ? [{ kind: "acknowledge" } as const] : []),
          { kind: "resolve" },
        ],
      };
    case "closed":
      return give("closed");
    default:
      return { state, effects: [] };
  }
};

export const stepSender = (rules: SenderRules, state: SenderState, input: SenderInput): SenderStep => {
  if (state.kind === "waiting") return whileWaiting(rules, state, input);
  if (state.kind === "idle") return input.kind === "start" ? start(rules, input.now) : { state, effects: [] };
  // D.1.2.2: the reply came again, so the acknowledgement was lost.
  return { state, effects: input.kind === "reply" && input.ackRequired ? [{ kind: "acknowledge" }] : [] };
};
