// Owns an offer of the edge's own on its way: sent in the name of the far end, agreed to by one side, then for the other. Pure.
// RFC 3261 14.1; RFC 3311 5; TS 33.328 4.2.2. When one is due, and what becomes of its answer, is in reoffer.ts.
import { sessionInForce, type Side } from "@sallyport/media-security";
import { offerTowards, partyAt } from "./dialog.ts";
import { endCall } from "./ending.ts";
import { putDialog, type Work } from "./work.ts";

/** A UE or a far end that does not answer leaves the call without media: it is not waited for long. */
const patienceMs = 12_000;
/** Where both ends of a call lost their gateway at once, two offers would meet: the called side's edge lets the other go first. */
const courtesyMs = 200;

/** When it is looked at again. */
export const arm = (work: Work, ms: number): void => void work.effects.push({ kind: "arm", timer: "re-offer", ms });

/** It has done what it was made for, or is not needed any more. */
export const done = (work: Work): void => {
  work.call.own = undefined;
  work.effects.push({ kind: "disarm", timer: "re-offer" });
};

/** Whether the INVITE's answer has to wait: RFC 3311 5.1, an offer of ours is out or about to be. */
export const isMoving = ({ call: { own } }: Work): boolean => own?.method === "UPDATE" && own.stage !== "postponed";

/** Sends the offer the negotiation made, or makes again. */
export const sendAsk = (work: Work, towards: Side, sdp: Buffer): void => {
  const { own } = work.call;
  const dialog = own === undefined ? undefined : work.call.dialogs.get(own.tag);
  const open = dialog?.state === "confirmed" || (dialog?.state === "early" && own?.method === "UPDATE");
  if (own === undefined || dialog === undefined || !open) return endCall(work, "gateway-lost", 503, "no dialog");
  const made = offerTowards(work.call, dialog, towards, sdp, own.method);
  putDialog(work, made.dialog);
  work.call.own = { ...own, stage: "asked", towards, seq: made.seq, sdp };
  const party = partyAt(work.call, dialog, towards);
  work.effects.push({ kind: "ask", towards, seq: made.seq, request: made.request, party });
  return arm(work, patienceMs);
};

/** One side has the session as it is now; after a move the other has to learn where the gateway is. */
export const onAgreed = (work: Work, towards: Side): void => {
  const { own } = work.call;
  if (own === undefined || work.call.phase === "ending") return;
  if (own.why === "gateway-lost" && towards === "access") {
    const base = sessionInForce(work.call.negotiation);
    work.call.own = { ...own, stage: "postponed", towards: "core", base, tries: 0 };
    if (work.call.direction === "terminating") return arm(work, courtesyMs);
    // At once, before whatever else waits.
    work.call.queue = [{ kind: "timer", timer: "re-offer" }, ...work.call.queue];
    return;
  }
  return done(work);
};
