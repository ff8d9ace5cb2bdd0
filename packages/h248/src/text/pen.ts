// Owns how a message is laid out: long tokens on indented lines, or short tokens without white space (H.248.1 Annex B.2).
// Refuses what the grammar has no form for, so that a caller's value can never become another token.
import { h248Errors } from "../errors.ts";
import { isDigitMapText, isQuotable, isWord } from "./characters.ts";
import { trimSdp } from "./sdp-text.ts";
import { shortForm } from "./tokens.ts";
import type { Keyword } from "./tokens.ts";

export type H248Style = "pretty" | "compact";

const unwritable = (what: string): Error => h248Errors("SALLY_H248_UNWRITABLE", what);

export class Pen {
  readonly #pretty: boolean;
  readonly #parts: string[] = [];
  #depth = 0;

  constructor(style: H248Style) {
    this.#pretty = style === "pretty";
  }

  /** Text that needs no check. */
  raw(text: string): void {
    this.#parts.push(text);
  }

  keyword(keyword: Keyword): void {
    this.#parts.push(this.#pretty ? keyword : shortForm(keyword));
  }

  word(text: string): void {
    if (!isWord(text)) throw unwritable("A name holds a character that names cannot hold.");
    this.#parts.push(text);
  }

  equals(): void {
    this.#parts.push(this.#pretty ? " = " : "=");
  }

  number(value: number, max: number): void {
    if (!Number.isInteger(value) || value < 0 || value > max) throw unwritable(`A number is not within 0..${max}.`);
    this.#parts.push(String(value));
  }

  quoted(text: string): void {
    if (!isQuotable(text)) throw unwritable("A quoted string holds a quote, a line end or a non-ASCII character.");
    this.#parts.push(`"${text}"`);
  }

  value(text: string, quoted: boolean): void {
    if (!quoted && isWord(text)) this.#parts.push(text);
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

  /** `{ item, item }`, an item a line when pretty. */
  block(items: readonly (() => void)[]): void {
    if (items.length === 0) throw unwritable("A list is empty where the grammar wants an element.");
    this.#parts.push(this.#pretty ? " {" : "{");
    this.#depth++;
    items.forEach((item, at) => {
      if (at > 0) this.#parts.push(",");
      this.newLine();
      item();
    });
    this.#depth--;
    this.newLine();
    this.#parts.push("}");
  }

  /** The blank before an inline list. */
  gap(): void {
    if (this.#pretty) this.#parts.push(" ");
  }

  /** `{ a, b }` or `[a, b]` on one line. */
  inline(open: "{" | "[", items: readonly (() => void)[]): void {
    if (items.length === 0) throw unwritable("A list is empty where the grammar wants an element.");
    this.#parts.push(open);
    items.forEach((item, at) => {
      if (at > 0) this.#parts.push(this.#pretty ? ", " : ",");
      item();
    });
    this.#parts.push(open === "{" ? "}" : "]");
  }

  /** The octets of Local or Remote, with the closing brace at the start of a line of its own. */
  octets(text: string): void {
    if (text.includes("\0")) throw unwritable("SDP holds a NUL octet.");
    if (/[\u0100-\uffff]/.test(text)) throw unwritable("SDP is not held as octets.");
    const lines = trimSdp(text).replaceAll("}", "\\}");
    this.#parts.push(this.#pretty ? " {\r\n" : "{", lines, "}");
  }

  digitMap(value: string): void {
    const trimmed = value.trim();
    if (trimmed === "" || !isDigitMapText(trimmed)) throw unwritable("A digit map holds a brace or is empty.");
    this.#parts.push(`{${trimmed}}`);
  }

  newLine(): void {
    if (this.#pretty) this.#parts.push("\r\n", "  ".repeat(this.#depth));
  }

  toBuffer(): Buffer {
    return Buffer.from(this.#parts.join(""), "latin1");
  }
}
