// Owns the message as a whole: authentication header, version, mid, error or transactions (H.248.1 8.3, Annex B.2: megacoMessage).
// Never throws, reads every octet a bounded number of times, and tells of a refused message only where and why.
import { ownText } from "@sallyport/kit";
import { isSpaceCode } from "./characters.ts";
import { Cursor } from "./cursor.ts";
import { defaultH248Limits } from "./limits.ts";
import type { H248Limits, H248ParseFailure, H248Remains } from "./limits.ts";
import type { H248Message, H248Version, Transaction } from "./message.ts";
import { readMid } from "./read-mid.ts";
import { readError } from "./read-property.ts";
import { readTransaction } from "./read-transaction.ts";
import { vocabulary } from "./tokens.ts";

const authentication = vocabulary("Authentication");
const errorWord = vocabulary("Error");
const index = /^0x[0-9a-f]{8}$/i;
const authData = /^0x[0-9a-f]{24,64}$/i;

// B.2 authenticationHeader: obsolete, checked for shape and ignored.
const passAuthentication = (cursor: Cursor): void => {
  if (cursor.keywordIf(authentication) === undefined) return;
  cursor.expect("=");
  for (const [shape, end] of [
    [index, ":"],
    [index, ":"],
    [authData, ""],
  ] as const) {
    cursor.skip();
    const start = cursor.at;
    if (!shape.test(cursor.run())) cursor.fail("header", start);
    if (end !== "") cursor.expect(end);
  }
  if (!cursor.skip()) cursor.fail("header");
};

/** Undefined where there is one that nobody here speaks. */
const readVersion = (cursor: Cursor): H248Version | undefined => {
  const start = cursor.at;
  const header = /^(?:megaco|!)\/(\d{1,2})$/i.exec(cursor.run());
  if (header === null) cursor.fail("header", start);
  else if (!cursor.skip()) cursor.fail("header");
  const version = Number(header?.[1] ?? 0);
  return version === 1 || version === 2 || version === 3 ? version : undefined;
};

const readTransactions = (cursor: Cursor): Transaction[] => {
  const transactions: Transaction[] = [];
  do {
    if (transactions.length >= cursor.limits.maxTransactions) cursor.fail("too-many");
    const transaction = readTransaction(cursor);
    if (transaction !== undefined) transactions.push(transaction);
  } while (cursor.peek() !== "");
  return transactions;
};

const refusal = (cursor: Cursor, remains: H248Remains | undefined): H248ParseFailure => {
  const { code, offset, h248Error } = cursor.failure ?? { code: "syntax", offset: 0, h248Error: 400 };
  const transaction = cursor.transaction;
  if (remains === undefined) return { ok: false, code, offset, h248Error };
  return {
    ok: false,
    code,
    offset,
    h248Error,
    remains: transaction === undefined ? remains : { ...remains, transaction },
  };
};

interface Head {
  /** Where the version stands, and what it is when it is one that is spoken here. */
  readonly start: number;
  readonly spoken: H248Version | undefined;
  readonly mid: string;
}

/** What the latest message began with, up to and with the white space after its mid: a peer begins all of its alike. */
let latest: { readonly text: string; readonly maxName: number; readonly head: Head } | undefined;
const longestKept = 256;

/** Undefined: there is none. */
const readHead = (cursor: Cursor): Head | undefined => {
  const { limits, text } = cursor;
  if (latest !== undefined && text.startsWith(latest.text) && latest.maxName === limits.maxName) {
    cursor.at = latest.text.length;
    cursor.skip();
    return latest.head;
  }
  passAuthentication(cursor);
  cursor.skip();
  const start = cursor.at;
  const spoken = readVersion(cursor);
  const mid = readMid(cursor);
  const end = cursor.at;
  if (!cursor.skip()) cursor.fail("mid");
  if (cursor.failed) return undefined;
  const head = { start, spoken, mid };
  // With the white space that ends it: a comment may end elsewhere in the next.
  if (end < longestKept && isSpaceCode(text.charCodeAt(end))) {
    latest = { text: ownText(text.slice(0, end + 1)), maxName: limits.maxName, head };
  }
  return head;
};

/** Reads one message in text encoding, versions 1 to 3, long and short tokens. */
export const parseH248 = (
  octets: Uint8Array,
  limits?: Partial<H248Limits>,
): { readonly ok: true; readonly message: H248Message } | H248ParseFailure => {
  const bounds = limits === undefined ? defaultH248Limits : { ...defaultH248Limits, ...limits };
  if (octets.length > bounds.maxMessage)
    return { ok: false, code: "too-long", offset: bounds.maxMessage, h248Error: 400 };
  const cursor = new Cursor(octets, bounds);
  const head = readHead(cursor);
  if (head === undefined) return refusal(cursor, undefined);
  const { mid, spoken, start } = head;
  // 11.3: who speaks another version is answered in the one that everybody reads.
  const version = spoken ?? 1;
  const remains: H248Remains = { version, mid };
  if (spoken === undefined) {
    cursor.fail("version", start);
    return refusal(cursor, remains);
  }
  if (cursor.keywordIf(errorWord) !== undefined) {
    const error = readError(cursor);
    if (cursor.peek() !== "") cursor.fail("syntax");
    return cursor.failed
      ? refusal(cursor, remains)
      : { ok: true, message: { version, mid, body: { kind: "error", error } } };
  }
  const transactions = readTransactions(cursor);
  return cursor.failed
    ? refusal(cursor, remains)
    : { ok: true, message: { version, mid, body: { kind: "transactions", transactions } } };
};
