// Owns one stream of a termination as a value, and the pure step from an order to what the plane shall do.
// Knows no socket. H.248.1 7.1.5 to 7.1.8, TS 29.334 5.17.1 (449 with the value), RFC 3605, RFC 5761.
import type { H248Error } from "@sallyport/h248";
import type { InactivityOrder, SessionText, StreamMode, StreamOrder } from "@sallyport/iq";
import { isSecureProtocol, refusal } from "@sallyport/iq";
import type { Result } from "@sallyport/kit";
import { isIpv6Literal, ok } from "@sallyport/kit";
import type { LatchRule, LegPlan, LegRemote, PortRange } from "@sallyport/media-plane";
import { sameCrypto } from "@sallyport/sdp";
import type { CryptoAttribute } from "@sallyport/sdp";
import { destinationOf } from "./destination.ts";
import type { Cryptos } from "./protection.ts";
import { protectionOf } from "./protection.ts";
import type { Rules } from "./rules.ts";
import { mergeRules, planRules, showRules } from "./rules.ts";

/** One side of the gateway: where it binds and which realm that is. */
export interface Interface {
  readonly address: string;
  readonly realm?: string;
  /** Its own ports; else those of the engine. */
  readonly ports?: PortRange;
}

export interface OwnPorts {
  readonly address: string;
  readonly rtpPort: number;
  /** Where RTCP is when it is not multiplexed. */
  readonly rtcpPort: number;
}

export interface StreamState {
  readonly stream: number;
  /** Our description, without key; address and port as chosen are in `own`. */
  readonly local: SessionText;
  readonly remote: SessionText | undefined;
  readonly cryptos: Cryptos;
  readonly mode: StreamMode;
  /** As ordered (H.248.1 7.1.5). */
  readonly reservedGroup: boolean;
  readonly reservedValue: boolean;
  readonly latch: LatchRule;
  readonly inactivity: InactivityOrder | undefined;
  readonly rules: Rules;
}

export interface HeldStream {
  readonly state: StreamState;
  readonly own: OwnPorts;
  /** Where it was opened; it stays there. */
  readonly face: Interface;
}

/** What the termination's signals and events say about this stream; undefined: nothing new. */
export interface StreamExtras {
  readonly latch: LatchRule | undefined;
  /** `none` stops the report. */
  readonly inactivity: InactivityOrder | "none" | undefined;
}

export interface StreamDraft {
  readonly state: StreamState;
  readonly plan: LegPlan;
  /** Something was left to us, so the reply tells what we chose. */
  readonly chose: boolean;
  readonly face: Interface;
}

/** One side of the gateway and what its plane can do. */
export interface Side {
  /** At least one; the first is taken where nothing tells which. */
  readonly faces: readonly Interface[];
  /** Code points can be written. */
  readonly marks: boolean;
}

/** `IN IP4 $` is what controllers write who do not care; nobody writes `IN IP6 $` so. */
const asksForIpv6 = ({ local }: StreamOrder): boolean => {
  const address = local?.kind === "describe" ? local.text.address : undefined;
  return address?.kind === "choose" && address.family === "IP6";
};

/** The address family a description asks for: of what it gives, or of the `$` it leaves to us. */
const familyOf = (order: StreamOrder): boolean | undefined => {
  const remote = order.remote?.kind === "describe" ? order.remote.text.address : undefined;
  if (remote?.kind === "given") return isIpv6Literal(remote.value);
  return asksForIpv6(order) ? true : undefined;
};

const fits = (face: Interface, order: StreamOrder): boolean => {
  const family = familyOf(order);
  return family === undefined || isIpv6Literal(face.address) === family;
};

/** H.248.41: the realm tells the interface; within a realm the address family does. A stream stays where it was opened. */
const faceFor = (side: Side, held: HeldStream | undefined, order: StreamOrder): Result<Interface, H248Error> => {
  const { realm } = order;
  const [only] = side.faces;
  if (realm === undefined && held !== undefined) return ok(held.face);
  const free = realm === undefined && side.faces.length === 1;
  if (free && only !== undefined && fits(only, order) && !asksForIpv6(order)) return ok(only);
  const inRealm = (face: Interface): boolean =>
    realm === undefined || realm.toLowerCase() === face.realm?.toLowerCase();
  if (held !== undefined) return inRealm(held.face) ? ok(held.face) : refusal(449, `ipdc/realm=${realm}`);
  const faces = side.faces.filter(inRealm);
  const [first] = faces;
  if (first === undefined) return refusal(449, `ipdc/realm=${realm}`);
  const face = faces.find((one) => fits(one, order));
  // A Remote of the other family is refused where it is read; an IPv6 address that was asked for is none of IPv4.
  if (asksForIpv6(order) && !isIpv6Literal((face ?? first).address)) return refusal(449, "Local c=IN IP6 $");
  return ok(face ?? first);
};

const keyless = (text: SessionText): SessionText => {
  if (text.crypto === undefined) return text;
  const { address, formats, media, port, protocol, rtcp, rtcpMux } = text;
  return { address, port, media, protocol, formats, rtcp, rtcpMux, crypto: undefined };
};

/** H.248.1 7.1.8: in a Modify `$` keeps what was chosen; an explicit value must be it. */
const judgeLocal = (local: SessionText, own: OwnPorts | undefined): H248Error | undefined => {
  const { address, port, rtcp } = local;
  const strange = (text: string): H248Error => refusal(449, text).error;
  if (address.kind === "none" || port.kind === "none") return refusal(441, "Local without address and port").error;
  if (address.kind === "given" && address.value !== own?.address) return strange(`Local c= ${address.value}`);
  if (port.kind === "given" && port.value !== own?.rtpPort) return strange(`Local port ${port.value}`);
  if (rtcp?.port.kind === "given" && rtcp.port.value !== own?.rtcpPort)
    return strange(`Local a=rtcp:${rtcp.port.value}`);
  return undefined;
};

const remoteOf = (
  text: SessionText | undefined,
  mux: boolean,
  home: string,
): Result<LegRemote | undefined, H248Error> => {
  if (text === undefined || text.address.kind !== "given" || text.port.kind !== "given") return ok(undefined);
  const address = text.address.value;
  const port = text.port.value;
  // RFC 3264 8.2: port 0 is a stream that is not used.
  if (port === 0) return ok(undefined);
  const destination = destinationOf(address, home);
  if (destination === "nobody") return ok(undefined);
  if (isIpv6Literal(address) !== isIpv6Literal(home) || destination === "refused")
    return refusal(449, `Remote c= ${address}`);
  const elsewhere = mux || text.rtcp?.address === address ? undefined : text.rtcp?.address;
  if (
    elsewhere !== undefined &&
    (isIpv6Literal(elsewhere) !== isIpv6Literal(home) || destinationOf(elsewhere, home) !== "usable")
  ) {
    return refusal(449, `Remote a=rtcp address ${elsewhere}`);
  }
  const rtcp = text.rtcp?.port.kind === "given" ? text.rtcp.port.value : port + 1;
  const rtcpPort = mux ? port : rtcp;
  return rtcpPort > 65_535
    ? refusal(449, `Remote port ${port} without a=rtcp`)
    : ok({ address, rtpPort: port, rtcpPort, rtcpAddress: elsewhere });
};

type Described = Pick<StreamState, "local" | "remote" | "cryptos">;

/** A key stays in force until the order brings another one, or the transport stops being secure. */
const describe = (
  before: StreamState | undefined,
  order: StreamOrder,
  secure: (text: SessionText) => boolean,
): Result<Described, H248Error> => {
  const newLocal = order.local?.kind === "describe" ? order.local.text : undefined;
  const newRemote = order.remote?.kind === "describe" ? order.remote.text : undefined;
  const local = newLocal ?? before?.local;
  if (local === undefined) return refusal(441, `Local of stream ${order.stream}`);
  const remote = order.remote?.kind === "release" ? undefined : (newRemote ?? before?.remote);
  if (remote !== undefined && secure(remote) !== secure(local)) {
    return refusal(473, `${local.protocol} in Local, ${remote.protocol} in Remote`);
  }
  const kept = secure(local) ? before?.cryptos : undefined;
  const ours = newLocal?.crypto ?? kept?.local;
  const theirs = newRemote?.crypto ?? (remote === undefined ? undefined : kept?.remote);
  return ok({
    local: keyless(local),
    remote: remote === undefined ? undefined : keyless(remote),
    cryptos: { local: ours, remote: theirs },
  });
};

/** RFC 5761 5.1.1: multiplexed only where both descriptions say so. */
const isMuxed = ({ local, remote }: Pick<StreamState, "local" | "remote">): boolean =>
  local.rtcpMux && (remote === undefined || remote.rtcpMux);

const pickInactivity = (before: StreamState | undefined, extras: StreamExtras): InactivityOrder | undefined =>
  extras.inactivity === "none" ? undefined : (extras.inactivity ?? before?.inactivity);

/** One order on one stream; `held` is what it is now. An error means that nothing shall change. */
export const draftStream = (
  held: HeldStream | undefined,
  order: StreamOrder,
  extras: StreamExtras,
  side: Side,
): Result<StreamDraft, H248Error> => {
  const before = held?.state;
  const chosenFace = faceFor(side, held, order);
  if (!chosenFace.ok) return chosenFace;
  const face = chosenFace.value;
  const described = describe(before, order, (text) => isSecureProtocol(text.protocol));
  if (!described.ok) return described;
  const { local, remote, cryptos } = described.value;
  const strange = order.local?.kind === "describe" ? judgeLocal(local, held?.own) : undefined;
  if (strange !== undefined) return { ok: false, error: strange };
  const mux = isMuxed(described.value);
  if (order.rtcp === false && !mux) return refusal(449, "rtcph/rsb=OFF without a=rtcp-mux");
  const protection = protectionOf(local.protocol, cryptos);
  if (!protection.ok) return protection;
  const mode = order.mode ?? before?.mode ?? "inactive";
  if (protection.value.kind === "awaiting-keys" && before !== undefined && isSecureProtocol(before.local.protocol)) {
    const one = (cryptos.local === undefined) !== (cryptos.remote === undefined);
    // Configured and opened with the key of one direction only: RTP/SAVP activated without keys.
    if (one && mode !== "inactive" && order.local !== undefined && order.remote !== undefined) {
      return refusal(472, `a=crypto in ${cryptos.local === undefined ? "Local" : "Remote"}`);
    }
  }
  const target = remoteOf(remote, mux, face.address);
  if (!target.ok) return target;
  const rules = mergeRules(before?.rules, order);
  const rulePlans = planRules(rules, target.value, face.address, side.marks);
  if (!rulePlans.ok) return rulePlans;
  const latch = extras.latch ?? before?.latch ?? "off";
  const inactivity = pickInactivity(before, extras);
  const state: StreamState = {
    stream: order.stream,
    local,
    remote,
    cryptos,
    mode,
    reservedGroup: order.reservedGroup ?? before?.reservedGroup ?? false,
    reservedValue: order.reservedValue ?? before?.reservedValue ?? false,
    latch,
    inactivity,
    rules,
  };
  const asked = order.local?.kind === "describe" ? order.local.text : undefined;
  const { dscp, policing, sourceFilter } = rulePlans.value;
  const plan: LegPlan = {
    address: face.address,
    ports: face.ports,
    rtcp: mux ? "mux" : "separate",
    protection: protection.value,
    mode,
    remote: target.value,
    latch,
    inactivityMs: inactivity?.afterMs,
    sourceFilter,
    policing,
    dscp,
  };
  const chose =
    (order.local?.kind === "describe" && order.local.chosen === true) ||
    asked?.address.kind === "choose" ||
    asked?.port.kind === "choose" ||
    asked?.rtcp?.port.kind === "choose";
  return ok({ state, plan, chose, face });
};

const sameKey = (a: CryptoAttribute | undefined, b: CryptoAttribute | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameCrypto(a, b);

/** The same keys under the same transport: the plane's contexts must not be touched (RFC 3711 3.3.1). */
export const sameProtection = (a: StreamState, b: StreamState): boolean =>
  isSecureProtocol(a.local.protocol) === isSecureProtocol(b.local.protocol) &&
  sameKey(a.cryptos.local, b.cryptos.local) &&
  sameKey(a.cryptos.remote, b.cryptos.remote);

/** What an audit of LocalControl shows besides the mode. */
export const showControls = (state: StreamState, face: Interface): Readonly<Record<string, string>> => ({
  ...(face.realm === undefined ? {} : { "ipdc/realm": face.realm }),
  "rtcph/rsb": isMuxed(state) ? "OFF" : "ON",
  ...showRules(state.rules),
});

/** What a reply tells about the stream: our description with the real address and ports. */
export const describeOwn = (state: StreamState, own: OwnPorts): SessionText => {
  const { formats, media, protocol, rtcp } = state.local;
  const mux = isMuxed(state);
  // RFC 3605: said where it was asked for, or where it is not port + 1.
  const silent = mux || (rtcp === undefined && own.rtcpPort === own.rtpPort + 1);
  return {
    address: { kind: "given", value: own.address },
    port: { kind: "given", value: own.rtpPort },
    media,
    protocol,
    formats,
    rtcp: silent ? undefined : { port: { kind: "given", value: own.rtcpPort } },
    rtcpMux: mux,
  };
};
