// Owns how a decided description is written for the other side: which lines go, which come. Decides nothing.
// TS 33.328 7.2.1 steps 3 and 8, 7.3.1 steps 4 and 7 and both closing sentences; RFC 5761, RFC 3605, RFC 8839, RFC 5939.
import {
  applyEdits,
  attributeName,
  formatCrypto,
  type CryptoAttribute,
  type SdpDocument,
  type SdpEdit,
  type SdpLine,
} from "@sallyport/sdp";
import type { LegAddress } from "./model.ts";
import { holdsKey, keysIn } from "./key-text.ts";
import { offersCapability, profileOf } from "./read.ts";
import { securityAttribute } from "./security-attribute.ts";

/** What stands on one m-line of the body that is sent on. */
export type WrittenLine =
  /** Our gateway's end: new address, profile and, towards the UE, crypto lines and the indication. */
  | {
      readonly kind: "ours";
      readonly profile: string;
      readonly local: LegAddress;
      readonly unspecified: boolean;
      readonly mux: boolean;
      readonly crypto: readonly CryptoAttribute[];
      readonly applied: boolean;
    }
  | { readonly kind: "off"; readonly profile: string }
  /** `bared`: no potential configuration of this line reached the answerer. */
  | { readonly kind: "passed"; readonly security: "e2e" | "none"; readonly bared: boolean };

/**
 * Keying of other kinds, ICE and other addresses of the media (RFC 4570, RFC 6947), and what is negotiated per hop: none of
 * it holds across the gateway.
 */
const hopAttributes = new Set(
  [
    "crypto 3ge2ae key-mgmt fingerprint setup tls-id dtls-id zrtp-hash identity",
    "tcap acap pcfg acfg csup creq lcfg mcap rmcap omcap mfcap mscap sescap icap bcap ccap",
    "ice-ufrag ice-pwd ice-options ice-lite ice-mismatch ice-pacing ice2",
    "candidate remote-candidates end-of-candidates rtcp rtcp-mux rtcp-mux-only bundle-only",
    "altc alt source-filter cryptex",
  ].flatMap((names) => names.split(" ")),
);

const positions = (lines: readonly SdpLine[], gone: (line: SdpLine) => boolean): readonly number[] =>
  lines.flatMap((line, at) => (at > 0 && gone(line) ? [at] : []));

const nameOf = (line: SdpLine): string => securityAttribute(line) ?? attributeName(line) ?? "";

/** Header extensions that SRTP encrypts (RFC 6904 4): the gateway neither opens nor makes them. */
const isEncryptedExtension = (line: SdpLine): boolean =>
  nameOf(line) === "extmap" && /\surn:ietf:params:rtp-hdrext:encrypt(?:\s|$)/i.test(line.value);

/** Capabilities declared by RFC 3407, which speak of each other by their order; also as gateways write them. */
const isDeclaration = (line: SdpLine): boolean =>
  /^(?:x-)?(?:sqn|cdsc|cap|cpar|cparmin|cparmax)$/.test(attributeName(line) ?? "");

/** Whether to the other side they would promise what ends here. */
const declaresSecurity = (lines: readonly SdpLine[]): boolean =>
  lines.some((line) => isDeclaration(line) && /savp|crypto/i.test(line.value));

/** A key in a text for people. */
const isInline = (line: SdpLine): boolean => line.type !== "a" && /inline:/i.test(line.value);

const isHopLine = (line: SdpLine): boolean =>
  line.type === "k" || hopAttributes.has(nameOf(line)) || isEncryptedExtension(line) || isInline(line);

/** The closing sentences of 7.2.1 and 7.3.1: no indication of another party passes, on whatever line. */
const isIndication = (line: SdpLine): boolean => nameOf(line) === "3ge2ae";

const strayCrypto = (document: SdpDocument, index: number): ((line: SdpLine) => boolean) => {
  const lines = document.media[index]?.lines ?? [];
  // What is left of a configuration would speak of capabilities that are gone, those above all lines too.
  const dangling = new Set(
    [...lines, ...document.session].some(offersCapability) ? ["acap", "tcap", "pcfg", "acfg"] : [],
  );
  return (line) => {
    const name = nameOf(line);
    return name === "crypto" || dangling.has(name);
  };
};

const isClear = (protocol: string): boolean => profileOf(protocol)?.is === "clear" || !/savp/i.test(protocol);

export interface RewriteOptions {
  /** Leave `a=crypto` on AVP lines to the UEs. */
  readonly passBestEffort: boolean;
}

export interface Rewritten {
  readonly document: SdpDocument;
  /** What was taken out, in words without values: for evidence. `stream` 0 is the session part. */
  readonly removed: readonly { readonly stream: number; readonly what: string; readonly indication: boolean }[];
}

const removal = (
  document: SdpDocument,
  index: number,
  line: WrittenLine | undefined,
  keys: ReadonlySet<string>,
  options: RewriteOptions,
): readonly number[] => {
  const media = document.media[index];
  if (media === undefined) return [];
  if (isEdges(line)) {
    const declares = declaresSecurity(media.lines);
    return positions(
      media.lines,
      (each) => isHopLine(each) || holdsKey(each, keys) || (declares && isDeclaration(each)),
    );
  }
  // RFC 4568 defines a=crypto for SRTP profiles only: on a line that was offered as AVP it is nothing but a leak.
  const e2e = line?.kind === "passed" && line.security === "e2e";
  const strips = isClear(media.protocol) ? !options.passBestEffort : !e2e;
  const stray = strayCrypto(document, index);
  const bared = line?.kind === "passed" && line.bared;
  return positions(
    media.lines,
    (each) =>
      isIndication(each) ||
      (strips && stray(each)) ||
      (bared && attributeName(each) === "acfg") ||
      holdsKey(each, keys),
  );
};

const sessionRemoval = (
  document: SdpDocument,
  lines: readonly WrittenLine[],
  keys: ReadonlySet<string>,
  options: RewriteOptions,
) => {
  const touched = lines.some((line) => line.kind !== "passed");
  const shared = lines.some((line, at) => line.kind === "passed" && document.media[at]?.port !== 0);
  const e2e = lines.some((line) => line.kind === "passed" && line.security === "e2e");
  const declares = touched && declaresSecurity(document.session);
  return positions(document.session, (line) => {
    const name = nameOf(line);
    if (name === "3ge2ae") return true;
    // Media level only (RFC 4568 5): here it serves nobody.
    if (name === "crypto") return touched || (!e2e && !options.passBestEffort);
    if (!touched) return !e2e && !options.passBestEffort && offersCapability(line);
    // BUNDLE would put a secured line on the port of another (RFC 8843 7).
    if (name === "group") return /^group:\s*BUNDLE/i.test(line.value);
    if (isInline(line) || holdsKey(line, keys) || (declares && isDeclaration(line))) return true;
    // For lines that protect themselves; the others have no use for it (RFC 4567 3.1).
    if (name === "key-mgmt" || line.type === "k") return !e2e;
    // They speak of every line, also of those whose media the gateway sends from now on.
    if (name === "source-filter" || (name === "cryptex" && !e2e)) return true;
    return shared ? offersCapability(line) : isHopLine(line);
  });
};

/** Lines whose keys end here. */
const isEdges = (line: WrittenLine | undefined): boolean => line?.kind === "ours" || line?.kind === "off";

/** `lines` says for each m-line what to write; the description must have as many. */
export const rewrite = (document: SdpDocument, lines: readonly WrittenLine[], options: RewriteOptions): Rewritten => {
  const removed: { stream: number; what: string; indication: boolean }[] = [];
  const edits: SdpEdit[] = [];
  const drop = (place: number | "session", section: readonly SdpLine[], at: readonly number[]): void => {
    if (at.length === 0) return;
    edits.push({ kind: "remove-lines", place, lines: at });
    for (const position of at) {
      const line = section[position] as SdpLine;
      const what = nameOf(line) || line.type;
      removed.push({ stream: place === "session" ? 0 : place + 1, what, indication: what === "3ge2ae" });
    }
  };
  const keys = keysIn(document.media.filter((_, index) => isEdges(lines[index])));
  drop("session", document.session, sessionRemoval(document, lines, keys, options));
  for (const [index, media] of document.media.entries()) {
    const line = lines[index];
    drop(index, media.lines, removal(document, index, line, keys, options));
    if (line?.kind === "off") edits.push({ kind: "media", index, port: 0, protocol: line.profile });
    if (line?.kind === "ours") edits.push(...ours(index, media.lines, line));
  }
  return { document: edits.length === 0 ? document : applyEdits(document, edits), removed };
};

const ours = (
  index: number,
  lines: readonly SdpLine[],
  line: WrittenLine & { readonly kind: "ours" },
): readonly SdpEdit[] => {
  const { local } = line;
  const add = (name: string, value?: string): SdpEdit => ({
    kind: "add-attribute",
    place: index,
    name,
    value,
  });
  const hadRtcp = lines.some((each) => attributeName(each) === "rtcp");
  // An address of the gateway, read as one: the colon is enough.
  const nowhere = local.address.includes(":") ? "::" : "0.0.0.0";
  return [
    { kind: "media", index, port: local.port, protocol: line.profile },
    // Its own c= line: a session-level one may serve other lines. A hold by unspecified address stays a hold.
    { kind: "connection", place: index, address: line.unspecified ? nowhere : local.address },
    // RFC 3605: RTCP is not on the next port, or the party named its port.
    ...(!line.mux && (hadRtcp || local.rtcpPort !== local.port + 1) ? [add("rtcp", String(local.rtcpPort))] : []),
    ...(line.mux ? [add("rtcp-mux")] : []),
    ...line.crypto.map((crypto) => add("crypto", formatCrypto(crypto))),
    ...(line.applied ? [add("3ge2ae", "applied")] : []),
  ];
};
