// The words of the transport layer: flows, listening points, targets, limits (RFC 3261 18, RFC 5626 3).
// Knows nothing of SIP methods, transactions or IMS.
import type { Endpoint } from "@sallyport/kit";

export type SipProtocol = "udp" | "tcp" | "tls";

/** One way to a peer: a connection, or for UDP a pair of addresses. Messages sent on it reach whoever is at the other end. */
export interface Flow {
  /** Unique while the process lives; a connection's id is never given out twice. */
  readonly id: string;
  readonly protocol: SipProtocol;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** The listening point it came in on, or on whose behalf it was opened. */
  readonly listener?: string;
  /** DNS, URI and IP names of the peer's verified certificate; empty when there was none. */
  readonly peerNames: readonly string[];
}

/** PEM texts. `ca` replaces the system's roots. */
export interface TlsMaterial {
  readonly key: string;
  readonly cert: string;
  readonly ca?: string;
  /** As a server: refuse peers without a certificate that `ca` vouches for. */
  readonly requireClientCertificate?: boolean;
}

export interface ListenSpec {
  readonly name: string;
  readonly protocol: SipProtocol;
  /** An IP literal without brackets. */
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Needed for TLS; for a TLS client it is also what connections sent from this listening point show. */
  readonly tls?: TlsMaterial;
  /** Its peers have places of their own, which those of other listening points cannot take. */
  readonly reserved?: boolean;
  /** What a Via says instead of `address`, where `address` is a wildcard or sits behind a translator. */
  readonly advertise?: string;
}

/** A listening point as bound. */
export interface Listening {
  readonly name: string;
  readonly protocol: SipProtocol;
  readonly address: string;
  readonly port: number;
}

export interface SipTarget {
  readonly protocol: SipProtocol;
  /** An IP literal or a host name, looked up by the system's resolver. */
  readonly address: string;
  readonly port: number;
  /** The name the peer's certificate must show; default: `address`. */
  readonly serverName?: string | undefined;
  /** `ca`, and a certificate with its key where the peer wants to see one; default: the listening point's. */
  readonly tls?: Partial<TlsMaterial> | undefined;
  /** Send from this listening point; its TLS material is the client's. */
  readonly listener?: string | undefined;
}

export interface WireEvent {
  readonly direction: "in" | "out";
  /** One whole message. */
  readonly octets: Buffer;
  readonly flow: Flow;
  /** Milliseconds of the transport's clock. */
  readonly at: number;
}

/** Every bound that a peer can run into. Sizes in octets, times in milliseconds. */
export interface TransportLimits {
  readonly maxMessage: number;
  /** Start line and header fields, the empty line included. */
  readonly maxHeaderBlock: number;
  /** From the first octet of a message on a stream to its last. */
  readonly messageMs: number;
  /** How long a connection may stay without having delivered one message. */
  readonly firstMessageMs: number;
  /** How long a connection may stay silent after that: above the longest registration without keep-alives. */
  readonly idleMs: number;
  /** From the first SYN to an open connection, TLS handshake included; also the bound of a handshake we answer. */
  readonly connectMs: number;
  /** RFC 5626 4.4.1: how long to wait for the answer to a keep-alive. */
  readonly pongMs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** What may wait for a peer that does not read. */
  readonly maxUnsent: number;
  /** Malformed messages on one connection before it is closed. */
  readonly maxMalformed: number;
}

export const defaultTransportLimits: TransportLimits = {
  maxMessage: 65_536,
  maxHeaderBlock: 32_768,
  messageMs: 10_000,
  firstMessageMs: 40_000,
  idleMs: 3_900_000,
  connectMs: 10_000,
  pongMs: 10_000,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 1_000,
  maxUnsent: 1_048_576,
  maxMalformed: 8,
};

/** What could not be taken for a SIP message, and what was done about it. */
export interface MalformedInput {
  readonly code: string;
  /** Where in the octets. */
  readonly offset: number;
  /** The status it was answered with, if it could be answered. */
  readonly answered?: number;
  /** The connection was closed because of it. */
  readonly closed: boolean;
}

/** An IPv4 address met on a dual-stack socket, in its own form. */
export const plainAddress = (address: string): string =>
  address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;

/** `192.0.2.1:5060`, `[2001:db8::1]:5060`. */
export const hostPort = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** Where SIP is served when nothing else is said (RFC 3261 19.1.2). */
export const defaultPort = (protocol: SipProtocol): number => (protocol === "tls" ? 5061 : 5060);
