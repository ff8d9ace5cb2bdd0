// A scripted call between two ends of the network, played by the script: the caller's INVITE and what it makes of the
// answers, the called side's forks, early dialogs and final answers. RFC 3261 9, 12, 13; RFC 3262; RFC 4028.
import type { Clock } from "@sallyport/kit";
import {
  createRequest,
  createResponse,
  dialogFromRequest,
  dialogFromResponse,
  dialogRequest,
  headerValue,
  tagOf,
  type Dialog,
  type ServerTransaction,
  type SipResponse,
} from "@sallyport/sip";
import { reply, type End } from "./end.ts";
import { openHalf, patienceMs } from "./half.ts";
import type { CallScript, Early, Final } from "./script.ts";

/** How long a caller lets it ring, where it does not wait for timer C. */
const ringMs = 60_000;

export interface CallFacts {
  readonly clock: Clock;
  readonly script: CallScript;
  readonly callId: string;
  readonly caller: End;
  readonly called: End;
  /** Request-URI and To of the INVITE. */
  readonly uri: string;
  readonly route: readonly string[];
}

const isReliable = (response: SipResponse): boolean =>
  response.status < 200 && /\b100rel\b/.test(headerValue(response, "require") ?? "");

const session = (seconds: number): readonly (readonly [string, string])[] =>
  seconds === 0 ? [] : [["Session-Expires", `${seconds};refresher=uac`]];

/** Sends the INVITE now. */
export const placeCall = ({ clock, script, callId, caller, uri, route }: CallFacts): void => {
  const half = openHalf({ clock, end: caller, who: "caller", script, callId });
  caller.calls.set(callId, half);
  const { body, contentType } = half.body(script.offer, false);
  const invite = createRequest({
    method: "INVITE",
    uri,
    headers: [
      ...route.map((each) => ["Route", each] as const),
      ["Max-Forwards", "70"],
      ["From", `<sip:${caller.name}@home.example>;tag=caller-${callId}`],
      ["To", `<${uri}>`],
      ["Call-ID", callId],
      ["CSeq", "1 INVITE"],
      ["Contact", `<${caller.contact}>`],
      ["Supported", "100rel, timer"],
      ...session(script.sessionS),
      ...(contentType === undefined ? [] : [["Content-Type", contentType] as const]),
    ],
    ...(body === undefined ? {} : { body }),
  });
  const { early } = half;
  const acknowledged = new Set<string>();
  let winner: string | undefined;

  const prack = (dialog: Dialog, response: SipResponse): void => {
    const rseq = headerValue(response, "rseq") ?? "1";
    if (acknowledged.has(`${dialog.remoteTag} ${rseq}`)) return;
    acknowledged.add(`${dialog.remoteTag} ${rseq}`);
    const answer = body === undefined && response.body.length > 0 ? half.body(script.answer, true) : {};
    const made = dialogRequest(dialog, "PRACK", { headers: [["RAck", `${rseq} 1 INVITE`]], ...answer });
    early.set(dialog.remoteTag, made.dialog);
    half.opened(dialog.remoteTag);
    caller.transactions.request(made.request, caller.target, {
      onResponse: () => undefined,
      onTimeout: () => undefined,
      onTransportError: () => undefined,
    });
  };

  const onResponse = (response: SipResponse): void => {
    if (response.status >= 300) {
      half.over = true;
      return;
    }
    const fresh = dialogFromResponse(invite, response);
    if (fresh === undefined) return;
    const tag = fresh.remoteTag;
    const known = early.get(tag);
    const dialog = known === undefined ? fresh : { ...fresh, localSeq: known.localSeq };
    early.set(tag, dialog);
    if (response.status < 200) return isReliable(response) ? prack(dialog, response) : undefined;
    winner ??= tag;
    half.acknowledge(dialog, 1, body !== undefined, response);
    if (tag === winner) half.confirmed(dialog);
    // RFC 3261 13.2.2.4: one dialog is enough.
    else half.bye(dialog);
  };

  const client = caller.transactions.request(invite, caller.target, {
    onResponse,
    onTimeout: () => (half.over = true),
    onTransportError: () => (half.over = true),
  });
  if (script.cancelAfterMs !== undefined) clock.after(script.cancelAfterMs, () => client.cancel());
  if (script.final.afterMs % 2 === 0) clock.after(ringMs, () => client.cancel());
};

/** Gets ready for the INVITE. */
export const awaitCall = ({ clock, script, callId, called }: CallFacts): void => {
  const half = openHalf({ clock, end: called, who: "called", script, callId });
  let answered = false;

  const tagged = (server: ServerTransaction, fork: number): string => `${server.toTag}${fork}`;

  const respond = (
    server: ServerTransaction,
    { status, fork, body: kind }: Pick<Early & Final, "status" | "fork" | "body">,
    extra: readonly (readonly [string, string])[] = [],
  ): SipResponse => {
    const { request } = server;
    const { body, contentType } = status < 300 ? half.body(kind, request.body.length > 0) : {};
    return createResponse(request, status, undefined, {
      toTag: tagged(server, fork),
      headers: [
        ["Contact", `<${called.contact}>`],
        ...extra,
        ...(contentType === undefined ? [] : [["Content-Type", contentType] as const]),
      ],
      ...(body === undefined ? {} : { body }),
    });
  };

  const ring = (server: ServerTransaction, early: Early, rseq: number): void => {
    if (answered) return;
    const reliable = early.reliable && /\b100rel\b/.test(headerValue(server.request, "supported") ?? "");
    const extra = reliable
      ? ([
          ["Require", "100rel"],
          ["RSeq", String(rseq)],
        ] as const)
      : [];
    const response = respond(server, early, extra);
    server.respond(response);
    if (reliable) opens(server, early.fork);
    // RFC 3262 3: again until PRACK; one copy stands for all.
    if (reliable) clock.after(700, () => (answered ? undefined : server.respond(response)));
  };

  const opens = (server: ServerTransaction, fork: number): void => {
    const tag = tagged(server, fork);
    const dialog = dialogFromRequest(server.request, tag, "early");
    if (dialog !== undefined && !half.early.has(tag)) half.early.set(tag, dialog);
    half.opened(tag);
  };

  const finish = (server: ServerTransaction, final: Final): void => {
    if (final.status === 0 || (answered && final.status >= 300)) return;
    const response = respond(server, final, final.status < 300 ? session(script.sessionS) : []);
    if (final.status >= 300) {
      answered = true;
      half.over = true;
      return server.respond(response);
    }
    const dialog = dialogFromRequest(server.request, tagged(server, final.fork), "confirmed");
    if (dialog === undefined) return reply(server, 400);
    if (answered) {
      // A second fork: the caller ends it, or its user gives up on an ACK that never comes.
      server.respond(response);
      clock.after(patienceMs, () => half.bye(dialog));
      return undefined;
    }
    answered = true;
    half.confirmed(dialog);
    return half.insist(server, response);
  };

  called.calls.set(callId, {
    onAck: (ack) => half.onAck(ack),
    onRequest: (server) => {
      const { request } = server;
      if (request.method !== "INVITE" || tagOf(request, "to") !== undefined) return half.onRequest(server);
      server.onCancel = () => {
        if (answered) return;
        answered = true;
        half.over = true;
        reply(server, 487);
      };
      for (const [at, early] of script.early.entries()) clock.after(early.afterMs, () => ring(server, early, at + 1));
      for (const final of [script.final, script.second])
        if (final !== undefined) clock.after(final.afterMs, () => finish(server, final));
      return undefined;
    },
  });
};
