// Owns reading of the lexical elements of H.248.1 Annex B.2: white space, words, quoted strings, numbers, lists.
// The first failure sticks: from then on nothing matches and every loop ends, so that no reader has to throw.
import { isQuotableCode, isSpaceCode, isLineEndCode, isWordCode } from "./characters.ts";
import { errorFor } from "./limits.ts";
import type { H248Limits, H248ParseCode } from "./limits.ts";
import type { Keyword, Vocabulary } from "./tokens.ts";

export interface Value {
  readonly text: string;
  readonly quoted: boolean;
}

export class Cursor {
  readonly text: string;
  readonly limits: H248Limits;
  at = 0;
  failure: { readonly code: H248ParseCode; readonly offset: number; readonly h248Error: number } | undefined;
  /** The transaction being read, for the answer to a broken one. */
  transaction: { readonly kind: "request" | "reply"; readonly id: number } | undefined;
  #items = 0;
  #depth = 0;

  constructor(octets: Uint8Array, limits: H248Limits) {
    this.text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString("latin1");
    this.limits = limits;
  }

  get failed(): boolean {
    return this.failure !== undefined;
  }

  fail(code: H248ParseCode, offset: number = this.at): void {
    if (this.failure !== undefined) return;
    const h248Error = errorFor(code, this.transaction !== undefined);
    this.failure = { code, offset: Math.min(offset, this.text.length), h248Error };
    this.at = this.text.length;
  }

  /** Passes white space and comments; true when there was any. */
  skip(): boolean {
    const start = this.at;
    for (;;) {
      this.skipBlanks();
      if (!this.#stands(";")) return this.at > start;
      while (this.at < this.text.length && !isLineEndCode(this.text.charCodeAt(this.at))) this.at++;
    }
  }

  /** Passes white space only: a comment would be content here. */
  skipBlanks(): void {
    const { text } = this;
    let { at } = this;
    // Not past the end: a code that is no number is looked up very slowly.
    while (at < text.length && isSpaceCode(text.charCodeAt(at))) at++;
    this.at = at;
  }

  /** The next character that is not white space, "" at the end. */
  peek(): string {
    this.skip();
    return this.text.charAt(this.at);
  }

  take(character: string): boolean {
    this.skip();
    return this.takeBound(character);
  }

  expect(character: string): void {
    if (!this.take(character)) this.fail("syntax");
  }

  /** The next character without passing white space. */
  takeBound(character: string): boolean {
    if (!this.#stands(character)) return false;
    this.at++;
    return true;
  }

  /** A run of word characters; "" when there is none. */
  run(): string {
    const { text } = this;
    const start = this.at;
    let at = start;
    while (at < text.length && isWordCode(text.charCodeAt(at))) at++;
    this.at = at;
    return text.slice(start, at);
  }

  word(max: number): string {
    this.skip();
    const start = this.at;
    const word = this.run();
    if (word === "") this.fail("syntax", start);
    else if (word.length > max) this.fail("name", start);
    return this.failed ? "" : word;
  }

  /** A termination id, package item or parameter name. A package item is two names and a slash. */
  name(): string {
    return this.word(2 * this.limits.maxName + 1);
  }

  keyword<K extends Keyword>(words: Vocabulary<K>, code: H248ParseCode = "unknown-word"): K | undefined {
    this.skip();
    const start = this.at;
    const keyword = lookUp(words, this.word(this.limits.maxName));
    if (keyword === undefined) this.fail(code, start);
    return keyword;
  }

  /** Takes the next word only when it is one of these keywords. */
  keywordIf<K extends Keyword>(words: Vocabulary<K>): K | undefined {
    this.skip();
    const start = this.at;
    const keyword = lookUp(words, this.run());
    if (keyword === undefined) this.at = start;
    return keyword;
  }

  assigned<K extends Keyword>(words: Vocabulary<K>): K | undefined {
    this.expect("=");
    return this.keyword(words);
  }

  integer(max: number): number {
    this.skip();
    const start = this.at;
    const number = decimal(this.run(), max);
    if (number === undefined) this.fail("number", start);
    return number ?? 0;
  }

  assignedInteger(max: number): number {
    this.expect("=");
    return this.integer(max);
  }

  quoted(): string {
    this.expect('"');
    const start = this.at;
    while (this.at < this.text.length && isQuotableCode(this.text.charCodeAt(this.at))) this.at++;
    const text = this.text.slice(start, this.at);
    if (!this.takeBound('"')) this.fail("quoted-string");
    return text;
  }

  value(): Value {
    const start = this.at;
    const quoted = this.peek() === '"';
    const text = quoted ? this.quoted() : this.word(this.limits.maxValue);
    if (text.length > this.limits.maxValue) this.fail("too-long", start);
    return { text, quoted };
  }

  /** Counts one list element of the message. */
  count(): void {
    if (++this.#items > this.limits.maxItems) this.fail("too-many");
  }

  /** `{ item, item }` with at least one item; `open` may also be `[`. */
  list<T>(item: (cursor: Cursor) => T, open: "{" | "[" = "{"): T[] {
    const items: T[] = [];
    this.expect(open);
    do {
      this.count();
      items.push(item(this));
    } while (this.take(","));
    this.expect(open === "{" ? "}" : "]");
    return items;
  }

  /** A list, or nothing where no `{` follows. */
  listIf<T>(item: (cursor: Cursor) => T): T[] {
    return this.peek() === "{" ? this.list(item) : [];
  }

  /** A list whose items go where the reader puts them: a function made for each list costs more than most of its items do. */
  each<A, B>(item: (cursor: Cursor, into: A, seen: B) => void, into: A, seen: B): void {
    this.expect("{");
    do {
      this.count();
      item(this, into, seen);
    } while (this.take(","));
    this.expect("}");
  }

  /** Runs a reader that may contain itself. */
  nested<T>(read: () => T, otherwise: T): T {
    if (this.#depth >= this.limits.maxDepth) {
      this.fail("too-deep");
      return otherwise;
    }
    this.#depth++;
    const result = read();
    this.#depth--;
    return result;
  }

  /** Fails when the same thing stands twice where it may stand once. For few things: keywords of one place. */
  once<T>(seen: T[], what: T): void {
    if (seen.includes(what)) this.fail("duplicate");
    else seen.push(what);
  }

  /** The octets between `{` and the first `}` that is not escaped, `\}` undone, white space at both ends as the grammar drops it. */
  octets(): string {
    this.expect("{");
    this.skipBlanks();
    const start = this.at;
    let end = start;
    for (;;) {
      end = this.text.indexOf("}", end);
      if (end < 0) {
        this.fail("octets", start);
        return "";
      }
      if (end === start || this.text[end - 1] !== "\\") break;
      end++;
    }
    const raw = this.text.slice(start, end);
    const nul = raw.indexOf("\0");
    if (nul >= 0) this.fail("octets", start + nul);
    else this.at = end + 1;
    return raw.includes("\\") ? raw.replaceAll("\\}", "}") : raw;
  }

  /** Text between `{` and `}` as it stands, white space at both ends dropped. */
  braced(): string {
    this.expect("{");
    this.skipBlanks();
    const start = this.at;
    const end = this.text.indexOf("}", start);
    if (end < 0) {
      this.fail("syntax", start);
      return "";
    }
    let last = end;
    while (last > start && isSpaceCode(this.text.charCodeAt(last - 1))) last--;
    this.at = end + 1;
    return this.text.slice(start, last);
  }

  #stands(character: string): boolean {
    return this.at < this.text.length && this.text.charCodeAt(this.at) === character.charCodeAt(0);
  }
}

/** As nearly everybody writes it, else in any case. */
const lookUp = <K extends Keyword>(words: Vocabulary<K>, word: string): K | undefined =>
  words.get(word) ?? words.get(word.toLowerCase());

/** A decimal number of at most ten digits and at most `max`. */
export const decimal = (text: string, max: number): number | undefined => {
  if (text.length === 0 || text.length > 10) return undefined;
  let number = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number > max ? undefined : number;
};

export const uint16 = 0xffff;
export const uint32 = 0xffff_ffff;

/** What a reader fills before it is handed out as readonly. */
export type Draft<T> = { -readonly [K in keyof T]: T[K] };
