// Sends a message of the leg on to the other side and notes what that means for the leg. Pure. RFC 3261 16.6, 16.7, 13.3.
import { otherSide } from "@sallyport/media-security";
import { headerValue, parseCSeq, setHeader, type SipRequest, type SipResponse } from "@sallyport/sip";
import { sdpBodyOf, withSdpBody } from "../body/sdp-body.ts";
import {
  acknowledged,
  changedDialog,
  dialogOf,
  numberOf,
  partyAt,
  retargeted,
  seqOf,
  shiftOf,
  tagsOf,
  waitsForAck,
} from "./dialog.ts";
import { finish, lingerMs } from "./ending.ts";
import { heardMark, isReliable } from "./offer-answer.ts";
import type { CallDialog, Exchange, Side } from "./types.ts";
import { afterUsage, hasUsages, isUsage } from "./usages.ts";
import { changeExchange, putDialog, putMark, type Work } from "./work.ts";

const withSdp = <M extends SipRequest | SipResponse>(message: M, sdp: Buffer | undefined): M => {
  if (sdp === undefined) return message;
  const body = sdpBodyOf(message);
  // An untouched body passes byte for byte.
  if (body.kind !== "sdp" || body.octets.equals(sdp)) return message;
  return withSdpBody(message, body, sdp);
};

/**
 * The message with the number its receiver knows the sender's requests by: requests of ours in the sender's name have used
 * some (RFC 3261 12.2.2), and PRACK names an INVITE by its number (RFC 3262 7.2).
 */
const numbered = <M extends SipRequest | SipResponse>(
  message: M,
  by: number,
  inviteNumber: (seq: number) => number = (seq) => seq,
): M => {
  const cseq = by === 0 ? undefined : parseCSeq(headerValue(message, "cseq") ?? "");
  if (cseq === undefined) return message;
  const shifted = setHeader(message, "cseq", `${cseq.seq + by} ${cseq.method}`);
  const [, rseq, invite, method] =
    /^\s*(\d{1,10})\s+(\d{1,10})\s+(\S+)\s*$/.exec(headerValue(message, "rack") ?? "") ?? [];
  return invite === undefined
    ? shifted
    : setHeader(shifted, "rack", `${rseq} ${inviteNumber(Number(invite))} ${method}`);
};

/** Forwards a request; `sdp` replaces its SDP body. */
export const passRequest = (work: Work, id: number, request: SipRequest, sdp: Buffer | undefined): void => {
  const exchange = work.call.exchanges.get(id);
  if (exchange === undefined) return;
  const towards = otherSide(exchange.from);
  const dialog = exchange.initial ? undefined : dialogOf(work.call, exchange, exchange.from);
  const shift = shiftOf(work.call, dialog, exchange.from);
  changeExchange(work, exchange, { forwarded: true, shift });
  const inviteNumber = (seq: number): number => numberOf(work.call, dialog, exchange.from, seq);
  work.effects.push({
    kind: "forward",
    exchange: id,
    towards,
    request: numbered(withSdp(request, sdp), shift, inviteNumber),
    party: dialog === undefined ? undefined : partyAt(work.call, dialog, towards),
  });
  if (exchange.method === "INVITE") work.effects.push({ kind: "arm", timer: "setup", ms: work.env.limits.setupMs });
};

// RFC 4028 10: without a refresh the session is over; its end is watched with some grace.
const watchSession = (work: Work, exchange: Exchange, response: SipResponse): void => {
  const seconds = /^\s*(\d{1,9})/.exec(headerValue(response, "session-expires") ?? "")?.[1];
  const dialog = dialogOf(work.call, exchange, exchange.from) ?? work.call.dialogs.get(tagsOf(response).toTag ?? "");
  if (dialog !== undefined) {
    const uas = /;\s*refresher\s*=\s*uas\b/i.test(headerValue(response, "session-expires") ?? "");
    const refresher = uas ? otherSide(exchange.from) : exchange.from;
    const session = seconds === undefined ? undefined : { seconds: Number(seconds), refresher };
    putDialog(work, changedDialog(dialog, { session }));
  }
  if (seconds === undefined) work.effects.push({ kind: "disarm", timer: "session" });
  else work.effects.push({ kind: "arm", timer: "session", ms: Number(seconds) * 1000 + 32_000 });
};

/**
 * When the last dialog is gone and no other can come of the initial INVITE, so is the call. A re-INVITE that is still open
 * had its dialog ended (RFC 3261 15.1.2): it is answered, and what may yet be said to it is waited for. So are an ACK that a
 * BYE has overtaken, and a BYE that crossed what ended the dialog (RFC 5407 3.1.6 and 3.2): its own answer comes here again.
 */
export const finishIfIdle = (work: Work): void => {
  const open = [...work.call.exchanges.values()].filter(({ final }) => final === "none");
  if (open.some(({ initial, method, forwarded }) => initial || (method === "BYE" && forwarded))) return;
  const dialogs = [...work.call.dialogs.values()];
  if (work.call.phase !== "confirmed" || dialogs.some(({ state }) => state === "confirmed")) return;
  const late = open.some(({ method }) => method === "INVITE");
  // RFC 3261 13.2.2.4: a place that rang may answer yet.
  const more = dialogs.some(({ state, unacknowledged }) => state === "early" || unacknowledged.length > 0);
  finish(work, "bye", "", late || more);
};

/** RFC 3311 5.1: from now on the early dialog takes an UPDATE with an offer. */
const noteAcknowledged = (work: Work, exchange: Exchange): void => {
  const dialog = dialogOf(work.call, exchange, exchange.from);
  if (dialog?.early?.answer === "reliable")
    putDialog(work, changedDialog(dialog, { early: { ...dialog.early, answer: "acknowledged" } }));
};

const afterSuccess = (work: Work, exchange: Exchange, response: SipResponse): void => {
  if (exchange.method === "PRACK") noteAcknowledged(work, exchange);
  if (exchange.method === "INVITE") {
    work.effects.push({ kind: "disarm", timer: "setup" });
    if (work.call.phase === "setup") work.call.phase = "confirmed";
    if ([...work.call.dialogs.values()].some((dialog) => waitsForAck(dialog, exchange.from, exchange.seq))) {
      work.effects.push({ kind: "arm", timer: "acknowledge", ms: work.env.limits.acknowledgeMs });
    }
  }
  if (exchange.method === "INVITE" || exchange.method === "UPDATE") watchSession(work, exchange, response);
};

/**
 * RFC 5057 5.1: after 481 there is nobody left at the other end of a call. After 408 who asked says BYE, which the other end
 * may hear (RFC 3261 12.2.1.2); an early dialog is up to the INVITE's own answer.
 */
const endsDialog = (exchange: Exchange, dialog: CallDialog | undefined, status: number): boolean =>
  exchange.method === "BYE"
    ? status !== 401 && status !== 407
    : (exchange.method === "INVITE" || exchange.method === "UPDATE") && status === 481 && dialog?.state === "confirmed";

const afterFinal = (work: Work, exchange: Exchange, status: number): void => {
  if (exchange.initial) {
    if (status >= 300) finish(work, exchange.cancelled ? "cancelled" : "rejected", String(status));
    return;
  }
  const dialog = dialogOf(work.call, exchange, exchange.from);
  if (!endsDialog(exchange, dialog, status)) return;
  if (dialog !== undefined) putDialog(work, changedDialog(dialog, { state: "terminated" }));
  finishIfIdle(work);
};

/** RFC 6141 4.4: a target refresh counts when it is answered reliably; one that is refused changes nothing. */
const noteTarget = (work: Work, exchange: Exchange, response: SipResponse): void => {
  if (exchange.contact === undefined || response.status >= 300 || !isReliable(response)) return;
  const dialog = dialogOf(work.call, exchange, exchange.from);
  if (dialog !== undefined) putDialog(work, retargeted(work.call, dialog, exchange.from, exchange.contact));
};

/** What a subscription's request was answered; the last of them lets go of a call that is over. RFC 5057 4. */
const noteUsage = (work: Work, exchange: Exchange, response: SipResponse): void => {
  const dialog = dialogOf(work.call, exchange, exchange.from);
  if (dialog !== undefined) putDialog(work, afterUsage(dialog, exchange, response));
  if (work.call.phase === "ending" && !hasUsages(work.call))
    work.effects.push({ kind: "arm", timer: "linger", ms: lingerMs });
};

/** Answers an exchange with a response of the other side; `sdp` replaces its SDP body. */
export const passResponse = (work: Work, id: number, response: SipResponse, sdp: Buffer | undefined): void => {
  const exchange = work.call.exchanges.get(id);
  if (exchange === undefined) return;
  const { status } = response;
  work.effects.push({
    kind: "respond",
    exchange: id,
    from: otherSide(exchange.from),
    initial: exchange.initial,
    response: numbered(withSdp(response, sdp), exchange.seq - seqOf(response)),
  });
  noteTarget(work, exchange, response);
  if (status < 200) {
    if (exchange.method === "INVITE" && !exchange.cancelled)
      work.effects.push({ kind: "arm", timer: "setup", ms: work.env.limits.setupMs });
    return;
  }
  changeExchange(work, exchange, { final: status < 300 ? "success" : "failure" });
  if (isUsage(exchange.method)) noteUsage(work, exchange, response);
  if (status < 300) afterSuccess(work, exchange, response);
  else if (exchange.method === "INVITE") work.effects.push({ kind: "disarm", timer: "setup" });
  afterFinal(work, exchange, status);
};

/** Forwards the ACK for a 2xx. */
export const passAck = (work: Work, from: Side, request: SipRequest, sdp: Buffer | undefined): void => {
  const dialog = dialogOf(work.call, tagsOf(request), from);
  if (dialog === undefined) return;
  const towards = otherSide(from);
  const seq = seqOf(request);
  work.effects.push({
    kind: "acknowledge",
    towards,
    request: numbered(withSdp(request, sdp), numberOf(work.call, dialog, from, seq) - seq),
    party: partyAt(work.call, dialog, towards),
  });
  if (!waitsForAck(dialog, from, seq)) {
    const known = [...work.call.exchanges.values()].some((each) => each.method === "INVITE" && each.seq === seq);
    if (!known) putMark(work, heardMark(dialog.tag, seq));
    return;
  }
  putDialog(work, acknowledged(dialog, from, seq));
  if (![...work.call.dialogs.values()].some((each) => each.unacknowledged.length > 0)) {
    work.effects.push({ kind: "disarm", timer: "acknowledge" });
  }
};
