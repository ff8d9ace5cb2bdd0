// Keeps a request from running for ever: Max-Forwards and loops. Pure. RFC 3261 16.3 steps 3 and 4, 16.6 step 3 and 8.
import { createHmac, type KeyObject } from "node:crypto";
import { headerList, headerValue, parseVia, param, setHeader, tagOf, type SipRequest } from "@sallyport/sip";

export type HopVerdict =
  | { readonly ok: true; readonly request: SipRequest }
  | { readonly ok: false; readonly status: 483 | 400; readonly reason: string };

/** 16.3 step 3 and 16.6 step 3: refuses at zero, else counts down; writes 70 where it is missing. */
export const countDown = (request: SipRequest): HopVerdict => {
  const text = headerValue(request, "max-forwards");
  if (text === undefined) return { ok: true, request: setHeader(request, "max-forwards", "70") };
  if (!/^\d{1,10}$/.test(text)) return { ok: false, status: 400, reason: "Bad Max-Forwards" };
  const left = Math.min(Number(text), 255);
  if (left === 0) return { ok: false, status: 483, reason: "Too Many Hops" };
  return { ok: true, request: setHeader(request, "max-forwards", String(left - 1)) };
};

/**
 * 16.6 step 8: what of a request decides its way. The same call crossing twice (first from the caller, then to the
 * callee) differs in Request-URI or Route: a spiral. The same value twice is a loop.
 */
export const loopMark = (key: KeyObject, request: SipRequest): string => {
  const mac = createHmac("sha256", key);
  for (const part of [
    request.uri,
    tagOf(request, "from") ?? "",
    tagOf(request, "to") ?? "",
    headerValue(request, "call-id") ?? "",
    (headerValue(request, "cseq") ?? "").split(" ")[0] ?? "",
    ...headerList(request, "route"),
  ]) {
    mac.update(part).update("\n");
  }
  return mac.digest("hex").slice(0, 12);
};

/** 16.3 step 4: whether the request has been here and would take the same way again. `ours` are our sent-by values. */
export const hasLooped = (
  request: SipRequest,
  mark: string,
  ours: (host: string, port: number | undefined) => boolean,
): boolean =>
  headerList(request, "via").some((element) => {
    const via = parseVia(element);
    if (via === undefined || !ours(via.host, via.port)) return false;
    const branch = param(via.params, "branch");
    return typeof branch === "string" && branch.endsWith(`.${mark}`);
  });
