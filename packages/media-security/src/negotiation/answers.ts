// Owns answers as they come in: early, forked, final, repeated, late. RFC 3261 13.2.1 and 13.2.2.4, RFC 3264 6;
// TS 33.328 7.2.1 steps 5 to 8 and 7.3.1 steps 5 to 7 by the direction of the SDP, whatever SIP message carries it.
import { decideAnswer } from "./answer.ts";
import { close } from "./ending.ts";
import type { NegotiationEvent } from "./model.ts";
import { agreedEarly, answeredOn, baseOf, dropBranch, refuse, type Outcome } from "./outcome.ts";
import { onOwnAnswer } from "./reoffer.ts";
import { planTowards, sessionStreams } from "./plan.ts";
import { install, maxBranches, settle } from "./progress.ts";
import { changed, hold, type Exchange, type Negotiation } from "./state.ts";
import type { Step } from "./step.ts";
import { writeAnswer } from "./write.ts";

type Answer = NegotiationEvent & { readonly kind: "answer" };

const withRoom = (exchange: Exchange): Exchange =>
  exchange.answers.length < maxBranches ? exchange : { ...exchange, answers: exchange.answers.slice(1 - maxBranches) };

export const onAnswer = (state: Negotiation, event: Answer, step: Step): Outcome => {
  if (state.pending !== undefined) return { state, effects: [{ kind: "defer" }] };
  const { exchange } = state;
  if (exchange === undefined) return lateAnswer(state, event, step);
  if (exchange.own !== undefined && event.from !== exchange.offerer) return onOwnAnswer(state, exchange, event, step);
  const { outer } = exchange;
  if (outer !== undefined && (event.request === "INVITE" || event.from === exchange.offerer)) {
    return answerBelow(state, exchange, outer, event, step);
  }
  return answerTo(state, exchange, event, step);
};

const answerTo = (state: Negotiation, exchange: Exchange, event: Answer, step: Step): Outcome => {
  // RFC 3261 12: what was offered within a dialog is answered there; only an INVITE that opens them is answered by many.
  const elsewhere = exchange.carrier !== "INVITE" && event.branch !== undefined && event.branch !== exchange.branch;
  if (event.from === exchange.offerer || elsewhere) return refuse(state, 500, "no-offer");
  const final = event.carrier !== "18x";
  const branch = event.branch ?? "";
  const held = hold(event.sdp);
  const earlier = answeredOn(exchange, branch);
  if (earlier?.renewed === true) {
    // RFC 3261 13.2.1: what repeats the first answer after an UPDATE changes nothing.
    return install(state, earlier, final, { kind: "forward-answer", session: earlier, held, final }, step);
  }
  const base = baseOf(state, exchange);
  const session = decideAnswer(exchange, base, { document: event.sdp, answerer: event.from, branch }, step);
  if (session === undefined) {
    return close(state, { kind: "end-call", reason: "answer-invalid", coreStatus: 488, from: event.from });
  }
  const roomy = earlier === undefined && !final ? changed(state, { exchange: withRoom(exchange) }) : state;
  return install(roomy, session, final, { kind: "forward-answer", session, held, final }, step);
};

/** The INVITE is answered (again) while an UPDATE of an early dialog is open above it. */
const answerBelow = (state: Negotiation, update: Exchange, invite: Exchange, event: Answer, step: Step): Outcome => {
  if (event.from === invite.offerer) return refuse(state, 500, "no-offer");
  const branch = event.branch ?? update.branch;
  const session = answeredOn(invite, branch);
  const final = event.carrier !== "18x";
  // Another dialog won: the UPDATE goes with its own.
  if (final && branch !== update.branch) return answerTo(changed(state, { exchange: invite }), invite, event, step);
  if (session !== undefined && final) return settle(state, { kind: "settle", session, held: hold(event.sdp) }, step);
  // An early dialog that the gateway does not follow now waits until the UPDATE is through.
  const followed =
    session !== undefined &&
    planTowards(state.installed, sessionStreams(session), { removeOthers: false }) === undefined;
  if (!followed) return { state, effects: [{ kind: "defer" }] };
  const written = writeAnswer(state, session, event.sdp, step);
  return { state: written.state, effects: [written.effect] };
};

/** An answer to no open offer: a 2xx said again, or an early dialog that lost. Nothing about the session changes. */
const lateAnswer = (state: Negotiation, event: Answer, step: Step): Outcome => {
  const { agreed } = state;
  const branch = event.branch ?? "";
  if (agreed?.answerer === event.from && agreed.branch === branch && agreed.lines.length === event.sdp.media.length) {
    const written = writeAnswer(state, agreed, event.sdp, step);
    return { state: written.state, effects: [written.effect] };
  }
  return dropBranch(state, event.branch, agreed?.answerer === event.from ? "branch-lost" : "no-offer");
};

/** The same for an INVITE without an offer: what its dialog made of the offer in its own 18x. An offer of another one is void. */
const confirmEarly = (state: Negotiation, branch: string, step: Step): Outcome => {
  const session = agreedEarly(state, branch);
  if (session === undefined) return { state, effects: [] };
  if (session === state.agreed && (state.exchange === undefined || state.exchange.branch === branch))
    return { state: changed(state, { early: undefined }), effects: [] };
  return settle(state, { kind: "settle", session }, step);
};

/** A 2xx to the INVITE without SDP: the early answer of its dialog is the one in force. */
export const onConfirmed = (state: Negotiation, branch: string | undefined, step: Step): Outcome => {
  if (state.pending !== undefined) return { state, effects: [{ kind: "defer" }] };
  if (state.early !== undefined) return confirmEarly(state, branch ?? "", step);
  const invite = state.exchange?.outer ?? state.exchange;
  if (invite === undefined) return { state, effects: [] };
  const session = branch === undefined ? invite.answers.at(-1) : answeredOn(invite, branch);
  // An offer answered by nothing: RFC 3261 13.2.1 asks for the answer in the 2xx at the latest.
  if (session === undefined) return close(state, { kind: "end-call", reason: "answer-invalid", coreStatus: 488 });
  return settle(state, { kind: "settle", session }, step);
};
