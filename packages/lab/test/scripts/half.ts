// What both ends of a scripted call do alike: requests inside the dialog and their answers, ACK and its absence, BYE.
// RFC 3261 12.2, 13.2.2.4, 13.3.1.4, 14, 15.
import type { Clock } from "@sallyport/kit";
import {
  createResponse,
  dialogRequest,
  headerValue,
  parseCSeq,
  tagOf,
  type Dialog,
  type ServerTransaction,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import { bodyOf, type BodyKind } from "./bodies.ts";
import { reply, type End } from "./end.ts";
import type { CallScript, InDialog, Who } from "./script.ts";

const t1 = 500;
const longest = 4_000;
export const patienceMs = 64 * t1;
/** When an end that still believes in the call hangs up, whatever the script says. */
const tiredMs = 100_000;

export interface HalfOptions {
  readonly clock: Clock;
  readonly end: End;
  readonly who: Who;
  readonly script: CallScript;
  readonly callId: string;
}

export interface Half {
  over: boolean;
  dialog: Dialog | undefined;
  /** Early dialogs by the tag of the called side, with what this end has counted. */
  readonly early: Map<string, Dialog>;
  body(kind: BodyKind, answering: boolean): { readonly body?: Buffer; readonly contentType?: string };
  /** An early dialog in which requests may be sent (RFC 3262 and RFC 3311). */
  opened(tag: string): void;
  /** The dialog is confirmed for this end: the script goes on. */
  confirmed(dialog: Dialog): void;
  /** ACKs a 2xx to an INVITE of this end, and every copy of it. */
  acknowledge(dialog: Dialog, seq: number, offered: boolean, response: SipResponse): void;
  /** Says a 2xx until it is acknowledged; hangs up when it is not. */
  insist(server: ServerTransaction, response: SipResponse): void;
  onAck(ack: SipRequest): void;
  /** A request inside the dialog. */
  onRequest(server: ServerTransaction): void;
  bye(dialog?: Dialog): void;
}

export const openHalf = ({ clock, end, who, script, callId }: HalfOptions): Half => {
  let version = 0;
  const unacknowledged = new Map<number, () => void>();
  const answered: InDialog[] = [];
  const opened = new Set<string>();
  /** Forks are told apart by the tag of the called side. */
  const keyOf = ({ localTag, remoteTag }: Dialog): string => (who === "caller" ? remoteTag : localTag);

  const contact = ["Contact", `<${end.contact}>`] as const;
  const send = (request: SipRequest, onResponse: (response: SipResponse) => void = () => undefined): void => {
    end.transactions.request(request, end.target, {
      onResponse,
      onTimeout: () => undefined,
      onTransportError: () => undefined,
    });
  };

  const headersOf = ({ method, last }: InDialog): readonly (readonly [string, string])[] => {
    if (method === "REFER") return [contact, ["Refer-To", "<sip:dave@far.example>"]];
    if (method !== "NOTIFY") return [contact];
    return [
      contact,
      ["Event", "refer"],
      ["Subscription-State", last ? "terminated;reason=noresource" : "active;expires=60"],
    ];
  };

  const say = (step: InDialog, tag?: string): void => {
    const { method } = step;
    // RFC 5057 4: a subscription outlives the call.
    if (half.over && method !== "NOTIFY") return;
    const dialog = half.dialog ?? half.early.get(tag ?? "");
    if (dialog === undefined || (tag !== undefined && tag !== keyOf(dialog))) return;
    const carries = method === "INVITE" || method === "UPDATE";
    // An UPDATE without an offer refreshes, an INVITE without one asks for one.
    const content = carries ? half.body(step.body, false) : {};
    const made = dialogRequest(dialog, method, { headers: headersOf(step), ...content });
    if (half.dialog === undefined) half.early.set(keyOf(dialog), made.dialog);
    else half.dialog = made.dialog;
    const seq = made.dialog.localSeq;
    send(made.request, (response) => {
      if (method !== "INVITE" || response.status < 200 || response.status >= 300 || half.dialog === undefined) return;
      half.acknowledge(half.dialog, seq, content.body !== undefined, response);
    });
  };

  const half: Half = {
    over: false,
    dialog: undefined,
    early: new Map(),
    body: (kind, answering) => {
      version += 1;
      const text = bodyOf(kind, end.side, version, answering);
      return text === undefined ? {} : { body: Buffer.from(text, "latin1"), contentType: "application/sdp" };
    },
    opened: (tag) => {
      if (opened.has(tag)) return;
      opened.add(tag);
      for (const step of script.during)
        if (step.by === who && step.early && step.method !== "INVITE") clock.after(step.afterMs, () => say(step, tag));
    },
    confirmed: (dialog) => {
      if (half.dialog?.state === "confirmed") return;
      const counted = half.early.get(keyOf(dialog))?.localSeq ?? 0;
      half.dialog = { ...dialog, localSeq: Math.max(dialog.localSeq, counted), state: "confirmed" };
      for (const step of script.during) if (step.by === who && !step.early) clock.after(step.afterMs, () => say(step));
      if (script.byeBy.includes(who)) clock.after(script.byeAfterMs, () => half.bye());
      clock.after(tiredMs, () => half.bye());
    },
    acknowledge: (dialog, seq, offered, response) => {
      if (script.ack === "never") return;
      const answer = offered || response.body.length === 0 ? {} : half.body(script.answer, true);
      const { request } = dialogRequest(dialog, "ACK", { seq, ...answer });
      const go = (): void => void end.transactions.sendAck(request, end.target).catch(() => undefined);
      if (script.ack === "yes") go();
      else clock.after(script.ack.lateMs, go);
    },
    insist: (server, response) => {
      const seq = parseCSeq(headerValue(server.request, "cseq") ?? "")?.seq ?? 0;
      let live = true;
      unacknowledged.set(seq, () => {
        live = false;
        unacknowledged.delete(seq);
      });
      const from = clock.now();
      const repeat = (ms: number): void => {
        if (!live || half.over) return;
        if (clock.now() - from >= patienceMs) {
          unacknowledged.delete(seq);
          return half.bye();
        }
        server.respond(response);
        clock.after(ms, () => repeat(Math.min(2 * ms, longest)));
      };
      repeat(t1);
    },
    onAck: (ack) => unacknowledged.get(parseCSeq(headerValue(ack, "cseq") ?? "")?.seq ?? 0)?.(),
    onRequest: (server) => {
      const { request } = server;
      if (request.method === "BYE") {
        const { dialog } = half;
        // A fork that lost ends without the one that won.
        if (
          dialog === undefined ||
          (tagOf(request, "to") === dialog.localTag && tagOf(request, "from") === dialog.remoteTag)
        )
          half.over = true;
        return reply(server, 200);
      }
      if (half.over && request.method !== "NOTIFY") return reply(server, 481);
      const step = script.during.find(
        (each) => each.by !== who && each.method === request.method && !answered.includes(each),
      );
      if (step === undefined) return reply(server, request.method === "PRACK" ? 200 : 488);
      answered.push(step);
      const { status, afterMs, body } = step.answer;
      if (status === 0) return undefined;
      clock.after(afterMs, () => {
        const success = status < 300;
        const asks = request.method === "INVITE" || (request.method === "UPDATE" && request.body.length > 0);
        const content = success && asks ? half.body(body, request.body.length > 0) : {};
        const response = createResponse(request, status, undefined, {
          headers: [
            contact,
            ...(content.contentType === undefined ? [] : [["Content-Type", content.contentType] as const]),
          ],
          ...(content.body === undefined ? {} : { body: content.body }),
        });
        if (success && request.method === "INVITE") half.insist(server, response);
        else server.respond(response);
      });
      return undefined;
    },
    bye: (dialog) => {
      if (dialog !== undefined && dialog !== half.dialog) return send(dialogRequest(dialog, "BYE").request);
      if (half.over || half.dialog === undefined) return undefined;
      // RFC 3261 15: who was called waits for the ACK of its 2xx; a BYE before it could overtake the 2xx.
      if (who === "called" && unacknowledged.has(1)) return void clock.after(t1, () => half.bye());
      half.over = true;
      return send(dialogRequest(half.dialog, "BYE").request);
    },
  };
  const { silent } = script;
  if (silent?.who === who) clock.after(silent.afterMs, () => end.silence(callId));
  return half;
};
