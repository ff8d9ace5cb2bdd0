// Owns the small header values: CSeq and tags. RFC 3261 8.1.1.5, 19.3, 20.16.
import { isToken, parseDecimal, skipSpace } from "./chars.ts";
import { headerValue } from "./headers.ts";
import type { SipMessage } from "./message.ts";
import { parseNameAddr } from "./name-addr.ts";
import { param } from "./params.ts";

export interface CSeq {
  readonly seq: number;
  readonly method: string;
}

/** RFC 3261 8.1.1.5: the sequence number is less than 2**31. */
const maxCSeq: number = 2 ** 31 - 1;

export const parseCSeq = (text: string): CSeq | undefined => {
  const value = text.trim();
  let digits = 0;
  while (value.charCodeAt(digits) >= 48 && value.charCodeAt(digits) <= 57) digits += 1;
  const methodStart = skipSpace(value, digits);
  const method = value.slice(methodStart);
  const seq = parseDecimal(value.slice(0, digits), maxCSeq);
  if (seq === undefined || methodStart === digits || !isToken(method)) return undefined;
  return { seq, method };
};

/** The tag of From or To; undefined when there is none or the header cannot be read. */
export const tagOf = (message: SipMessage, side: "from" | "to"): string | undefined => {
  const value = headerValue(message, side);
  const address = value === undefined ? undefined : parseNameAddr(value);
  const tag = address === undefined ? undefined : param(address.params, "tag");
  return typeof tag === "string" ? tag : undefined;
};
