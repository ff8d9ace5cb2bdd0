// Loose routing: taking our own entries off a request, and staying in the path of its dialog. Pure.
// RFC 3261 16.4, 16.6 step 4, 16.12; RFC 5658 (two Record-Routes, one for each side).
import {
  filterHeaderList,
  headerList,
  parseNameAddr,
  parseSipUri,
  prependHeader,
  replaceHeader,
  withUri,
  param,
  type SipRequest,
} from "@sallyport/sip";
import { pointUri, type ListeningPoint, type Points } from "../listening/points.ts";
import type { Tokens } from "./token.ts";

export interface Arrived {
  /** Without our own Route entries. */
  readonly request: SipRequest;
  /** The token of the first entry of ours that carries a valid one. */
  readonly token: ReturnType<Tokens["open"]>;
  /** Whether any Route entry or the Request-URI named us. */
  readonly addressed: boolean;
  /** An entry of ours carries a token that we did not seal. */
  readonly forged: boolean;
}

/** 16.4: undoes a strict router's swap, then takes our entries off the top of Route. */
export const arrive = (request: SipRequest, points: Points, tokens: Tokens): Arrived => {
  let out = request;
  let token: Arrived["token"];
  let addressed = false;
  let forged = false;
  const take = (user: string | undefined): void => {
    addressed = true;
    const opened = tokens.open(user);
    forged ||= user !== undefined && opened === undefined;
    token ??= opened;
  };
  const own = points.ownUri(request.uri);
  const lr = param(parseSipUri(request.uri)?.params ?? [], "lr") !== undefined;
  let routes = headerList(request, "route");
  const last = routes.at(-1);
  if (own !== undefined && lr && last !== undefined) {
    // 16.4: our Record-Route came back as Request-URI, so the sender routes strictly; the target is the last Route.
    take(own.user);
    routes = routes.slice(0, -1);
    out = replaceHeader(withUri(out, last.replace(/^[^<]*<|>.*$/g, "")), "route", routes);
  }
  let taken = 0;
  for (const route of routes) {
    const ours = points.ownUri(route);
    if (ours === undefined) break;
    take(ours.user);
    taken += 1;
  }
  if (taken > 0) {
    let passed = 0;
    out = filterHeaderList(out, "route", () => (passed += 1) > taken);
  }
  return { request: out, token, addressed, forged };
};

/** 16.6 step 4 with RFC 5658: the point the request leaves by goes on top, the one it came in by below. */
export const recordRoute = (
  request: SipRequest,
  {
    cameIn,
    leaves,
    token,
  }: { readonly cameIn: ListeningPoint; readonly leaves: ListeningPoint; readonly token: string },
): SipRequest =>
  prependHeader(
    prependHeader(request, "record-route", `<${pointUri(cameIn, token)}>`),
    "record-route",
    `<${pointUri(leaves, token)}>`,
  );

/** Puts exactly these Route entries on a request, whatever the sender had written. */
export const forceRoute = (request: SipRequest, routes: readonly string[]): SipRequest =>
  replaceHeader(request, "route", routes);

/** RFC 3261 16.6 step 6: the same within a dialog, where the first element may be a strict router. */
export const alongRoutes = (request: SipRequest, routes: readonly string[]): SipRequest => {
  const [first, ...rest] = routes;
  const uri = first === undefined ? undefined : parseNameAddr(first)?.uri;
  const params = uri === undefined ? undefined : parseSipUri(uri)?.params;
  if (uri === undefined || params === undefined || param(params, "lr") !== undefined)
    return forceRoute(request, routes);
  return withUri(forceRoute(request, [...rest, `<${request.uri}>`]), uri);
};

/** Methods that create dialogs, so that their requests have to find us again. RFC 3261 12, RFC 6665, RFC 3515. */
export const createsDialog = (method: string): boolean =>
  method === "INVITE" || method === "SUBSCRIBE" || method === "REFER" || method === "NOTIFY";
