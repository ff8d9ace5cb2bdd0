// Owns the grammar `scheme SP name=value *(COMMA name=value)` of challenges and credentials. RFC 3261 25.1, RFC 7235 2.1.
import { fail, ok } from "@sallyport/kit";
import type { Result } from "@sallyport/kit";
import { skipQuoted, skipSpace, skipToken, unquote } from "../message/chars.ts";

export type DigestParseCode =
  /** Not the Digest scheme: to be ignored, another header may carry one we know. RFC 4475 3.3.7. */
  | "scheme"
  | "syntax"
  /** A parameter came twice. */
  | "repeated"
  /** A parameter that must be there is not. */
  | "missing";

/** Names in lower case; values without quotes. */
export type AuthParams = ReadonlyMap<string, string>;

const endsValue = (code: number): boolean => code === 44 || code === 34 || code === 32 || code === 9;

export const parseDigestParams = (value: string): Result<AuthParams, DigestParseCode> => {
  const start = skipSpace(value, 0);
  const schemeEnd = skipToken(value, start);
  if (value.slice(start, schemeEnd).toLowerCase() !== "digest") return fail("scheme");
  const params = new Map<string, string>();
  for (let at = skipSpace(value, schemeEnd); at < value.length;) {
    const nameEnd = skipToken(value, at);
    const equals = skipSpace(value, nameEnd);
    if (nameEnd === at || value.charCodeAt(equals) !== 61) return fail("syntax");
    const from = skipSpace(value, equals + 1);
    let to = from;
    if (value.charCodeAt(from) === 34) to = skipQuoted(value, from);
    else while (to < value.length && !endsValue(value.charCodeAt(to))) to += 1;
    if (to <= from) return fail("syntax");
    const name = value.slice(at, nameEnd).toLowerCase();
    if (params.has(name)) return fail("repeated");
    params.set(name, unquote(value.slice(from, to)));
    at = skipSpace(value, to);
    if (at === value.length) break;
    if (value.charCodeAt(at) !== 44) return fail("syntax");
    at = skipSpace(value, at + 1);
    if (at === value.length) return fail("syntax");
  }
  return params.size === 0 ? fail("syntax") : ok(params);
};
