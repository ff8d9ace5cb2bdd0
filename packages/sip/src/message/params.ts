// Owns generic parameters: `*( SEMI generic-param )`. RFC 3261 25.1. What a parameter means is the header's business.
import { isSpaceOrControl, skipQuoted, skipSpace, skipToken } from "./chars.ts";

/**
 * Parameters in their order. Names as written (compare with `param`); a value is undefined where there is no `=`, and
 * keeps the quotes of a quoted-string, so that `formatParams` gives back what was read (`unquote` takes them off).
 */
export type Params = readonly (readonly [name: string, value: string | undefined])[];

/** The value of the first parameter of that name (case-insensitive); true for a flag; undefined when absent. */
export const param = (params: Params, name: string): string | true | undefined => {
  const wanted = name.toLowerCase();
  for (const [own, value] of params) if (own.toLowerCase() === wanted) return value ?? true;
  return undefined;
};

/** Sets the parameter where it stands, or adds it at the end; `true` makes a flag. */
export const withParam = (params: Params, name: string, value: string | true): Params => {
  const wanted = name.toLowerCase();
  const entry = [name, value === true ? undefined : value] as const;
  const at = params.findIndex(([own]) => own.toLowerCase() === wanted);
  return at < 0 ? [...params, entry] : params.with(at, entry);
};

export const withoutParam = (params: Params, name: string): Params => {
  const wanted = name.toLowerCase();
  return params.filter(([own]) => own.toLowerCase() !== wanted);
};

// Wider than token / host: peers put base64, colons and "@" into values without quoting them.
const endsValue = (code: number): boolean =>
  code === 59 || code === 44 || code === 34 || code === 60 || code === 62 || isSpaceOrControl(code);

/** Parameters from `at` to the end of the text, white space allowed around `;` and `=`; undefined when malformed. */
export const parseParams = (text: string, at = 0): Params | undefined => {
  const params: (readonly [string, string | undefined])[] = [];
  for (let here = skipSpace(text, at); here < text.length; here = skipSpace(text, here)) {
    if (text.charCodeAt(here) !== 59) return undefined;
    const nameStart = skipSpace(text, here + 1);
    const nameEnd = skipToken(text, nameStart);
    if (nameEnd === nameStart) return undefined;
    const name = text.slice(nameStart, nameEnd);
    here = skipSpace(text, nameEnd);
    if (text.charCodeAt(here) !== 61) {
      params.push([name, undefined]);
      continue;
    }
    const start = skipSpace(text, here + 1);
    here = start;
    if (text.charCodeAt(start) === 34) here = skipQuoted(text, start);
    else while (here < text.length && !endsValue(text.charCodeAt(here))) here += 1;
    if (here <= start) return undefined;
    params.push([name, text.slice(start, here)]);
  }
  return params;
};

/** `;name=value;flag`, or nothing. */
export const formatParams = (params: Params): string => {
  let text = "";
  for (const [name, value] of params) text += value === undefined ? `;${name}` : `;${name}=${value}`;
  return text;
};
