// Owns the words for who is at the other end: peers, listening points, TLS material. No sockets here.
import type { Endpoint } from "@sallyport/kit";

export type H248Protocol = "udp" | "tcp" | "tls";

/** PEM texts, not paths. Both ends of Iq show a certificate and verify the other's. */
export interface H248TlsMaterial {
  readonly key: string;
  readonly cert: string;
  /** The only authorities a peer's certificate may come from. */
  readonly ca: string;
}

/** The other end: of a connection, or an address that datagrams come from. Two of the same `id` are the same peer. */
export interface H248Peer {
  readonly id: string;
  readonly protocol: H248Protocol;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** DNS, URI and IP names of the verified certificate, lower case; [] without TLS. */
  readonly peerNames: readonly string[];
  /** TLS with both certificates verified. */
  readonly protected: boolean;
}

export interface H248ListenSpec {
  readonly protocol: H248Protocol;
  readonly address: string;
  /** 0 lets the system choose. 2944 is registered for text encoding without protection. */
  readonly port: number;
  /** Required for "tls". */
  readonly tls?: H248TlsMaterial;
}

export interface H248ConnectSpec {
  readonly protocol: H248Protocol;
  /** An IP literal or a host name. */
  readonly address: string;
  readonly port: number;
  readonly tls?: H248TlsMaterial;
  /** The name the peer's certificate must carry; the address when absent. */
  readonly serverName?: string;
  /** UDP: send from this listening point; a socket of its own when absent. */
  readonly from?: H248Listening;
}

export interface H248Listening {
  readonly protocol: H248Protocol;
  readonly address: string;
  readonly port: number;
}

export interface H248WireEvent {
  readonly direction: "in" | "out";
  readonly octets: Buffer;
  readonly peer: H248Peer;
  readonly at: number;
}

export interface H248Transport {
  /** @throws SALLY_H248_LISTEN */
  listen(spec: H248ListenSpec): Promise<H248Listening>;
  /**
   * Opens a connection, or names a datagram peer.
   * A server refuses a TLS 1.3 client's certificate only after the client's handshake is done: then `onPeerClosed` follows.
   * @throws SALLY_H248_CONNECT
   */
  connect(spec: H248ConnectSpec): Promise<H248Peer>;
  /** Hands one message to the system; false when the peer's connection is gone or is not reading. */
  send(octets: Uint8Array, peer: H248Peer): boolean;
  /** Octets of the largest message that can be sent to this peer. */
  maxMessage(peer: H248Peer): number;
  /** Ends a peer's connection; `onPeerClosed` follows. Of datagrams: closes the socket that `connect` opened for it. */
  disconnect(peer: H248Peer): void;
  readonly listening: readonly H248Listening[];
  /** Open connections, those in their handshake included. */
  readonly connections: number;
  close(): Promise<void>;
}

export interface H248TransportLimits {
  /** Octets of one message on a stream. */
  readonly maxFrame: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** A TLS handshake, or a frame that was begun, must be complete after this long. */
  readonly progressMs: number;
  /** Octets waiting for a peer that does not read; more closes the connection. */
  readonly maxUnsent: number;
  /** Octets of the largest datagram we send. */
  readonly maxDatagram: number;
}

export const defaultH248TransportLimits: H248TransportLimits = {
  maxFrame: 65_531,
  maxConnections: 512,
  maxConnectionsPerAddress: 64,
  progressMs: 10_000,
  maxUnsent: 4 * 1024 * 1024,
  maxDatagram: 65_507,
};
