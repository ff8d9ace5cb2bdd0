// Owns the character classes and the lexical pieces of RFC 3261 25.1: token, LWS, quoted-string. Index scanning only.

const token = 1;
const hex = 2;
const space = 4;
const control = 8;

const classes = new Uint8Array(256);
const mark = (characters: string, bit: number): void => {
  for (let at = 0; at < characters.length; at += 1) classes[characters.charCodeAt(at)]! |= bit;
};
mark("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~", token);
mark("0123456789ABCDEFabcdef", hex);
mark(" \t", space);
for (let code = 0; code < 32; code += 1) classes[code]! |= control;
classes[127]! |= control;

export const isTokenChar = (code: number): boolean => code < 256 && (classes[code]! & token) !== 0;
export const isDigit = (code: number): boolean => code >= 48 && code <= 57;
export const isHexDigit = (code: number): boolean => code < 256 && (classes[code]! & hex) !== 0;
/** SP and HTAB, and CR and LF, which only a folded line can contain. */
export const isSpace = (code: number): boolean => code === 32 || code === 9 || code === 13 || code === 10;
/** SP or any control character: what no URI may contain. */
export const isSpaceOrControl = (code: number): boolean => code < 256 && (classes[code]! & (space | control)) !== 0;

export const isToken = (text: string): boolean => {
  if (text.length === 0) return false;
  for (let at = 0; at < text.length; at += 1) if (!isTokenChar(text.charCodeAt(at))) return false;
  return true;
};

/** The first position at or after `at` that is not white space. */
export const skipSpace = (text: string, at: number): number => {
  let here = at;
  while (here < text.length && isSpace(text.charCodeAt(here))) here += 1;
  return here;
};

/** The first position at or after `at` that is no token character. */
export const skipToken = (text: string, at: number): number => {
  let here = at;
  while (here < text.length && isTokenChar(text.charCodeAt(here))) here += 1;
  return here;
};

/** `at` is on the opening quote; the position after the closing one, or -1 when it is missing. */
export const skipQuoted = (text: string, at: number): number => {
  for (let here = at + 1; here < text.length; here += 1) {
    const code = text.charCodeAt(here);
    if (code === 92) here += 1;
    else if (code === 34) return here + 1;
  }
  return -1;
};

/** A quoted-string without its quotes and escapes; other text unchanged. */
export const unquote = (text: string): string => {
  if (text.length < 2 || text.charCodeAt(0) !== 34 || text.charCodeAt(text.length - 1) !== 34) return text;
  const inner = text.slice(1, -1);
  return inner.includes("\\") ? inner.replace(/\\([\s\S])/g, "$1") : inner;
};

/** The text as a quoted-string. */
export const quote = (text: string): string =>
  text.includes('"') || text.includes("\\") ? `"${text.replace(/["\\]/g, "\\$&")}"` : `"${text}"`;

/** Unicode text as the Latin-1 carrier of its UTF-8 octets: the form header values are held in. */
export const utf8 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** The inverse of `utf8`. */
export const fromUtf8 = (octets: string): string => Buffer.from(octets, "latin1").toString("utf8");

/** Digits as a number, or undefined when there are none, other characters, or the value passes `max`. */
export const parseDecimal = (text: string, max: number): number | undefined => {
  if (text.length === 0) return undefined;
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (!isDigit(code)) return undefined;
    value = value * 10 + (code - 48);
    if (value > max) return undefined;
  }
  return value;
};
