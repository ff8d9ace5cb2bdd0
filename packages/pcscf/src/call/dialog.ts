// The dialogs of a leg, seen from the proxy between their ends: enough to route in them, and to speak in either end's
// name when the network ends the call (TS 24.229 5.2.8.1). Pure. RFC 3261 12 and 16.
import { otherSide } from "@sallyport/media-security";
import {
  createRequest,
  headerList,
  headerValue,
  parseCSeq,
  parseNameAddr,
  tagOf,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import type { CallDialog, CallState, Exchange, Party, Side } from "./types.ts";

export const upstreamOf = (call: { readonly direction: CallState["direction"] }): Side =>
  call.direction === "originating" ? "access" : "core";

export const seqOf = (message: SipMessage): number => parseCSeq(headerValue(message, "cseq") ?? "")?.seq ?? 0;

export const contactOf = (message: SipMessage): string | undefined =>
  parseNameAddr(headerList(message, "contact")[0] ?? "")?.uri;

/** The Record-Route entries of a response on either side of our own. RFC 3261 12.1.1 and 12.1.2. */
const routeSets = (
  response: SipResponse,
  token: string,
): { readonly down: readonly string[]; readonly up: readonly string[] } => {
  const all = headerList(response, "record-route");
  const ours = (element: string): boolean => element.includes(`${token}@`);
  const first = all.findIndex(ours);
  const last = all.findLastIndex(ours);
  return first < 0
    ? { down: all.toReversed(), up: [] }
    : { down: all.slice(0, first).toReversed(), up: all.slice(last + 1) };
};

const allowsUpdate = (message: SipMessage): boolean => headerList(message, "allow").includes("UPDATE");

/** What the dialogs of an initial INVITE will need of it. RFC 3261 12.1.2. */
export const opening = (request: SipRequest, seq: number): NonNullable<Exchange["opens"]> => ({
  uri: request.uri,
  caller: {
    name: headerValue(request, "from") ?? "",
    target: contactOf(request) ?? "",
    routes: headerList(request, "record-route"),
    seq,
  },
  updates: allowsUpdate(request),
});

/**
 * The dialog a response to the initial INVITE creates or confirms. A provisional one without a To tag makes none; a 2xx does,
 * with none for its tag (RFC 3261 12.1.2).
 */
export const dialogFrom = (
  call: CallState,
  { uri, caller, updates }: NonNullable<Exchange["opens"]>,
  response: SipResponse,
  known: CallDialog | undefined,
): CallDialog | undefined => {
  const confirmed = response.status >= 200;
  const tag = tagOf(response, "to") ?? (confirmed ? "" : undefined);
  if (tag === undefined) return undefined;
  const routes = routeSets(response, call.token);
  const target = contactOf(response) ?? known?.downstream.target ?? uri;
  // RFC 3261 13.2.2.4: the route set is recomputed from the 2xx.
  const down =
    headerList(response, "record-route").length > 0 || known === undefined ? routes.down : known.downstream.routes;
  const early = {
    upstreamUpdates: updates,
    downstreamUpdates: known?.early?.downstreamUpdates === true || allowsUpdate(response),
    answer: known?.early?.answer ?? "none",
  } as const;
  return {
    tag,
    callId: call.callId,
    upstream: known?.upstream ?? caller,
    downstream: { name: headerValue(response, "to") ?? "", target, routes: down, seq: known?.downstream.seq ?? 0 },
    state: confirmed || known?.state === "confirmed" ? "confirmed" : "early",
    early: confirmed ? undefined : early,
    session: undefined,
    unacknowledged: known?.unacknowledged ?? [],
    usages: known?.usages,
  };
};

export const partyAt = (call: CallState, dialog: CallDialog, side: Side): Party =>
  side === upstreamOf(call) ? dialog.upstream : dialog.downstream;

/** The dialog with something of it changed. Written out: a few times in each call, always in one shape. */
export const changedDialog = (dialog: CallDialog, changes: Partial<CallDialog>): CallDialog => ({
  tag: dialog.tag,
  callId: dialog.callId,
  upstream: changes.upstream ?? dialog.upstream,
  downstream: changes.downstream ?? dialog.downstream,
  state: changes.state ?? dialog.state,
  early: changes.early ?? dialog.early,
  session: "session" in changes ? changes.session : dialog.session,
  unacknowledged: changes.unacknowledged ?? dialog.unacknowledged,
  usages: changes.usages ?? dialog.usages,
});

const withParty = (call: CallState, dialog: CallDialog, side: Side, party: Party): CallDialog =>
  changedDialog(dialog, side === upstreamOf(call) ? { upstream: party } : { downstream: party });

/** The tag of a From or To value; nearly all write it as `>;tag=x`, at the end. */
const tagIn = (name: string): string | undefined => {
  const params = name.lastIndexOf(">") + 1;
  const tag = name.startsWith(";tag=", params) ? name.slice(params + 5) : "";
  if (tag !== "" && !/[;\s]/.test(tag)) return tag;
  return /;\s*tag\s*=\s*([^;\s]+)/i.exec(name.slice(params))?.[1];
};

/** The dialog of a message with these tags, `from` being the side of its From. RFC 3261 12.2.2. */
export const dialogOf = (
  call: CallState,
  tags: Pick<Exchange, "fromTag" | "toTag">,
  from: Side,
): CallDialog | undefined => {
  const up = from === upstreamOf(call);
  const dialog = call.dialogs.get((up ? tags.toTag : tags.fromTag) ?? "");
  return dialog !== undefined && (up ? tags.fromTag : tags.toTag) === tagIn(dialog.upstream.name) ? dialog : undefined;
};

export const tagsOf = (message: SipMessage): Pick<Exchange, "fromTag" | "toTag"> => ({
  fromTag: tagOf(message, "from"),
  toTag: tagOf(message, "to"),
});

/** The dialog with another Contact of one end. RFC 3261 12.2.1.2. */
export const retargeted = (call: CallState, dialog: CallDialog, side: Side, target: string): CallDialog =>
  withParty(call, dialog, side, { ...partyAt(call, dialog, side), target });

/**
 * Notes the CSeq a party used and the Contact it now has; that of an INVITE or UPDATE counts when it is answered. RFC 3261
 * 12.2.1.1, RFC 6141 4.
 */
export const refreshed = (call: CallState, dialog: CallDialog, from: Side, message: SipMessage): CallDialog => {
  const party = partyAt(call, dialog, from);
  const seq = message.kind === "request" ? Math.max(party.seq, seqOf(message)) : party.seq;
  const { name, routes, shift, uncounted } = party;
  const later = message.kind === "request" && (message.method === "INVITE" || message.method === "UPDATE");
  const target = (later ? undefined : contactOf(message)) ?? party.target;
  return withParty(call, dialog, from, { name, target, routes, seq, shift, uncounted });
};

/** The CSeq number of a request of our own in the name of a party. RFC 3261 12.2.1.1. */
const nextNumber = ({ seq, shift = 0, uncounted = 0 }: Party): number => seq + shift + uncounted + 1;

/** The party after it: what it sends itself goes on with numbers above. */
const used = ({ uncounted: _uncounted, ...party }: Party, number: number): Party => ({
  ...party,
  shift: number - party.seq,
});

/** A request in the name of the party opposite to `towards`. */
const inDialog = (
  call: CallState,
  dialog: CallDialog,
  towards: Side,
  parts: {
    readonly method: string;
    readonly seq: number;
    readonly more?: readonly (readonly [name: string, value: string])[];
    readonly body?: Buffer;
  },
): SipRequest => {
  const to = partyAt(call, dialog, towards);
  const from = partyAt(call, dialog, otherSide(towards));
  return createRequest({
    method: parts.method,
    uri: to.target,
    headers: [
      ["Max-Forwards", "70"],
      ...to.routes.map((route) => ["Route", route] as const),
      ["From", from.name],
      ["To", to.name],
      ["Call-ID", dialog.callId],
      ["CSeq", `${parts.seq} ${parts.method}`],
      ...(parts.more ?? []),
    ],
    ...(parts.body === undefined ? {} : { body: parts.body }),
  });
};

/** A BYE to `towards`, and the dialog with its CSeq counted. */
export const byeTowards = (
  call: CallState,
  dialog: CallDialog,
  towards: Side,
  reason: string,
): { readonly request: SipRequest; readonly dialog: CallDialog } => {
  const from = partyAt(call, dialog, otherSide(towards));
  const seq = nextNumber(from);
  return {
    request: inDialog(call, dialog, towards, { method: "BYE", seq, more: [["Reason", reason]] }),
    dialog: withParty(call, dialog, otherSide(towards), used(from, seq)),
  };
};

/**
 * An offer of our own to `towards`, in the name of the other end (RFC 3261 14.1). RFC 4028 7.4: a session timer that runs
 * goes on, refreshed by whoever refreshes it now.
 */
export const offerTowards = (
  call: CallState,
  dialog: CallDialog,
  towards: Side,
  sdp: Buffer,
  method: "INVITE" | "UPDATE" = "INVITE",
): { readonly request: SipRequest; readonly seq: number; readonly dialog: CallDialog } => {
  const from = partyAt(call, dialog, otherSide(towards));
  const seq = nextNumber(from);
  const { session } = dialog;
  const refresher = session?.refresher === towards ? "uas" : "uac";
  const timer =
    session === undefined
      ? []
      : ([
          ["Supported", "timer"],
          ["Session-Expires", `${session.seconds};refresher=${refresher}`],
        ] as const);
  const more = [["Contact", `<${from.target}>`], ...timer, ["Content-Type", "application/sdp"]] as const;
  return {
    request: inDialog(call, dialog, towards, { method, seq, more, body: sdp }),
    seq,
    dialog: withParty(call, dialog, otherSide(towards), used(from, seq)),
  };
};

/** The number a request of `from` has for the other end. RFC 3261 12.2.2: numbers only go up. */
export const shiftOf = (call: CallState, dialog: CallDialog | undefined, from: Side): number =>
  dialog === undefined ? 0 : (partyAt(call, dialog, from).shift ?? 0);

/** The number the other end knows an INVITE of `from` by, which may have passed before some of ours. */
export const numberOf = (call: CallState, dialog: CallDialog | undefined, from: Side, seq: number): number => {
  for (const exchange of call.exchanges.values())
    if (exchange.method === "INVITE" && exchange.from === from && exchange.seq === seq && exchange.forwarded)
      return seq + exchange.shift;
  return seq + shiftOf(call, dialog, from);
};

/** Whether the 2xx to this INVITE of `from` still waits for its ACK. RFC 3261 13.3.1.4. */
export const waitsForAck = ({ unacknowledged }: CallDialog, from: Side, seq: number): boolean =>
  unacknowledged.some((each) => each.from === from && each.seq === seq);

/** The last of each end: a later INVITE of the same end takes the place of the one before. */
export const answered = (dialog: CallDialog, from: Side, seq: number): CallDialog =>
  changedDialog(dialog, {
    unacknowledged: [...dialog.unacknowledged.filter((each) => each.from !== from), { from, seq }],
  });

export const acknowledged = (dialog: CallDialog, from: Side, seq: number): CallDialog =>
  changedDialog(dialog, {
    unacknowledged: dialog.unacknowledged.filter((each) => each.from !== from || each.seq !== seq),
  });

/** Our own ACK for a 2xx of `towards` that nobody else will acknowledge. RFC 3261 13.2.2.4. */
export const ackTowards = (call: CallState, dialog: CallDialog, towards: Side, seq: number): SipRequest =>
  ackNumbered(call, dialog, towards, numberOf(call, dialog, otherSide(towards), seq));

/** The same, `seq` being the number `towards` knows the INVITE by. */
export const ackNumbered = (call: CallState, dialog: CallDialog, towards: Side, seq: number): SipRequest =>
  inDialog(call, dialog, towards, { method: "ACK", seq });
