// Owns requests inside a dialog: CSeq, Request-URI and Route by loose or strict routing. RFC 3261 12.2.1.1, 13.2.2.4.
import { createRequest } from "../message/create.ts";
import type { SipRequest } from "../message/message.ts";
import { formatNameAddr, parseNameAddr } from "../message/name-addr.ts";
import { param } from "../message/params.ts";
import { formatSipUri, parseSipUri } from "../message/uri.ts";
import type { Dialog } from "./dialog.ts";

export interface DialogRequestExtra {
  /** After those the dialog gives; Contact belongs here. */
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined;
  readonly body?: Uint8Array | undefined;
  readonly contentType?: string | undefined;
  /** The CSeq number, for ACK (that of its INVITE). Default: the next one; for ACK the last one. */
  readonly seq?: number | undefined;
}

export interface DialogRequest {
  readonly request: SipRequest;
  /** With the sequence number counted on. */
  readonly dialog: Dialog;
  /** Where to send it: the first Route, or the remote target. */
  readonly nextHopUri: string;
}

interface Routing {
  readonly uri: string;
  readonly route: readonly string[];
  readonly nextHopUri: string;
}

/** RFC 3261 12.2.1.1: a strict router's URI loses what no Request-URI may have. */
const asRequestUri = (text: string): string => {
  const uri = parseSipUri(text);
  if (uri === undefined) return text;
  const { headers: _headers, ...rest } = uri;
  return formatSipUri({ ...rest, params: uri.params.filter(([name]) => name.toLowerCase() !== "method") });
};

const routeOf = (dialog: Dialog): Routing => {
  const [first, ...others] = dialog.routeSet;
  const target = asRequestUri(dialog.remoteTarget);
  const nearest = first === undefined ? undefined : parseNameAddr(first)?.uri;
  if (nearest === undefined) return { uri: target, route: [], nextHopUri: target };
  const parsed = parseSipUri(nearest);
  if (parsed !== undefined && param(parsed.params, "lr") !== undefined) {
    return { uri: target, route: dialog.routeSet, nextHopUri: nearest };
  }
  return { uri: asRequestUri(nearest), route: [...others, `<${dialog.remoteTarget}>`], nextHopUri: nearest };
};

const party = (uri: string, tag: string): string => formatNameAddr({ uri, params: tag === "" ? [] : [["tag", tag]] });

/**
 * A request inside the dialog, without Via.
 * @throws SALLY_SIP_START_LINE_INVALID, SALLY_SIP_HEADER_INVALID
 */
export const dialogRequest = (dialog: Dialog, method: string, extra: DialogRequestExtra = {}): DialogRequest => {
  const counted = method !== "ACK" && method !== "CANCEL" && extra.seq === undefined;
  const seq = extra.seq ?? (counted ? dialog.localSeq + 1 : dialog.localSeq);
  const { uri, route, nextHopUri } = routeOf(dialog);
  const request = createRequest({
    method,
    uri,
    headers: [
      ...route.map((value) => ["Route", value] as const),
      ["Max-Forwards", "70"],
      ["From", party(dialog.localUri, dialog.localTag)],
      ["To", party(dialog.remoteUri, dialog.remoteTag)],
      ["Call-ID", dialog.callId],
      ["CSeq", `${seq} ${method}`],
      ...(extra.headers ?? []),
      ...(extra.contentType === undefined ? [] : [["Content-Type", extra.contentType] as const]),
    ],
    body: extra.body,
  });
  return { request, dialog: counted ? { ...dialog, localSeq: seq } : dialog, nextHopUri };
};
