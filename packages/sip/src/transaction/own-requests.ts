// Owns the two requests a client transaction makes itself: the ACK for a final response other than 2xx (RFC 3261 17.1.1.3)
// and the CANCEL (9.1). Both are built from the request as it was sent, our Via on top.
import { createRequest, headerList, headerValue, headerValues } from "../message/index.ts";
import type { SipRequest, SipResponse } from "../message/index.ts";

type Headers = readonly (readonly [name: string, value: string])[];

const common = (request: SipRequest, method: string, to: string): (readonly [string, string])[] => {
  const seq = headerValue(request, "cseq")?.split(/\s/, 1)[0] ?? "0";
  const via = headerList(request, "via")[0] ?? "";
  return [
    ["Via", via],
    ...headerValues(request, "route").map((route) => ["Route", route] as const),
    ["Max-Forwards", "70"],
    ["From", headerValue(request, "from") ?? ""],
    ["To", to],
    ["Call-ID", headerValue(request, "call-id") ?? ""],
    ["CSeq", `${seq} ${method}`],
  ];
};

export const acknowledge = (request: SipRequest, response: SipResponse): SipRequest =>
  createRequest({
    method: "ACK",
    uri: request.uri,
    headers: common(request, "ACK", headerValue(response, "to") ?? headerValue(request, "to") ?? ""),
  });

export const cancelOf = (request: SipRequest, extra: Headers = []): SipRequest =>
  createRequest({
    method: "CANCEL",
    uri: request.uri,
    headers: [...common(request, "CANCEL", headerValue(request, "to") ?? ""), ...extra],
  });
