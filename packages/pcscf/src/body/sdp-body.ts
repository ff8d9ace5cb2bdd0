// Finds the one SDP body of a message, alone or inside multipart, and puts another in its place; every other octet stays.
// Pure. RFC 3261 7.4, RFC 2046 5.1, RFC 5621 3. What could hide SDP from us is not passed on (invariants 1, 2 and 8).
import {
  headerValues,
  parseMediaType,
  withBody,
  type MediaType,
  type SipMessage,
  type SipResponse,
} from "@sallyport/sip";
import { parseSdp, type SdpParseResult } from "@sallyport/sdp";
import { boundaryOf, cutMultipart, readPart, type Multipart, type Part, type Range } from "./multipart.ts";

export type SdpBody =
  | { readonly kind: "none" }
  /** `octets` is the SDP; `at` its place in the message body. */
  | { readonly kind: "sdp"; readonly octets: Buffer; readonly at: number }
  | UnusableBody;

export interface UnusableBody {
  readonly kind: "unusable";
  readonly status: 400 | 415 | 488;
  readonly reason: string;
  /** Nobody said what it is: a response can do without it. */
  readonly untyped?: true;
}

const maxDepth = 4;
/** Lines one description may have: each is a stream at the gateway, and a stranger writes them. */
const maxMedia = 16;

type Search =
  | {
      readonly ok: true;
      readonly found: readonly Range[];
      /** Of a multipart: its body proper. */ readonly range?: Range;
    }
  | { readonly ok: false; readonly refusal: UnusableBody };

const refused = (status: 400 | 415 | 488, reason: string): Search => ({
  ok: false,
  refusal: { kind: "unusable", status, reason },
});
const malformed = refused(400, "Malformed Multipart Body");
const unreadableType = refused(415, "Unreadable Content-Type");
const encoded = refused(415, "Encoded Body");
const hidden = refused(488, "Media Keys Outside SDP");
const untyped: Search = {
  ok: false,
  refusal: { kind: "unusable", status: 400, reason: "Missing Content-Type", untyped: true },
};

const isPlain = (encoding: string): boolean =>
  encoding.split(",").every((word) => ["identity", "7bit", "8bit", "binary", ""].includes(word.trim().toLowerCase()));

/**
 * A line that begins as the attributes of media security do, whoever may read it as SDP: whatever ends the line before, and
 * whatever a careless reader would skip.
 */
const telltale = /(?:^|[\r\n\v\f\0])[ \t]*a[ \t]*=[ \t]*(?:crypto|3ge2ae)/i;

const isSilent = (text: string, { from, to }: Range): boolean => !telltale.test(text.slice(from, to));

const searchParts = (text: string, { parts }: Multipart, depth: number): Search => {
  const found: Range[] = [];
  for (const range of parts) {
    const part = readPart(text, range);
    const [written, another] = part?.fields.get("content-type") ?? [];
    if (part === undefined || written === undefined || another !== undefined) return malformed;
    const type = parseMediaType(written);
    if (type === undefined) return unreadableType;
    const result = isCarrier(type) && !isPlainPart(part) ? encoded : search(text, part.content, type, depth + 1);
    if (!result.ok) return result;
    found.push(...result.found);
    // What stands around a nested one cannot be taken out without a new body for all.
    const { from, to } = result.range ?? part.content;
    if (from !== part.content.from || text.slice(to, part.content.to).trim() !== "") return malformed;
    if (!(part.fields.get("content-encoding") ?? []).every(isPlain)) return encoded;
  }
  return { ok: true, found };
};

const isMultipart = ({ name }: MediaType): boolean => name.startsWith("multipart/");

/** Types that are read further, by us or by whoever gets them: an encoding would hide what is inside. */
const isCarrier = (type: MediaType): boolean =>
  type.name === "application/sdp" || isMultipart(type) || type.name.startsWith("message/");

const isPlainPart = ({ fields }: Part): boolean => (fields.get("content-transfer-encoding") ?? []).every(isPlain);

const search = (text: string, range: Range, type: MediaType, depth: number): Search => {
  if (type.name === "application/sdp") return { ok: true, found: range.to === range.from ? [] : [range] };
  if (type.params === undefined) return isMultipart(type) ? malformed : unreadableType;
  if (!isMultipart(type)) return isSilent(text, range) ? { ok: true, found: [] } : hidden;
  const boundary = boundaryOf(type.params);
  const cut = boundary === undefined || depth >= maxDepth ? undefined : cutMultipart(text, range, boundary);
  if (cut === undefined) return malformed;
  const inner = searchParts(text, cut, depth);
  return inner.ok ? { ...inner, range: cut.range } : inner;
};

const read = (message: SipMessage): Search => {
  const { length } = message.body;
  const range = { from: 0, to: length };
  if (length === 0) return { ok: true, found: [] };
  const [written, another] = headerValues(message, "content-type");
  if (written === undefined) return untyped;
  if (another !== undefined) return refused(400, "Repeated Content-Type");
  // RFC 3261 20.12: what another encoding hides can be judged by nobody.
  if (!headerValues(message, "content-encoding").every(isPlain)) return encoded;
  if (written === "application/sdp") return { ok: true, found: [range] };
  const type = parseMediaType(written);
  if (type === undefined) return unreadableType;
  if (isCarrier(type) && !headerValues(message, "content-transfer-encoding").every(isPlain)) return encoded;
  return search(type.name === "application/sdp" ? "" : message.body.toString("latin1"), range, type, 0);
};

/** The SDP of a message. Several SDP parts, or what may hide SDP, cannot be judged and are unusable. */
export const sdpBodyOf = (message: SipMessage): SdpBody => {
  const result = read(message);
  if (!result.ok) return result.refusal;
  const [first, second] = result.found;
  if (first === undefined) return { kind: "none" };
  if (second !== undefined) return { kind: "unusable", status: 488, reason: "Several SDP Bodies" };
  return { kind: "sdp", octets: message.body.subarray(first.from, first.to), at: first.from };
};

/** The message without what stands before the first delimiter of its multipart body and behind the last. RFC 2046 5.1.1. */
export const withoutSurroundings = <M extends SipMessage>(message: M): M => {
  const result = read(message);
  if (!result.ok || result.range === undefined) return message;
  const { from, to } = result.range;
  return from === 0 && to === message.body.length ? message : withBody(message, message.body.subarray(from, to));
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

/** Content-Length says 0 then, which streams cannot do without: RFC 3261 20.14. */
export const withoutBody = (response: SipResponse): SipResponse => {
  const headers = response.headers.filter(({ name }) => !name.startsWith("content-"));
  return withBody({ ...response, headers }, Buffer.alloc(0));
};

/** A description as this edge takes it: no longer than its gateway has streams for. */
export const readSdp = (octets: Uint8Array): SdpParseResult => parseSdp(octets, { maxMedia });

/** What a request whose SDP cannot be read is answered with. */
export const refusalOfSdp = ({
  code,
}: SdpParseResult & { readonly ok: false }): { readonly status: 400 | 488; readonly reason: string } =>
  code === "media-count" ? { status: 488, reason: "Too Many Media Lines" } : { status: 400, reason: "Malformed SDP" };
