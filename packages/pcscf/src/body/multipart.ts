// Cuts a multipart body at its delimiters. Pure; knows no media type. RFC 2046 5.1.1, read so strictly that no other reader
// finds a part, a head or a field where this one found none.
import { canonicalName, isToken, param, unquote, type Params } from "@sallyport/sip";

/** Octets `from` to `to` of the text the body is held in. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Multipart {
  /** From the first delimiter to the end of the last: without preamble and epilogue. */
  readonly range: Range;
  readonly parts: readonly Range[];
}

const maxParts = 32;

/** RFC 2046 5.1.1: bchars, no space at the end, 70 at most. */
const bchars = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;

/** The one boundary of a multipart type; undefined where there is none, or another reader could choose another. */
export const boundaryOf = (params: Params): string | undefined => {
  // RFC 2231: `boundary*0=` and `boundary*=` are spellings of the same name.
  const named = params.filter(([name]) => /^boundary(?:\*|$)/i.test(name));
  const value = named.length === 1 ? param(named, "boundary") : undefined;
  const boundary = typeof value === "string" ? unquote(value) : "";
  return bchars.test(boundary) ? boundary : undefined;
};

const skipBlanks = (text: string, at: number): number => {
  let here = at;
  while (text[here] === " " || text[here] === "\t") here += 1;
  return here;
};

/** Undefined when it is not well formed, or a line looks like a delimiter and is none. */
export const cutMultipart = (text: string, { from, to }: Range, boundary: string): Multipart | undefined => {
  const delimiter = `--${boundary}`;
  const parts: Range[] = [];
  let first = -1;
  let start = 0;
  for (let at = text.indexOf(delimiter, from); at >= 0 && at + delimiter.length <= to;) {
    const before = at === from ? "\r\n" : text.slice(Math.max(from, at - 2), at);
    const strict = before === "\r\n";
    const lineStart = strict || before.endsWith("\n") || before.endsWith("\r");
    // What stands before the first delimiter is dropped, whatever it looks like.
    if (!lineStart || (!strict && first < 0)) {
      at = text.indexOf(delimiter, at + 1);
      continue;
    }
    if (!strict) return undefined;
    if (first < 0) first = at;
    else if (at - 2 < start) return undefined;
    else parts.push({ from: start, to: at - 2 });
    if (parts.length > maxParts) return undefined;
    const after = at + delimiter.length;
    const close = text.startsWith("--", after);
    const end = skipBlanks(text, close ? after + 2 : after);
    if (close && end >= to) return parts.length === 0 ? undefined : { range: { from: first, to }, parts };
    if (!text.startsWith("\r\n", end) || end + 2 > to) return undefined;
    start = end + 2;
    if (close) return parts.length === 0 ? undefined : { range: { from: first, to: start }, parts };
    at = text.indexOf(delimiter, start);
  }
  return undefined;
};

export interface Part {
  /** The values of each field, by canonical name; compact forms count. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly content: Range;
}

const bareEnd = /\r(?!\n)|(?<!\r)\n|\0/;

/** A part's own head and content. RFC 2045 3, RFC 3261 7.3.1. Undefined when a line of the head is no field. */
export const readPart = (text: string, { from, to }: Range): Part | undefined => {
  const blank = text.startsWith("\r\n", from) ? from - 2 : text.indexOf("\r\n\r\n", from);
  if (blank < 0 || blank + 4 > to) return undefined;
  const head = blank < from ? "" : text.slice(from, blank);
  const fields = new Map<string, readonly string[]>();
  if (bareEnd.test(head)) return undefined;
  for (const line of head === "" ? [] : head.replace(/\r\n[ \t]+/g, " ").split("\r\n")) {
    const colon = line.indexOf(":");
    const written = line.slice(0, Math.max(0, colon)).trimEnd();
    if (!isToken(written)) return undefined;
    const name = canonicalName(written);
    fields.set(name, [...(fields.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  return { fields, content: { from: blank + 4, to } };
};
