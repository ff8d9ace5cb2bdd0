// Owns the character classes of the text encoding (H.248.1 Annex B.2): word, rest, blank and line end octets.

const word = 1;
const rest = 2;
const blank = 4;
const lineEnd = 8;

const classes = new Uint8Array(256);
const mark = (characters: string, kind: number): void => {
  for (const character of characters) classes[character.charCodeAt(0)] = kind;
};
mark("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", word);
mark("+-&!_/'?@^`~*$\\()%|.", word);
mark(";[]{}:,#<>=", rest);
mark(" \t", blank);
mark("\r\n", lineEnd);

const every = (text: string, kinds: number): boolean => {
  for (let at = 0; at < text.length; at++) {
    if (((classes[text.charCodeAt(at)] ?? 0) & kinds) === 0) return false;
  }
  return true;
};

export const isWordCode = (code: number): boolean => classes[code] === word;
export const isQuotableCode = (code: number): boolean => ((classes[code] ?? 0) & (word | rest | blank)) !== 0;
export const isSpaceCode = (code: number): boolean => ((classes[code] ?? 0) & (blank | lineEnd)) !== 0;
export const isLineEndCode = (code: number): boolean => classes[code] === lineEnd;

/** One or more word characters. */
export const isWord = (text: string): boolean => text !== "" && every(text, word);
/** What may stand between double quotes. */
export const isQuotable = (text: string): boolean => every(text, word | rest | blank);
/** What a digit map may hold: anything printable but braces, with line ends. */
export const isDigitMapText = (text: string): boolean =>
  every(text, word | rest | blank | lineEnd) && !/[{}]/.test(text);
