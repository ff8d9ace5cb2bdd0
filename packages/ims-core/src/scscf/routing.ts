// Owns where a request goes: RFC 3261 16.3 to 16.6, RFC 3327 5.3, TS 24.229 5.4.3.2 (originating) and 5.4.3.3 (terminating).
// Pure but for the two registers it reads. Must not know transactions or sockets.
import {
  headerList,
  headerValue,
  parseNameAddr,
  parseSipUri,
  prependHeader,
  removeTopListElement,
  setHeader,
  tagOf,
  unsupportedOptionTags,
  withUri,
} from "@sallyport/sip";
import type { SipRequest } from "@sallyport/sip";
import type { Location } from "../registrar/location.ts";
import type { Subscribers } from "../subscribers.ts";
import type { OwnAddress } from "./own-address.ts";

type Headers = readonly (readonly [name: string, value: string])[];

/** One copy to send: complete but for Record-Route and Via. */
export interface Branch {
  readonly request: SipRequest;
  /** First Route, else the Request-URI. */
  readonly nextHopUri: string;
}

export type Decision =
  | { readonly kind: "refuse"; readonly status: number; readonly headers: Headers }
  /** `recordRoute`: the request may make a dialog, and we stay on its way. */
  | { readonly kind: "forward"; readonly branches: readonly Branch[]; readonly recordRoute: boolean };

export interface RoutingPort {
  readonly domain: string;
  readonly own: OwnAddress;
  readonly subscribers: Subscribers;
  readonly location: Pick<Location, "of">;
}

const dialogMethods = new Set(["INVITE", "SUBSCRIBE", "REFER", "NOTIFY"]);

const refuse = (status: number, headers: Headers = []): Decision => ({ kind: "refuse", status, headers });

const branchOf = (request: SipRequest): Branch => {
  const [first] = headerList(request, "route");
  const nextHopUri = first === undefined ? request.uri : (parseNameAddr(first)?.uri ?? request.uri);
  return { request, nextHopUri };
};

/** RFC 3261 16.6 step 3. */
const countHop = (request: SipRequest): SipRequest => {
  const hops = headerValue(request, "max-forwards");
  return setHeader(request, "Max-Forwards", hops === undefined ? "70" : String(Number(hops) - 1));
};

/** RFC 3261 16.4: takes our own elements off the top of Route. */
const takeOwnRoutes = (
  request: SipRequest,
  own: OwnAddress,
): { readonly request: SipRequest; readonly originating: boolean } => {
  let rest = request;
  let originating = false;
  for (;;) {
    const [top] = headerList(rest, "route");
    const verdict = top === undefined ? "no" : own.recognise(top);
    if (verdict === "no") return { request: rest, originating };
    originating ||= verdict === "originating";
    rest = removeTopListElement(rest, "route");
  }
};

/** TS 24.229 5.4.3.2: the served user is whom the P-CSCF asserted; without an assertion, who it says it is. */
const servedUser = (request: SipRequest): string =>
  parseNameAddr(headerList(request, "p-asserted-identity")[0] ?? headerValue(request, "from") ?? "")?.uri ?? "";

/** TS 24.229 5.4.3.3 and RFC 3327 5.3: one copy per contact, along the path it registered with. */
const terminate = (request: SipRequest, port: RoutingPort): Decision => {
  const uri = parseSipUri(request.uri);
  // The lab's core is connected to no other network.
  if (uri !== undefined && uri.host.toLowerCase() !== port.domain.toLowerCase()) return refuse(404);
  const callee = port.subscribers.owner(request.uri);
  if (callee === undefined) return refuse(404);
  const bindings = port.location.of(callee.impi);
  if (bindings.length === 0) return refuse(480);
  const called = setHeader(request, "P-Called-Party-ID", `<${request.uri}>`);
  return {
    kind: "forward",
    recordRoute: dialogMethods.has(request.method),
    branches: bindings.map((binding) => {
      const addressed = withUri(called, binding.contact);
      return branchOf(binding.path.toReversed().reduce((way, hop) => prependHeader(way, "Route", hop), addressed));
    }),
  };
};

/** For ACK the refusals mean: drop it. */
export const route = (received: SipRequest, port: RoutingPort): Decision => {
  // RFC 3261 16.3 step 3.
  if (headerValue(received, "max-forwards")?.trim() === "0") return refuse(483);
  // RFC 3261 16.3 step 5; ACK and CANCEL are exempt (8.2.2.3, 20.29).
  const unknown = received.method === "ACK" ? [] : unsupportedOptionTags(received, "proxy-require", []);
  if (unknown.length > 0) return refuse(420, [["Unsupported", unknown.join(", ")]]);
  const { request, originating } = takeOwnRoutes(countHop(received), port.own);
  const onward: Decision = {
    kind: "forward",
    branches: [branchOf(request)],
    recordRoute: dialogMethods.has(request.method) && tagOf(request, "to") === undefined,
  };
  // RFC 3261 16.5: inside a dialog, or with a way prescribed, there is nothing to look up.
  if (tagOf(request, "to") !== undefined) return onward;
  if (originating) {
    const caller = port.subscribers.owner(servedUser(request));
    // TS 24.229 5.4.3.2: only a registered user originates.
    if (caller === undefined || port.location.of(caller.impi).length === 0) return refuse(403);
  }
  if (headerList(request, "route").length > 0) return originating ? onward : refuse(403);
  return terminate(request, port);
};
