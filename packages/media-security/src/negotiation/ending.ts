// Owns how an exchange fails and how a call ends: what was before is put back, or everything is let go.
// Invariant 5 (a failed re-offer puts back what was, RFC 3261 14.1) and invariant 10 (nothing is left behind).
import type { Effect } from "./model.ts";
import { baseOf, request, type Outcome } from "./outcome.ts";
import { planTowards, sessionStreams } from "./plan.ts";
import { changed, type Negotiation } from "./state.ts";
import { summarise, summariseFailed } from "./summary.ts";

/** Lets everything go. Keys follow as `zeroise`, since no state refers to them any more. */
export const close = (state: Negotiation, effect?: Effect): Outcome => {
  const { facts, requests, origins, refused } = state;
  const release: readonly Effect[] = state.installed.length > 0 ? [{ kind: "release-gateway" }] : [];
  const reason = effect?.kind === "end-call" ? effect.reason : refused;
  return {
    state: {
      facts,
      phase: "ended",
      agreed: undefined,
      early: undefined,
      exchange: undefined,
      pending: undefined,
      installed: [],
      requests,
      origins,
      bodies: undefined,
      refused: reason,
      closing: effect?.kind === "end-call" ? summariseFailed(state, effect.reason) : summarise(state),
    },
    effects: [...(effect === undefined ? [] : [effect]), ...release],
  };
};

/** BYE, final failure, timeout, lost flow. A gateway request under way is waited for: its context must be known to go. */
export const onEnded = (state: Negotiation): Outcome => {
  const { pending } = state;
  if (pending === undefined) return close(state);
  return { state: changed(state, { pending: { ...pending, after: "ended" } }), effects: [] };
};

/** The carrier of the open offer ended without an answer. */
export const onExchangeFailed = (state: Negotiation, outermost = false): Outcome => {
  const { pending } = state;
  const exchange = outermost ? (state.exchange?.outer ?? state.exchange) : state.exchange;
  if (pending !== undefined) {
    // A dialog that agreed early is made the one in force: nothing is open that could fail.
    const settles = pending.next.kind === "settle" && exchange === undefined;
    if (pending.after !== undefined || pending.next.kind === "restored" || settles) return { state, effects: [] };
    return { state: changed(state, { pending: { ...pending, after: "failed" } }), effects: [] };
  }
  if (exchange === undefined) return { state, effects: [] };
  // Invariant 4: the keys of a lost context are spent, there is nothing that could be put back.
  if (exchange.own === "lost") {
    return close(state, { kind: "end-call", reason: "gateway-refused", coreStatus: 503 });
  }
  const { outer } = exchange;
  // Of several early dialogs the gateway follows the last: see `agreed`.
  const base = outer === undefined ? state.agreed : baseOf(state, exchange);
  const back = changed(state, { exchange: outer, bodies: exchange.former ?? state.bodies });
  const wanted = base === undefined ? [] : sessionStreams(base);
  // What other early dialogs reserved stays theirs: only what nobody below this exchange needs is taken away.
  const needed = new Set(outer?.lines.flatMap((line, index) => (line.fate === "secured" ? [index + 1] : [])));
  const keep = state.installed.map(({ wish }) => wish).filter(({ stream }) => needed.has(stream));
  const target = [...wanted, ...keep.filter(({ stream }) => !wanted.some((wish) => wish.stream === stream))];
  if (target.length === 0 && state.installed.length > 0) {
    return { state: changed(back, { installed: [] }), effects: [{ kind: "release-gateway" }] };
  }
  const plan = planTowards(state.installed, target, { removeOthers: true });
  return plan === undefined ? { state: back, effects: [] } : request(back, plan, { kind: "restored" });
};
