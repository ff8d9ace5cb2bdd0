// Owns SIP and SIPS URIs: reading, writing, comparing. Text stays escaped as on the wire. RFC 3261 19.1, 25.1.
import { isIPv6 } from "node:net";
import { isDigit, isHexDigit, isSpaceOrControl, parseDecimal } from "./chars.ts";
import { formatParams } from "./params.ts";
import type { Params } from "./params.ts";
import { recalling } from "./recall.ts";

export interface SipUri {
  readonly scheme: "sip" | "sips";
  /** As on the wire, escapes kept. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Host name, IPv4 or IPv6 literal, without brackets. */
  readonly host: string;
  readonly port?: number | undefined;
  readonly params: Params;
  /** What follows `?`, as on the wire. */
  readonly headers?: string | undefined;
}

const isAlpha = (code: number): boolean => (code >= 97 && code <= 122) || (code >= 65 && code <= 90);

/** The scheme in lower case, or undefined when the text does not begin with one. RFC 3986 3.1. */
export const uriScheme = (text: string): string | undefined => {
  if (text.startsWith("sip:")) return "sip";
  if (!isAlpha(text.charCodeAt(0))) return undefined;
  for (let at = 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 58) return text.slice(0, at).toLowerCase();
    if (!isAlpha(code) && !isDigit(code) && code !== 43 && code !== 45 && code !== 46) return undefined;
  }
  return undefined;
};

/** Whether the text may be a URI of any scheme: a scheme, something after it, no white space, quotes or angles. */
export const isUri = (text: string): boolean => {
  const scheme = uriScheme(text);
  if (scheme === undefined || scheme.length + 1 === text.length) return false;
  for (let at = scheme.length; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isSpaceOrControl(code) || code === 34 || code === 60 || code === 62) return false;
  }
  return true;
};

/** No octets outside visible ASCII, no delimiters of name-addr, every `%` with two hexadecimal digits. */
const isSipUriText = (text: string): boolean => {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= 32 || code >= 127 || code === 34 || code === 60 || code === 62 || code === 92) return false;
    if (code === 37 && !(isHexDigit(text.charCodeAt(at + 1)) && isHexDigit(text.charCodeAt(at + 2)))) return false;
  }
  return true;
};

const isHostChar = (code: number): boolean =>
  isAlpha(code) || isDigit(code) || code === 45 || code === 46 || code === 95;

/** A host at `at`: its text without brackets and where it ends; undefined when there is none. */
export const readHost = (text: string, at: number): { readonly host: string; readonly end: number } | undefined => {
  if (text.charCodeAt(at) === 91) {
    const close = text.indexOf("]", at);
    if (close < 0 || close - at > 48) return undefined;
    // RFC 5118 4.10: a third colon before an embedded IPv4 address, which the grammar of RFC 3261 allowed, is tolerated.
    const written = text.slice(at + 1, close);
    const literal = written.includes(":::") ? written.replace(/:::(?=[0-9.]+$)/, "::") : written;
    if (literal.includes("%") || !isIPv6(literal)) return undefined;
    return { host: literal, end: close + 1 };
  }
  let end = at;
  while (end < text.length && isHostChar(text.charCodeAt(end))) end += 1;
  return end === at ? undefined : { host: text.slice(at, end), end };
};

/** Digits at `at`, at most 65535, and where they end. */
export const readPort = (text: string, at: number): { readonly port: number; readonly end: number } | undefined => {
  let end = at;
  while (end < text.length && isDigit(text.charCodeAt(end))) end += 1;
  const port = parseDecimal(text.slice(at, end), 65_535);
  return port === undefined ? undefined : { port, end };
};

/** The host as it stands in a URI or a Via: IPv6 literals in brackets. */
export const formatHost = (host: string): string => (host.includes(":") ? `[${host}]` : host);

const noParams: Params = [];

const parseUriParams = (text: string): Params | undefined => {
  if (text === "") return noParams;
  const params: (readonly [string, string | undefined])[] = [];
  for (let at = 1; at <= text.length;) {
    const semicolon = text.indexOf(";", at);
    const end = semicolon < 0 ? text.length : semicolon;
    const equals = text.indexOf("=", at);
    const valued = equals >= 0 && equals < end;
    const nameEnd = valued ? equals : end;
    if (nameEnd === at) return undefined;
    params.push([text.slice(at, nameEnd), valued ? text.slice(equals + 1, end) : undefined]);
    at = end + 1;
  }
  return params;
};

const readSipUri = (text: string): SipUri | undefined => {
  const scheme = uriScheme(text);
  if ((scheme !== "sip" && scheme !== "sips") || !isSipUriText(text)) return undefined;
  const start = scheme.length + 1;
  // userinfo may hold ";", "?" and "/", but no bare "@": the only one there is ends it. RFC 4475 3.1.1.2, 3.1.1.9.
  const at = text.indexOf("@", start);
  if (at >= 0 && text.includes("@", at + 1)) return undefined;
  const hostStart = at < 0 ? start : at + 1;
  const colon = at < 0 ? -1 : text.indexOf(":", start);
  const userEnd = colon < 0 || colon > at ? at : colon;
  if (at >= 0 && userEnd === start) return undefined;

  const host = readHost(text, hostStart);
  if (host === undefined) return undefined;
  const port = text.charCodeAt(host.end) === 58 ? readPort(text, host.end + 1) : { port: undefined, end: host.end };
  if (port === undefined) return undefined;
  const question = text.indexOf("?", port.end);
  const paramsEnd = question < 0 ? text.length : question;
  if (port.end < paramsEnd && text.charCodeAt(port.end) !== 59) return undefined;
  const params = parseUriParams(text.slice(port.end, paramsEnd));
  if (params === undefined || question === text.length - 1) return undefined;
  return {
    scheme,
    // Every property is always there: one shape for all.
    user: at < 0 ? undefined : text.slice(start, userEnd),
    password: at >= 0 && userEnd < at ? text.slice(userEnd + 1, at) : undefined,
    host: host.host,
    port: port.port,
    params,
    headers: question < 0 ? undefined : text.slice(question + 1),
  };
};

/** Reads a `sip:` or `sips:` URI; undefined for any other scheme and for malformed text. */
export const parseSipUri: (text: string) => SipUri | undefined = recalling(readSipUri, 8);

export const formatSipUri = (uri: SipUri): string => {
  const password = uri.password === undefined ? "" : `:${uri.password}`;
  const userinfo = uri.user === undefined ? "" : `${uri.user}${password}@`;
  const port = uri.port === undefined ? "" : `:${uri.port}`;
  const headers = uri.headers === undefined ? "" : `?${uri.headers}`;
  return `${uri.scheme}:${userinfo}${formatHost(uri.host)}${port}${formatParams(uri.params)}${headers}`;
};

/** Escapes of characters that need none are undone, the others made upper case: equal text means equal by 19.1.4. */
const normalised = (text: string): string =>
  !text.includes("%")
    ? text
    : text.replace(/%([0-9a-f]{2})/gi, (escape, digits: string) => {
        const character = String.fromCharCode(Number.parseInt(digits, 16));
        return /[A-Za-z0-9\-_.!~*'()]/.test(character) ? character : escape.toUpperCase();
      });

const sameText = (a: string | undefined, b: string | undefined): boolean =>
  a === undefined || b === undefined ? a === b : normalised(a) === normalised(b);

// RFC 3261 19.1.4: these never match when only one URI has them; other parameters only count when both do.
const decisive = ["transport", "user", "ttl", "method", "maddr"];

const sameParams = (a: Params, b: Params): boolean => {
  const own = new Map(a.map(([name, value]) => [normalised(name).toLowerCase(), value]));
  const other = new Map(b.map(([name, value]) => [normalised(name).toLowerCase(), value]));
  if (decisive.some((name) => own.has(name) !== other.has(name))) return false;
  for (const [name, value] of own) {
    if (other.has(name) && !sameText(value?.toLowerCase(), other.get(name)?.toLowerCase())) return false;
  }
  return true;
};

const sortedHeaders = (headers: string | undefined): string | undefined =>
  headers
    ?.split("&")
    .map((header) => normalised(header))
    .sort()
    .join("&");

/** RFC 3261 19.1.4. URIs of other schemes are equal when their text is, the scheme's case aside. */
export const sameUri = (a: SipUri | string, b: SipUri | string): boolean => {
  const one = typeof a === "string" ? parseSipUri(a) : a;
  const two = typeof b === "string" ? parseSipUri(b) : b;
  if (one === undefined || two === undefined) {
    if (one !== two || typeof a !== "string" || typeof b !== "string") return false;
    const scheme = uriScheme(a);
    const length = scheme?.length ?? 0;
    return scheme === uriScheme(b) && a.slice(length) === b.slice(length);
  }
  return (
    one.scheme === two.scheme &&
    sameText(one.user, two.user) &&
    sameText(one.password, two.password) &&
    one.host.toLowerCase() === two.host.toLowerCase() &&
    one.port === two.port &&
    sameParams(one.params, two.params) &&
    sortedHeaders(one.headers) === sortedHeaders(two.headers)
  );
};
