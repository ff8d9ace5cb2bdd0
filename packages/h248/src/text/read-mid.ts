// Owns message identifiers and termination names (H.248.1 Annex B.2: mId, terminationIDList). No white space inside a mid.
import { SocketAddress, isIPv4, isIPv6 } from "node:net";
import { decimal, uint16 } from "./cursor.ts";
import type { Cursor } from "./cursor.ts";

/** The text from here up to `end`, which is passed; undefined when it is longer than `max` or not closed. */
const upTo = (cursor: Cursor, end: string, max: number): string | undefined => {
  const start = cursor.at;
  const found = cursor.text.slice(start, start + max + 1).indexOf(end);
  if (found < 0) return undefined;
  cursor.at = start + found + 1;
  return cursor.text.slice(start, start + found);
};

const portAfter = (cursor: Cursor): string => {
  if (!cursor.takeBound(":")) return "";
  const start = cursor.at;
  const port = decimal(cursor.run(), uint16);
  if (port === undefined) cursor.fail("mid", start);
  return `:${port}`;
};

const domainName = /^[a-z0-9][a-z0-9.-]{0,63}$/i;
const mtpAddress = /^[0-9a-f]{4,8}$/i;

/** Its numbers may have leading zeros, and are decimal all the same (Annex B.2: V4hex). */
const ipv4 = (text: string): string | undefined => {
  if (isIPv4(text)) return text;
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return undefined;
  const plain = text.split(".").map(Number).join(".");
  return isIPv4(plain) ? plain : undefined;
};

/** A mid in its canonical form, lower case. */
export const readMid = (cursor: Cursor): string => {
  cursor.skip();
  const start = cursor.at;
  if (cursor.takeBound("[")) {
    const address = upTo(cursor, "]", 45) ?? "";
    const four = ipv4(address);
    if (four !== undefined) return `[${four}]${portAfter(cursor)}`;
    // RFC 5952: one address, one text, however its owner writes it.
    if (isIPv6(address) && !address.includes("%")) {
      return `[${new SocketAddress({ address, family: "ipv6" }).address}]${portAfter(cursor)}`;
    }
  } else if (cursor.takeBound("<")) {
    const name = upTo(cursor, ">", 64) ?? "";
    if (domainName.test(name)) return `<${name}>${portAfter(cursor)}`.toLowerCase();
  } else {
    const name = cursor.run();
    if (name.toLowerCase() === "mtp" && cursor.take("{")) {
      cursor.skip();
      const address = cursor.run();
      if (mtpAddress.test(address) && cursor.take("}")) return `mtp{${address}}`.toLowerCase();
    } else if (name !== "" && name.length <= cursor.limits.maxName) {
      return name.toLowerCase();
    }
  }
  cursor.fail("mid", start);
  return "";
};

/** A termination id, or a version 3 list of them, as one text without white space. */
export const readTermination = (cursor: Cursor): string =>
  cursor.peek() === "["
    ? `[${cursor.list(() => cursor.word(cursor.limits.maxName), "[").join(",")}]`
    : cursor.word(cursor.limits.maxName);
