// Owns the one reading of a media type. RFC 3261 25.1: m-type SLASH m-subtype *(SEMI m-parameter), where white space may
// stand around each separator. Must not know which types there are.
import { skipSpace, skipToken } from "./chars.ts";
import { parseParams } from "./params.ts";
import type { Params } from "./params.ts";

export interface MediaType {
  /** `type/subtype` in lower case, without white space. */
  readonly name: string;
  /** Undefined where they cannot be read. */
  readonly params: Params | undefined;
}

/** The value of Content-Type; undefined for anything that two readers could take for two things. */
export const parseMediaType = (value: string): MediaType | undefined => {
  const from = skipSpace(value, 0);
  const end = skipToken(value, from);
  const slash = skipSpace(value, end);
  if (end === from || value.charCodeAt(slash) !== 47) return undefined;
  const start = skipSpace(value, slash + 1);
  const stop = skipToken(value, start);
  const after = skipSpace(value, stop);
  if (stop === start || (after < value.length && value.charCodeAt(after) !== 59)) return undefined;
  const name = `${value.slice(from, end)}/${value.slice(start, stop)}`.toLowerCase();
  return { name, params: parseParams(value, after) };
};
