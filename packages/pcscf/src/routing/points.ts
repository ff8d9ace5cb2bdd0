// Our own listening points: what we call ourselves on each, and which URIs mean us. Pure. RFC 3261 16.4, RFC 5658.
import { formatHost, parseNameAddr, parseSipUri, type Flow, type SipProtocol } from "@sallyport/sip";
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
  ofProtocol(side: Side, protocol: SipProtocol): ListeningPoint | undefined;
  /** Whether host and port are one of ours; without a port, the protocol's default is meant. */
  readonly isOurs: (host: string, port: number | undefined) => boolean;
  /** The same for a Route value or a URI. */
  ownUri(value: string): { readonly user: string | undefined } | undefined;
}

/** The URI under which we can be reached on a point, with `user` naming what it is about. */
export const pointUri = (point: ListeningPoint, user: string | undefined): string =>
  `sip:${user === undefined ? "" : `${user}@`}${formatHost(point.host)}:${point.port};transport=${point.protocol};lr`;

export const createPoints = (all: readonly ListeningPoint[]): Points => {
  const isOurs = (host: string, port: number | undefined): boolean =>
    all.some(
      (point) =>
        (point.host.toLowerCase() === host.toLowerCase() || point.address === host) &&
        point.port === (port ?? (point.protocol === "tls" ? 5061 : 5060)),
    );
  return {
    all,
    ofFlow: (flow) => all.find((point) => point.name === flow.listener),
    ofProtocol: (side, protocol) => all.find((point) => point.side === side && point.protocol === protocol),
    isOurs,
    ownUri: (value) => {
      const uri = parseSipUri(parseNameAddr(value)?.uri ?? value);
      return uri !== undefined && isOurs(uri.host, uri.port) ? { user: uri.user } : undefined;
    },
  };
};
