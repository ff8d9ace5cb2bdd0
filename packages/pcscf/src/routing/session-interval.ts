// What a proxy may say about how often a session is refreshed, so that dead calls end. Pure. RFC 4028 8: it may ask for
// refreshes, ask for them more often, and refuse what would be too often for it; it never changes who refreshes.
import {
  appendHeader,
  headerList,
  headerValue,
  parseCSeq,
  setHeader,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";

/** Seconds. `interval` 0 leaves everything to the ends. */
export interface SessionPolicy {
  readonly interval: number;
  readonly minimum: number;
}

/** RFC 4028 4: no interval may be shorter. */
const absoluteMinimum = 90;

const secondsOf = (value: string | undefined): number | undefined => {
  const digits = /^\s*(\d{1,9})\s*(?:;|$)/.exec(value ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
};

const speaksTimer = (message: SipMessage, header: "supported" | "require"): boolean =>
  headerList(message, header).some((tag) => tag.toLowerCase() === "timer");

const isRefresh = (method: string | undefined): boolean => method === "INVITE" || method === "UPDATE";

/** RFC 4028 8.1: the Min-SE of a 422 where the request asks for refreshes more often than we bear. */
export const refusedInterval = (request: SipRequest, { interval, minimum }: SessionPolicy): number | undefined => {
  if (interval === 0 || !isRefresh(request.method) || !speaksTimer(request, "supported")) return undefined;
  const asked = secondsOf(headerValue(request, "session-expires"));
  return asked !== undefined && asked < minimum ? minimum : undefined;
};

const withSeconds = (value: string, seconds: number): string => value.replace(/^\s*\d+/, String(seconds));

/** RFC 4028 8.1: the request as it goes on, with our interval put in or in the place of a longer one. */
export const withInterval = (request: SipRequest, { interval, minimum }: SessionPolicy): SipRequest => {
  if (interval === 0 || !isRefresh(request.method)) return request;
  const value = headerValue(request, "session-expires");
  const asked = secondsOf(value);
  const bearable = secondsOf(headerValue(request, "min-se")) ?? absoluteMinimum;
  const wanted = Math.max(interval, minimum, bearable);
  if (value === undefined || asked === undefined) {
    // An UPDATE may be of an early dialog, which has no session yet.
    return request.method === "INVITE" ? setHeader(request, "session-expires", String(wanted)) : request;
  }
  // The caller cannot be told by 422: it knows no timer, some proxy asked in its name.
  if (asked < minimum) {
    const raised = setHeader(request, "session-expires", withSeconds(value, minimum));
    return setHeader(raised, "min-se", String(Math.max(minimum, bearable)));
  }
  return wanted < asked ? setHeader(request, "session-expires", withSeconds(value, wanted)) : request;
};

/**
 * RFC 4028 8.2: an answer of somebody who knows no timer, to somebody who does: the asker refreshes. `asked` is the request
 * as it came in.
 */
export const withAnsweredInterval = (response: SipResponse, asked: SipRequest, policy: SessionPolicy): SipResponse => {
  if (policy.interval === 0 || response.status < 200 || response.status >= 300) return response;
  if (!isRefresh(parseCSeq(headerValue(response, "cseq") ?? "")?.method)) return response;
  if (headerValue(response, "session-expires") !== undefined || !speaksTimer(asked, "supported")) return response;
  const seconds = secondsOf(headerValue(withInterval(asked, policy), "session-expires"));
  if (seconds === undefined) return response;
  const told = setHeader(response, "session-expires", `${seconds};refresher=uac`);
  return speaksTimer(told, "require") ? told : appendHeader(told, "require", "timer");
};
