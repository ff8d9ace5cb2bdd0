// Owns how an answer takes hold: the gateway first, then the state, then the body on its way.
// Invariant 6: both keys reach the gateway before the SDP that makes the peer use them is sent on. RFC 3261 13.2.1.
import { bodiesOf } from "./bodies.ts";
import type { Side } from "./model.ts";
import { request, type Outcome } from "./outcome.ts";
import { planTowards, sessionStreams } from "./plan.ts";
import type { SdpDocument } from "@sallyport/sdp";
import {
  changed,
  draftOf,
  type Continuation,
  type Exchange,
  type HeldDocument,
  type Negotiation,
  type Session,
} from "./state.ts";
import { protectedBy, type Step } from "./step.ts";
import { writeAnswer, writeOffer } from "./write.ts";

/** Early dialogs of one INVITE that are kept apart, the oldest making room; a stranger could make any number. */
export const maxBranches = 16;

/** What the early dialogs of an INVITE without an offer agreed on, now that one more has; none when it is over. */
const besideOthers = (state: Negotiation, { carrier }: Exchange, session: Session): Negotiation["early"] => {
  const { agreed, early } = state;
  const opens = carrier === "18x" && agreed === undefined;
  const stays = early !== undefined && (carrier === "18x" || carrier === "UPDATE" || carrier === "PRACK");
  if (!opens && !stays) return undefined;
  return [...(early ?? []).filter(({ branch }) => branch !== session.branch).slice(1 - maxBranches), session];
};

/** The state once an answer stands: early beside others, final instead of everything before. */
export const accept = (state: Negotiation, session: Session, final: boolean): Negotiation => {
  const { exchange } = state;
  if (exchange === undefined) return state;
  const draft = draftOf(state);
  if (!final) {
    const others = exchange.answers.filter((each) => each.branch !== session.branch);
    draft.exchange = { ...exchange, answers: [...others, session] };
    return draft;
  }
  const { outer } = exchange;
  if (outer === undefined) {
    draft.exchange = undefined;
    draft.agreed = session;
    draft.early = besideOthers(state, exchange, session);
    return draft;
  }
  // An UPDATE renewed the session of its early dialog; the INVITE below is still open.
  const answers = outer.answers.map((each) =>
    each.branch === exchange.branch
      ? { ...session, branch: exchange.branch, answerer: each.answerer, renewed: true }
      : each,
  );
  draft.exchange = { ...outer, answers };
  return draft;
};

/** Gives up what has no secured stream left: the gateway is in the path only for those. */
const releaseIfIdle = (state: Negotiation, session: Session, final: boolean): Outcome => {
  const idle =
    final && state.exchange === undefined && state.installed.length > 0 && sessionStreams(session).length === 0;
  if (!idle) return { state, effects: [] };
  return { state: changed(state, { installed: [] }), effects: [{ kind: "release-gateway" }] };
};

/** Brings the gateway to `session`, then goes on with `next`; at once where nothing has to change. */
export const install = (
  state: Negotiation,
  session: Session,
  final: boolean,
  next: Continuation,
  step: Step,
): Outcome => {
  const wanted = sessionStreams(session);
  const nested = state.exchange?.outer !== undefined;
  const plan =
    final && !nested && wanted.length === 0
      ? undefined
      : planTowards(state.installed, wanted, { removeOthers: final && !nested });
  return plan === undefined ? proceed(state, next, step) : request(state, plan, next);
};

/** What was to happen when the gateway is as it should be. */
export const proceed = (state: Negotiation, next: Continuation, step: Step): Outcome => {
  switch (next.kind) {
    case "forward-offer": {
      const draft = draftOf(state);
      draft.exchange = next.exchange;
      const written = writeOffer(draft, next.exchange, next.held.document(), step);
      return { state: written.state, effects: [written.effect] };
    }
    case "forward-answer": {
      const nested = state.exchange?.outer !== undefined;
      const offer = state.exchange?.body;
      const answer = next.held.document();
      const written = writeAnswer(accept(state, next.session, next.final), next.session, answer, step);
      const after = remembering(written.state, next.session, offer, answer, written.effect.sdp);
      noteMedia(next.session, next.final, step);
      const rest = releaseIfIdle(after, next.session, next.final && !nested);
      return { state: rest.state, effects: [written.effect, ...rest.effects] };
    }
    case "settle": {
      const confirmed = confirm(state, next.session);
      noteMedia(next.session, true, step);
      if (next.held === undefined) return releaseIfIdle(confirmed, next.session, true);
      const written = writeAnswer(confirmed, next.session, next.held.document(), step);
      const rest = releaseIfIdle(written.state, next.session, true);
      return { state: rest.state, effects: [written.effect, ...rest.effects] };
    }
    case "ask":
      return ask(state, next.exchange, next.held, step);
    case "agree":
      return agree(state, next.session, next.towards, step);
    default:
      return { state, effects: [] };
  }
};

/** Keeps what each side was told, for an offer of our own: of the core as it was received, of the UE as it was written. */
const remembering = (
  state: Negotiation,
  session: Session,
  offer: HeldDocument | undefined,
  received: SdpDocument,
  written: SdpDocument,
): Negotiation => {
  const bodies = bodiesOf(session, offer?.document(), session.answerer === "core" ? received : written);
  if (bodies === undefined) return state;
  const draft = draftOf(state);
  const { agreed, exchange } = state;
  if (agreed !== undefined && exchange !== undefined) {
    draft.exchange = { ...exchange, former: exchange.former ?? state.bodies };
  }
  draft.bodies = bodies;
  return draft;
};

/** 7.2.1 step 9, 7.3.1 step 9: both keys are where they belong and media can be sent. */
const noteMedia = (session: Session, final: boolean, step: Step): void => {
  if (!final) return;
  for (const [index, line] of session.lines.entries()) {
    if (line.kind !== "secured") continue;
    const { reason, mode } = protectedBy(line.mode);
    step.evidence.push({
      clause: session.answerer === "core" ? "7.2.1" : "7.3.1",
      step: "9",
      found: `${line.media} with ${line.suite}`,
      changed: ["protected media between UE and IMS Access Gateway"],
      origin: "gateway",
      stream: index + 1,
      reason,
      mode,
    });
  }
};

/** An UPDATE, or an offer in PRACK, of the dialog that won. That of one which lost is of no interest any more. */
const openAbove = ({ exchange }: Negotiation, { branch }: Session): Exchange | undefined =>
  exchange?.branch === branch && (exchange.carrier === "UPDATE" || exchange.carrier === "PRACK") ? exchange : undefined;

/** The INVITE's 2xx made `session` the one in force. */
const confirm = (state: Negotiation, session: Session): Negotiation => {
  const above = openAbove(state, session);
  const exchange = above === undefined ? undefined : { ...above, outer: undefined };
  return changed(state, { agreed: session, early: undefined, exchange });
};

/** Makes `session`, an early answer of the INVITE, the one in force; forwards `held` where its 2xx carries SDP. */
export const settle = (state: Negotiation, next: Continuation & { readonly kind: "settle" }, step: Step): Outcome => {
  const removeOthers = openAbove(state, next.session) === undefined;
  const wanted = sessionStreams(next.session);
  const plan = wanted.length === 0 ? undefined : planTowards(state.installed, wanted, { removeOthers });
  return plan === undefined ? proceed(state, next, step) : request(state, plan, next);
};

/** An offer of the edge's own, once the gateway has what it describes. */
export const ask = (state: Negotiation, exchange: Exchange, held: HeldDocument, step: Step): Outcome => {
  const written = writeOffer(changed(state, { exchange }), exchange, held.document(), step);
  const { towards, sdp } = written.effect;
  return { state: written.state, effects: [{ kind: "ask", towards, sdp }] };
};

/** The gateway has what was agreed with the side that this edge has asked. */
const agree = (state: Negotiation, session: Session, towards: Side, step: Step): Outcome => {
  // Who answered the call is a matter of its last offer and answer between the parties: late copies of that are known by it.
  const answerer = state.agreed?.answerer ?? session.answerer;
  const accepted = accept(state, { ...session, answerer }, true);
  noteMedia(session, true, step);
  const rest = releaseIfIdle(accepted, session, true);
  return { state: rest.state, effects: [{ kind: "agreed", towards }, ...rest.effects] };
};
