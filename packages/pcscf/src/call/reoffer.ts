// Offers of the edge's own, in a running call or before its answer: its context moves to another gateway, or a key is nearly
// used up. Speaks in the name of the far end, as a BYE of the network does, and keeps the numbers of both ends apart. Pure.
// RFC 3261 12.2, 14.1 and 13.2.2.4; RFC 3311 5; RFC 4028 7.4; TS 33.328 4.2.2 (the gateway stays in the path), 6.2.1.3.
import { otherSide, canReOffer, sessionInForce, type Side } from "@sallyport/media-security";
import { headerValue, parseCSeq, type SipResponse } from "@sallyport/sip";
import { readSdp, sdpBodyOf } from "../body/sdp-body.ts";
import { decideNext } from "./decide.ts";
import { ackNumbered, partyAt, refreshed, upstreamOf } from "./dialog.ts";
import { endCall } from "./ending.ts";
import { arm, done, sendAsk } from "./own-offer.ts";
import { readiness } from "./quiet.ts";
import type { CallDialog, OwnOffer } from "./types.ts";
import { putDialog, putEvidence, putMark, type Work } from "./work.ts";

/** How often, and how soon again, an offer waits for others to end, or is made again after 491. */
const maxTries = 40;
const postponedMs = 250;
const maxRefused = 5;
/** Gateways that may be lost while one call is on its way to the next. */
const maxLosses = 4;
/** It can not be done: without media the call ends, with an old key it goes on. */
const giveUp = (work: Work, own: Pick<OwnOffer, "why">, detail: string, silent?: Side): void => {
  done(work);
  if (own.why === "gateway-lost" || silent !== undefined) {
    return endCall(work, own.why === "gateway-lost" ? "gateway-lost" : "transport-failed", 503, detail, silent);
  }
  return undefined;
};

const start = (work: Work, own: OwnOffer): void => {
  const ready = readiness(work.call, own);
  if (ready.kind === "over") return done(work);
  if (ready.kind === "never" || (ready.kind === "busy" && own.tries >= maxTries)) return giveUp(work, own, own.detail);
  if (ready.kind === "busy") {
    work.call.own = { ...own, tries: own.tries + 1 };
    return arm(work, postponedMs);
  }
  const { towards } = own;
  const { negotiation } = work.call;
  // The far end knows the new address already: an offer of its own, or one of the UE, has crossed since.
  if (towards === "core" && sessionInForce(negotiation) !== own.base) return done(work);
  if (!canReOffer(negotiation)) return giveUp(work, own, own.detail);
  const { dialog, invite } = ready;
  work.call.own = { ...own, tag: dialog.tag, method: invite === undefined ? "INVITE" : "UPDATE", stage: "deciding" };
  if (invite !== undefined) {
    work.call.moved = dialog.tag;
    // What repeats the early answer is written anew from now on.
    putMark(work, `response/${invite}/${dialog.tag}/18x`);
  }
  const gateway = own.why === "gateway-lost" && towards === "access" ? "lost" : "kept";
  return decideNext(work, { kind: "re-offer", towards, gateway });
};

const fresh = (why: OwnOffer["why"], detail: string, losses: number): OwnOffer => ({
  why,
  detail,
  stage: "postponed",
  towards: "access",
  method: "INVITE",
  losses,
  void: false,
  tag: "",
  seq: 0,
  sdp: undefined,
  base: undefined,
  tries: 0,
  refused: 0,
});

/** What is out was made for a gateway that is lost by now: whatever becomes of it, all begins again with the next gateway. */
const startAgain = (work: Work, own: OwnOffer): void => {
  const next = fresh(own.why, own.detail, own.losses);
  if (!canReOffer(work.call.negotiation)) return giveUp(work, own, own.detail);
  work.call.own = { ...next, tag: own.tag, method: own.method, stage: "deciding" };
  return decideNext(work, { kind: "re-offer", towards: "access", gateway: "lost" });
};

const onLostAgain = (work: Work, own: OwnOffer, detail: string): void => {
  const losses = own.losses + 1;
  if (own.stage === "deciding" || losses > maxLosses) return giveUp(work, own, `${detail}, while moving`);
  const lost = { ...own, detail, losses, why: "gateway-lost", void: true } as const;
  // RFC 3261 14.1: no second offer before the first one is answered.
  if (own.stage === "asked") work.call.own = lost;
  else startAgain(work, lost);
};

export const onReOffer = (work: Work, why: OwnOffer["why"], detail: string): void => {
  const { call } = work;
  if (call.phase === "ending") return;
  const { own } = call;
  if (why === "gateway-lost") {
    const found = `gateway lost (${detail})`;
    putEvidence(work, [{ clause: "4.2.2", step: "", found, changed: ["another is sought"], origin: "gateway" }]);
  }
  if (own === undefined) return start(work, fresh(why, detail, 0));
  // The keys of a call that is offered again are new ones anyhow.
  if (why === "key-expiring") return;
  if (own.stage !== "postponed") return onLostAgain(work, own, detail);
  if (own.losses >= maxLosses) return giveUp(work, { why }, `${detail}, while moving`);
  start(work, fresh(why, detail, own.losses + 1));
};

/** The time is up: of a pause, or of whoever should have answered. */
export const onReOfferTimer = (work: Work): void => {
  const { own } = work.call;
  if (own === undefined || work.call.phase === "ending") return;
  if (own.stage === "postponed") return start(work, own);
  if (own.stage === "refused" && own.sdp !== undefined) return sendAsk(work, own.towards, own.sdp);
  if (own.stage === "asked") return giveUp(work, own, `no answer from ${own.towards}`, own.towards);
};

/** RFC 3261 14.1: the owner of the Call-ID waits 2.1 to 4 s, the other end 0 to 2 s, in units of 10 ms. */
const pauseMs = (work: Work, towards: Side): number => {
  const chance = work.env.random.bytes(2).readUInt16BE(0) / 65_536;
  return upstreamOf(work.call) === otherSide(towards) ? 2100 + 1900 * chance : 2000 * chance;
};

const acknowledge = (work: Work, dialog: CallDialog, towards: Side, seq: number): void => {
  const request = ackNumbered(work.call, dialog, towards, seq);
  work.effects.push({ kind: "acknowledge", towards, request, party: partyAt(work.call, dialog, towards) });
};

const onSuccess = (work: Work, own: OwnOffer, dialog: CallDialog, response: SipResponse): void => {
  const { towards } = own;
  putDialog(work, refreshed(work.call, dialog, towards, response));
  if (own.method === "INVITE") acknowledge(work, dialog, towards, own.seq);
  if (own.void) return startAgain(work, own);
  work.call.own = { ...own, stage: "deciding", sdp: undefined };
  work.effects.push({ kind: "disarm", timer: "re-offer" });
  const body = sdpBodyOf(response);
  const parsed = body.kind === "sdp" ? readSdp(body.octets) : undefined;
  if (parsed?.ok !== true) return endCall(work, "media-security", 488, "no usable answer to the edge's offer");
  const event = { kind: "answer", from: towards, sdp: parsed.document, carrier: "2xx", branch: own.tag } as const;
  return decideNext(work, event);
};

const onFailure = (work: Work, own: OwnOffer, response: SipResponse): void => {
  const { status } = response;
  if (own.void && status !== 481 && status !== 408) return startAgain(work, own);
  // RFC 3261 14.1 and 14.2: an offer of the other end was on its way.
  const glare = status === 491 || (status === 500 && headerValue(response, "retry-after") !== undefined);
  if (glare && own.refused < maxRefused) {
    // Towards the far end nothing has changed at the gateway: the offer is taken back, so that the other one can be answered.
    if (own.towards === "core") {
      decideNext(work, { kind: "exchange-failed" });
      const base = sessionInForce(work.call.negotiation);
      work.call.own = { ...own, stage: "postponed", refused: own.refused + 1, sdp: undefined, base };
      return arm(work, pauseMs(work, own.towards));
    }
    work.call.own = { ...own, stage: "refused", refused: own.refused + 1 };
    return arm(work, pauseMs(work, own.towards));
  }
  const detail = `${own.towards === "access" ? "the UE" : "the far end"} refused another offer with ${status}`;
  // RFC 5057 5.1: the dialog is gone there.
  if (status === 481 || status === 408) return giveUp(work, own, detail, own.towards);
  if (own.why === "key-expiring") decideNext(work, { kind: "exchange-failed" });
  return giveUp(work, own, detail);
};

export const onOwnResponse = (work: Work, towards: Side, seq: number, response: SipResponse | undefined): void => {
  const { own } = work.call;
  const success = response !== undefined && response.status >= 200 && response.status < 300;
  if (own?.stage !== "asked" || own.seq !== seq || own.towards !== towards) {
    // RFC 3261 13.2.2.4: the ACK was lost, or the 2xx crossed the end of the call.
    const dialog = [...work.call.dialogs.values()].find(({ state }) => state !== "early");
    const invite = success && parseCSeq(headerValue(response, "cseq") ?? "")?.method === "INVITE";
    if (invite && dialog !== undefined) acknowledge(work, dialog, towards, seq);
    return;
  }
  if (response === undefined) return giveUp(work, own, `no answer from ${towards}`, towards);
  if (response.status < 200) return;
  const dialog = work.call.dialogs.get(own.tag);
  if (dialog === undefined) return giveUp(work, own, "no dialog");
  if (success) return onSuccess(work, own, dialog, response);
  return onFailure(work, own, response);
};
