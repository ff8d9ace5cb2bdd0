// What a request, its CANCEL, its silence and the ACK of a 2xx do to a leg. Pure. RFC 3261 9, 12.2, 13, 16.6, 16.9.
import { otherSide } from "@sallyport/media-security";
import { withBody, type SipRequest } from "@sallyport/sip";
import { readSdp, refusalOfSdp, sdpBodyOf, withoutSurroundings } from "../body/sdp-body.ts";
import { decideNext, passAgain } from "./decide.ts";
import { changedDialog, contactOf, dialogOf, opening, refreshed, seqOf, tagsOf, waitsForAck } from "./dialog.ts";
import { endCall, finish } from "./ending.ts";
import { withoutKeying } from "../body/idle-sdp.ts";
import { offerPending, requestRole } from "./offer-answer.ts";
import { finishIfIdle, passAck, passRequest } from "./pass.ts";
import type { Carried, Exchange, Side } from "./types.ts";
import { outlives, withUsage } from "./usages.ts";
import {
  changeExchange,
  exchangesOf,
  isCopy,
  noteUnusable,
  putDialog,
  putExchange,
  refuse,
  type Work,
} from "./work.ts";

/** Requests of one leg that may be open at the same time. */
const maxOpenExchanges = 16;

/** How long the called side has to end what was cancelled. RFC 3261 9.1. */
const cancelMs = 32_000;

/**
 * A finished exchange is kept only as long as a later message can refer to it. The last 2xx to an INVITE of either side comes
 * again where its ACK is lost behind us, and has to be passed on again (RFC 3261 13.3.1.4).
 */
const forgetFinished = (work: Work): void => {
  const { exchanges, dialogs } = work.call;
  const comesAgain = ({ id, from, method, seq, final }: Exchange): boolean =>
    method === "INVITE" &&
    final === "success" &&
    ([...dialogs.values()].some((dialog) => waitsForAck(dialog, from, seq)) ||
      ![...exchanges.values()].some(
        (each) => each.id > id && each.from === from && each.method === "INVITE" && each.final === "success",
      ));
  for (const exchange of exchanges.values()) {
    if (exchange.final === "none" || exchange.initial || comesAgain(exchange)) continue;
    exchangesOf(work).delete(exchange.id);
  }
};

const carry = (work: Work, exchange: Exchange, arrived: SipRequest): void => {
  const { method } = exchange;
  // RFC 3261 14.2, RFC 3311 5.2: an offer of the edge's own is on its way.
  const asking = work.call.own !== undefined && work.call.own.stage !== "postponed";
  if (asking && (method === "INVITE" || method === "UPDATE")) return refuseRequest(work, exchange, 491, offerPending);
  const request = withoutSurroundings(arrived);
  const body = sdpBodyOf(request);
  if (body.kind === "unusable") {
    noteUnusable(work, exchange.from, body, "refused");
    return refuseRequest(work, exchange, body.status, body.reason);
  }
  if (body.kind === "none") return passRequest(work, exchange.id, request, undefined);
  const role = requestRole(work.call, exchange, request);
  if (role.kind === "glare") return refuseRequest(work, exchange, role.status, offerPending);
  if (role.kind === "neither") {
    const idle = withoutKeying(request);
    return idle.ok
      ? passRequest(work, exchange.id, idle.message, undefined)
      : refuseRequest(work, exchange, idle.status, idle.reason);
  }
  const parsed = readSdp(body.octets);
  if (!parsed.ok) {
    const { status, reason } = refusalOfSdp(parsed);
    return refuseRequest(work, exchange, status, reason);
  }
  const key = `request/${exchange.id}`;
  const carried: Carried = { kind: "request", key, exchange: exchange.id, request };
  const { carrier } = role;
  const branch = role.branch === undefined ? {} : { branch: role.branch };
  if (role.kind === "answer") {
    work.call.offer = undefined;
    return decideNext(work, { kind: "answer", from: exchange.from, sdp: parsed.document, carrier, ...branch }, carried);
  }
  changeExchange(work, exchange, { offered: true });
  work.call.offer = { from: exchange.from, exchange: exchange.id, within: "request" };
  return decideNext(work, { kind: "offer", from: exchange.from, sdp: parsed.document, carrier, ...branch }, carried);
};

const refuseRequest = (work: Work, exchange: Exchange, status: number, reason: string): void => {
  refuse(work, exchange, status, reason);
  if (exchange.initial) finish(work, "rejected", reason);
};

export const onRequest = (work: Work, id: number, from: Side, request: SipRequest): void => {
  forgetFinished(work);
  const { fromTag, toTag } = tagsOf(request);
  const seq = seqOf(request);
  const initial = work.call.phase === "setup" && work.call.exchanges.size === 0 && toTag === undefined;
  const { method } = request;
  const exchange: Exchange = {
    id,
    from,
    method,
    seq,
    fromTag,
    toTag,
    opens: initial ? opening(request, seq) : undefined,
    initial,
    forwarded: false,
    cancelled: false,
    final: "none",
    offered: false,
    shift: 0,
    contact: !initial && (method === "INVITE" || method === "UPDATE") ? contactOf(request) : undefined,
  };
  const open = [...work.call.exchanges.values()].filter((each) => each.final === "none").length;
  putExchange(work, exchange);
  if (initial) return carry(work, exchange, request);
  const dialog = dialogOf(work.call, exchange, from);
  // RFC 3261 12.2.2: no such dialog (any more).
  const over = dialog?.state === "terminated" || work.call.phase === "ending";
  if (dialog === undefined || (over && !outlives(dialog, request))) return refuse(work, exchange, 481);
  if (open >= maxOpenExchanges) return refuse(work, exchange, 503, "Too Many Open Requests");
  putDialog(work, withUsage(refreshed(work.call, dialog, from, request), request));
  return carry(work, exchange, request);
};

/** RFC 3261 16.10: the caller gave up; the called side is told and answers the INVITE itself. */
export const onCancel = (work: Work, id: number, reasons?: readonly string[]): void => {
  const exchange = work.call.exchanges.get(id);
  if (exchange === undefined || exchange.final !== "none" || exchange.cancelled) return;
  changeExchange(work, exchange, { cancelled: true });
  if (exchange.forwarded) {
    work.effects.push({ kind: "cancel", exchange: id, reasons }, { kind: "arm", timer: "setup", ms: cancelMs });
    return;
  }
  refuse(work, exchange, 487);
  if (exchange.initial) finish(work, "cancelled", "");
};

/** Offers of other requests that wait for their answer: an UPDATE or a PRACK within a re-INVITE. */
const offersWithin = (work: Work, { id }: Exchange): readonly Exchange[] =>
  [...work.call.exchanges.values()].filter((each) => each.id !== id && each.offered && each.final === "none");

/** Whether the end of a re-INVITE has to wait until what was offered within it is answered. */
export const hasOfferWithin = (work: Work, exchange: Exchange): boolean =>
  exchange.method === "INVITE" && exchange.offered && offersWithin(work, exchange).length > 0;

/**
 * The offer of this exchange will never be answered, or was answered early by a re-INVITE that fails in the end: what was in
 * force before is again. RFC 3261 14.1, RFC 6141 3.1.
 */
export const offerFailed = (work: Work, exchange: Exchange): void => {
  const { offer } = work.call;
  if (exchange.method === "INVITE" && exchange.offered) {
    for (const within of offersWithin(work, exchange)) refuse(work, within, 500);
    work.call.offer = undefined;
    return decideNext(work, { kind: "exchange-failed", outermost: true });
  }
  if (offer?.exchange !== exchange.id || offer.within !== "request") return;
  work.call.offer = undefined;
  decideNext(work, { kind: "exchange-failed" });
};

/** RFC 3261 16.9: no answer, or no way to send. */
export const onUnanswered = (work: Work, id: number, status: number): void => {
  const exchange = work.call.exchanges.get(id);
  if (exchange === undefined || exchange.final !== "none") return;
  // RFC 3261 9.1: cancelled, and never answered after that.
  const { cancelled } = exchange;
  refuse(work, exchange, cancelled ? 487 : status);
  if (exchange.initial) {
    const reason = cancelled ? "cancelled" : status === 408 ? "setup-timeout" : "transport-failed";
    return finish(work, reason, String(status));
  }
  offerFailed(work, exchange);
  if (exchange.method !== "BYE") return;
  const dialog = dialogOf(work.call, exchange, exchange.from);
  if (dialog !== undefined) putDialog(work, changedDialog(dialog, { state: "terminated" }));
  finishIfIdle(work);
};

/** The ACK of a 2xx; it may carry the answer to an offer the 2xx made. RFC 3261 13.2.2.4, RFC 6337 2.1. */
export const onAck = (work: Work, from: Side, arrived: SipRequest): void => {
  const request = withoutSurroundings(arrived);
  const dialog = dialogOf(work.call, tagsOf(request), from);
  if (dialog === undefined) return;
  if (work.call.phase === "ending") {
    // RFC 5407 3.1.6, 3.2.4: a BYE came first; what it would answer is over.
    if (waitsForAck(dialog, from, seqOf(request))) passAck(work, from, withBody(request, Buffer.alloc(0)), undefined);
    return;
  }
  const key = `ack/${dialog.tag}/${seqOf(request)}`;
  const carried: Carried = { kind: "ack", key, from, request };
  const body = sdpBodyOf(request);
  if (body.kind === "unusable") noteUnusable(work, from, body, "body taken out");
  const { offer } = work.call;
  const asked = offer?.within === "response" && offer.from === otherSide(from) && offer.branch === dialog.tag;
  if (body.kind === "none") {
    passAck(work, from, request, undefined);
    if (asked) endCall(work, "media-security", 488, "no answer in ACK");
    return;
  }
  const known = work.call.decided.get(key);
  if (body.kind === "sdp" && isCopy(known, body.octets)) return passAgain(work, carried, known);
  const role = requestRole(work.call, { from, method: "ACK" }, request);
  const parsed = body.kind === "sdp" ? readSdp(body.octets) : undefined;
  // SDP that answers nothing has no place in an ACK: the ACK goes on without it.
  if (role.kind !== "answer") return passAck(work, from, withBody(request, Buffer.alloc(0)), undefined);
  if (parsed?.ok !== true) return endCall(work, "media-security", 488, "malformed answer in ACK");
  work.call.offer = undefined;
  return decideNext(work, { kind: "answer", from, sdp: parsed.document, carrier: "ACK", branch: dialog.tag }, carried);
};
