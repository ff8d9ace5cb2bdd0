// Owns the line-preserving SDP document: what was read is written back octet for octet. Knows no attribute's meaning.
// RFC 4566 section 5 (lines), 5.14 (m=); also the SDP dialect inside H.248 descriptors, where `$` means "choose".

export interface SdpLine {
  /** The letter before `=`; "" for a blank line at the end of the body. */
  readonly type: string;
  readonly value: string;
  /** The line as on the wire, with its own line end (CRLF, LF, or none at the end of the body). */
  readonly raw: string;
}

export interface SdpMedia {
  /** The m= line first. */
  readonly lines: readonly SdpLine[];
  readonly media: string;
  readonly port: number;
  readonly portCount?: number | undefined;
  /** H.248 only: the port was `$`, and `port` is 0. */
  readonly choosePort?: true | undefined;
  readonly protocol: string;
  readonly formats: readonly string[];
}

/** Text is latin1: one character is one octet, so any octets survive. */
export interface SdpDocument {
  readonly session: readonly SdpLine[];
  readonly media: readonly SdpMedia[];
}

export interface SdpLimits {
  readonly maxOctets: number;
  readonly maxLines: number;
  readonly maxLineLength: number;
  readonly maxMedia: number;
}

export const defaultSdpLimits: SdpLimits = { maxOctets: 65_536, maxLines: 2048, maxLineLength: 8192, maxMedia: 64 };

export interface SdpParseOptions extends Partial<SdpLimits> {
  /** Accept `$` as the port of an m= line (H.248 descriptors). */
  readonly choose?: boolean;
}

/**
 * `size`, `lines`, `line-length`, `media-count`: a limit; `octet`: NUL, a bare CR, or a character above latin1;
 * `line`: not `letter=value`, the letter a small one; `version`: the body does not begin with `v=0`, or begins again; `media`: a bad m= line.
 */
export type SdpParseCode = "size" | "lines" | "line-length" | "media-count" | "octet" | "line" | "version" | "media";

export type SdpParseResult =
  | { readonly ok: true; readonly document: SdpDocument }
  | { readonly ok: false; readonly code: SdpParseCode; readonly offset: number; readonly line: number };

const LF = 0x0a;
const CR = 0x0d;

/** Reads a description. `offset` (octets) and `line` (from 1) of a failure point at the offending line. */
export const parseSdp = (octets: Uint8Array | string, options: SdpParseOptions = {}): SdpParseResult => {
  const {
    maxOctets = defaultSdpLimits.maxOctets,
    maxLines = defaultSdpLimits.maxLines,
    maxLineLength = defaultSdpLimits.maxLineLength,
    maxMedia = defaultSdpLimits.maxMedia,
  } = options;
  const no = (code: SdpParseCode, offset: number, line: number): SdpParseResult => ({ ok: false, code, offset, line });
  if (octets.length > maxOctets) return no("size", maxOctets, 0);
  const text =
    typeof octets === "string"
      ? octets
      : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString("latin1");
  const session: SdpLine[] = [];
  const media: SdpMedia[] = [];
  let section = session;
  let number = 0;
  let blank = false;
  for (let start = 0; start < text.length;) {
    number += 1;
    if (number > maxLines) return no("lines", start, number);
    const next = lineEnd(text, start);
    if (next.bad !== undefined) return no("octet", next.bad, number);
    if (next.content - start > maxLineLength) return no("line-length", start, number);
    const raw = text.slice(start, next.end);
    if (next.content === start) {
      // Peers end bodies with blank lines; anywhere else a blank line is no SDP.
      blank = true;
      section.push({ type: "", value: "", raw });
      start = next.end;
      continue;
    }
    const type = raw.charAt(0);
    if (blank || raw.charAt(1) !== "=" || !isLetter(raw.charCodeAt(0))) return no("line", start, number);
    const line: SdpLine = { type, value: text.slice(start + 2, next.content), raw };
    if ((number === 1) !== (type === "v") || (number === 1 && line.value.trim() !== "0")) {
      return no("version", start, number);
    }
    if (type === "m") {
      if (media.length === maxMedia) return no("media-count", start, number);
      section = [line];
      const read = parseMediaLine(section, line.value, options.choose === true);
      if (read === undefined) return no("media", start, number);
      media.push(read);
    } else section.push(line);
    start = next.end;
  }
  if (number === 0) return no("version", 0, 1);
  return { ok: true, document: { session, media } };
};

/** Where the content of the line at `start` stops and where the next line begins; `bad` is a forbidden character. */
const lineEnd = (text: string, start: number): { content: number; end: number; bad?: number } => {
  for (let at = start; at < text.length; at += 1) {
    const octet = text.charCodeAt(at);
    if (octet === LF) return { content: at, end: at + 1 };
    if (octet === CR && text.charCodeAt(at + 1) === LF) return { content: at, end: at + 2 };
    // RFC 4566 section 9, byte-string: a bare CR could hide a line from us that the next reader sees.
    if (octet === CR || octet === 0 || octet > 0xff) return { content: at, end: at, bad: at };
  }
  return { content: text.length, end: text.length };
};

/** RFC 4566 5: exactly one case-significant character; one who reads `A=` as `a=` would see an attribute that we do not. */
const isLetter = (octet: number): boolean => octet >= 0x61 && octet <= 0x7a;

/** RFC 4566 5.14: `<media> <port>[/<number of ports>] <proto> <fmt> ...`. */
const parseMediaLine = (lines: readonly SdpLine[], value: string, choose: boolean): SdpMedia | undefined => {
  const [media, place, protocol, ...formats] = value.split(/[ \t]/).filter((word) => word !== "");
  if (media === undefined || place === undefined || protocol === undefined) return undefined;
  // One shape, whatever the line says.
  const read = (port: number, portCount?: number, choosePort?: true): SdpMedia => {
    return { lines, media, port, portCount, choosePort, protocol, formats };
  };
  if (choose && place === "$") return read(0, undefined, true);
  const slash = place.indexOf("/");
  const port = portNumber(slash === -1 ? place : place.slice(0, slash));
  if (port === undefined) return undefined;
  if (slash === -1) return read(port);
  const portCount = portNumber(place.slice(slash + 1));
  return portCount === undefined || portCount === 0 ? undefined : read(port, portCount);
};

const portNumber = (text: string): number | undefined => {
  if (!/^[0-9]{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
};

/** The octets of the document: those that were read, where no edit touched them. */
export const writeSdp = (document: SdpDocument): Buffer => {
  const parts: string[] = [];
  for (const line of document.session) parts.push(line.raw);
  for (const media of document.media) for (const line of media.lines) parts.push(line.raw);
  return Buffer.from(parts.join(""), "latin1");
};
