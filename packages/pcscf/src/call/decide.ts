// Carries a decision of media-security out: keeps the message that waits, sends it on with its new body, or ends the call.
// Pure. TS 33.328 7.2.1 and 7.3.1; the order of invariant 6 holds because a message that needs the gateway waits here.
import type { Effect, NegotiationEvent } from "@sallyport/media-security";
import { writeSdp } from "@sallyport/sdp";
import { withBody } from "@sallyport/sip";
import { sdpBodyOf, withoutBody } from "../body/sdp-body.ts";
import { dropDialog, endCall, finish } from "./ending.ts";
import { finishIfIdle, passAck, passRequest, passResponse } from "./pass.ts";
import { onAgreed, sendAsk } from "./own-offer.ts";
import type { CallInput, Carried, DecidedBody } from "./types.ts";
import { negotiate, putDecided, refuse, type Work } from "./work.ts";

const takeCarried = (work: Work): Carried | undefined => {
  const { carried } = work.call;
  work.call.carried = undefined;
  return carried;
};

/** Sends a carried message on with `sdp` in the place of its own body. */
export const pass = (work: Work, carried: Carried, sdp: Buffer | undefined): void => {
  if (carried.kind === "request") passRequest(work, carried.exchange, carried.request, sdp);
  else if (carried.kind === "response") passResponse(work, carried.exchange, carried.response, sdp);
  else passAck(work, carried.from, carried.request, sdp);
};

/** Sends a copy on as the first was; one that comes when none is due any more without what both ends have long had. */
export const passAgain = (work: Work, carried: Carried, { sent }: DecidedBody): void => {
  if (sent !== undefined) return pass(work, carried, Buffer.from(sent, "latin1"));
  if (carried.kind === "response")
    return passResponse(work, carried.exchange, withoutBody(carried.response), undefined);
  if (carried.kind === "ack") passAck(work, carried.from, withBody(carried.request, Buffer.alloc(0)), undefined);
};

const sendOn = (work: Work, carried: Carried, sdp: Buffer): void => {
  const body = sdpBodyOf(carried.kind === "response" ? carried.response : carried.request);
  if (body.kind !== "sdp") return;
  // Requests are told from their copies by their transaction.
  if (carried.kind !== "request") putDecided(work, carried.key, body.octets, sdp);
  pass(work, carried, sdp);
};

const refuseCarried = (work: Work, carried: Carried | undefined, status: number, detail: string): void => {
  const exchange = carried?.kind === "request" ? work.call.exchanges.get(carried.exchange) : undefined;
  // A response or an ACK cannot be refused.
  if (exchange === undefined) return endCall(work, "media-security", status, detail);
  if (work.call.offer?.exchange === exchange.id && work.call.offer.within === "request") work.call.offer = undefined;
  refuse(work, exchange, status, detail);
  if (exchange.initial) finish(work, "media-security", detail);
  // An answer in PRACK that cannot be used leaves its offer without one.
  else if (exchange.method === "PRACK" && !exchange.offered) endCall(work, "media-security", status, detail);
};

const dropBranch = (work: Work, branch: string | undefined, detail: string): void => {
  const carried = takeCarried(work);
  const dialog = work.call.dialogs.get(branch ?? "");
  if (carried?.kind !== "response" || carried.response.status < 200 || dialog === undefined) return;
  dropDialog(work, dialog, detail);
  // It may have been all that was left: the dialog that won has had its BYE while this one was put off.
  finishIfIdle(work);
};

/** Deferred responses kept; more are lost, and come again when they matter (RFC 3262 3). */
const maxDeferred = 8;

/** Looks at a response again after the next input. */
export const putOff = (work: Work, response: CallInput & { readonly kind: "response" }): void => {
  if (work.call.deferred.length < maxDeferred) work.call.deferred = [...work.call.deferred, response];
};

// Events wait in the leg's own queue while the gateway works, so the negotiation is never found busy. What it puts off is
// an answer of another early dialog while an UPDATE is open (RFC 3311 5.1).
const putOffCarried = (work: Work): void => {
  const carried = takeCarried(work);
  if (carried?.kind === "request") {
    const exchange = work.call.exchanges.get(carried.exchange);
    if (exchange !== undefined) refuse(work, exchange, 500, "busy");
  } else if (carried?.kind === "response") {
    putOff(work, { kind: "response", exchange: carried.exchange, response: carried.response });
  }
};

const carryOut = (work: Work, effect: Effect): void => {
  switch (effect.kind) {
    case "gateway":
      work.call.waiting = [...work.call.waiting, effect.request];
      work.effects.push(effect);
      return;
    case "forward": {
      const carried = takeCarried(work);
      if (carried !== undefined) sendOn(work, carried, writeSdp(effect.sdp));
      return;
    }
    case "ask":
      return sendAsk(work, effect.towards, writeSdp(effect.sdp));
    case "agreed":
      return onAgreed(work, effect.towards);
    case "refuse":
      return refuseCarried(work, takeCarried(work), effect.status, effect.reason);
    case "end-call":
      work.call.carried = undefined;
      return endCall(
        work,
        work.call.own?.why === "gateway-lost" ? "gateway-lost" : "media-security",
        effect.coreStatus,
        effect.reason,
      );
    case "drop-branch":
      return dropBranch(work, effect.branch, effect.reason);
    case "release-gateway":
    case "zeroise":
      work.effects.push(effect);
      return;
    case "defer":
      return putOffCarried(work);
  }
};

/** Hands an event to the negotiation and carries out what it decides, in its order. */
export const decideNext = (work: Work, event: NegotiationEvent, carried?: Carried): void => {
  const effects = negotiate(work, event);
  if (carried !== undefined) work.call.carried = carried;
  for (const effect of effects) carryOut(work, effect);
};
