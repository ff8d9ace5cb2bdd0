// Owns the cut from octets to a message: framing of one datagram or one stream frame, and what a refusal is answered with.
// Must not know what a header means, Content-Length excepted. RFC 3261 7, 18.3, 25.1; hostile input after RFC 4475.
import { parseDecimal } from "./chars.ts";
import { bareLineEnd, readHead, strayNul } from "./head.ts";
import type { Head } from "./head.ts";
import { defaultSipLimits, noBody } from "./message.ts";
import type { HeaderField, SipLimits, SipMessage, SipRequest } from "./message.ts";
import { parseStartLine } from "./start-line.ts";

export type SipParseCode =
  | "empty"
  | "message-size"
  | "start-line"
  | "version"
  | "status-code"
  | "uri-length"
  | "line-end"
  | "nul"
  | "header-line"
  | "header-length"
  | "header-count"
  | "header-end"
  | "content-length"
  | "body-length"
  | "body-size";

export interface SipParseFailure {
  readonly ok: false;
  readonly code: SipParseCode;
  /** Where the trouble begins, in octets from the start of the input. */
  readonly offset: number;
  /** What to answer, where the input is a request that can be answered. */
  readonly status?: number;
  readonly reason?: string;
  /** The request as far as it could be read, with at least a Via: enough for `createResponse`. Never an ACK. */
  readonly answerable?: SipRequest;
}

export type SipParseResult =
  | { readonly ok: true; readonly message: SipMessage; /** Octets past the body, dropped. */ readonly surplus: number }
  | SipParseFailure;

/** What each failure is answered with. RFC 3261 21.4 and 21.5. */
const answers: Readonly<Record<SipParseCode, readonly [status: number, reason: string]>> = {
  empty: [400, "Empty Message"],
  "message-size": [513, "Message Too Large"],
  "start-line": [400, "Malformed Request-Line"],
  version: [505, "Version Not Supported"],
  "status-code": [400, "Malformed Status-Line"],
  "uri-length": [414, "Request-URI Too Long"],
  "line-end": [400, "Bare CR or LF"],
  nul: [400, "NUL in the Head"],
  "header-line": [400, "Malformed Header Field"],
  "header-length": [400, "Header Field Too Long"],
  "header-count": [400, "Too Many Header Fields"],
  "header-end": [400, "Missing Empty Line"],
  "content-length": [400, "Bad Content-Length"],
  "body-length": [400, "Body Shorter Than Content-Length"],
  "body-size": [513, "Message Too Large"],
};

/** Octets are looked for much faster than text. */
const endOfHead: Buffer = Buffer.from("\r\n\r\n", "latin1");

interface Trouble {
  readonly code: SipParseCode;
  readonly offset: number;
}

type Length =
  | { readonly ok: true; readonly length: number | undefined }
  | { readonly ok: false; readonly index: number };

/** RFC 3261 20.14. Two Content-Length fields are refused even when they agree: RFC 4475 3.3.9. */
const contentLength = (fields: readonly HeaderField[]): Length => {
  let length: number | undefined;
  for (let index = 0; index < fields.length; index += 1) {
    const field = fields[index]!;
    if (field.name !== "content-length") continue;
    const value = parseDecimal(field.value, Number.MAX_SAFE_INTEGER);
    if (value === undefined || length !== undefined) return { ok: false, index };
    length = value;
  }
  return { ok: true, length };
};

const fieldOffset = (head: Head, index: number): number => {
  let offset = head.startLine.length + 2;
  for (const field of head.fields.slice(0, index)) offset += field.raw.length + 2;
  return offset;
};

const refuse = (trouble: Trouble, head: Head, method: string | undefined, uri: string): SipParseFailure => {
  // RFC 3261 17.1.1.3: an ACK is never answered; without a Via there is nobody to answer.
  if (method === undefined || method === "ACK" || !head.fields.some((field) => field.name === "via")) {
    return { ok: false, ...trouble };
  }
  const [status, reason] = answers[trouble.code];
  const { startLine, fields: headers } = head;
  const answerable: SipRequest = { kind: "request", method, uri, startLine, headers, body: noBody };
  return { ok: false, ...trouble, status, reason, answerable };
};

/** RFC 3261 7.1: the version is read in any case, and sent in capitals by whoever sends the message on. */
const inCapitals = (startLine: string, kind: SipMessage["kind"]): string =>
  kind === "request"
    ? startLine.endsWith("SIP/2.0")
      ? startLine
      : `${startLine.slice(0, -7)}SIP/2.0`
    : startLine.startsWith("SIP/2.0")
      ? startLine
      : `SIP/2.0${startLine.slice(7)}`;

/**
 * Reads one message from one datagram or one stream frame. Never throws; allocates in proportion to the input, and
 * nothing beyond `limits`. CRLFs before the start line are skipped (RFC 3261 7.5); without Content-Length the body
 * runs to the end of the input (RFC 3261 18.3). The octets may be reused by the caller afterwards.
 */
export const parseMessage = (octets: Uint8Array, options: { readonly limits?: SipLimits } = {}): SipParseResult => {
  const limits = options.limits ?? defaultSipLimits;
  const whole = Buffer.from(octets.buffer, octets.byteOffset, Math.min(octets.length, limits.maxMessage));
  let base = 0;
  while (whole[base] === 13 && whole[base + 1] === 10) base += 2;
  if (base === whole.length && octets.length <= limits.maxMessage) return { ok: false, code: "empty", offset: base };

  const blank = whole.indexOf(endOfHead, base);
  // Of a head that has no end, only whole lines are believed.
  const headEnd = blank < 0 ? Math.max(base, whole.lastIndexOf("\r\n", undefined, "latin1")) : blank;
  const text = whole.toString("latin1", base, headEnd);
  const bare = bareLineEnd(text);
  const read = readHead(text, limits);
  const nul = strayNul(text);
  // A field with a bare CR or LF, or with NUL, must not come back in the answer either.
  const isClean = ({ raw }: HeaderField): boolean => bareLineEnd(raw) < 0 && strayNul(raw) < 0;
  const head = bare < 0 && nul < 0 ? read : { ...read, fields: read.fields.filter(isClean) };
  const start = parseStartLine(head.startLine);
  const method = start.ok ? (start.line.kind === "request" ? start.line.method : undefined) : start.method;
  const uri = start.ok && start.line.kind === "request" ? start.line.uri : "";

  let trouble: Trouble | undefined;
  if (octets.length > limits.maxMessage) trouble = { code: "message-size", offset: limits.maxMessage };
  else if (!start.ok) trouble = { code: start.code, offset: base };
  else if (uri.length > limits.maxUri) trouble = { code: "uri-length", offset: base + (method ?? "").length + 1 };
  else if (bare >= 0) trouble = { code: "line-end", offset: base + bare };
  else if (nul >= 0) trouble = { code: "nul", offset: base + nul };
  else if (head.trouble !== undefined) {
    trouble = { code: head.trouble.code, offset: base + head.trouble.offset };
  } else if (blank < 0) trouble = { code: "header-end", offset: whole.length };
  if (trouble !== undefined || !start.ok) {
    return refuse(trouble ?? { code: "start-line", offset: base }, head, method, uri);
  }

  const length = contentLength(head.fields);
  if (!length.ok) {
    const offset = base + fieldOffset(head, length.index);
    return refuse({ code: "content-length", offset }, head, method, uri);
  }
  const bodyStart = blank + 4;
  const available = whole.length - bodyStart;
  const bodyLength = length.length ?? available;
  // RFC 3261 18.3: a datagram that ends before its body does is answered 400 when it is a request, else dropped.
  if (bodyLength > available) return refuse({ code: "body-length", offset: whole.length }, head, method, uri);
  if (bodyLength > limits.maxBody) return refuse({ code: "body-size", offset: bodyStart }, head, method, uri);
  const body = bodyLength === 0 ? noBody : Buffer.from(whole.subarray(bodyStart, bodyStart + bodyLength));
  const { line } = start;
  const { fields: headers } = head;
  const startLine = inCapitals(head.startLine, line.kind);
  // Written out, not spread: one shape with the edited ones.
  const message: SipMessage =
    line.kind === "request"
      ? { kind: "request", method: line.method, uri: line.uri, startLine, headers, body }
      : { kind: "response", status: line.status, reason: line.reason, startLine, headers, body };
  return { ok: true, message, surplus: available - bodyLength };
};
