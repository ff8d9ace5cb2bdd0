// Owns offers as they come in: which are taken, which wait, which are refused. RFC 3264 5, RFC 3261 14, RFC 3311 5;
// TS 33.328 7.2.1 and 7.3.1 by the direction of the SDP, whatever SIP message carries it.
import type { NegotiationEvent } from "./model.ts";
import { decideCoreOffer } from "./offer-from-core.ts";
import { decideUeOffer } from "./offer-from-ue.ts";
import { agreedOn, answeredOn, refuse, request, type Outcome } from "./outcome.ts";
import { reservations } from "./plan.ts";
import { changed, hold, type Exchange, type Negotiation } from "./state.ts";
import type { Step } from "./step.ts";
import { writeOffer } from "./write.ts";

type Offer = NegotiationEvent & { readonly kind: "offer" };

/** The exchange an offer opens on, or what to say instead. */
const placeOffer = (
  state: Negotiation,
  event: Offer,
): { readonly outer?: Exchange; readonly branch: string; readonly repeats?: Exchange } | Outcome => {
  const { exchange } = state;
  const named = event.branch;
  if (exchange === undefined) return { branch: named ?? "" };
  // RFC 3261 14.2, RFC 3311 5.2: a second offer of the same side gets 500 with Retry-After, one from the other side 491.
  const glare = (): Outcome => refuse(state, event.from === exchange.offerer ? 500 : 491, "offer-pending");
  const unanswered = exchange.answers.length === 0;
  if (unanswered && event.from === exchange.offerer && exchange.carrier === "18x") {
    // An unreliable 18x is followed by a 2xx (or 18x) that says the same offer again.
    const same = named === undefined || named === exchange.branch;
    if (event.carrier === "2xx" || (event.carrier === "18x" && same)) {
      return {
        branch: named ?? exchange.branch,
        ...(same ? { repeats: exchange } : {}),
        ...(exchange.outer === undefined ? {} : { outer: exchange.outer }),
      };
    }
    // Its own offer is looked at when this one has its answer, or will get none.
    if (event.carrier === "18x") return { state, effects: [{ kind: "defer" }] };
  }
  if (unanswered || exchange.outer !== undefined || event.carrier === "INVITE") return glare();
  // RFC 3311 5.1: after a (reliable) provisional answer an UPDATE may renew the session of its early dialog.
  const branch = named ?? exchange.answers.at(-1)?.branch ?? "";
  return answeredOn(exchange, branch) === undefined ? glare() : { outer: exchange, branch };
};

export const onOffer = (state: Negotiation, event: Offer, step: Step): Outcome => {
  if (state.pending !== undefined) {
    const { next } = state.pending;
    // While a failed exchange is being put back nothing is open: the offer can wait for the gateway's reply.
    if (next.kind === "restored" || next.kind === "settle") return { state, effects: [{ kind: "defer" }] };
    const offerer = next.kind === "forward-offer" ? next.exchange.offerer : state.exchange?.offerer;
    return refuse(state, event.from === offerer ? 500 : 491, "offer-pending");
  }
  const place = placeOffer(state, event);
  if ("effects" in place) return place;
  const { outer, branch, repeats } = place;
  const session = outer === undefined ? agreedOn(state, branch, event.carrier) : answeredOn(outer, branch);
  const lines =
    event.from === "access"
      ? decideUeOffer(event.sdp, state.facts, session, step)
      : decideCoreOffer(event.sdp, state.facts, session?.lines ?? [], repeats?.lines ?? [], step);
  const exchange: Exchange = {
    offerer: event.from,
    carrier: event.carrier,
    branch,
    lines,
    answers: [],
    outer,
    body: undefined,
    own: undefined,
  };
  // A line that would lose its protection refuses the whole offer: RFC 3261 14.1, everything stays as it was.
  if (lines.some((line) => line.fate === "off" && line.reason === "downgrade-refused")) {
    return refuse(state, 488, "downgrade-refused");
  }
  // 488 when what had to be refused leaves nothing: no call in the clear instead of the one that was asked for.
  const refused = lines.find((line) => line.fate === "off" && line.reason !== "rejected-by-peer");
  const alive = lines.some(
    (line) => line.fate === "secured" || (line.fate === "passed" && line.reason !== "rejected-by-peer"),
  );
  if (refused?.fate === "off" && !alive) return refuse(state, 488, refused.reason);
  const streams = reservations(exchange, state.installed);
  if (streams.length > 0) {
    // 7.2.1 step 2, 7.3.1 step 3: "allocates the required resources and includes the IMS Access GW in the media path".
    const context = state.installed.length === 0 ? "new" : "existing";
    const next = { kind: "forward-offer", exchange, held: hold(event.sdp) } as const;
    return request(state, { context, streams, remove: [] }, next);
  }
  const written = writeOffer(changed(state, { exchange }), exchange, event.sdp, step);
  return { state: written.state, effects: [written.effect] };
};
