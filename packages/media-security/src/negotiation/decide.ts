// Owns the one door of a negotiation: state and event in, state, effects and evidence out. Pure but for the randomness passed in.
// TS 33.328 7.2.1 and 7.3.1. Keys that nothing refers to afterwards come out as `zeroise`, each exactly once.
import type { Random } from "@sallyport/kit";
import { close, onEnded, onExchangeFailed } from "./ending.ts";
import { onAnswer, onConfirmed } from "./answers.ts";
import { onOffer } from "./offers.ts";
import type { Outcome } from "./outcome.ts";
import { onReOffer } from "./reoffer.ts";
import { accept, proceed } from "./progress.ts";
import { spentKeys } from "./keys.ts";
import type { Decision, NegotiationEvent } from "./model.ts";
import { installPlan } from "./plan.ts";
import { changed, draftOf, type Negotiation, type PendingRequest } from "./state.ts";
import { openStep, type Step } from "./step.ts";

/** Takes one event. `random` makes keys: in service only the system's generator may stand behind it. */
export const decide = (state: Negotiation, event: NegotiationEvent, random: Random): Decision<Negotiation> => {
  const step = openStep(random, state.facts.policy.quirks);
  const outcome = state.phase === "ended" ? afterEnd(state, event) : dispatch(state, event, step);
  const spent = spentKeys(state, step.made, outcome.state);
  const effects =
    spent.length === 0 ? outcome.effects : [...outcome.effects, { kind: "zeroise" as const, keys: spent }];
  return { state: outcome.state, effects, evidence: step.evidence };
};

const dispatch = (state: Negotiation, event: NegotiationEvent, step: Step): Outcome => {
  if (event.kind === "ended" && event.now === true) return close(settled(state));
  // Nothing but the gateway's reply is of interest to a call that has ended and waits for it.
  if (state.pending?.after === "ended" && event.kind !== "gateway-done" && event.kind !== "gateway-refused") {
    return afterEnd(state, event);
  }
  switch (event.kind) {
    case "offer":
      return onOffer(state, event, step);
    case "answer":
      return onAnswer(state, event, step);
    case "re-offer":
      return onReOffer(state, event, step);
    case "confirmed":
      return onConfirmed(state, event.branch, step);
    case "gateway-done":
      return onGatewayDone(state, event, step);
    case "gateway-refused":
      return onGatewayRefused(state, event.request, event.status, step);
    case "exchange-failed":
      return onExchangeFailed(state, event.outermost);
    default:
      return onEnded(state);
  }
};

/** The call is over: whatever still comes is refused or ignored, and changes nothing. */
const afterEnd = (state: Negotiation, event: NegotiationEvent): Outcome =>
  event.kind === "offer" || event.kind === "answer"
    ? { state, effects: [{ kind: "refuse", status: 500, reason: "ended" }] }
    : { state, effects: [] };

const settled = (state: Negotiation): ReturnType<typeof draftOf> => {
  const draft = draftOf(state);
  draft.pending = undefined;
  return draft;
};

/** What was on its way when the exchange failed becomes part of the state, so that it can be undone. */
const reached = (state: Negotiation, { next }: PendingRequest): Negotiation => {
  if (next.kind === "forward-offer" || next.kind === "ask") return changed(state, { exchange: next.exchange });
  return next.kind === "forward-answer" ? accept(state, next.session, false) : state;
};

const onGatewayDone = (state: Negotiation, event: NegotiationEvent & { kind: "gateway-done" }, step: Step): Outcome => {
  const { pending } = state;
  if (pending?.request !== event.request) return { state, effects: [] };
  const installed = installPlan(state.installed, pending.plan, event);
  if (installed === undefined) return onPoorReply(state, pending, step);
  const next = settled(state);
  next.installed = installed;
  if (pending.after === "ended") return close(next);
  if (pending.after === "failed") return onExchangeFailed(reached(next, pending));
  return proceed(next, pending.next, step);
};

/** A reply without the addresses asked for is no success, but the context is there and has to go. */
const onPoorReply = (state: Negotiation, pending: PendingRequest, step: Step): Outcome => {
  if (pending.plan.context === "existing") {
    return close(settled(state), { kind: "end-call", reason: "gateway-refused", coreStatus: 503 });
  }
  const outcome = onGatewayRefused(state, pending.request, 500, step);
  return { state: outcome.state, effects: [...outcome.effects, { kind: "release-gateway" }] };
};

const onGatewayRefused = (state: Negotiation, request: number, status: number, step: Step): Outcome => {
  const { pending } = state;
  if (pending?.request !== request) return { state, effects: [] };
  const next = settled(state);
  step.evidence.push({
    clause: "6.2.1.3",
    step: "",
    found: `the gateway refused (${status})`,
    changed: ["not continued in the clear"],
    origin: "gateway",
    reason: "gateway-refused",
  });
  if (pending.after === "ended") return close(next);
  if (pending.next.kind !== "forward-offer") {
    // The answer is given, the gateway cannot follow: the call ends, it does not go on in the clear.
    return close(next, { kind: "end-call", reason: "gateway-refused", coreStatus: 503 });
  }
  const refused = changed(next, { refused: "gateway-refused" });
  // Nothing was sent on yet: the offer is refused and everything is as before.
  if (pending.after === "failed") return { state: refused, effects: [] };
  const sipStatus = status === 500 || status === 488 ? status : 503;
  return { state: refused, effects: [{ kind: "refuse", status: sipStatus, reason: "gateway-refused" }] };
};
