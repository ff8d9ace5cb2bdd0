// Finds the one SDP body of a message, alone or inside multipart, and puts another in its place; every other octet stays.
// Pure. RFC 3261 7.4, RFC 2046 5.1, RFC 5621 3. What could hide SDP from us is not passed on.
import { headerValue, parseParams, param, unquote, withBody, type SipMessage } from "@sallyport/sip";

export type SdpBody =
  | { readonly kind: "none" }
  /** `octets` is the SDP; `at` its place in the message body. */
  | { readonly kind: "sdp"; readonly octets: Buffer; readonly at: number }
  | { readonly kind: "unusable"; readonly status: 400 | 415 | 488; readonly reason: string };

const maxParts = 32;
const maxDepth = 4;

interface Found {
  readonly at: number;
  readonly length: number;
}

interface ContentType {
  readonly type: string;
  readonly boundary: string | undefined;
}

const contentType = (value: string | undefined): ContentType => {
  const text = value ?? "";
  const cut = text.indexOf(";");
  const boundary = cut < 0 ? undefined : param(parseParams(text, cut) ?? [], "boundary");
  return {
    type: (cut < 0 ? text : text.slice(0, cut)).trim().toLowerCase(),
    boundary: typeof boundary === "string" ? unquote(boundary) : undefined,
  };
};

/** MIME part headers, unfolded; the first of a name counts. */
const partHeaders = (head: string): ReadonlyMap<string, string> => {
  const headers = new Map<string, string>();
  for (const line of head.replace(/\r\n[ \t]+/g, " ").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon < 1) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
};

const isPlainEncoding = (value: string | undefined): boolean =>
  value === undefined || ["identity", "7bit", "8bit", "binary", ""].includes(value.trim().toLowerCase());

/** The parts between delimiters, as ranges of `text`; undefined when the body is not well formed. RFC 2046 5.1.1. */
const partsOf = (text: string, from: number, to: number, boundary: string): readonly Found[] | undefined => {
  const delimiter = `--${boundary}`;
  const parts: Found[] = [];
  let start: number | undefined;
  let at = text.startsWith(delimiter, from) ? from : text.indexOf(`\r\n${delimiter}`, from) + 2;
  while (at >= from + (start === undefined ? 0 : 2) && at + delimiter.length <= to) {
    if (start !== undefined) parts.push({ at: start, length: at - 2 - start });
    if (parts.length > maxParts) return undefined;
    let end = at + delimiter.length;
    if (text.startsWith("--", end)) return parts;
    while (end < to && (text[end] === " " || text[end] === "\t")) end += 1;
    if (!text.startsWith("\r\n", end)) return undefined;
    start = end + 2;
    const next = text.indexOf(`\r\n${delimiter}`, start - 2);
    if (next < 0 || next + 2 + delimiter.length > to) return undefined;
    at = next + 2;
    if (at < start) start = at;
  }
  return undefined;
};

type Search =
  | { readonly ok: true; readonly found: readonly Found[] }
  | { readonly ok: false; readonly status: 400 | 415; readonly reason: string };

const malformed: Search = { ok: false, status: 400, reason: "Malformed Multipart Body" };

const search = (text: string, range: Found, content: ContentType, depth: number): Search => {
  if (content.type === "application/sdp") return { ok: true, found: range.length === 0 ? [] : [range] };
  if (!content.type.startsWith("multipart/")) return { ok: true, found: [] };
  if (content.boundary === undefined || content.boundary === "" || depth >= maxDepth) return malformed;
  const parts = partsOf(text, range.at, range.at + range.length, content.boundary);
  if (parts === undefined) return malformed;
  const found: Found[] = [];
  for (const part of parts) {
    const slice = text.slice(part.at, part.at + part.length);
    const cut = slice.startsWith("\r\n") ? 0 : slice.indexOf("\r\n\r\n");
    if (cut < 0) return malformed;
    const skip = slice.startsWith("\r\n") ? 2 : cut + 4;
    const headers = partHeaders(slice.slice(0, cut));
    const inner = contentType(headers.get("content-type"));
    const result = search(text, { at: part.at + skip, length: part.length - skip }, inner, depth + 1);
    if (!result.ok) return result;
    if (result.found.length > 0 && !isPlainEncoding(headers.get("content-transfer-encoding"))) {
      return { ok: false, status: 415, reason: "Encoded SDP Part" };
    }
    found.push(...result.found);
  }
  return { ok: true, found };
};

/** The SDP of a message. Several SDP parts, or SDP behind an encoding, cannot be judged and are unusable. */
export const sdpBodyOf = (message: SipMessage): SdpBody => {
  if (message.body.length === 0) return { kind: "none" };
  const content = contentType(headerValue(message, "content-type"));
  const text = content.type.startsWith("multipart/") ? message.body.toString("latin1") : "";
  const result = search(text, { at: 0, length: message.body.length }, content, 0);
  if (!result.ok) return { kind: "unusable", status: result.status, reason: result.reason };
  const [first, second] = result.found;
  if (first === undefined) return { kind: "none" };
  if (second !== undefined) return { kind: "unusable", status: 488, reason: "Several SDP Bodies" };
  if (!isPlainEncoding(headerValue(message, "content-encoding"))) {
    return { kind: "unusable", status: 415, reason: "Encoded SDP Body" };
  }
  return { kind: "sdp", octets: message.body.subarray(first.at, first.at + first.length), at: first.at };
};

/** The message with `sdp` where its SDP body was found; Content-Type and the other parts stay. */
export const withSdpBody = <M extends SipMessage>(
  message: M,
  found: SdpBody & { readonly kind: "sdp" },
  sdp: Uint8Array,
): M =>
  withBody(
    message,
    Buffer.concat([message.body.subarray(0, found.at), sdp, message.body.subarray(found.at + found.octets.length)]),
  );
