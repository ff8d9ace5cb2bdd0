// Owns the choice among the final responses of a fork (RFC 3261 16.7 steps 6 and 7, RFC 5626 5.3). Pure.
import type { SipResponse } from "@sallyport/sip";

/** What a branch ended with; a local verdict has no response. */
export interface Outcome {
  readonly status: number;
  readonly response?: SipResponse;
}

/** 6xx before all others, then the lowest class; within a class what tells the caller how to do better comes first. */
const rank = (outcome: Outcome): number => {
  const { status } = outcome;
  if (status >= 600) return 0;
  const helpful = [401, 407, 415, 420, 484].includes(status) ? 0 : 1;
  // A branch that never answered, or was cancelled by ourselves, says less than one that refused.
  const empty = status === 408 || status === 487 || status === 503 ? 2 : 0;
  return Math.floor(status / 100) * 10 + helpful + empty;
};

export const bestOutcome = (outcomes: readonly Outcome[]): Outcome => {
  let best: Outcome | undefined;
  for (const outcome of outcomes) if (best === undefined || rank(outcome) < rank(best)) best = outcome;
  if (best === undefined) return { status: 480 };
  // RFC 3261 16.7 step 6: a 503 would keep the caller from asking us at all. RFC 5626 5.3: 430 is between edge and core.
  if (best.status === 503) return { status: 500 };
  return best.status === 430 ? { status: 480 } : best;
};
