// Owns dialog state as a plain value: how it is made, how messages inside it change it. RFC 3261 12.
import { headerList, headerValue } from "../message/headers.ts";
import type { SipMessage, SipRequest, SipResponse } from "../message/message.ts";
import { parseNameAddr } from "../message/name-addr.ts";
import { parseCSeq, tagOf } from "../message/values.ts";

export interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  /** Empty with an RFC 2543 peer. */
  readonly remoteTag: string;
  readonly localUri: string;
  readonly remoteUri: string;
  /** The CSeq number of our last request; 0 before the first. */
  readonly localSeq: number;
  readonly remoteSeq?: number;
  /** Route header values, nearest proxy first. */
  readonly routeSet: readonly string[];
  /** The peer's Contact URI. */
  readonly remoteTarget: string;
  /** The dialog was made with a SIPS URI. */
  readonly secure: boolean;
  readonly state: "early" | "confirmed" | "terminated";
}

const addressUri = (message: SipMessage, name: "from" | "to"): string | undefined =>
  parseNameAddr(headerValue(message, name) ?? "")?.uri;

const contactUri = (message: SipMessage): string | undefined =>
  parseNameAddr(headerList(message, "contact")[0] ?? "")?.uri;

const isSips = (uri: string): boolean => uri.slice(0, 5).toLowerCase() === "sips:";

/**
 * The callee's dialog. RFC 3261 12.1.1. Undefined when From, To, Call-ID, CSeq or Contact cannot be read.
 * `state` is `confirmed` when the first response is a 2xx.
 */
export const dialogFromRequest = (
  request: SipRequest,
  localTag: string,
  state: "early" | "confirmed" = "early",
): Dialog | undefined => {
  const callId = headerValue(request, "call-id");
  const cseq = parseCSeq(headerValue(request, "cseq") ?? "");
  const [localUri, remoteUri] = [addressUri(request, "to"), addressUri(request, "from")];
  const remoteTarget = contactUri(request);
  if (callId === undefined || cseq === undefined || remoteTarget === undefined) return undefined;
  if (localUri === undefined || remoteUri === undefined) return undefined;
  return {
    callId,
    localTag,
    remoteTag: tagOf(request, "from") ?? "",
    localUri,
    remoteUri,
    localSeq: 0,
    remoteSeq: cseq.seq,
    routeSet: headerList(request, "record-route"),
    remoteTarget,
    secure: isSips(request.uri),
    state,
  };
};

/** The caller's dialog from a 101 to 299 response. RFC 3261 12.1.2. Undefined for other responses and unreadable ones. */
export const dialogFromResponse = (request: SipRequest, response: SipResponse): Dialog | undefined => {
  if (response.status <= 100 || response.status >= 300) return undefined;
  const callId = headerValue(request, "call-id");
  const cseq = parseCSeq(headerValue(request, "cseq") ?? "");
  const localTag = tagOf(request, "from");
  const [localUri, remoteUri] = [addressUri(request, "from"), addressUri(request, "to")];
  const remoteTarget = contactUri(response);
  if (callId === undefined || cseq === undefined || remoteTarget === undefined) return undefined;
  if (localTag === undefined || localUri === undefined || remoteUri === undefined) return undefined;
  return {
    callId,
    localTag,
    remoteTag: tagOf(response, "to") ?? "",
    localUri,
    remoteUri,
    localSeq: cseq.seq,
    routeSet: headerList(response, "record-route").toReversed(),
    remoteTarget,
    secure: isSips(request.uri),
    state: response.status < 200 ? "early" : "confirmed",
  };
};

/** Requests whose Contact moves the peer: INVITE, and UPDATE by RFC 3311 5.1. */
const refreshesTarget = (method: string | undefined): boolean => method === "INVITE" || method === "UPDATE";

/**
 * What a response to a request of ours changes: a 2xx confirms an early dialog with the route set it carries
 * (RFC 3261 13.2.2.4) and, to INVITE or UPDATE, refreshes the remote target (12.2.1.2); 481 and 408 end the dialog.
 */
export const afterResponse = (dialog: Dialog, response: SipResponse): Dialog => {
  if (response.status === 481 || response.status === 408) return { ...dialog, state: "terminated" };
  if (response.status < 200 || response.status >= 300) return dialog;
  const method = parseCSeq(headerValue(response, "cseq") ?? "")?.method;
  if (method === "BYE") return { ...dialog, state: "terminated" };
  const remoteTarget = (refreshesTarget(method) ? contactUri(response) : undefined) ?? dialog.remoteTarget;
  if (dialog.state !== "early" || method !== "INVITE") return { ...dialog, remoteTarget };
  const routeSet = headerList(response, "record-route").toReversed();
  return { ...dialog, remoteTarget, routeSet, state: "confirmed" };
};

export type DialogVerdict =
  | { readonly ok: true; readonly dialog: Dialog }
  | { readonly ok: false; readonly status: 500; readonly reason: string };

/** What a request of the peer changes. RFC 3261 12.2.2: one out of order is refused with 500. ACK and CANCEL carry old numbers. */
export const afterRequest = (dialog: Dialog, request: SipRequest): DialogVerdict => {
  if (request.method === "ACK" || request.method === "CANCEL") return { ok: true, dialog };
  const cseq = parseCSeq(headerValue(request, "cseq") ?? "");
  if (cseq === undefined || (dialog.remoteSeq !== undefined && cseq.seq <= dialog.remoteSeq)) {
    return { ok: false, status: 500, reason: "CSeq Out Of Order" };
  }
  const target = refreshesTarget(request.method) ? contactUri(request) : undefined;
  const state = request.method === "BYE" ? "terminated" : dialog.state;
  return { ok: true, dialog: { ...dialog, remoteSeq: cseq.seq, remoteTarget: target ?? dialog.remoteTarget, state } };
};

const idOf = (callId: string, localTag: string, remoteTag: string): string => `${callId}\n${localTag}\n${remoteTag}`;

/** RFC 3261 12: Call-ID, local tag and remote tag, as one key. No header value can contain the separator. */
export const dialogId = (dialog: Dialog): string => idOf(dialog.callId, dialog.localTag, dialog.remoteTag);

/** The key a message has, seen from the side whose tag is in From or in To. Tags that are not there count as empty. */
export const dialogIdOf = (message: SipMessage, local: "from" | "to"): string =>
  idOf(
    headerValue(message, "call-id") ?? "",
    tagOf(message, local) ?? "",
    tagOf(message, local === "from" ? "to" : "from") ?? "",
  );
