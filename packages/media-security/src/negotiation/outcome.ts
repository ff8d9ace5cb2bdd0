// Owns the shape of an outcome and the few ways to make one. Knows no rule of 7.2.1 or 7.3.1.
import type { ReasonCode } from "../reason.ts";
import type { Carrier, Effect, GatewayPlan } from "./model.ts";
import { changed, draftOf, type Continuation, type Exchange, type Negotiation, type Session } from "./state.ts";

export interface Outcome {
  readonly state: Negotiation;
  readonly effects: readonly Effect[];
}

export const refuse = (state: Negotiation, status: 488 | 491 | 500 | 503, reason: ReasonCode): Outcome => ({
  state: changed(state, { refused: reason }),
  effects: [{ kind: "refuse", status, reason }],
});

export const dropBranch = (state: Negotiation, branch: string | undefined, reason: ReasonCode): Outcome => ({
  state,
  effects: [{ kind: "drop-branch", ...(branch === undefined ? {} : { branch }), reason }],
});

export const answeredOn = (exchange: Exchange | undefined, branch: string): Session | undefined =>
  exchange?.answers.find((session) => session.branch === branch);

/** What the early dialog `branch` of an INVITE without an offer has agreed on. RFC 6337 2.1. */
export const agreedEarly = ({ early }: Negotiation, branch: string): Session | undefined =>
  early?.find((session) => session.branch === branch);

/** What an offer in `carrier` would change. A dialog that opens with it has nothing in force, whatever others have agreed on. */
export const agreedOn = (state: Negotiation, branch: string, carrier: Carrier): Session | undefined => {
  const opens = state.early !== undefined && (carrier === "18x" || carrier === "2xx");
  return agreedEarly(state, branch) ?? (opens ? undefined : state.agreed);
};

/** What is in force below an exchange: for an UPDATE in an early dialog, what that dialog answered. */
export const baseOf = (state: Negotiation, exchange: Exchange | undefined): Session | undefined => {
  if (exchange === undefined) return state.agreed;
  const { outer, branch, carrier } = exchange;
  return outer === undefined ? agreedOn(state, branch, carrier) : answeredOn(outer, branch);
};

/** Asks the gateway; the rest happens when its reply is there. */
export const request = (state: Negotiation, plan: GatewayPlan, next: Continuation): Outcome => {
  const number = state.requests;
  const draft = draftOf(state);
  draft.requests = number + 1;
  draft.pending = { request: number, plan, next };
  return { state: draft, effects: [{ kind: "gateway", request: number, plan }] };
};
