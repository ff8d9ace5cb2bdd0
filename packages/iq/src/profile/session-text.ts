// Owns the session description of Local and Remote: what the controller writes into it and what the gateway reads from it.
// Knows no suite and no policy. H.248.1 7.1.8 (`$` chooses, `-` is not given), RFC 4566, RFC 3605, RFC 5761, RFC 4568.
import { isIPv4, isIPv6 } from "node:net";
import type { H248Error } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import { formatCrypto, parseCrypto, releaseCrypto } from "@sallyport/sdp";
import { conceal, refusal } from "./error-text.ts";

/** `$`: the gateway chooses. `-`: not given. */
export type Chosen<T> =
  /** `family`: of an address, where it was said. */
  | { readonly kind: "choose"; readonly family?: "IP4" | "IP6" }
  | { readonly kind: "none" }
  | { readonly kind: "given"; readonly value: T };

/** One media line of Local or Remote. */
export interface SessionText {
  readonly address: Chosen<string>;
  readonly port: Chosen<number>;
  readonly media: string;
  readonly protocol: string;
  readonly formats: readonly string[];
  /** RFC 3605 `a=rtcp`. */
  readonly rtcp?: { readonly port: Chosen<number>; readonly address?: string } | undefined;
  readonly rtcpMux: boolean;
  readonly crypto?: CryptoAttribute | undefined;
}

/** RFC 3711, RFC 5124: SRTP, whose keys are in `crypto`. */
export const isSecureProtocol = (protocol: string): boolean =>
  // As nearly everybody writes them.
  protocol !== "RTP/AVP" && (protocol === "RTP/SAVP" || /^RTP\/SAVPF?$/i.test(protocol));

export const choose = { kind: "choose" } as const;
export const chooseIpv6 = { kind: "choose", family: "IP6" } as const;
export const none = { kind: "none" } as const;
export const given = <T>(value: T): { readonly kind: "given"; readonly value: T } => ({ kind: "given", value });

const maxText = 16_384;
const maxLines = 512;

const show = <T>(value: Chosen<T>): string =>
  value.kind === "choose" ? "$" : value.kind === "none" ? "-" : String(value.value);

const isIpv6Text = (address: Chosen<string>): boolean =>
  // Given addresses have been checked: the colon is enough.
  address.kind === "given" ? address.value.includes(":") : address.kind === "choose" && address.family === "IP6";

const connection = (address: Chosen<string>): string => `IN ${isIpv6Text(address) ? "IP6" : "IP4"} ${show(address)}`;

/** The text, lines ended by CR LF. The one place where Iq writes a key. */
export const writeSessionText = (text: SessionText): string => {
  const formats = text.formats.length === 0 ? "-" : text.formats.join(" ");
  let lines = `v=0\r\nc=${connection(text.address)}\r\n`;
  lines += `m=${text.media} ${show(text.port)} ${text.protocol} ${formats}\r\n`;
  if (text.rtcp !== undefined) {
    const at = text.rtcp.address === undefined ? "" : ` ${connection(given(text.rtcp.address))}`;
    lines += `a=rtcp:${show(text.rtcp.port)}${at}\r\n`;
  }
  if (text.rtcpMux) lines += "a=rtcp-mux\r\n";
  if (text.crypto !== undefined) lines += `a=crypto:${formatCrypto(text.crypto)}\r\n`;
  return lines;
};

const readAddress = (value: string): Chosen<string> | undefined => {
  const first = value.indexOf(" ");
  const second = value.indexOf(" ", first + 1);
  if (first < 0 || second <= first || value.includes(" ", second + 1)) return undefined;
  const network = value.slice(0, first);
  const family = value.slice(first + 1, second);
  const address = value.slice(second + 1);
  if ((network !== "IN" && network !== "$") || (family !== "IP4" && family !== "IP6" && family !== "$"))
    return undefined;
  if (address === "$") return family === "IP6" ? chooseIpv6 : choose;
  if (address === "-") return none;
  if (family !== "IP6" && isIPv4(address)) return given(address);
  return family !== "IP4" && isIPv6(address) ? given(address) : undefined;
};

const readPort = (value: string): Chosen<number> | undefined => {
  if (value === "$") return choose;
  if (value === "-") return none;
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535) return undefined;
  return given(Number(value));
};

/** RFC 4566 5.14: `<port>/<number of ports>`; one is what a port is without it. */
const readMediaPort = (value: string): Chosen<number> | undefined =>
  readPort(value.endsWith("/1") ? value.slice(0, -2) : value);

const readRtcp = (value: string): SessionText["rtcp"] => {
  const blank = value.indexOf(" ");
  const port = readPort(blank === -1 ? value : value.slice(0, blank));
  if (port === undefined) return undefined;
  if (blank === -1) return { port };
  const address = readAddress(value.slice(blank + 1));
  if (address?.kind === "choose") return { port };
  return address?.kind === "given" ? { port, address: address.value } : undefined;
};

interface Draft {
  address: Chosen<string> | undefined;
  media: Pick<SessionText, "media" | "protocol" | "formats" | "port"> | undefined;
  rtcp: SessionText["rtcp"];
  rtcpMux: boolean;
  crypto: CryptoAttribute | undefined;
}

// A description that is echoed must hold nothing but what is one: payload types, or a word of another kind of media.
const mediaName = /^(?:-|[a-z][a-z0-9-]{0,15})$/i;
const formatName = /^(?:\d{1,3}|[-$*]|[a-z][a-z0-9-]{0,11})$/i;

/** Between blanks, however many. */
const wordsOf = (text: string): string[] => {
  const words: string[] = [];
  for (let at = 0; at < text.length; at++) {
    const blank = text.indexOf(" ", at);
    const end = blank < 0 ? text.length : blank;
    if (end > at) words.push(text.slice(at, end));
    at = end;
  }
  return words;
};

const readMediaLine = (draft: Draft, value: string): H248Error | undefined => {
  const all = wordsOf(value);
  const [media, portText, protocol] = all;
  const formats = all.slice(3);
  const port = portText === undefined ? undefined : readMediaPort(portText);
  const words = media !== undefined && mediaName.test(media) && formats.every((format) => formatName.test(format));
  if (!words || port === undefined || protocol === undefined || formats.length === 0) {
    return refusal(474, `m=${conceal(value)}`).error;
  }
  // TS 23.334 8.2: `-` where the gateway need not know the formats; `$` leaves them to one that has none.
  const open = formats.length === 1 && (formats[0] === "-" || formats[0] === "$");
  draft.media = { media, port, protocol, formats: open ? [] : formats };
  return undefined;
};

const readAttribute = (draft: Draft, value: string): H248Error | undefined => {
  const colon = value.indexOf(":");
  const name = (colon === -1 ? value : value.slice(0, colon)).toLowerCase();
  const rest = colon === -1 ? "" : value.slice(colon + 1);
  if (name === "rtcp-mux") {
    draft.rtcpMux = true;
  } else if (name === "rtcp") {
    const rtcp = readRtcp(rest);
    if (rtcp === undefined) return refusal(474, `a=rtcp:${conceal(rest)}`).error;
    draft.rtcp = rtcp;
  } else if (name === "crypto") {
    // TS 33.328 6.2.1.3: exactly one SDES crypto attribute for each direction of a stream.
    if (draft.crypto !== undefined) return refusal(473, "more than one a=crypto in a descriptor").error;
    const crypto = parseCrypto(rest);
    if (!crypto.ok) return refusal(474, `a=crypto: ${crypto.code} at ${crypto.offset}`).error;
    draft.crypto = crypto.crypto;
  }
  return undefined;
};

const readLine = (draft: Draft, line: string): H248Error | undefined => {
  const value = line.slice(2).trim();
  switch (line[0]) {
    case "c": {
      const address = readAddress(value);
      if (address === undefined) return refusal(474, `c=${conceal(value)}`).error;
      draft.address = address;
      return undefined;
    }
    case "m":
      // TS 29.334 5.7: one stream for each media component.
      if (draft.media !== undefined) return refusal(501, "more than one m= line in a stream").error;
      return readMediaLine(draft, value);
    case "a":
      return readAttribute(draft, value);
    default:
      return undefined;
  }
};

const readLines = (draft: Draft, lines: readonly string[]): Result<SessionText, H248Error> => {
  let begun = false;
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]?.trim() ?? "";
    if (line === "") continue;
    if (line.length < 2 || line[1] !== "=") return refusal(474, `session description line ${index + 1}`);
    // H.248.1 7.1.8: optional at the start of a description, and the start of another anywhere else.
    if (begun && line.startsWith("v=")) return refusal(501, "alternative session descriptions");
    begun = true;
    const error = readLine(draft, line);
    if (error !== undefined) return { ok: false, error };
  }
  if (draft.media === undefined) return refusal(474, "session description without m=");
  if (draft.address === undefined) return refusal(474, "session description without c=");
  const { address, rtcp, rtcpMux, crypto } = draft;
  const { port, media, protocol, formats } = draft.media;
  return ok({ address, port, media, protocol, formats, rtcp, rtcpMux, crypto });
};

/** Ended by CR LF, LF or CR; the CR of a CR LF may stay at a line's end. */
const linesOf = (text: string): readonly string[] => {
  const lines = text.split("\n");
  const alone = lines.some((line) => {
    const at = line.indexOf("\r");
    return at >= 0 && at < line.length - 1;
  });
  return alone ? text.split(/\r\n|\r|\n/) : lines;
};

/**
 * Reads Local or Remote of one stream. Errors: 474 bad syntax, 473 two a=crypto, 501 several descriptions or media lines.
 * Lines that do not concern the gateway are passed over.
 */
export const readSessionText = (text: string): Result<SessionText, H248Error> => {
  if (text.length > maxText) return refusal(474, "session description too long");
  const lines = linesOf(text);
  if (lines.length > maxLines) return refusal(474, "session description has too many lines");
  const draft: Draft = { address: undefined, media: undefined, rtcp: undefined, rtcpMux: false, crypto: undefined };
  const read = readLines(draft, lines);
  if (!read.ok && draft.crypto !== undefined) releaseCrypto(draft.crypto);
  return read;
};
