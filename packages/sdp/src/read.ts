// Owns the questions one asks a section of lines. Knows no attribute's meaning. RFC 4566 5.7 (c=), 5.13 (a=).
import type { SdpDocument, SdpLine } from "./document.ts";

/**
 * The name of an a= line, lower case, blanks around it dropped; undefined for any other line. A blank ends it as well as the
 * colon does: no name has one, and some readers end it there.
 */
export const attributeName = (line: SdpLine): string | undefined => {
  if (line.type !== "a") return undefined;
  const colon = line.value.indexOf(":");
  const name = (colon === -1 ? line.value : line.value.slice(0, colon)).trim().toLowerCase();
  const blank = name.search(/[ \t]/);
  return blank === -1 ? name : name.slice(0, blank);
};

/** Whether the line may be an attribute of that name: no is certain, and cheap. */
const mayBe = (line: SdpLine, wanted: string): boolean => {
  if (line.type !== "a") return false;
  const first = line.value.charCodeAt(0);
  return (first | 32) === (wanted.charCodeAt(0) | 32) || first <= 32 || first >= 127;
};

/** The values of `a=name:value`, in order, as written; "" for a flag. The name compares without case. */
export const attributeValues = (lines: readonly SdpLine[], name: string): readonly string[] => {
  const wanted = name.toLowerCase();
  const values: string[] = [];
  for (const line of lines) {
    if (!mayBe(line, wanted) || attributeName(line) !== wanted) continue;
    const colon = line.value.indexOf(":");
    values.push(colon === -1 ? "" : line.value.slice(colon + 1));
  }
  return values;
};

export const hasAttribute = (lines: readonly SdpLine[], name: string): boolean => {
  const wanted = name.toLowerCase();
  return lines.some((line) => mayBe(line, wanted) && attributeName(line) === wanted);
};

/**
 * The words of an o= line and the blanks between them, from the end: the user's name, which some write with blanks, is
 * whatever stands before the last five words. Undefined for fewer than six. RFC 4566 5.2.
 */
export const originParts = (value: string): { readonly before: string; readonly parts: string[] } | undefined => {
  const all = value.trimEnd().split(/([ \t]+)/);
  const cut = all.length - 9;
  return cut < 2 ? undefined : { before: all.slice(0, cut).join(""), parts: all.slice(cut) };
};

/** The address of an m-line: its own c= line, else the session's. Undefined when there is none that can be read. */
export const connectionOf = (document: SdpDocument, index: number): string | undefined => {
  const own = document.media[index]?.lines.find((line) => line.type === "c");
  const line = own ?? document.session.find((each) => each.type === "c");
  const [network, kind, address] = line?.value.trim().split(/[ \t]+/) ?? [];
  if (network?.toUpperCase() !== "IN" || kind === undefined || address === undefined) return undefined;
  // A multicast address carries "/ttl" or "/count" behind it.
  return address.split("/", 1)[0];
};
