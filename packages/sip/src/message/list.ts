// Owns the comma: cutting a header value into elements with quotes, escapes and <> respected. RFC 3261 7.3.1.
import { skipQuoted } from "./chars.ts";

/** The elements of a comma separated value, trimmed; empty elements are dropped. An open quote or `<` runs to the end. */
export const splitList = (value: string): readonly string[] => {
  if (!value.includes(",")) {
    const only = value.trim();
    return only === "" ? [] : [only];
  }
  const elements: string[] = [];
  let start = 0;
  const push = (end: number): void => {
    const element = value.slice(start, end).trim();
    if (element !== "") elements.push(element);
  };
  let angle = false;
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code === 34 && !angle) {
      const end = skipQuoted(value, at);
      if (end < 0) break;
      at = end - 1;
    } else if (code === 60) angle = true;
    else if (code === 62) angle = false;
    else if (code === 44 && !angle) {
      push(at);
      start = at + 1;
    }
  }
  push(value.length);
  return elements;
};
