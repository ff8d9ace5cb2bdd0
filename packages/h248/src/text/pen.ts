// Owns how a message is laid out: long tokens on indented lines, or short tokens without white space (H.248.1 Annex B.2).
// Refuses what the grammar has no form for, so that a caller's value can never become another token.
import { h248Errors } from "../errors.ts";
import { isDigitMapText, isQuotable, isWord } from "./characters.ts";
import { trimSdp } from "./sdp-text.ts";
import { shortForm } from "./tokens.ts";
import type { Keyword } from "./tokens.ts";

export type H248Style = "pretty" | "compact";

const unwritable = (what: string): Error => h248Errors("SALLY_H248_UNWRITABLE", what);

/** A line's end and the indentation of the next, by depth: deeper than messages go, it is made. */
const lineStarts = Array.from({ length: 16 }, (_, depth) => `\r\n${"  ".repeat(depth)}`);

export class Pen {
  readonly #pretty: boolean;
  #text = "";
  #depth = 0;
  /** Nothing stands in the innermost list yet. */
  #fresh = false;

  constructor(style: H248Style) {
    this.#pretty = style === "pretty";
  }

  /** Text that needs no check. */
  raw(text: string): void {
    this.#text += text;
  }

  keyword(keyword: Keyword): void {
    this.#text += this.#pretty ? keyword : shortForm(keyword);
  }

  word(text: string): void {
    if (!isWord(text)) throw unwritable("A name holds a character that names cannot hold.");
    this.#text += text;
  }

  equals(): void {
    this.#text += this.#pretty ? " = " : "=";
  }

  number(value: number, max: number): void {
    if (!Number.isInteger(value) || value < 0 || value > max) throw unwritable(`A number is not within 0..${max}.`);
    this.#text += value;
  }

  quoted(text: string): void {
    if (!isQuotable(text)) throw unwritable("A quoted string holds a quote, a line end or a non-ASCII character.");
    this.#text += `"${text}"`;
  }

  value(text: string, quoted: boolean): void {
    if (!quoted && isWord(text)) this.#text += text;
    else this.quoted(text);
  }

  assignKeyword(name: Keyword, value: Keyword): void {
    this.keyword(name);
    this.equals();
    this.keyword(value);
  }

  assignNumber(name: Keyword, value: number, max: number): void {
    this.keyword(name);
    this.equals();
    this.number(value, max);
  }

  assignWord(name: Keyword, value: string): void {
    this.keyword(name);
    this.equals();
    this.word(value);
  }

  /** Begins `{ item, item }`, an item a line when pretty. Each item begins with `item`. */
  open(): void {
    this.#text += this.#pretty ? " {" : "{";
    this.#depth++;
    this.#fresh = true;
  }

  item(): void {
    if (this.#fresh) this.#fresh = false;
    else this.#text += ",";
    this.newLine();
  }

  close(): void {
    this.#nonEmpty(!this.#fresh);
    this.#depth--;
    this.newLine();
    this.#text += "}";
  }

  /** A whole such list, of items of one kind. */
  block<T>(items: readonly T[], write: (pen: Pen, item: T) => void): void {
    this.open();
    for (const item of items) {
      this.item();
      write(this, item);
    }
    this.close();
  }

  /** The blank before an inline list. */
  gap(): void {
    if (this.#pretty) this.#text += " ";
  }

  /** `{ a, b }` or `[a, b]` on one line. */
  inline<T>(open: "{" | "[", items: readonly T[], write: (pen: Pen, item: T) => void): void {
    this.#nonEmpty(items.length > 0);
    this.#text += open;
    let first = true;
    for (const item of items) {
      if (!first) this.#text += this.#pretty ? ", " : ",";
      first = false;
      write(this, item);
    }
    this.#text += open === "{" ? "}" : "]";
  }

  /** The octets of Local or Remote, with the closing brace at the start of a line of its own. */
  octets(text: string): void {
    if (text.includes("\0")) throw unwritable("SDP holds a NUL octet.");
    if (/[\u0100-\uffff]/.test(text)) throw unwritable("SDP is not held as octets.");
    const lines = trimSdp(text).replaceAll("}", "\\}");
    this.#text += `${this.#pretty ? " {\r\n" : "{"}${lines}}`;
  }

  digitMap(value: string): void {
    const trimmed = value.trim();
    if (trimmed === "" || !isDigitMapText(trimmed)) throw unwritable("A digit map holds a brace or is empty.");
    this.#text += `{${trimmed}}`;
  }

  newLine(): void {
    if (this.#pretty) this.#text += lineStarts[this.#depth] ?? `\r\n${"  ".repeat(this.#depth)}`;
  }

  toBuffer(): Buffer {
    return Buffer.from(this.#text, "latin1");
  }

  #nonEmpty(is: boolean): void {
    if (!is) throw unwritable("A list is empty where the grammar wants an element.");
  }
}

/** For lists of names. */
export const writeWord = (pen: Pen, text: string): void => pen.word(text);
/** For lists of keywords. */
export const writeKeyword = (pen: Pen, keyword: Keyword): void => pen.keyword(keyword);
