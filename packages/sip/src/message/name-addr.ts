// Owns name-addr and addr-spec with header parameters: From, To, Contact, Route and their kin. RFC 3261 20, 20.10, 25.1.
import { isSpace, isTokenChar, quote, skipQuoted, skipSpace, unquote } from "./chars.ts";
import { formatParams, parseParams } from "./params.ts";
import type { Params } from "./params.ts";
import { recalling } from "./recall.ts";
import { isUri } from "./uri.ts";

export interface NameAddr {
  /** Quotes and escapes taken off; octets, see `fromUtf8`. */
  readonly display?: string | undefined;
  /** The URI of any scheme, without angles. */
  readonly uri: string;
  /** Header parameters: those after the URI. */
  readonly params: Params;
}

/** Where an unquoted display name ends: the position of `<`, or -1 when this is no name-addr. */
const skipDisplayTokens = (text: string, at: number): number => {
  for (let here = at; here < text.length; here += 1) {
    const code = text.charCodeAt(here);
    if (code === 60) return here;
    // *( token LWS ); octets above ASCII are let through, as peers send UTF-8 names bare. RFC 4475 3.1.2.15: no comma.
    if (!isTokenChar(code) && !isSpace(code) && code < 128) return -1;
  }
  return -1;
};

const compose = (display: string, uri: string, params: Params | undefined): NameAddr | undefined => {
  if (params === undefined || !isUri(uri)) return undefined;
  return { display: display === "" ? undefined : display, uri, params };
};

const readNameAddr = (text: string): NameAddr | undefined => {
  const start = skipSpace(text, 0);
  const quoted = text.charCodeAt(start) === 34;
  const nameEnd = quoted ? skipQuoted(text, start) : start;
  if (nameEnd < 0) return undefined;
  const open = quoted ? skipSpace(text, nameEnd) : skipDisplayTokens(text, start);
  if (text.charCodeAt(open) === 60) {
    const close = text.indexOf(">", open);
    if (close < 0) return undefined;
    const display = quoted ? unquote(text.slice(start, nameEnd)) : text.slice(start, open).trim();
    return compose(display, text.slice(open + 1, close), parseParams(text, close + 1));
  }
  if (quoted) return undefined;
  // RFC 3261 20: without angles the URI has no parameters of its own, and "?" and "," cannot stand in it.
  let end = start;
  while (end < text.length && text.charCodeAt(end) !== 59 && !isSpace(text.charCodeAt(end))) end += 1;
  const uri = text.slice(start, end);
  if (uri.includes("?") || uri.includes(",")) return undefined;
  return compose("", uri, parseParams(text, end));
};

/** Reads one element; undefined when malformed. `*` is not one. */
export const parseNameAddr: (text: string) => NameAddr | undefined = recalling(readNameAddr, 8);

/** Always with angles; the display name always quoted. */
export const formatNameAddr = (address: NameAddr): string => {
  const display = address.display === undefined ? "" : `${quote(address.display)} `;
  return `${display}<${address.uri}>${formatParams(address.params)}`;
};
