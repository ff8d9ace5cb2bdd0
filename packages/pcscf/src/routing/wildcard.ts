// Public identities that stand for many, as a PBX has them for its range of numbers. Pure. TS 23.003 13.4A: an extended regular
// expression between two exclamation marks in the user part. Knows no header.
import { parseSipUri, uriScheme } from "@sallyport/sip";

/** The expressions that are followed: a row of characters, dots and sets, each repeated or not. Others stand for nobody. */
const row = /^(?:(?:[A-Za-z0-9._~-]|\[[A-Za-z0-9-]+\])(?:[*+?]|\{\d{1,2}(?:,\d{0,2})?\})?)+$/;
/** With a few that repeat, matching stays within some thousands of steps whatever a user part looks like. */
const repeated = /[*+?]|\{\d+,/g;
const mostRepeated = 2;
const longestExpression = 64;
const longestPart = 64;

interface Range {
  readonly before: string;
  readonly expression: RegExp;
  readonly after: string;
}

/** User and host of a SIP URI, or the number of a tel URI; undefined for anything else. */
const textOf = (identity: string): string | undefined => {
  if (uriScheme(identity) === "tel") return (identity.split(";")[0] ?? "").slice("tel:".length).toLowerCase();
  const uri = parseSipUri(identity);
  return uri?.user === undefined ? undefined : `${uri.user}@${uri.host.toLowerCase()}`;
};

const rangeOf = (wildcard: string): Range | undefined => {
  const [before = "", expression = "", after = ""] = textOf(wildcard)?.split("!") ?? [];
  if (expression.length > longestExpression || !row.test(expression)) return undefined;
  if ((expression.match(repeated)?.length ?? 0) > mostRepeated) return undefined;
  try {
    return { before, expression: new RegExp(`^(?:${expression})$`), after };
  } catch {
    // A set or a count the wrong way round.
    return undefined;
  }
};

/** Whether an identity is a wildcarded one. */
export const isWildcard = (identity: string): boolean => identity.split("!").length === 3;

/** Whether the wildcarded identity stands for this one, of the same scheme. */
export const standsFor = (wildcard: string, identity: string): boolean => {
  if (!isWildcard(wildcard)) return false;
  const range = rangeOf(wildcard);
  const isTel = uriScheme(identity) === "tel";
  const text = isTel ? textOf(identity)?.replace(/[-.()]/g, "") : textOf(identity);
  if (range === undefined || text === undefined || isTel !== (uriScheme(wildcard) === "tel")) return false;
  const { before, expression, after } = range;
  const part = text.slice(before.length, text.length - after.length);
  return (
    text.length >= before.length + after.length &&
    text.startsWith(before) &&
    text.endsWith(after) &&
    part.length <= longestPart &&
    expression.test(part)
  );
};
