// Owns the cut of a message head into start line and header fields. RFC 3261 7.3.1, 25.1.
import { skipToken } from "./chars.ts";
import { unfoldedValue } from "./field.ts";
import type { HeaderField, SipLimits } from "./message.ts";
import { canonicalNameAt } from "./names.ts";

type HeadCode = "header-line" | "header-length" | "header-count";

export interface Head {
  readonly startLine: string;
  /** The fields that could be read: those after a bad one included, none beyond `maxHeaders`. */
  readonly fields: readonly HeaderField[];
  /** The first field that could not be read; `offset` counts from the start line. */
  readonly trouble: { readonly code: HeadCode; readonly offset: number } | undefined;
}

/** The end of the line that starts at `at`: its CR, or the end of the text. */
const lineEnd = (text: string, at: number): number => {
  // One character is looked for much faster than two.
  let end = text.indexOf("\r", at);
  while (end >= 0 && text.charCodeAt(end + 1) !== 10) end = text.indexOf("\r", end + 1);
  return end < 0 ? text.length : end;
};

const isBlank = (code: number): boolean => code === 32 || code === 9;

/** HCOLON: SP and HTAB may come before the colon, a fold may not. The colon's position, or -1. */
const colonAt = (text: string, at: number): number => {
  let here = at;
  while (isBlank(text.charCodeAt(here))) here += 1;
  return text.charCodeAt(here) === 58 ? here : -1;
};

/** Reads a head given without the CRLF that ends its last line. */
export const readHead = (text: string, limits: SipLimits): Head => {
  const startEnd = lineEnd(text, 0);
  const fields: HeaderField[] = [];
  let trouble: Head["trouble"];
  for (let at = startEnd + 2, count = 0; at < text.length; count += 1) {
    let end = lineEnd(text, at);
    // RFC 3261 7.3.1: a line that begins with SP or HTAB continues the one before.
    while (end < text.length && isBlank(text.charCodeAt(end + 2))) end = lineEnd(text, end + 2);
    if (count >= limits.maxHeaders) {
      trouble ??= { code: "header-count", offset: at };
      break;
    }
    const nameEnd = skipToken(text, at);
    const colon = colonAt(text, nameEnd);
    if (end - at > limits.maxHeaderLine) trouble ??= { code: "header-length", offset: at };
    else if (nameEnd === at || colon < 0) {
      trouble ??= { code: "header-line", offset: at };
    } else {
      const raw = text.slice(at, end);
      fields.push({ name: canonicalNameAt(text, at, nameEnd), raw, value: unfoldedValue(raw, colon + 1 - at) });
    }
    at = end + 2;
  }
  return { startLine: text.slice(0, startEnd), fields, trouble };
};

/** The first CR without LF or LF without CR: two readers would cut such a head in two ways. -1 when there is none. */
export const bareLineEnd = (text: string): number => {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 13) {
      if (text.charCodeAt(at + 1) !== 10) return at;
      at += 1;
    } else if (code === 10) return at;
  }
  return -1;
};

/**
 * The first NUL that no quoted-pair escapes (RFC 3261 25.1, RFC 4475 3.1.1.2): readers that end their strings there see
 * another value than we do. -1 when there is none.
 */
export const strayNul = (text: string): number => {
  let at = text.indexOf("\0");
  while (at > 0 && text.charCodeAt(at - 1) === 92) at = text.indexOf("\0", at + 1);
  return at;
};
