// Owns edits as data: what an edit names is changed, every other line keeps its octets. Knows no attribute's meaning.
// Line order of RFC 4566 section 5; new lines take the document's own line end, changed lines keep theirs.
import { isIP, isIPv6 } from "node:net";
import type { SdpDocument, SdpLine, SdpMedia } from "./document.ts";
import { sdpErrors } from "./errors.ts";
import { attributeName, originParts } from "./read.ts";

/** An m-line by its index from 0, or the lines before the first of them. */
export type SdpPlace = number | "session";

export type SdpEdit =
  /** Rewrites an m= line. A new port drops a port count. Formats, where given, replace all. */
  | {
      readonly kind: "media";
      readonly index: number;
      readonly port?: number;
      readonly protocol?: string;
      readonly formats?: readonly string[];
    }
  /** Sets or adds the c= line; IP4 or IP6 by the literal. */
  | { readonly kind: "connection"; readonly place: SdpPlace; readonly address: string }
  /** Positions inside the section as it was handed to `applyEdits`, whatever edits stand before. */
  | { readonly kind: "remove-lines"; readonly place: SdpPlace; readonly lines: readonly number[] }
  | { readonly kind: "remove-attribute"; readonly place: SdpPlace; readonly name: string }
  /** Replaces the first, removes the others, adds one when there is none. */
  | { readonly kind: "replace-attribute"; readonly place: SdpPlace; readonly name: string; readonly value: string }
  /** At the section's end. Without a value it is a flag. */
  | {
      readonly kind: "add-attribute";
      readonly place: SdpPlace;
      readonly name: string;
      readonly value?: string | undefined;
    }
  /** Changes the fields given of the o= line; an absent or unreadable o= line is written anew. */
  | { readonly kind: "origin"; readonly sessionId?: string; readonly version?: string; readonly address?: string };

/**
 * The document with the edits applied in order.
 * @throws SALLY_SDP_EDIT for a place that is not there, for removing a v= or m= line, and for text no SDP line can hold.
 */
export const applyEdits = (document: SdpDocument, edits: readonly SdpEdit[]): SdpDocument => {
  const end = lineEndOf(document);
  let out = document;
  for (const edit of edits) {
    switch (edit.kind) {
      case "media":
        out = editMediaLine(out, edit);
        break;
      case "connection":
        out = onSection(out, edit.place, (lines) => setConnection(lines, edit.address, end));
        break;
      case "remove-lines":
        out = removeLines(document, out, edit);
        break;
      case "remove-attribute": {
        const name = edit.name.toLowerCase();
        out = onSection(out, edit.place, (lines) => lines.filter((line) => attributeName(line) !== name));
        break;
      }
      case "replace-attribute":
        out = onSection(out, edit.place, (lines) => replaceAttribute(lines, edit.name, edit.value, end));
        break;
      case "add-attribute":
        out = onSection(out, edit.place, (lines) => [...lines, newLine("a", attribute(edit.name, edit.value), end)]);
        break;
      case "origin":
        out = onSection(out, "session", (lines) => setOrigin(lines, edit, end));
        break;
    }
  }
  return out === document ? document : closeLines(out, end);
};

const fail = (detail: string): never => {
  throw sdpErrors("SALLY_SDP_EDIT", detail);
};

const lineEndOf = (document: SdpDocument): string => {
  const first = document.session[0]?.raw ?? "";
  return first.endsWith("\n") && !first.endsWith("\r\n") ? "\n" : "\r\n";
};

/** NUL, CR, LF and what is no latin1 cannot stand inside a line. */
const unwritable = (text: string): boolean => {
  for (let at = 0; at < text.length; at += 1) {
    const octet = text.charCodeAt(at);
    if (octet === 0 || octet === 10 || octet === 13 || octet > 0xff) return true;
  }
  return false;
};

const newLine = (type: string, value: string, end: string): SdpLine => {
  if (unwritable(value)) fail(`The ${type}= line would hold a character that ends or cuts a line.`);
  return { type, value, raw: `${type}=${value}${end}` };
};

/** The same line with another value and its own line end; the very same object when the value is the same. */
const changed = (line: SdpLine, value: string): SdpLine => {
  if (value === line.value) return line;
  return newLine(line.type, value, line.raw.slice(line.type.length + 1 + line.value.length));
};

const attribute = (name: string, value: string | undefined): string => {
  if (name === "" || /[\s:]/.test(name)) fail(`"${name}" is no attribute name.`);
  return value === undefined ? name : `${name}:${value}`;
};

const sectionOf = (document: SdpDocument, place: SdpPlace): readonly SdpLine[] =>
  (place === "session" ? document.session : document.media[place]?.lines) ??
  fail(`There is no m-line ${place}: the document has ${document.media.length}.`);

/** Blank lines at the end of the body stay at the end. */
const onSection = (
  document: SdpDocument,
  place: SdpPlace,
  edit: (lines: readonly SdpLine[]) => readonly SdpLine[],
): SdpDocument => {
  const section = sectionOf(document, place);
  const blanks = section.findIndex((line) => line.type === "");
  const cut = blanks === -1 ? section.length : blanks;
  const lines = blanks === -1 ? edit(section) : [...edit(section.slice(0, cut)), ...section.slice(cut)];
  const { session, media } = document;
  if (place === "session") return { session: lines, media };
  return { session, media: media.map((each, at) => (at === place ? withLines(each, lines) : each)) };
};

/** Written out: one shape for all. */
const withLines = (of: SdpMedia, lines: readonly SdpLine[]): SdpMedia => {
  const { media, port, portCount, choosePort, protocol, formats } = of;
  return { lines, media, port, portCount, choosePort, protocol, formats };
};

const editMediaLine = (document: SdpDocument, edit: SdpEdit & { kind: "media" }): SdpDocument => {
  const first = sectionOf(document, edit.index)[0] as SdpLine;
  const media = document.media[edit.index] as SdpMedia;
  const port = edit.port ?? media.port;
  const protocol = edit.protocol ?? media.protocol;
  const formats = edit.formats ?? media.formats;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) fail(`${port} is no port.`);
  if ([protocol, ...formats].some((word) => word === "" || /\s/.test(word))) fail("An m= line holds words.");
  if (port === media.port && protocol === media.protocol && formats.join(" ") === media.formats.join(" ")) {
    if (media.choosePort === undefined || edit.port === undefined) return document;
  }
  const keep = edit.port === undefined;
  const count = keep && media.portCount !== undefined ? `/${media.portCount}` : "";
  const place = keep && media.choosePort === true ? "$" : `${port}${count}`;
  const line = changed(first, [media.media, place, protocol, ...formats].join(" "));
  const next: SdpMedia = {
    lines: media.lines.with(0, line),
    media: media.media,
    port,
    portCount: keep ? media.portCount : undefined,
    choosePort: keep ? media.choosePort : undefined,
    protocol,
    formats,
  };
  return { session: document.session, media: document.media.with(edit.index, next) };
};

/** RFC 4566 section 5: what may stand before c= in either kind of section. */
const beforeConnection = new Set(["v", "o", "s", "i", "u", "e", "p", "m"]);

const setConnection = (lines: readonly SdpLine[], address: string, end: string): readonly SdpLine[] => {
  if (isIP(address) === 0) fail(`"${address}" is no IP address.`);
  const value = `IN ${isIPv6(address) ? "IP6" : "IP4"} ${address}`;
  const at = lines.findIndex((line) => line.type === "c");
  if (at === -1) {
    const after = lines.findIndex((line) => !beforeConnection.has(line.type));
    const cut = after === -1 ? lines.length : after;
    return [...lines.slice(0, cut), newLine("c", value, end), ...lines.slice(cut)];
  }
  return lines.flatMap((line, position) => {
    if (position === at) return [changed(line, value)];
    return line.type === "c" ? [] : [line];
  });
};

const removeLines = (
  original: SdpDocument,
  document: SdpDocument,
  edit: SdpEdit & { kind: "remove-lines" },
): SdpDocument => {
  const section = sectionOf(original, edit.place);
  const gone = new Set<SdpLine>();
  for (const position of edit.lines) {
    const line = section[position] ?? fail(`There is no line ${position} in section ${edit.place}.`);
    if (position === 0) fail("The v= and m= lines stay.");
    gone.add(line);
  }
  return onSection(document, edit.place, (lines) => lines.filter((line) => !gone.has(line)));
};

const replaceAttribute = (lines: readonly SdpLine[], name: string, value: string, end: string): readonly SdpLine[] => {
  const wanted = name.toLowerCase();
  const at = lines.findIndex((line) => attributeName(line) === wanted);
  const text = attribute(name, value);
  if (at === -1) return [...lines, newLine("a", text, end)];
  return lines.flatMap((line, position) => {
    if (position === at) return [changed(line, text)];
    return attributeName(line) === wanted ? [] : [line];
  });
};

/** RFC 4566 5.2: `<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>`. */
const setOrigin = (lines: readonly SdpLine[], edit: SdpEdit & { kind: "origin" }, end: string): readonly SdpLine[] => {
  const at = lines.findIndex((line) => line.type === "o");
  const read = originParts(lines[at]?.value ?? "");
  const { before, parts } = read ?? { before: "- ", parts: "0 0 IN IP4 0.0.0.0".split(/( )/) };
  if (edit.address !== undefined && isIP(edit.address) === 0) fail(`"${edit.address}" is no IP address.`);
  const put = (position: number, word: string | undefined): void => {
    if (word === undefined) return;
    if (word === "" || /\s/.test(word)) fail("An o= line holds six words.");
    parts[position] = word;
  };
  put(0, edit.sessionId);
  put(2, edit.version);
  if (edit.address !== undefined) put(6, isIPv6(edit.address) ? "IP6" : "IP4");
  put(8, edit.address);
  const value = before + parts.join("");
  if (at === -1) return [...lines.slice(0, 1), newLine("o", value, end), ...lines.slice(1)];
  return lines.map((line, position) => (position === at ? changed(line, value) : line));
};

/** Only the body's last line may lack its line end: one that an edit pushed away from there gets it. */
const closeLines = (document: SdpDocument, end: string): SdpDocument => {
  const sections = [document.session, ...document.media.map((media) => media.lines)];
  const last = sections.findLast((lines) => lines.length > 0)?.at(-1);
  if (!sections.some((lines) => lines.some((line) => line !== last && !line.raw.endsWith("\n")))) return document;
  const close = (lines: readonly SdpLine[]): readonly SdpLine[] =>
    lines.map((line) => (line === last || line.raw.endsWith("\n") ? line : { ...line, raw: line.raw + end }));
  return {
    session: close(document.session),
    media: document.media.map((media) => ({ ...media, lines: close(media.lines) })),
  };
};
