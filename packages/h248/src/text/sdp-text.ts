// Owns the white space around the octets of Local and Remote (H.248.1 Annex B.2): it is the message's, not the SDP's.
import { isSpaceCode } from "./characters.ts";

/**
 * The text without white space at both ends, its last line ended as it was or with CR LF, so that what was
 * parsed is written and parsed again the same. "" stays "".
 */
export const trimSdp = (text: string): string => {
  let first = 0;
  let last = text.length;
  while (first < last && isSpaceCode(text.charCodeAt(first))) first++;
  while (last > first && isSpaceCode(text.charCodeAt(last - 1))) last--;
  if (first === last) return "";
  let end = last;
  while (text[end] === " " || text[end] === "\t") end++;
  const lineEnd = text.startsWith("\r\n", end) ? "\r\n" : text[end] === "\n" || text[end] === "\r" ? text[end] : "\r\n";
  return text.slice(first, last) + lineEnd;
};
