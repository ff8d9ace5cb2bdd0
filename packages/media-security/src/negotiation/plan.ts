// Owns what the gateway shall have, against what it has. Knows no Iq command and no SDP.
// TS 33.328 6.2.1.3, 7.2.1 steps 2 and 7, 7.3.1 steps 3 and 6; invariant 8: every e2ae stream runs through the gateway.
import { findSuite } from "@sallyport/srtp";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { GatewayPlan, GatewayStream, LegAddress, LegMode, LegWish, Side } from "./model.ts";
import type { Exchange, InstalledStream, PartyEnd, Session } from "./state.ts";

// RFC 3264 5.1: no direction stops RTCP, a gate that is shut would. Where nothing may be received on either side, no RTP is
// sent on either.
const modeOf = (sends: boolean, receives: boolean): LegMode =>
  receives ? (sends ? "send-receive" : "receive-only") : "send-only";

/** The gateway need not know payload types. TS 23.334 8.2. */
const anyFormat: readonly string[] = ["-"];

const legOf = (
  protocol: string,
  media: string,
  end: PartyEnd | undefined,
  mode: LegMode,
  keys?: { readonly localCrypto: CryptoAttribute; readonly remoteCrypto: CryptoAttribute },
): LegWish => ({
  protocol,
  media,
  formats: anyFormat,
  remote: end?.remote,
  rtcpMux: end?.rtcpMux ?? false,
  mode,
  localCrypto: keys?.localCrypto,
  remoteCrypto: keys?.remoteCrypto,
});

/** The streams of a session with both keys: through-connected as both parties' directions allow. */
export const sessionStreams = (session: Session): readonly GatewayStream[] =>
  session.lines.flatMap((line, index) => {
    if (line.kind !== "secured") return [];
    const { access, core } = line.ends;
    const inwards = access.direction.send && core.direction.receive;
    const outwards = core.direction.send && access.direction.receive;
    const keys = { localCrypto: line.towardsUe, remoteCrypto: line.fromUe };
    return [
      {
        stream: index + 1,
        access: legOf(line.profiles.access, line.media, access, modeOf(outwards, inwards), keys),
        core: legOf(line.profiles.core, line.media, core, modeOf(inwards, outwards)),
      },
    ];
  });

/** Streams that an offer needs and the gateway lacks: reserved without keys, so nothing can pass. */
export const reservations = (exchange: Exchange, installed: readonly InstalledStream[]): readonly GatewayStream[] =>
  exchange.lines.flatMap((line, index) => {
    const stream = index + 1;
    if (line.fate !== "secured" || installed.some((each) => each.wish.stream === stream)) return [];
    const end = (side: Side): PartyEnd | undefined =>
      side === exchange.offerer
        ? line.offerer
        : { direction: { send: false, receive: false }, rtcpMux: line.offersMux };
    return [
      {
        stream,
        access: legOf(line.profiles.access, line.media, end("access"), "inactive"),
        core: legOf(line.profiles.core, line.media, end("core"), "inactive"),
      },
    ];
  });

const suiteOf = (crypto: CryptoAttribute): string | undefined => findSuite(crypto.suite)?.name;

// The tag is a matter of one offer and its answer; what protects the stream is suite and key (invariant 4: contexts stay).
const sameCrypto = (a: CryptoAttribute | undefined, b: CryptoAttribute | undefined): boolean => {
  if (a === undefined || b === undefined) return a === b;
  return (
    suiteOf(a) === suiteOf(b) &&
    a.keys.length === b.keys.length &&
    a.keys.every((key, at) => key.master === b.keys[at]?.master)
  );
};

const sameRemote = (a: LegWish["remote"], b: LegWish["remote"]): boolean =>
  a?.address === b?.address && a?.port === b?.port && a?.rtcpPort === b?.rtcpPort && a?.rtcpAddress === b?.rtcpAddress;

const sameLeg = (a: LegWish | undefined, b: LegWish | undefined): boolean => {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.protocol === b.protocol &&
    a.media === b.media &&
    a.formats.length === b.formats.length &&
    a.formats.every((format, at) => format === b.formats[at]) &&
    a.rtcpMux === b.rtcpMux &&
    a.mode === b.mode &&
    sameRemote(a.remote, b.remote) &&
    sameCrypto(a.localCrypto, b.localCrypto) &&
    sameCrypto(a.remoteCrypto, b.remoteCrypto)
  );
};

/** The request that turns what is installed into `wanted`; undefined when nothing would change. */
export const planTowards = (
  installed: readonly InstalledStream[],
  wanted: readonly GatewayStream[],
  options: { readonly removeOthers: boolean },
): GatewayPlan | undefined => {
  const streams = wanted.filter((wish) => {
    const has = installed.find((each) => each.wish.stream === wish.stream)?.wish;
    return has === undefined || !sameLeg(has.access, wish.access) || !sameLeg(has.core, wish.core);
  });
  const remove = options.removeOthers
    ? installed.map(({ wish }) => wish.stream).filter((stream) => !wanted.some((wish) => wish.stream === stream))
    : [];
  if (streams.length === 0 && remove.length === 0) return undefined;
  return { context: installed.length === 0 ? "new" : "existing", streams, remove };
};

const usable = (address: LegAddress | undefined): boolean =>
  address !== undefined && address.address !== "" && address.port > 0 && address.rtcpPort > 0;

/** What is installed after the gateway carried `plan` out; undefined when its reply lacks an address we need. */
export const installPlan = (
  installed: readonly InstalledStream[],
  plan: GatewayPlan,
  reply: { readonly access: readonly LegAddress[]; readonly core: readonly LegAddress[] },
): readonly InstalledStream[] | undefined => {
  const changed = plan.streams.map((wish) => {
    const had = installed.find((each) => each.wish.stream === wish.stream);
    const find = (addresses: readonly LegAddress[]) => addresses.find((each) => each.stream === wish.stream);
    const access = find(reply.access) ?? had?.access;
    const core = find(reply.core) ?? had?.core;
    return { wish, access, core };
  });
  if (!changed.every(({ access, core }) => usable(access) && usable(core))) return undefined;
  const kept = installed.filter(
    ({ wish }) => !plan.remove.includes(wish.stream) && !plan.streams.some((each) => each.stream === wish.stream),
  );
  return [...kept, ...changed].sort((a, b) => a.wish.stream - b.wish.stream);
};
