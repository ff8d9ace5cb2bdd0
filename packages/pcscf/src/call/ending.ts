// How a leg ends: what each side is told, and that nothing is left at the gateway (invariant 10). Pure.
// RFC 3261 9.1, 13.2.2.4, 15; TS 24.229 5.2.8.1 (release by the P-CSCF).
import { otherSide } from "@sallyport/media-security";
import { reasonPhrase } from "@sallyport/sip";
import { ackTowards, byeTowards, changedDialog, upstreamOf } from "./dialog.ts";
import type { CallDialog, EndReason, Exchange, Side } from "./types.ts";
import { hasUsages, staysOpen } from "./usages.ts";
import { negotiate, putDialog, putExchange, refuse, type Work } from "./work.ts";

/** 64*T1: how long a 2xx or a final response may still come for what we cancelled. */
export const lingerMs = 32_000;

const openInvites = (work: Work): readonly Exchange[] =>
  [...work.call.exchanges.values()].filter((exchange) => exchange.method === "INVITE" && exchange.final === "none");

/** Tells the negotiation that all is over: the gateway is released, keys are zeroised. Harmless when repeated. */
const release = (work: Work): void => {
  if (work.call.released) return;
  work.call.released = true;
  for (const effect of negotiate(work, { kind: "ended" }))
    if (effect.kind === "release-gateway" || effect.kind === "zeroise") work.effects.push(effect);
};

/** Nothing more will come of this leg: forget it, now or after stragglers had their time. */
export const finish = (work: Work, reason: EndReason, detail: string, linger = false): void => {
  if (work.call.phase === "ending") return;
  work.call.carried = undefined;
  work.call.own = undefined;
  work.call.decided = new Map();
  work.decided = undefined;
  work.call.phase = "ending";
  work.call.ended = { reason, detail };
  release(work);
  // Whoever still waits for an answer inside the dialog gets one: the dialog is gone. RFC 3261 12.2.2.
  for (const exchange of work.call.exchanges.values()) if (!staysOpen(exchange)) refuse(work, exchange, 481);
  for (const timer of ["setup", "acknowledge", "session", "flow", "re-offer", "forget"] as const)
    work.effects.push({ kind: "disarm", timer });
  // A gateway still at work for this leg says with its answer what there is to give back.
  const ms = hasUsages(work.call) ? Math.max(lingerMs, work.env.limits.setupMs) : lingerMs;
  if (linger || ms > lingerMs || work.call.waiting.length > 0) work.effects.push({ kind: "arm", timer: "linger", ms });
  else work.effects.push({ kind: "finished" });
};

/** What nobody else will acknowledge any more. */
const acknowledgeAll = (work: Work, dialog: CallDialog): CallDialog => {
  for (const { from, seq } of dialog.unacknowledged) {
    const towards = otherSide(from);
    const party = towards === upstreamOf(work.call) ? dialog.upstream : dialog.downstream;
    work.effects.push({ kind: "acknowledge", towards, party, request: ackTowards(work.call, dialog, towards, seq) });
  }
  return changedDialog(dialog, { unacknowledged: [] });
};

const bye = (work: Work, dialog: CallDialog, towards: Side, reason: string): CallDialog => {
  const made = byeTowards(work.call, dialog, towards, reason);
  const party = towards === upstreamOf(work.call) ? dialog.upstream : dialog.downstream;
  work.effects.push({ kind: "originate", towards, party, request: made.request });
  return made.dialog;
};

/** ACK where one is due, then BYE to each side that believes in the dialog. */
const endDialog = (work: Work, dialog: CallDialog, sides: readonly Side[], reason: string): void => {
  let out = acknowledgeAll(work, dialog);
  for (const side of sides) out = bye(work, out, side, reason);
  putDialog(work, { ...out, state: "terminated" });
};

/** Whether the caller was told that this dialog is confirmed. */
const upstreamBelieves = (work: Work): boolean =>
  [...work.call.exchanges.values()].some((exchange) => exchange.initial && exchange.final === "success") ||
  work.call.phase === "confirmed";

/** A dialog the caller must not learn of, or that lost: ACK and BYE to the called side alone. RFC 3261 13.2.2.4. */
export const dropDialog = (work: Work, dialog: CallDialog, text: string, cause = 500): void =>
  endDialog(work, dialog, [otherSide(upstreamOf(work.call))], `SIP;cause=${cause};text="${text}"`);

/**
 * Ends the call on both sides: whoever waits for a final response gets `status`, whoever was asked is cancelled, and a
 * confirmed dialog gets BYE. `silent` is a side that cannot be reached any more.
 */
export const endCall = (work: Work, reason: EndReason, status: number, detail: string, silent?: Side): void => {
  if (work.call.phase === "ending") return;
  const upstream = upstreamOf(work.call);
  const downstream = otherSide(upstream);
  const header = `SIP;cause=${status};text="${reasonPhrase(status)}"`;
  const believes = upstreamBelieves(work);
  let stragglers = false;
  for (const exchange of openInvites(work)) {
    if (exchange.forwarded && !exchange.cancelled) {
      work.effects.push({ kind: "cancel", exchange: exchange.id, reasons: [header] });
      stragglers = true;
    }
    refuse(work, exchange, status, detail);
    const refused = work.call.exchanges.get(exchange.id);
    if (refused !== undefined) putExchange(work, { ...refused, cancelled: true });
  }
  for (const dialog of work.call.dialogs.values()) {
    if (dialog.state !== "confirmed") continue;
    const sides = believes ? [upstream, downstream] : [downstream];
    endDialog(
      work,
      dialog,
      sides.filter((side) => side !== silent),
      header,
    );
    stragglers = true;
  }
  finish(work, reason, detail, stragglers);
};
