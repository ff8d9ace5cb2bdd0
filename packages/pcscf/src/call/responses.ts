// What a response of the other side does to a leg. Pure. RFC 3261 13.2.2, 16.7, RFC 3262, RFC 6337.
import { otherSide } from "@sallyport/media-security";
import { headerValue, parseCSeq, tagOf, type SipResponse } from "@sallyport/sip";
import { readSdp, sdpBodyOf, withoutBody, withoutSurroundings, withSdpBody } from "../body/sdp-body.ts";
import { decideNext, passAgain, putOff } from "./decide.ts";
import {
  ackNumbered,
  ackTowards,
  answered,
  changedDialog,
  dialogFrom,
  dialogOf,
  partyAt,
  refreshed,
  upstreamOf,
  waitsForAck,
} from "./dialog.ts";
import { dropDialog, endCall, finish } from "./ending.ts";
import { withoutKeying } from "../body/idle-sdp.ts";
import { answeredMark, heardMark, isReliable, responseRole } from "./offer-answer.ts";
import { finishIfIdle, passResponse } from "./pass.ts";
import { isMoving } from "./own-offer.ts";
import { hasOfferWithin, offerFailed } from "./requests.ts";
import type { CallDialog, Carried, Exchange, Side, DecidedBody } from "./types.ts";
import { dropEarly, isCopy, noteUnusable, putDialog, putMark, refuse, type Work } from "./work.ts";

/** Early dialogs a called side may fork into at once: the oldest makes room, as places are tried one after the other. */
const maxDialogs = 16;

const makeRoom = (work: Work): void => {
  const { dialogs } = work.call;
  if (dialogs.size < maxDialogs) return;
  const oldest = [...dialogs.values()].find(({ state }) => state === "early");
  if (oldest !== undefined) dropEarly(work, oldest.tag);
};

const isSuccess = (response: SipResponse): boolean => response.status >= 200 && response.status < 300;

/** The dialog of a response, created or refreshed by it. A 2xx to INVITE leaves it waiting for its ACK. */
const noteDialog = (work: Work, exchange: Exchange, response: SipResponse): CallDialog | undefined => {
  const { call } = work;
  const { opens } = exchange;
  const known =
    opens === undefined ? dialogOf(call, exchange, exchange.from) : call.dialogs.get(tagOf(response, "to") ?? "");
  if (known?.state === "terminated") return known;
  if (known === undefined && opens === undefined) return undefined;
  let dialog = opens === undefined ? known : dialogFrom(call, opens, response, known);
  if (dialog === undefined) return undefined;
  if (opens === undefined && isReliable(response)) dialog = refreshed(call, dialog, otherSide(exchange.from), response);
  // The ACK of a retransmitted 2xx has been forwarded already, or is on its way.
  const repeated = exchange.final === "success" && known?.state === "confirmed";
  if (exchange.method === "INVITE" && isSuccess(response) && !repeated) {
    dialog = answered(dialog, exchange.from, exchange.seq);
  }
  if (known === undefined) makeRoom(work);
  putDialog(work, dialog);
  return dialog;
};

// The ACK of a dialog we ended ourselves may be lost, and the 2xx comes again. RFC 3261 13.2.2.4.
const acknowledgeAgain = (work: Work, dialog: CallDialog, exchange: Exchange): void => {
  const towards = otherSide(exchange.from);
  const request = ackTowards(work.call, dialog, towards, exchange.seq);
  work.effects.push({ kind: "acknowledge", towards, request, party: partyAt(work.call, dialog, towards) });
};

/** After we ended the exchange ourselves: a 2xx that crossed it still wants ACK, and BYE when it made a dialog. */
const onStraggler = (work: Work, exchange: Exchange, response: SipResponse): void => {
  if (exchange.method !== "INVITE" || !isSuccess(response)) return;
  const dialog = noteDialog(work, exchange, response);
  if (dialog?.state === "terminated") acknowledgeAgain(work, dialog, exchange);
  else if (dialog !== undefined) dropDialog(work, dialog, "ended");
};

/** Whether its dialog has agreed already: it answered the INVITE's offer early, or was answered its own. */
const hasAgreed = ({ call }: Work, exchange: Exchange, branch: string): boolean => {
  if (exchange.offered)
    return exchange.method === "INVITE" && call.decided.has(`response/${exchange.id}/${branch}/18x`);
  return exchange.initial && call.negotiation.early?.some((session) => session.branch === branch) === true;
};

/** A success without SDP: whether it may go on at once. */
const settle = (work: Work, exchange: Exchange, response: SipResponse, branch: string): boolean => {
  if (hasAgreed(work, exchange, branch)) {
    // What another place has offered in its 18x comes to nothing.
    if (work.call.offer?.exchange === exchange.id && work.call.offer.within === "response") work.call.offer = undefined;
    const carried: Carried = { kind: "response", key: "", exchange: exchange.id, response, plain: true };
    decideNext(work, { kind: "confirmed", branch }, carried);
    if (work.call.waiting.length > 0 || work.call.phase === "ending") return false;
    work.call.carried = undefined;
    return true;
  }
  if (!exchange.offered) return true;
  if (!exchange.initial) {
    offerFailed(work, exchange);
    return true;
  }
  if (exchange.final === "success") return true;
  // RFC 3261 13.2.1: an offer in the INVITE has to be answered by the 2xx at the latest.
  endCall(work, "media-security", 488, "no answer");
  return false;
};

/** RFC 3262: SDP in a response that will be acknowledged. */
const noteReliable = (work: Work, exchange: Exchange, response: SipResponse, branch: string): void => {
  const dialog = work.call.dialogs.get(branch);
  if (!exchange.initial || response.status >= 200 || dialog?.early?.answer !== "none" || !isReliable(response)) return;
  putDialog(work, changedDialog(dialog, { early: { ...dialog.early, answer: "reliable" } }));
};

const requestWord = (method: string): "INVITE" | "UPDATE" | "PRACK" =>
  method === "UPDATE" || method === "PRACK" ? method : "INVITE";

/**
 * A response whose SDP the negotiation needs nothing of: with what was sent before where it says that again; without, where it
 * would tell one end of the other past the gateway.
 */
const withoutMeaning = ({ call }: Work, response: SipResponse, before: DecidedBody | undefined): SipResponse => {
  const body = sdpBodyOf(response);
  if (body.kind === "sdp" && isCopy(before, body.octets) && before.sent !== undefined)
    return withSdpBody(response, body, Buffer.from(before.sent, "latin1"));
  const idle = withoutKeying(response);
  return idle.ok && (response.status < 200 || call.negotiation.installed.length === 0)
    ? idle.message
    : withoutBody(response);
};

const carry = (work: Work, exchange: Exchange, arrived: SipResponse): void => {
  const response = withoutSurroundings(arrived);
  const body = sdpBodyOf(response);
  if (body.kind === "unusable") {
    const untyped = body.untyped === true;
    noteUnusable(work, otherSide(exchange.from), body, untyped ? "body taken out" : "taken for a failed answer");
    // RFC 3261 20.15: nobody can tell what it is.
    if (untyped) return carry(work, exchange, withoutBody(response));
  }
  const branch =
    tagOf(response, exchange.from === (work.call.direction === "originating" ? "access" : "core") ? "to" : "from") ??
    "";
  if (body.kind === "none") {
    if (isSuccess(response) && !settle(work, exchange, response, branch)) return;
    return passResponse(work, exchange.id, response, undefined);
  }
  const role = responseRole(work.call, exchange, response);
  if (role.kind === "later") return putOff(work, { kind: "response", exchange: exchange.id, response });
  if (role.kind === "answer" || role.kind === "offer") noteReliable(work, exchange, response, branch);
  const key = `response/${exchange.id}/${branch}/${response.status < 200 ? "18x" : "2xx"}`;
  const carried: Carried = { kind: "response", key, exchange: exchange.id, response };
  const known = work.call.decided.get(key);
  if (body.kind === "sdp" && isCopy(known, body.octets)) return passAgain(work, carried, known);
  if (role.kind === "neither") {
    const rest = withoutMeaning(work, response, work.call.decided.get(`response/${exchange.id}/${branch}/18x`));
    if (isSuccess(response) && !settle(work, exchange, rest, branch)) return;
    return passResponse(work, exchange.id, rest, undefined);
  }
  const parsed = body.kind === "sdp" ? readSdp(body.octets) : undefined;
  if (parsed?.ok !== true) return endCall(work, "media-security", 488, "unusable SDP");
  const from = otherSide(exchange.from);
  if (role.kind === "answer") {
    if (work.call.offer?.exchange === exchange.id) work.call.offer = undefined;
    const request = requestWord(exchange.method);
    const event = { kind: "answer", from, sdp: parsed.document, carrier: role.carrier, branch, request } as const;
    return decideNext(work, event, carried);
  }
  putMark(work, answeredMark(exchange.id, branch));
  work.call.offer = { from, exchange: exchange.id, within: "response", branch };
  return decideNext(work, { kind: "offer", from, sdp: parsed.document, carrier: role.carrier, branch }, carried);
};

/** A response whose SDP, if any, means nothing. */
const passIdle = (work: Work, exchange: Exchange, response: SipResponse): void => {
  const idle = withoutKeying(response);
  passResponse(work, exchange.id, idle.ok ? idle.message : withoutBody(response), undefined);
};

/** SDP in a failure says nothing about keys; a body we cannot read is not passed on. RFC 3261 21.4.26. */
const passFailure = (work: Work, exchange: Exchange, response: SipResponse): void => {
  if (!exchange.initial && hasOfferWithin(work, exchange))
    return putOff(work, { kind: "response", exchange: exchange.id, response });
  // The end of the initial INVITE ends the negotiation as a whole, when the failure goes on.
  if (exchange.initial) work.call.offer = undefined;
  else offerFailed(work, exchange);
  if (work.call.phase === "ending") return;
  passIdle(work, exchange, response);
};

/** After an early dialog has moved: the other forks have an address of the lost gateway, and no way to be told another. */
const isOfAnotherFork = ({ call }: Work, response: SipResponse): boolean =>
  call.moved !== undefined && (tagOf(response, "to") ?? call.moved) !== call.moved;

const onOtherFork = (work: Work, exchange: Exchange, response: SipResponse): void => {
  if (!isSuccess(response)) return;
  noteDialog(work, exchange, response);
  endCall(work, "gateway-lost", 503, "another fork answered after the call had moved");
};

/** A 2xx of a place that was not the first to answer. */
const isOfLatePlace = ({ call }: Work, response: SipResponse): boolean => {
  const known = call.dialogs.get(tagOf(response, "to") ?? "");
  return known === undefined || known.state === "early";
};

/** RFC 3261 13.2.2.4: the first answer stands, with offer, answer or neither in this one; the caller hears nothing of it. */
const onLatePlace = (work: Work, exchange: Exchange, response: SipResponse): void => {
  const dialog = noteDialog(work, exchange, response);
  if (dialog === undefined) return;
  // RFC 3326 2: as to a place that rang and was cancelled.
  dropDialog(work, dialog, "Call completed elsewhere", 200);
  finishIfIdle(work);
};

export const onResponse = (work: Work, id: number, response: SipResponse): void => {
  const exchange = work.call.exchanges.get(id);
  // RFC 3261 16.7 step 3: 100 is for one hop.
  if (exchange === undefined || response.status === 100) return;
  // Of a subscription in the dialog, which the end of the call does not end.
  if (work.call.phase === "ending" && exchange.final === "none") return passIdle(work, exchange, response);
  if (work.call.phase === "ending" || exchange.final === "failure") return onStraggler(work, exchange, response);
  if (exchange.final === "success" && (exchange.method !== "INVITE" || !isSuccess(response))) return;
  if (response.status >= 300) return passFailure(work, exchange, response);
  if (exchange.initial && exchange.final === "none") {
    // Its context is on the way to another gateway: what comes now would name the lost one, or take the call from under us.
    if (isMoving(work)) return putOff(work, { kind: "response", exchange: id, response });
    if (isOfAnotherFork(work, response)) return onOtherFork(work, exchange, response);
  }
  if (exchange.initial && exchange.final === "success" && isOfLatePlace(work, response))
    return onLatePlace(work, exchange, response);
  const dialog =
    exchange.method === "INVITE" || exchange.method === "UPDATE" ? noteDialog(work, exchange, response) : undefined;
  if (dialog?.state === "terminated") {
    if (exchange.method !== "INVITE" || !isSuccess(response)) return;
    acknowledgeAgain(work, dialog, exchange);
    if (!exchange.initial || exchange.final !== "none") return;
    // RFC 5407 3.1.3: a BYE ended the dialog while it was early, and no other answer can come after a 2xx.
    refuse(work, exchange, 487);
    return finish(work, "bye", "", true);
  }
  return carry(work, exchange, response);
};

const acknowledgeMs = 32_000; // 64*T1

/**
 * A 2xx that comes again because its ACK was lost with an earlier run of this edge, whose transactions are gone. Nobody
 * knows whether the caller ever had it: it is told again, so that either its ACK comes or, where the answer in the first
 * one never reached it, it ends the call; without an ACK both ends are told that it is over. Of a later INVITE, or once an
 * ACK has passed, both ends stand: it is acknowledged here. RFC 3261 13.2.2.4 and 13.3.1.4.
 */
export const onStray = (work: Work, from: Side, response: SipResponse): void => {
  const { call } = work;
  const cseq = parseCSeq(headerValue(response, "cseq") ?? "");
  if (call.phase !== "confirmed" || cseq?.method !== "INVITE" || !isSuccess(response)) return;
  const { seq } = cseq;
  const upstream = upstreamOf(call);
  const dialog = call.dialogs.get(tagOf(response, from === upstream ? "from" : "to") ?? "");
  if (dialog?.state !== "confirmed" || dialog.callId !== headerValue(response, "call-id")) return;
  const heard = call.decided.has(heardMark(dialog.tag, seq));
  const opening = from !== upstream && seq <= dialog.upstream.seq;
  if (opening && (!heard || waitsForAck(dialog, upstream, seq))) {
    work.effects.push({ kind: "pass-on", towards: upstream, response: withoutBody(response), party: dialog.upstream });
    if (heard) return;
    putMark(work, heardMark(dialog.tag, seq));
    putDialog(work, answered(dialog, upstream, seq));
    work.effects.push({ kind: "arm", timer: "acknowledge", ms: acknowledgeMs });
    return;
  }
  const request = ackNumbered(call, dialog, from, seq);
  work.effects.push({ kind: "acknowledge", towards: from, request, party: partyAt(call, dialog, from) });
};
