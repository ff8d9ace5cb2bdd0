// Owns which message belongs to which transaction: RFC 3261 17.1.3 and 17.2.3, branches of RFC 2543 by the old rules.
// Must not know states or timers.
import { headerValue, parseCSeq, parseVia, param, tagOf, topListElement } from "../message/index.ts";
import type { SipRequest, SipResponse, Via } from "../message/index.ts";

const cookie = "z9hg4bk";

export const topVia = (message: SipRequest | SipResponse): Via | undefined => {
  const element = topListElement(message, "via");
  return element === undefined ? undefined : parseVia(element);
};

const branchOf = (via: Via): string | undefined => {
  const branch = param(via.params, "branch");
  return typeof branch === "string" && branch.toLowerCase().startsWith(cookie) ? branch : undefined;
};

/** The source's address is part of every server key: a stranger who learns a branch can not answer or cancel for its owner. */
export interface ServerMatch {
  readonly key: string;
  /** RFC 2543: the ACK must also carry the To tag of the response it is for. */
  readonly old: boolean;
}

/** ACK belongs to the INVITE; CANCEL is looked up as INVITE by passing `method`. Undefined without a readable Via or CSeq. */
export const serverMatch = (request: SipRequest, source: string, method = request.method): ServerMatch | undefined => {
  const via = topVia(request);
  const cseq = parseCSeq(headerValue(request, "cseq") ?? "");
  if (via === undefined || cseq === undefined) return undefined;
  const owner = method === "ACK" ? "INVITE" : method;
  const branch = branchOf(via);
  if (branch !== undefined) {
    const sentBy = `${via.host.toLowerCase()}:${via.port ?? ""}`;
    return { key: `3261\n${owner}\n${source}\n${sentBy}\n${branch}`, old: false };
  }
  // RFC 3261 17.2.3, second half: Request-URI, From tag, Call-ID, CSeq number and top Via.
  const key = [
    "2543",
    owner,
    source,
    request.uri,
    tagOf(request, "from") ?? "",
    headerValue(request, "call-id") ?? "",
    cseq.seq,
    topListElement(request, "via") ?? "",
  ].join("\n");
  return { key, old: true };
};

/** RFC 3261 17.1.3: our branch and the CSeq method. */
export const responseKey = (response: SipResponse): string | undefined => {
  const via = topVia(response);
  const cseq = parseCSeq(headerValue(response, "cseq") ?? "");
  const branch = via === undefined ? undefined : branchOf(via);
  return branch === undefined || cseq === undefined ? undefined : clientKey(branch, cseq.method);
};

export const clientKey = (branch: string, method: string): string => `${method}\n${branch}`;

/** RFC 3261 18.1.2: a response whose top Via names somebody else was not for us. */
export const sameSentBy = (a: Via, b: Via): boolean =>
  a.host.toLowerCase() === b.host.toLowerCase() && (a.port ?? 0) === (b.port ?? 0);
