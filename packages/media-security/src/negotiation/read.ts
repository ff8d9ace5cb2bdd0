// Owns the questions a decision asks of one m-line. Changes nothing, decides nothing.
// RFC 3264 5.1 and 8.4 (direction, hold), RFC 3605 (a=rtcp), RFC 5761 (rtcp-mux), RFC 3551 and RFC 5124 (profiles).
import { isIP } from "node:net";
import { isLoopback, isNotUnicast, isUnspecified } from "@sallyport/kit";
import {
  attributeName,
  attributeValues,
  connectionOf,
  hasAttribute,
  type SdpDocument,
  type SdpLine,
  type SdpMedia,
} from "@sallyport/sdp";
import { parse3ge2ae } from "../sdes/indication.ts";
import type { RemoteAddress } from "./model.ts";
import type { AgreedLine, Direction, PartyEnd, Sides } from "./state.ts";

/** `secure` and `clear` are the pair AVP/SAVP or AVPF/SAVPF, never crossed. */
export interface Profile {
  readonly is: "secure" | "clear";
  readonly sides: Sides<string>;
}

/** The profile of an m-line; undefined for anything but RTP/AVP(F) and RTP/SAVP(F). */
export const profileOf = (protocol: string): Profile | undefined => {
  switch (protocol.toUpperCase()) {
    case "RTP/AVP":
      return { is: "clear", sides: { access: "RTP/SAVP", core: protocol } };
    case "RTP/AVPF":
      return { is: "clear", sides: { access: "RTP/SAVPF", core: protocol } };
    case "RTP/SAVP":
      return { is: "secure", sides: { access: protocol, core: "RTP/AVP" } };
    case "RTP/SAVPF":
      return { is: "secure", sides: { access: protocol, core: "RTP/AVPF" } };
    default:
      return undefined;
  }
};

/** SRTP keyed between the UEs by other means than ours: DTLS-SRTP over UDP, DCCP (RFC 5762 5.2) or TCP (RFC 7850 3). */
const isDtls = (protocol: string): boolean => /\/D?TLS\/RTP\/SAVPF?$/i.test(protocol);

/** SRTP in TCP (RFC 4571) or DCCP (RFC 5762), keyed by SDES as any other, which this gateway does not carry. */
export const isUncarried = (protocol: string): boolean => /^(?:TCP|DCCP)\/RTP\/SAVPF?$/i.test(protocol);

/** SRTP that is the UEs' own business where nobody asks for more. */
export const isBetweenUes = (protocol: string): boolean =>
  profileOf(protocol)?.is === "secure" || isDtls(protocol) || isUncarried(protocol);

/** The UE's "e2ae-security requested by UE"; `odd` when it is not written as TS 24.229 7.5.2 has it. */
export const requestsE2ae = (lines: readonly SdpLine[]): { readonly odd: boolean } | undefined => {
  const found = attributeValues(lines, "3ge2ae").filter((value) => parse3ge2ae(value) === "requested");
  return found.length === 0 ? undefined : { odd: !found.includes("requested") };
};

const capabilityAttributes = new Set(["acap", "tcap", "pcfg", "acfg"]);

/** A potential configuration (RFC 5939) that would carry a key or name SRTP. */
export const offersCapability = (line: SdpLine): boolean =>
  capabilityAttributes.has(attributeName(line) ?? "") && /crypto|savp|key-mgmt|inline/i.test(line.value);

/** Clear media now and SRTP as a potential configuration: an indication beside it speaks of that one (RFC 5939 3.5.1). */
export const offersSrtpInstead = (document: SdpDocument, media: SdpMedia): boolean =>
  profileOf(media.protocol)?.is === "clear" &&
  hasAttribute(media.lines, "pcfg") &&
  [...media.lines, ...document.session].some(offersCapability);

/** T.38 without DTLS (RFC 7345 would protect it). */
export const isClearT38 = (media: SdpMedia): boolean =>
  media.media.toLowerCase() === "image" && /^(udptl|tcptl)$/i.test(media.protocol);

/** Voice, pictures or anything else in RTP that nothing protects. */
export const isClearMedia = (media: SdpMedia): boolean => {
  const profile = profileOf(media.protocol)?.is;
  if (profile !== undefined) return profile === "clear";
  return !/savp/i.test(media.protocol) && /^(audio|video|text)$/i.test(media.media);
};

/** What is in force, where the m-line still carries the same medium (RFC 3264 8.3.3 lets it change): no key goes over. */
export const sameMedium = (base: AgreedLine | undefined, media: SdpMedia): AgreedLine | undefined =>
  base?.media.toLowerCase() === media.media.toLowerCase() ? base : undefined;

const directions = ["sendrecv", "sendonly", "recvonly", "inactive"] as const;

const directionOf = (document: SdpDocument, index: number): (typeof directions)[number] => {
  for (const lines of [document.media[index]?.lines ?? [], document.session]) {
    const found = directions.find((name) => hasAttribute(lines, name));
    if (found !== undefined) return found;
  }
  return "sendrecv";
};

/**
 * RFC 3605 2.1: `port [IN IP4|IP6 address]`. An address the gateway could not send to from where it sends media (a name,
 * another family, the unspecified one, this machine's own, one of many) is passed over: RTCP follows the media.
 */
const rtcpOf = (value: string | undefined, address: string): Pick<RemoteAddress, "rtcpPort" | "rtcpAddress"> => {
  const [digits = "", network, , elsewhere = ""] = (value ?? "").trim().split(/[ \t]+/, 4);
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : 0;
  if (port === 0 || port > 65_535) return { rtcpPort: undefined, rtcpAddress: undefined };
  const named = network?.toUpperCase() === "IN" && isIP(elsewhere) === isIP(address) && !isUnspecified(elsewhere);
  const usable = named && !isNotUnicast(elsewhere) && (!isLoopback(elsewhere) || isLoopback(address));
  return { rtcpPort: port, rtcpAddress: usable && elsewhere !== address ? elsewhere : undefined };
};

/** What a party says about its end of an active line; undefined where the gateway could not send to it. */
export const endOf = (document: SdpDocument, index: number, muxed: boolean): PartyEnd | undefined => {
  const media = document.media[index];
  const address = connectionOf(document, index);
  if (media === undefined || address === undefined || isIP(address) === 0) return undefined;
  // A line of several ports (RFC 4566 5.14) is several streams under one key: not for SDES.
  if (media.portCount !== undefined && media.portCount > 1) return undefined;
  // RFC 4568 1: SDES is for unicast. One of many would have the gateway send to all of them.
  const unspecified = isUnspecified(address);
  if (!unspecified && isNotUnicast(address)) return undefined;
  const named = directionOf(document, index);
  const direction: Direction = {
    send: named === "sendrecv" || named === "sendonly",
    receive: !unspecified && (named === "sendrecv" || named === "recvonly"),
  };
  if (unspecified) return { remote: undefined, direction, rtcpMux: muxed };
  const { rtcpAddress, rtcpPort } = rtcpOf(muxed ? `${media.port}` : attributeValues(media.lines, "rtcp")[0], address);
  const remote = { address, port: media.port, rtcpPort, rtcpAddress };
  return { remote, direction, rtcpMux: muxed };
};

export const offersMux = (media: SdpMedia): boolean =>
  hasAttribute(media.lines, "rtcp-mux") || hasAttribute(media.lines, "rtcp-mux-only");
