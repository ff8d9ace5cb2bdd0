// Owns how one header field is made, from the wire and from values. RFC 3261 7.3.1.
import { sipErrors } from "../errors.ts";
import { isSpace, isToken } from "./chars.ts";
import type { HeaderField } from "./message.ts";
import { canonicalName, registeredSpelling } from "./names.ts";

/** RFC 3261 7.3.1: a fold, CRLF with the white space around it, counts as one SP. `start` is after the colon. */
export const unfoldedValue = (raw: string, start: number): string => {
  let from = start;
  let to = raw.length;
  while (from < to && isSpace(raw.charCodeAt(from))) from += 1;
  while (to > from && isSpace(raw.charCodeAt(to - 1))) to -= 1;
  if (raw.indexOf("\r", from) < 0) return raw.slice(from, to);
  let fold = raw.indexOf("\r\n", from);
  if (fold < 0 || fold >= to) return raw.slice(from, to);
  const pieces: string[] = [];
  while (fold >= 0 && fold < to) {
    let end = fold;
    while (end > from && isSpace(raw.charCodeAt(end - 1))) end -= 1;
    pieces.push(raw.slice(from, end));
    from = fold + 2;
    while (from < to && isSpace(raw.charCodeAt(from))) from += 1;
    fold = raw.indexOf("\r\n", from);
  }
  pieces.push(raw.slice(from, to));
  return pieces.join(" ");
};

/** Whether text can stand in a header: octets only, no CR and no LF, so that no value can smuggle a field. */
export const isFieldText = (text: string): boolean => {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 10 || code === 13 || code > 255) return false;
  }
  return true;
};

/**
 * A new field.
 * @throws SALLY_SIP_HEADER_INVALID when the name is no token or the value has CR, LF or characters above 255.
 */
export const createField = (name: string, value: string): HeaderField => {
  const canonical = canonicalName(name);
  const spelled = registeredSpelling(canonical);
  if (spelled === undefined && !isToken(name)) throw sipErrors("SALLY_SIP_HEADER_INVALID", "The name is not a token.");
  if (!isFieldText(value)) {
    throw sipErrors("SALLY_SIP_HEADER_INVALID", "The value has CR, LF or a character above 255.", { where: name });
  }
  const trimmed = value.trim();
  return { name: canonical, raw: `${spelled ?? name}: ${trimmed}`, value: trimmed };
};

/** The field with another value: its name stays as the sender spelled it. */
export const replaceFieldValue = (field: HeaderField, value: string): HeaderField => {
  const colon = field.raw.indexOf(":");
  return { name: field.name, raw: `${field.raw.slice(0, colon)}: ${value}`, value };
};
