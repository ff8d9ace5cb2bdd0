// What else lives in the dialog of a call: subscriptions, which its BYE does not end. Owns which of them may be there yet.
// Pure; a subscription is told by its event package alone. RFC 5057 4, RFC 3515 2.4.4, RFC 6665 4.1.
import { headerValue, type SipRequest, type SipResponse } from "@sallyport/sip";
import { changedDialog } from "./dialog.ts";
import type { CallDialog, CallState, Exchange } from "./types.ts";

const methods = new Set(["REFER", "SUBSCRIBE", "NOTIFY"]);

export const isUsage = (method: string): boolean => methods.has(method);

/** Subscriptions of one dialog that are remembered. */
const maxUsages = 8;

const none: readonly string[] = [];

const packageOf = (request: SipRequest): string =>
  request.method === "REFER" ? "refer" : (headerValue(request, "event") ?? "").split(";", 1)[0]!.trim().toLowerCase();

const ends = (request: SipRequest): boolean =>
  /^\s*terminated\b/i.test(headerValue(request, "subscription-state") ?? "");

const without = (usages: readonly string[], name: string): readonly string[] => {
  const at = usages.indexOf(name);
  return at < 0 ? usages : usages.filter((_, place) => place !== at);
};

/** The dialog after a request of such a usage: each REFER makes one, a SUBSCRIBE one of its package. */
export const withUsage = (dialog: CallDialog, request: SipRequest): CallDialog => {
  if (!isUsage(request.method)) return dialog;
  const { usages = none } = dialog;
  const name = packageOf(request);
  if (request.method === "NOTIFY")
    return ends(request) ? changedDialog(dialog, { usages: without(usages, name) }) : dialog;
  const known = (request.method === "SUBSCRIBE" && usages.includes(name)) || usages.length >= maxUsages;
  return known ? dialog : changedDialog(dialog, { usages: [...usages, name] });
};

/** The dialog after the final answer to one: a REFER that was refused or wants none (RFC 4488), a NOTIFY nobody knows. */
export const afterUsage = (dialog: CallDialog, { method }: Exchange, response: SipResponse): CallDialog => {
  const { usages = none } = dialog;
  if (method === "NOTIFY" && response.status === 481) return changedDialog(dialog, { usages: none });
  const unwanted = /^\s*false\b/i.test(headerValue(response, "refer-sub") ?? "");
  return method === "REFER" && (response.status >= 300 || unwanted)
    ? changedDialog(dialog, { usages: without(usages, "refer") })
    : dialog;
};

/** Whether a request may pass although the call in its dialog is over. */
export const outlives = ({ usages = none }: CallDialog, request: SipRequest): boolean =>
  (request.method === "NOTIFY" || request.method === "SUBSCRIBE") && usages.includes(packageOf(request));

/** One that was on its way when the call ended is answered by the other end. */
export const staysOpen = ({ method, final, forwarded }: Exchange): boolean =>
  final === "none" && forwarded && isUsage(method);

/** Whether anything of the kind may come yet. */
export const hasUsages = ({ dialogs, exchanges }: Pick<CallState, "dialogs" | "exchanges">): boolean =>
  [...dialogs.values()].some(({ usages = none }) => usages.length > 0) || [...exchanges.values()].some(staysOpen);
