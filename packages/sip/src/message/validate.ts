// Owns the checks on meaning that every element makes before it acts on a message. RFC 3261 8.2.2, 16.3, 18.1.2 and the
// outcomes of RFC 4475. Must not know which option tags, body types or methods an element supports.
import { headerList, headerValue, topListElement } from "./headers.ts";
import type { SipMessage, SipRequest, SipResponse } from "./message.ts";
import { splitList } from "./list.ts";
import { parseNameAddr } from "./name-addr.ts";
import { parseSipUri, uriScheme } from "./uri.ts";
import { parseCSeq } from "./values.ts";
import { parseVia } from "./via.ts";
import { parseDecimal } from "./chars.ts";

export type SipRole = "user-agent" | "proxy" | "registrar";

export interface ValidationOptions {
  /** Adds the checks only that role makes: Max-Forwards 0 and broadcast Vias (proxy), the AOR's scheme (registrar). */
  readonly role?: SipRole;
  /** Schemes accepted in the Request-URI. Default: sip, sips, tel, urn. */
  readonly schemes?: readonly string[];
  /** Methods whose CSeq mismatch is a defect (400) and not a method of the future (501). Default: the registered ones. */
  readonly methods?: readonly string[];
}

export type RequestVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly status: number; readonly reason: string };

export type ResponseVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const registeredMethods: readonly string[] =
  "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split(" ");
// RFC 3859 and 3860: what im and pres lead to is the home network's to find out.
const knownSchemes: readonly string[] = ["sip", "sips", "tel", "urn", "im", "pres"];

const refuse = (status: number, reason: string): RequestVerdict => ({ ok: false, status, reason });

const mandatory = ["via", "from", "to", "call-id", "cseq"];
const single = ["from", "to", "call-id", "cseq", "max-forwards", "content-type", "date", "expires"];

/** One bit a name that is counted, so that counting allocates nothing. */
const countedBits = new Map([...new Set([...mandatory, ...single])].map((name, index) => [name, 1 << index]));
const bitsOf = (names: readonly string[]): number =>
  names.reduce((bits, name) => bits | (countedBits.get(name) ?? 0), 0);
const mandatoryBits = bitsOf(mandatory);
const singleBits = bitsOf(single);
/** Of a response: one whose body cannot be told is still an answer, and its element's to judge. */
const singleInResponse = single.filter((name) => name !== "content-type");

/** Bits of the names that are there, and of those that are there again. */
const countFields = ({ headers }: SipMessage): { readonly seen: number; readonly again: number } => {
  let seen = 0;
  let again = 0;
  for (const field of headers) {
    const bit = countedBits.get(field.name) ?? 0;
    again |= seen & bit;
    seen |= bit;
  }
  return { seen, again };
};

const checkCounts = (request: SipRequest): string | undefined => {
  const { seen, again } = countFields(request);
  const has = (bits: number) => (name: string) => (bits & (countedBits.get(name) ?? 0)) !== 0;
  if ((seen & mandatoryBits) !== mandatoryBits) {
    return `Missing ${mandatory.find((name) => !has(seen)(name))} Header Field`;
  }
  if ((again & singleBits) === 0) return undefined;
  return `Repeated ${single.find(has(again))} Header Field`;
};

/** What every element on the way adds to. Most messages have one or two of each. */
const paths = new Map(["Via", "Route", "Record-Route", "Path"].map((name) => [name.toLowerCase(), name]));

/** RFC 3261 8.1.1.6: Max-Forwards begins at 70, so a longer way is nobody's. It also bounds what each of them costs. */
const maxPath = 70;

/** The header that lists more elements than a message can have passed. */
const longPath = ({ headers }: SipMessage): string | undefined => {
  let counts: Map<string, number> | undefined;
  for (const { name, value } of headers) {
    if (!paths.has(name)) continue;
    counts ??= new Map();
    const count = (counts.get(name) ?? 0) + (value.includes(",") ? splitList(value).length : 1);
    if (count > maxPath) return paths.get(name);
    counts.set(name, count);
  }
  return undefined;
};

const checkAddress = (request: SipRequest, name: "from" | "to"): boolean => {
  const address = parseNameAddr(headerValue(request, name) ?? "");
  if (address === undefined || !isSoundUri(address.uri)) return false;
  const tags = address.params.filter(([own]) => own.toLowerCase() === "tag");
  return tags.length < 2 && tags.every(([, value]) => value !== undefined);
};

/** Any scheme; a SIP or SIPS URI must also read as one. */
const isSoundUri = (uri: string): boolean => {
  const scheme = uriScheme(uri);
  return (scheme !== "sip" && scheme !== "sips") || parseSipUri(uri) !== undefined;
};

const isSoundAddress = (element: string): boolean => {
  const address = parseNameAddr(element);
  return address !== undefined && isSoundUri(address.uri);
};

const checkContact = (request: SipRequest): boolean => {
  const contacts = headerList(request, "contact");
  // RFC 3261 10.2.2: "*" stands alone, in a REGISTER.
  if (contacts.includes("*")) return contacts.length === 1 && request.method === "REGISTER";
  return contacts.every(isSoundAddress);
};

/** RFC 3261 20.17: the time zone of SIP-date is GMT. */
const isSipDate = (value: string): boolean =>
  value.length < 64 && /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/i.test(value);

const checkUri = (request: SipRequest, schemes: readonly string[]): RequestVerdict => {
  const scheme = uriScheme(request.uri);
  if (scheme === undefined) return refuse(400, "Malformed Request-URI");
  // RFC 3261 8.2.2.1, 16.3 step 2; RFC 4475 3.3.2, 3.3.3
  if (!schemes.includes(scheme)) return refuse(416, "Unsupported URI Scheme");
  if (scheme !== "sip" && scheme !== "sips") return { ok: true };
  const uri = parseSipUri(request.uri);
  if (uri === undefined) return refuse(400, "Malformed Request-URI");
  // RFC 3261 19.1.1 table 1; RFC 4475 3.1.2.11
  return uri.headers === undefined ? { ok: true } : refuse(400, "Headers in Request-URI");
};

const checkSequence = (request: SipRequest, methods: readonly string[]): RequestVerdict => {
  const cseq = parseCSeq(headerValue(request, "cseq") ?? "");
  if (cseq === undefined) return refuse(400, "Malformed CSeq");
  if (cseq.method === request.method) return { ok: true };
  // RFC 4475 3.1.2.17, 3.1.2.18
  return methods.includes(request.method) ? refuse(400, "CSeq Method Mismatch") : refuse(501, "Not Implemented");
};

const checkHops = (request: SipRequest, role: SipRole | undefined): RequestVerdict => {
  const value = headerValue(request, "max-forwards");
  // RFC 3261 16.6 step 3: absent is allowed, for RFC 2543 clients.
  if (value === undefined) return { ok: true };
  const hops = parseDecimal(value, 255);
  if (hops === undefined) return refuse(400, "Malformed Max-Forwards");
  // RFC 3261 16.3 step 3; RFC 4475 3.3.11: an endpoint processes it as usual.
  return hops === 0 && role === "proxy" ? refuse(483, "Too Many Hops") : { ok: true };
};

/** The checks of RFC 3261 8.2 and 16.3 that hold for every element. Not 420: the element knows its option tags. */
export const validateRequest = (request: SipRequest, options: ValidationOptions = {}): RequestVerdict => {
  const counts = checkCounts(request);
  if (counts !== undefined) return refuse(400, counts);
  const long = longPath(request);
  if (long !== undefined) return refuse(400, `Too Many ${long} Entries`);
  if (parseVia(topListElement(request, "via") ?? "") === undefined) return refuse(400, "Malformed Via");
  if (!checkAddress(request, "from")) return refuse(400, "Malformed From");
  if (!checkAddress(request, "to")) return refuse(400, "Malformed To");
  if (headerValue(request, "call-id") === "") return refuse(400, "Empty Call-ID");
  const sequence = checkSequence(request, options.methods ?? registeredMethods);
  if (!sequence.ok) return sequence;
  const uri = checkUri(request, options.schemes ?? knownSchemes);
  if (!uri.ok) return uri;
  const hops = checkHops(request, options.role);
  if (!hops.ok) return hops;
  if (!checkContact(request)) return refuse(400, "Malformed Contact");
  if (!headerList(request, "route").every(isSoundAddress)) return refuse(400, "Malformed Route");
  const date = headerValue(request, "date");
  if (date !== undefined && !isSipDate(date)) return refuse(400, "Malformed Date");
  if (options.role === "registrar" && request.method === "REGISTER") {
    // RFC 3261 10.2, 10.3 step 5; RFC 4475 3.3.4
    if (parseSipUri(parseNameAddr(headerValue(request, "to") ?? "")?.uri ?? "") === undefined) {
      return refuse(400, "Address-of-Record Is Not a SIP URI");
    }
  }
  return { ok: true };
};

const isBroadcastOrMulticast = (host: string): boolean => {
  const first = Number.parseInt(host, 10);
  return host === "255.255.255.255" || (/^\d+\.\d+\.\d+\.\d+$/.test(host) && first >= 224 && first < 240);
};

/**
 * Whether a response, as it came from the wire with our own Via on top, may be acted on. A response that may not is
 * discarded in silence.
 */
export const validateResponse = (
  response: SipResponse,
  options: Pick<ValidationOptions, "role"> = {},
): ResponseVerdict => {
  const discard = (reason: string): ResponseVerdict => ({ ok: false, reason });
  const { seen, again } = countFields(response);
  const missing = mandatory.find((name) => (seen & (countedBits.get(name) ?? 0)) === 0);
  if (missing !== undefined) return discard(`missing ${missing}`);
  // RFC 3261 7.3.1: two readers could act on two different ones.
  const repeated = singleInResponse.find((name) => (again & (countedBits.get(name) ?? 0)) !== 0);
  if (repeated !== undefined) return discard(`repeated ${repeated}`);
  const long = longPath(response);
  if (long !== undefined) return discard(`too many ${long} entries`);
  // RFC 4475 3.1.2.5: a sequence number beyond 2**31 matches no request of ours.
  if (parseCSeq(headerValue(response, "cseq") ?? "") === undefined) return discard("malformed cseq");
  const [top, next] = headerList(response, "via");
  if (parseVia(top ?? "") === undefined) return discard("malformed via");
  if (next === undefined) return { ok: true };
  // RFC 3261 8.1.3.3: more than one Via means the response is not for this user agent.
  if (options.role === "user-agent") return discard("more than one via");
  // RFC 4475 3.3.10: forwarding by such a Via would shower a network.
  const via = parseVia(next);
  if (options.role === "proxy" && (via === undefined || isBroadcastOrMulticast(via.host))) return discard("next via");
  return { ok: true };
};

/** The option tags of Require or Proxy-Require that are not in `supported`: the Unsupported header of a 420. RFC 3261 8.2.2.3. */
export const unsupportedOptionTags = (
  request: SipRequest,
  header: "require" | "proxy-require",
  supported: readonly string[],
): readonly string[] => {
  const known = new Set(supported.map((tag) => tag.toLowerCase()));
  return headerList(request, header).filter((tag) => !known.has(tag.toLowerCase()));
};
