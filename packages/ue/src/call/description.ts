// Owns the UE's session descriptions: one audio stream, written and read. Knows no policy and no key's meaning.
// RFC 3264 5 and 6, RFC 4566, RFC 3551 6 (PCMU 0, PCMA 8), RFC 4733 2.4, RFC 3605 (a=rtcp), RFC 5761 5.1.1 (rtcp-mux).
import { isIPv6 } from "node:net";
import { parse3ge2ae } from "@sallyport/media-security";
import {
  attributeValues,
  connectionOf,
  formatCrypto,
  hasAttribute,
  type CryptoAttribute,
  type SdpDocument,
} from "@sallyport/sdp";
import type { Law } from "../media/g711.ts";
import type { RemoteSecurity } from "./security.ts";

export type Direction = "sendrecv" | "sendonly" | "recvonly" | "inactive";

interface LocalEnd {
  readonly address: string;
  readonly rtpPort: number;
  readonly rtcpPort: number;
}

/** What payload types mean, on this m-line. */
export interface Formats {
  /** Speech, most wanted first. */
  readonly speech: readonly { readonly payloadType: number; readonly law: Law }[];
  readonly event?: number;
}

export interface RemoteEnd extends RemoteSecurity {
  /** Position of the m-line. */
  readonly index: number;
  /** 0: the stream is refused. */
  readonly port: number;
  readonly rtcpPort: number;
  readonly address: string;
  readonly mux: boolean;
  readonly formats: Formats;
  readonly direction: Direction;
}

const staticTypes: Readonly<Record<Law, number>> = { PCMU: 0, PCMA: 8 };

export const ownFormats = (codecs: readonly Law[]): Formats => ({
  speech: codecs.map((law) => ({ payloadType: staticTypes[law], law })),
  event: 101,
});

/** The formats both have, in the offerer's order and with the offerer's numbers (RFC 3264 6.1). */
export const commonFormats = (offered: Formats, codecs: readonly Law[]): Formats => ({
  speech: offered.speech.filter(({ law }) => codecs.includes(law)),
  ...(offered.event === undefined ? {} : { event: offered.event }),
});

const reversed: Readonly<Record<Direction, Direction>> = {
  sendrecv: "sendrecv",
  sendonly: "recvonly",
  recvonly: "sendonly",
  inactive: "inactive",
};

/** RFC 3264 6.1: what we may say to their direction, when ours is wished. */
export const answerDirection = (theirs: Direction, wished: Direction): Direction => {
  const may = reversed[theirs];
  if (may === "sendrecv") return wished;
  return wished === "sendrecv" || wished === may ? may : "inactive";
};

export interface DescriptionParts {
  readonly sessionId: string;
  readonly version: number;
  readonly local: LocalEnd;
  readonly mux: boolean;
  readonly formats: Formats;
  readonly direction: Direction;
  readonly protocol: string;
  readonly cryptos: readonly CryptoAttribute[];
  readonly indication?: "requested";
  /** The offer that is answered: its other m-lines are refused in their places. */
  readonly answers?: { readonly offer: SdpDocument; readonly index: number };
}

export const writeDescription = (parts: DescriptionParts): string => {
  const { local, formats } = parts;
  const version = isIPv6(local.address) ? "IP6" : "IP4";
  const types = formats.speech.map(({ payloadType }) => payloadType).concat(formats.event ?? []);
  const stream = [
    `m=audio ${local.rtpPort} ${parts.protocol} ${types.join(" ")}`,
    ...formats.speech.map(({ payloadType, law }) => `a=rtpmap:${payloadType} ${law}/8000`),
    ...(formats.event === undefined
      ? []
      : [`a=rtpmap:${formats.event} telephone-event/8000`, `a=fmtp:${formats.event} 0-15`]),
    "a=ptime:20",
    ...(local.rtcpPort === local.rtpPort + 1 ? [] : [`a=rtcp:${local.rtcpPort}`]),
    ...(parts.mux ? ["a=rtcp-mux"] : []),
    ...parts.cryptos.map((crypto) => `a=crypto:${formatCrypto(crypto)}`),
    ...(parts.indication === undefined ? [] : [`a=3ge2ae:${parts.indication}`]),
    `a=${parts.direction}`,
  ];
  const others = (parts.answers?.offer.media ?? []).map((media, index) =>
    index === parts.answers?.index ? stream : [`m=${media.media} 0 ${media.protocol} ${media.formats[0] ?? "0"}`],
  );
  return [
    "v=0",
    `o=- ${parts.sessionId} ${parts.version} IN ${version} ${local.address}`,
    "s=-",
    `c=IN ${version} ${local.address}`,
    "t=0 0",
    ...(parts.answers === undefined ? stream : others.flat()),
  ]
    .map((line) => `${line}\r\n`)
    .join("");
};

const directions: readonly Direction[] = ["sendrecv", "sendonly", "recvonly", "inactive"];

const formatsOf = (document: SdpDocument, index: number): Formats => {
  const media = document.media[index];
  const names = new Map<number, string>([
    [0, "pcmu/8000"],
    [8, "pcma/8000"],
  ]);
  for (const value of attributeValues(media?.lines ?? [], "rtpmap")) {
    const [type = "", encoding = ""] = value.trim().split(/[ \t]+/);
    // "/1" is the same as no channel count.
    if (/^[0-9]{1,3}$/.test(type)) names.set(Number(type), encoding.toLowerCase().replace(/^([^/]+\/8000)\/1$/, "$1"));
  }
  const speech: { readonly payloadType: number; readonly law: Law }[] = [];
  let event: number | undefined;
  for (const format of media?.formats ?? []) {
    const payloadType = /^[0-9]{1,3}$/.test(format) && Number(format) < 128 ? Number(format) : -1;
    const name = names.get(payloadType);
    if (name === "pcma/8000") speech.push({ payloadType, law: "PCMA" });
    else if (name === "pcmu/8000") speech.push({ payloadType, law: "PCMU" });
    else if (name === "telephone-event/8000") event ??= payloadType;
  }
  return { speech, ...(event === undefined ? {} : { event }) };
};

/** The audio m-line at `index`, or the first one in use. Undefined when there is none that can be read. */
export const readDescription = (document: SdpDocument, index?: number): RemoteEnd | undefined => {
  const inUse = document.media.findIndex((media) => media.media.toLowerCase() === "audio" && media.port !== 0);
  const at = index ?? (inUse === -1 ? document.media.findIndex(({ media }) => media.toLowerCase() === "audio") : inUse);
  const media = document.media[at];
  if (media === undefined || media.media.toLowerCase() !== "audio") return undefined;
  const address = connectionOf(document, at);
  if (address === undefined) return undefined;
  const stated =
    directions.find((each) => hasAttribute(media.lines, each)) ??
    directions.find((each) => hasAttribute(document.session, each)) ??
    "sendrecv";
  const rtcp = Number.parseInt(attributeValues(media.lines, "rtcp")[0] ?? "", 10);
  const mux = hasAttribute(media.lines, "rtcp-mux");
  return {
    index: at,
    protocol: media.protocol,
    port: media.port,
    rtcpPort: rtcp > 0 && rtcp < 65_536 ? rtcp : media.port + 1,
    address,
    mux,
    formats: formatsOf(document, at),
    // RFC 3264 8.4: a connection address of 0.0.0.0 is the old way to say hold.
    direction: address === "0.0.0.0" ? "inactive" : stated,
    cryptos: attributeValues(media.lines, "crypto"),
    indications: attributeValues(media.lines, "3ge2ae").map(parse3ge2ae),
  };
};
