// Keeps a request from running for ever: Max-Forwards and loops. Pure. RFC 3261 16.3 steps 3 and 4, 16.6 step 3 and 8.
import { hash } from "node:crypto";
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
 * callee) differs in Request-URI or Route: a spiral. The same value twice is a loop. Forty-eight bits of a keyed digest,
 * so that nobody else can make a request look like a loop.
 */
export const loopMark = (key: string, request: SipRequest): string => {
  let text = `${key}\n${request.uri}\n${tagOf(request, "from") ?? ""}\n${tagOf(request, "to") ?? ""}\n`;
  text += `${headerValue(request, "call-id") ?? ""}\n${(headerValue(request, "cseq") ?? "").split(" ", 1)[0]}\n`;
  for (const route of headerList(request, "route")) text += `${route}\n`;
  return hash("sha256", text, "hex").slice(0, 12);
};

/** 16.3 step 4: whether the request has been here and would take the same way again. `ours` are our sent-by values. */
export const hasLooped = (
  request: SipRequest,
  mark: () => string,
  ours: (host: string, port: number | undefined) => boolean,
): boolean => {
  // Once, and only where there is something to compare it with: a message may carry many Vias with our name.
  let ending: string | undefined;
  for (const element of headerList(request, "via")) {
    const via = parseVia(element);
    if (via === undefined || !ours(via.host, via.port)) continue;
    const branch = param(via.params, "branch");
    if (typeof branch !== "string") continue;
    ending ??= `.${mark()}`;
    if (branch.endsWith(ending)) return true;
  }
  return false;
};
