// The usual calls, step by step, for tests that then do something to them.
import {
  createRequest,
  headerList,
  headerValue,
  type ServerTransaction,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import type { Peer, Sent } from "./peer.ts";
import { coreRequest, type Scenario, type TestUe } from "./scenario.ts";
import { coreSdp, ueAnswer, ueOffer } from "./sdp.ts";

export const bodyOf = (message: SipRequest | SipResponse): string => message.body.toString("latin1");

/** The route set of a UAC: Record-Route of the response, reversed. */
const routeSet = (message: SipResponse): readonly string[] => headerList(message, "record-route").toReversed();

export const contactUri = (message: SipRequest | SipResponse): string =>
  /<([^>]+)>/.exec(headerValue(message, "contact") ?? "")?.[1] ?? "";

export interface Originated {
  readonly sent: Sent;
  /** What the core got. */
  readonly arrived: ServerTransaction;
}

/** An INVITE of the UE up to its arrival at the core. */
export const originate = async (
  { core }: Scenario,
  ue: TestUe,
  options: {
    readonly body?: string;
    readonly callId?: string;
    readonly headers?: readonly (readonly [string, string])[];
    readonly to?: string;
  } = {},
): Promise<Originated> => {
  const { to = "sip:carol@far.example", body = ueOffer(), ...rest } = options;
  const sent = ue.send(ue.request("INVITE", to, { ...(body === "" ? {} : { body }), ...rest }));
  return { sent, arrived: await core.expect("INVITE") };
};

export interface Established {
  readonly invite: SipRequest;
  readonly ok: SipResponse;
  /** A request in the dialog by whoever called. */
  byCaller(method: string, seq: number, body?: string): SipRequest;
  /** A request in the dialog by whoever was called. */
  byCalled(method: string, seq: number, body?: string): SipRequest;
}

const inDialog = (parts: {
  readonly method: string;
  readonly uri: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly seq: number;
  readonly routes: readonly string[];
  readonly contact: string;
  readonly body: string | undefined;
}): SipRequest => {
  const { method, uri, from, to, callId, seq, routes, contact, body } = parts;
  const headers = [
    ...routes.map((route) => ["Route", route] as const),
    ["Max-Forwards", "70"] as const,
    ["From", from] as const,
    ["To", to] as const,
    ["Call-ID", callId] as const,
    ["CSeq", `${seq} ${method}`] as const,
    ["Contact", `<${contact}>`] as const,
    ...(body === undefined ? [] : [["Content-Type", "application/sdp"] as const]),
  ];
  return createRequest({ method, uri, headers, ...(body === undefined ? {} : { body: Buffer.from(body, "latin1") }) });
};

/** `arrivedInvite` and `arrivedOk` are what each end saw of the other. */
export const dialogOf = (
  sentInvite: SipRequest,
  arrivedInvite: SipRequest,
  arrivedOk: SipResponse,
  /** Host and port of a proxy the caller is itself: its own Record-Route is not sent to. */
  self = "none",
): Established => {
  const from = headerValue(arrivedOk, "from") ?? "";
  const to = headerValue(arrivedOk, "to") ?? "";
  const callId = headerValue(arrivedOk, "call-id") ?? "";
  return {
    invite: arrivedInvite,
    ok: arrivedOk,
    byCaller: (method, seq, body) =>
      inDialog({
        method,
        uri: contactUri(arrivedOk),
        from,
        to,
        callId,
        seq,
        routes: routeSet(arrivedOk).filter((route) => !route.includes(self)),
        contact: contactUri(sentInvite),
        body,
      }),
    byCalled: (method, seq, body) =>
      inDialog({
        method,
        uri: contactUri(arrivedInvite),
        from: to,
        to: from,
        callId,
        seq,
        routes: headerList(arrivedInvite, "record-route"),
        contact: contactUri(arrivedOk),
        body,
      }),
  };
};

const contactOfPeer = (peer: Peer): string => `<sip:${peer.name}@127.0.0.1:${peer.port};transport=tcp>`;

/** A whole originating call, answered by the core and acknowledged. */
export const establishOriginating = async (
  scenario: Scenario,
  ue: TestUe,
  options: {
    readonly body?: string;
    readonly answer?: string;
    readonly headers?: readonly (readonly [string, string])[];
  } = {},
): Promise<Established> => {
  const { sent, arrived } = await originate(scenario, ue, options.body === undefined ? {} : { body: options.body });
  scenario.core.respond(arrived, 200, {
    headers: [["Contact", contactOfPeer(scenario.core)], ...(options.headers ?? [])],
    body: options.answer ?? coreSdp(),
  });
  const ok = await sent.final();
  const dialog = dialogOf(ue.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
  await ue.ack(dialog.byCaller("ACK", 1));
  await scenario.core.acks.next();
  return dialog;
};

export interface Terminated extends Established {
  readonly offered: string;
  readonly answered: string;
}

/** A whole terminating call, answered by the UE and acknowledged. */
export const establishTerminating = async (
  scenario: Scenario,
  ue: TestUe,
  path: string,
  options: {
    readonly body?: string;
    readonly answer?: string;
    readonly callId?: string;
    readonly headers?: readonly (readonly [string, string])[];
  } = {},
): Promise<Terminated> => {
  const { core } = scenario;
  const invite = coreRequest(core, "INVITE", ue.contact, {
    route: [path],
    body: options.body ?? coreSdp(),
    ...(options.callId === undefined ? {} : { callId: options.callId }),
    ...(options.headers === undefined ? {} : { headers: options.headers }),
  });
  const sent = core.send(invite);
  const arrived = await ue.expect("INVITE");
  ue.respond(arrived, 200, { headers: [["Contact", `<${ue.contact}>`]], body: options.answer ?? ueAnswer() });
  const ok = await sent.final();
  const dialog = dialogOf(invite, arrived.request, ok, `127.0.0.1:${core.port}`);
  await core.ack(dialog.byCaller("ACK", 1));
  await ue.acks.next();
  return { ...dialog, offered: bodyOf(arrived.request), answered: bodyOf(ok) };
};
