// Owns the written form of message identifiers and termination names (H.248.1 Annex B.2: mId, terminationIDList).
import { h248Errors } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { defaultH248Limits } from "./limits.ts";
import { writeWord } from "./pen.ts";
import type { Pen } from "./pen.ts";
import { readMid } from "./read-mid.ts";

/** The canonical form of a mid, lower case; undefined when the text is none. */
export const canonicalMid = (text: string): string | undefined => {
  const cursor = new Cursor(Buffer.from(text, "latin1"), defaultH248Limits);
  const mid = readMid(cursor);
  return cursor.failed || cursor.at !== text.length ? undefined : mid;
};

/** An element writes its own, again and again. */
let sound = "";

export const writeMid = (pen: Pen, mid: string): void => {
  if (mid !== sound && canonicalMid(mid) === undefined)
    throw h248Errors("SALLY_H248_UNWRITABLE", "A message identifier is malformed.");
  sound = mid;
  pen.raw(mid);
};

export const writeTermination = (pen: Pen, termination: string): void => {
  if (!termination.startsWith("[") || !termination.endsWith("]")) return pen.word(termination);
  return pen.inline("[", termination.slice(1, -1).split(","), writeWord);
};
