// Owns what a server does to the top Via and how a response finds its way back (RFC 3261 18.2.1, 18.2.2, RFC 3581 4).
// Must not know sockets.
import type { Endpoint } from "@sallyport/kit";
import {
  formatVia,
  param,
  parseVia,
  replaceTopListElement,
  topListElement,
  withParam,
  withoutParam,
} from "../message/index.ts";
import type { SipMessage, SipRequest } from "../message/index.ts";
import { defaultPort } from "./flow.ts";
import type { SipProtocol } from "./flow.ts";

/**
 * The request as the layers above see it: the top Via says where it really came from. Whatever `received` the sender wrote
 * itself is dropped, it can only be a lie. A Via that already tells the truth is left alone, byte for byte.
 */
export const stampVia = (request: SipRequest, from: Endpoint): SipRequest => {
  const element = topListElement(request, "via");
  const via = element === undefined ? undefined : parseVia(element);
  if (via === undefined) return request;
  const asksPort = param(via.params, "rport") !== undefined;
  const claims = param(via.params, "received") !== undefined;
  // RFC 3261 18.2.1; RFC 3581 4 wants `received` beside every filled `rport`.
  const needsReceived = asksPort || via.host.toLowerCase() !== from.address.toLowerCase();
  if (!asksPort && !claims && !needsReceived) return request;
  let params = withoutParam(via.params, "received");
  if (asksPort) params = withParam(params, "rport", String(from.port));
  if (needsReceived) params = withParam(params, "received", from.address);
  return replaceTopListElement(
    request,
    "Via",
    formatVia({ transport: via.transport, host: via.host, port: via.port, params }),
  );
};

/** Where a response goes over UDP, or over a new connection when the one of the request is gone. `maddr` is not followed. */
export const responseAddress = (
  response: SipMessage,
  protocol: SipProtocol,
): (Endpoint & { readonly sentBy: string }) | undefined => {
  const element = topListElement(response, "via");
  const via = element === undefined ? undefined : parseVia(element);
  if (via === undefined) return undefined;
  const received = param(via.params, "received");
  const rport = param(via.params, "rport");
  const address = typeof received === "string" ? received.replace(/^\[|\]$/g, "") : via.host;
  // RFC 3581 4: the source port, where it was asked for; a new connection can only go to a listening port.
  const asked = protocol === "udp" && typeof rport === "string" ? Number(rport) : undefined;
  const port = asked ?? via.port ?? defaultPort(protocol);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return { address, port, sentBy: via.host };
};
