// Owns offers that this edge makes of its own accord: a stream's context moves to another gateway, or its key is nearly used
// up. What is in force stays what it is; the other side of the call is not asked. RFC 3264 8, RFC 4568 7.1.4 (a new key for
// a new context), RFC 3711 9.2 (keys wear out), TS 33.328 6.2.1.3.
// Invariant 4: a key that one gateway has encrypted with is never given to another, so a lost context is never put back.
import { createOffer } from "../sdes/offer-answer.ts";
import { decideAnswer } from "./answer.ts";
import { securedIn } from "./bodies.ts";
import { close } from "./ending.ts";
import { otherSide, type NegotiationEvent, type Side } from "./model.ts";
import { baseOf, request, type Outcome } from "./outcome.ts";
import { reservations } from "./plan.ts";
import { ask, install } from "./progress.ts";
import { changed, type AgreedLine, type Exchange, type Negotiation, type OfferedLine, type Session } from "./state.ts";
import { fingerprint, noteKeys, type Step } from "./step.ts";

type ReOffer = NegotiationEvent & { readonly kind: "re-offer" };

/** What an offer of the edge's own would say again, and the INVITE that is still open below it (RFC 3311 5.1). */
interface Ground {
  readonly session: Session;
  readonly outer?: Exchange;
}

const groundOf = (state: Negotiation): Ground | undefined => {
  const { exchange, agreed } = state;
  // An offer of our own that lost its gateway as well is made anew, from where it began.
  const invite = exchange?.own === undefined ? exchange : exchange.outer;
  if (invite === undefined) return agreed === undefined ? undefined : { session: agreed };
  // Several early dialogs have one context between them, and the others have an address of it that nobody could correct.
  const [session, ...others] = invite.answers;
  const single = session !== undefined && others.length === 0 && agreed === undefined && invite.outer === undefined;
  return single ? { session, outer: invite } : undefined;
};

/** The session of the dialog, as far as it has come: in force, or answered early. */
export const sessionInForce = (state: Negotiation): Session | undefined => groundOf(state)?.session;

/**
 * Whether this edge can make an offer of its own now: a session with streams of ours in force, or the only early answer of
 * an open INVITE; nothing else is open.
 */
export const canReOffer = (state: Negotiation): boolean => {
  const session = sessionInForce(state);
  return (
    state.phase === "open" &&
    state.pending === undefined &&
    securedIn(session) &&
    state.bodies !== undefined &&
    state.bodies.branch === session?.branch
  );
};

const again = (line: AgreedLine, towards: Side, index: number, step: Step): OfferedLine => {
  if (line.kind === "off") return { fate: "off", media: line.media, profiles: line.profiles, reason: line.reason };
  if (line.kind === "passed") {
    const { security, media, reason } = line;
    return { fate: "passed", security, media, reason, ...(line.bared === true ? { bared: true as const } : {}) };
  }
  const { media, mode, profiles, ends, suite } = line;
  const from = otherSide(towards);
  const known = {
    fate: "secured",
    media,
    mode,
    profiles,
    offerer: ends[from],
    offersMux: ends[towards].rtcpMux,
  } as const;
  if (towards === "core") return { ...known, keys: { kind: "ue-offered", chosen: line.fromUe, suite } };
  // The suite stays; the key is new, whatever becomes of the UE's own.
  const candidates = createOffer([suite], step.random);
  for (const crypto of candidates) {
    noteKeys(step, crypto);
    step.evidence.push({
      clause: "6.2.1.3",
      step: "",
      found: `${media} ${profiles.access}, offered again by the edge`,
      changed: [`new key towards the UE ${fingerprint(crypto)}`],
      origin: "edge",
      stream: index + 1,
      mode,
    });
  }
  return { ...known, keys: { kind: "we-offer", candidates } };
};

export const onReOffer = (state: Negotiation, event: ReOffer, step: Step): Outcome => {
  const { bodies, exchange: before } = state;
  const ground = groundOf(state);
  // Only a lost context takes back an offer that is still out.
  const free = before?.own === undefined || event.gateway === "lost";
  if (!canReOffer(state) || !free || ground === undefined || bodies === undefined) {
    return close(state, { kind: "end-call", reason: "gateway-refused", coreStatus: 503 });
  }
  const { towards, gateway } = event;
  const { session, outer } = ground;
  const exchange: Exchange = {
    offerer: otherSide(towards),
    carrier: outer === undefined ? "INVITE" : "UPDATE",
    branch: session.branch,
    lines: session.lines.map((line, index) => again(line, towards, index, step)),
    answers: [],
    outer,
    body: undefined,
    own: gateway,
  };
  const held = bodies[towards];
  if (gateway === "kept") return ask(state, exchange, held, step);
  const streams = reservations(exchange, []);
  return request(
    changed(state, { exchange: outer, installed: [] }),
    { context: "new", streams, remove: [] },
    { kind: "ask", exchange, held },
  );
};

/** The side that was asked has answered. Nobody is told of it: the other side did not ask. */
export const onOwnAnswer = (
  state: Negotiation,
  exchange: Exchange,
  event: NegotiationEvent & { readonly kind: "answer" },
  step: Step,
): Outcome => {
  const answer = { document: event.sdp, answerer: event.from, branch: exchange.branch };
  const session = decideAnswer(exchange, baseOf(state, exchange), answer, step);
  if (session === undefined) {
    return close(state, { kind: "end-call", reason: "answer-invalid", coreStatus: 488, from: event.from });
  }
  return install(state, session, true, { kind: "agree", session, towards: event.from }, step);
};
