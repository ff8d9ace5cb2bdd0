// Whether an offer of the edge's own can be made in a call now, later or never. Pure.
// RFC 3261 14.1 and RFC 3264 4 once it is answered; before, RFC 3311 5.1: both ends allow UPDATE, and an offer and its answer
// have passed in messages that were acknowledged.
import { isBusy } from "@sallyport/media-security";
import type { CallDialog, CallState, OwnOffer } from "./types.ts";

export type Readiness =
  /** `invite`: the exchange of the INVITE that is still open. */
  | { readonly kind: "ready"; readonly dialog: CallDialog; readonly invite?: number }
  /** Something else is under way that ends by itself. */
  | { readonly kind: "busy" }
  | { readonly kind: "never" }
  /** Nobody needs it any more: the caller has given up. */
  | { readonly kind: "over" };

const busy: Readiness = { kind: "busy" };
const never: Readiness = { kind: "never" };

const confirmedOne = (call: CallState): Readiness => {
  const [dialog, ...others] = [...call.dialogs.values()].filter(({ state }) => state === "confirmed");
  const open = [...call.exchanges.values()].some(
    ({ method, final }) => final === "none" && (method === "INVITE" || method === "UPDATE"),
  );
  if (dialog === undefined || others.length > 0 || open || dialog.unacknowledged.length > 0) return busy;
  const { offer, carried, negotiation } = call;
  const free =
    offer === undefined && carried === undefined && negotiation.exchange === undefined && !isBusy(negotiation);
  return free ? { kind: "ready", dialog } : busy;
};

/**
 * Before the answer, while there is one early dialog: the others would keep an address of the lost gateway. A caller that has
 * no early answer has nothing that could be said again.
 */
const earlyOne = (call: CallState): Readiness => {
  const exchanges = [...call.exchanges.values()];
  const invite = exchanges.find(({ initial }) => initial);
  if (invite === undefined || invite.final !== "none") return never;
  if (invite.cancelled) return { kind: "over" };
  const [dialog, ...others] = call.dialogs.values();
  const { early } = dialog ?? {};
  if (dialog?.state !== "early" || early === undefined || others.length > 0) return never;
  if (!early.upstreamUpdates || !early.downstreamUpdates || early.answer === "none") return never;
  const open = exchanges.some(
    ({ initial, method, final }) => !initial && final === "none" && (method === "UPDATE" || method === "PRACK"),
  );
  const { offer, carried, negotiation } = call;
  const { exchange } = negotiation;
  const free = offer === undefined && carried === undefined && exchange?.outer === undefined && !isBusy(negotiation);
  return open || !free || early.answer === "reliable" ? busy : { kind: "ready", dialog, invite: invite.id };
};

export const readiness = (call: CallState, { why }: Pick<OwnOffer, "why">): Readiness => {
  if (call.phase === "confirmed") return confirmedOne(call);
  return call.phase === "setup" && why === "gateway-lost" ? earlyOne(call) : never;
};
