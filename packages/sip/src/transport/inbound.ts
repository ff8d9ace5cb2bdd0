// Owns what happens to octets that claim to be a SIP message: parse, stamp the Via, deliver, or answer and report
// (RFC 3261 18.2.1, 18.3, 21.4.1). Must not know sockets: it gets a way to reply.
import { createResponse, parseMessage, withLength } from "../message/index.ts";
import type { SipLimits, SipMessage, SipParseFailure, SipResponse } from "../message/index.ts";
import type { Flow, MalformedInput } from "./flow.ts";
import type { FramingCode } from "./framing.ts";
import { stampVia } from "./via.ts";

export interface InboundPort {
  readonly limits: SipLimits;
  deliver(message: SipMessage, flow: Flow): void;
  reply(response: SipResponse, flow: Flow): void;
  report(input: MalformedInput, flow: Flow): void;
}

const framingStatus: Readonly<Record<FramingCode, readonly [status: number, reason: string]>> = {
  "header-block-too-long": [513, "Message Too Large"],
  "length-missing": [400, "Missing Content-Length"],
  "length-invalid": [400, "Bad Content-Length"],
  "message-too-large": [513, "Message Too Large"],
};

/** Answers what can be answered; gives the status that was sent. */
const answer = (
  failure: SipParseFailure,
  flow: Flow,
  port: InboundPort,
  instead?: readonly [number, string],
): number | undefined => {
  const [status, reason] = instead ?? [failure.status, failure.reason];
  if (failure.answerable === undefined || status === undefined) return undefined;
  port.reply(createResponse(stampVia(failure.answerable, flow.remote), status, reason), flow);
  return status;
};

/** True when the octets were a message. `closing` says that the connection will not survive a failure. */
export const receiveOctets = (octets: Buffer, flow: Flow, port: InboundPort, closing: boolean): boolean => {
  const parsed = parseMessage(octets, { limits: port.limits });
  if (parsed.ok) {
    // RFC 3261 18.3: the datagram's end was the body's. Whoever gets the message next, maybe on a stream, has to be told.
    const message = withLength(parsed.message);
    port.deliver(message.kind === "request" ? stampVia(message, flow.remote) : message, flow);
    return true;
  }
  const answered = answer(parsed, flow, port);
  port.report(
    { code: parsed.code, offset: parsed.offset, closed: closing, ...(answered === undefined ? {} : { answered }) },
    flow,
  );
  return false;
};

/** A stream that can not be cut any further: answered from its header block, if that was complete. */
export const receiveBroken = (code: FramingCode, head: Buffer | undefined, flow: Flow, port: InboundPort): void => {
  let answered: number | undefined;
  if (head !== undefined) {
    const parsed = parseMessage(head, { limits: port.limits });
    if (!parsed.ok) answered = answer(parsed, flow, port, framingStatus[code]);
    else if (parsed.message.kind === "request" && parsed.message.method !== "ACK") {
      const [status, reason] = framingStatus[code];
      port.reply(createResponse(stampVia(parsed.message, flow.remote), status, reason), flow);
      answered = status;
    }
  }
  port.report({ code, offset: head?.length ?? 0, closed: true, ...(answered === undefined ? {} : { answered }) }, flow);
};
