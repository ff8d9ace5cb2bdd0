// Owns new messages: requests from parts, responses from requests, bodies with their length. RFC 3261 8.1.1, 8.2.6, 12.1.1.
import { sipErrors } from "../errors.ts";
import { isSpaceOrControl, isToken } from "./chars.ts";
import { createField, isFieldText } from "./field.ts";
import { removeHeader, setHeader } from "./headers.ts";
import { noBody } from "./message.ts";
import type { HeaderField, SipMessage, SipRequest, SipResponse } from "./message.ts";
import { parseNameAddr } from "./name-addr.ts";
import { param } from "./params.ts";
import { reasonPhrase } from "./reason.ts";

type HeaderPairs = readonly (readonly [name: string, value: string])[];

export interface RequestParts {
  readonly method: string;
  readonly uri: string;
  /** In the order they are to be written; Content-Length is added. */
  readonly headers: HeaderPairs;
  readonly body?: Uint8Array | undefined;
}

export interface ResponseOptions {
  /** Added to a To without tag, in every response but 100. */
  readonly toTag?: string | undefined;
  readonly headers?: HeaderPairs | undefined;
  readonly body?: Uint8Array | undefined;
}

const copyOf = (body: Uint8Array | undefined): Buffer =>
  body === undefined || body.length === 0 ? noBody : Buffer.from(body);

const requestLine = (method: string, uri: string): string => {
  let clean = uri.length > 0;
  for (let at = 0; at < uri.length; at += 1) {
    const code = uri.charCodeAt(at);
    if (isSpaceOrControl(code) || code > 255) clean = false;
  }
  if (!clean || !isToken(method)) throw sipErrors("SALLY_SIP_START_LINE_INVALID");
  return `${method} ${uri} SIP/2.0`;
};

/**
 * Replaces the body; sets Content-Length, and Content-Type when given. An empty body without type drops Content-Type.
 * @throws SALLY_SIP_HEADER_INVALID for a content type that cannot stand in a header.
 */
export const withBody = <M extends SipMessage>(message: M, body: Uint8Array, contentType?: string): M => {
  const sized = setHeader({ ...message, body: copyOf(body) }, "content-length", String(body.length));
  if (contentType !== undefined) return setHeader(sized, "content-type", contentType);
  return body.length === 0 ? removeHeader(sized, "content-type") : sized;
};

/**
 * The message with exactly one Content-Length, the right one (RFC 3261 18.3, 20.14); itself where it says so already. A
 * datagram may come without, and whoever reads it from a stream would take its body for the next message.
 */
export const withLength = <M extends SipMessage>(message: M): M => {
  const length = String(message.body.length);
  let right = 0;
  let all = 0;
  for (const field of message.headers) {
    if (field.name !== "content-length") continue;
    all += 1;
    // A folded one is right too, but not every reader of streams unfolds before it cuts.
    if (field.value === length && !field.raw.includes("\n")) right += 1;
  }
  return all === 1 && right === 1 ? message : setHeader(message, "content-length", length);
};

/** @throws SALLY_SIP_START_LINE_INVALID when the URI has white space or control characters. */
export const withUri = (request: SipRequest, uri: string): SipRequest => ({
  ...request,
  uri,
  startLine: requestLine(request.method, uri),
});

/** @throws SALLY_SIP_START_LINE_INVALID, SALLY_SIP_HEADER_INVALID */
export const createRequest = (parts: RequestParts): SipRequest => {
  const body = copyOf(parts.body);
  const headers = parts.headers.map(([name, value]) => createField(name, value));
  const { method, uri } = parts;
  const request: SipRequest = { kind: "request", method, uri, startLine: requestLine(method, uri), headers, body };
  return setHeader(request, "content-length", String(body.length));
};

const withToTag = (field: HeaderField, tag: string): HeaderField => {
  const address = parseNameAddr(field.value);
  // RFC 3261 8.2.6.2: a tag that is there stays; a To that cannot be read goes back as it came.
  if (address === undefined || param(address.params, "tag") !== undefined) return field;
  const added = createField("to", `${field.value};tag=${tag}`);
  return { name: field.name, raw: `${field.raw};tag=${tag}`, value: added.value };
};

/** RFC 3261 8.2.6.2: every Via and Record-Route, but one each of From, To, Call-ID and CSeq, however many came. */
const echoedFields = (request: SipRequest, status: number, toTag: string | undefined): readonly HeaderField[] => {
  const once = new Set(["from", "to", "call-id", "cseq"]);
  const fields: HeaderField[] = [];
  for (const field of request.headers) {
    if (field.name === "via") fields.push(field);
    // RFC 3261 12.1.1: a response that makes a dialog carries the route back to the caller's proxies.
    else if (field.name === "record-route" && status > 100 && status < 300) fields.push(field);
    // RFC 3261 8.2.6.1
    else if (field.name === "timestamp" && status === 100) fields.push(field);
    else if (once.delete(field.name)) {
      fields.push(field.name === "to" && toTag !== undefined && status > 100 ? withToTag(field, toTag) : field);
    }
  }
  return fields;
};

/**
 * The response to a request: Via, From, To, Call-ID, CSeq as they came, Record-Route in 101 to 299, Timestamp in 100.
 * Works on damaged requests too (`answerable`): what is missing there is missing here.
 * @throws SALLY_SIP_START_LINE_INVALID, SALLY_SIP_HEADER_INVALID
 */
export const createResponse = (
  request: SipRequest,
  status: number,
  reason?: string,
  options: ResponseOptions = {},
): SipResponse => {
  const phrase = reason ?? reasonPhrase(status);
  if (!Number.isInteger(status) || status < 100 || status > 699 || !isFieldText(phrase)) {
    throw sipErrors("SALLY_SIP_START_LINE_INVALID");
  }
  const body = copyOf(options.body);
  const echoed = echoedFields(request, status, options.toTag);
  const own = (options.headers ?? []).map(([name, value]) => createField(name, value));
  const startLine = `SIP/2.0 ${status} ${phrase}`;
  const headers = [...echoed, ...own];
  const response: SipResponse = { kind: "response", status, reason: phrase, startLine, headers, body };
  return setHeader(response, "content-length", String(body.length));
};
