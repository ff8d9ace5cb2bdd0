// Our own listening points: what we call ourselves on each, and which URIs mean us. Pure. RFC 3261 16.4, RFC 5658.
import { isIP } from "node:net";
import { formatHost, parseNameAddr, parseSipUri, type Flow, type SipProtocol, type SipTarget } from "@sallyport/sip";
import type { Side } from "@sallyport/media-security";

/** One bound listening point. */
export interface ListeningPoint {
  readonly name: string;
  readonly side: Side;
  readonly protocol: SipProtocol;
  readonly address: string;
  readonly port: number;
  /** What we write into Via, Path and Record-Route: the advertised host, or the bound address. */
  readonly host: string;
  /** The operator declares the access network confidential. */
  readonly trusted: boolean;
  /** What the network itself says of the access: the value of P-Access-Network-Info without its mark. */
  readonly accessNetworkInfo?: string;
}

export interface Points {
  readonly all: readonly ListeningPoint[];
  ofFlow(flow: Flow): ListeningPoint | undefined;
  /** The point of the core side that reaches a place: by its protocol, from an address of the same family. */
  towardsCore(place: Pick<SipTarget, "protocol" | "address">): ListeningPoint | undefined;
  /** Whether host and port are one of ours; without a port, the protocol's default is meant. */
  readonly isOurs: (host: string, port: number | undefined) => boolean;
  /** The same for a Route value or a URI. */
  ownUri(value: string): { readonly user: string | undefined } | undefined;
}

/** The URI under which we can be reached on a point, with `user` naming what it is about. */
export const pointUri = (point: ListeningPoint, user: string | undefined): string =>
  `sip:${user === undefined ? "" : `${user}@`}${formatHost(point.host)}:${point.port};transport=${point.protocol};lr`;

/** A Request-URI as it is, parameters and all, or the URI in the angles of a Route value. RFC 3261 8.1.2, 20.34. */
export const uriOfHop = (value: string): string =>
  value.includes("<") ? (parseNameAddr(value)?.uri ?? value) : value.trim();

/** The first of those listening points that reaches a place. A socket of all IPv6 addresses reaches IPv4 as well. */
export const pointTowards = <P extends Pick<ListeningPoint, "protocol" | "address">>(
  points: readonly P[],
  { protocol, address }: Pick<SipTarget, "protocol" | "address">,
): P | undefined =>
  points.find((point) => {
    if (point.protocol !== protocol) return false;
    const family = isIP(address);
    return family === 0 || family === isIP(point.address) || point.address === "::";
  });

export const createPoints = (all: readonly ListeningPoint[]): Points => {
  const isOurs = (host: string, port: number | undefined): boolean =>
    all.some(
      (point) =>
        (point.host.toLowerCase() === host.toLowerCase() || point.address === host) &&
        point.port === (port ?? (point.protocol === "tls" ? 5061 : 5060)),
    );
  const core = all.filter(({ side }) => side === "core");
  return {
    all,
    ofFlow: (flow) => all.find((point) => point.name === flow.listener),
    towardsCore: (place) => pointTowards(core, place),
    isOurs,
    ownUri: (value) => {
      const uri = parseSipUri(uriOfHop(value));
      return uri !== undefined && isOurs(uri.host, uri.port) ? { user: uri.user } : undefined;
    },
  };
};
