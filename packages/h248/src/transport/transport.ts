// Owns the ways H.248 text messages travel: UDP (H.248.1 Annex D.1), TPKT over TCP (Annex D.2) and over TLS 1.3.
// SCTP (TS 29.334 5.12) is not here: Node has none. Knows no transactions.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { systemDatagrams } from "@sallyport/kit";
import type { Clock, Datagram, Endpoint, Log, OpenDatagram } from "@sallyport/kit";
import { h248Errors } from "../errors.ts";
import { defaultH248TransportLimits } from "./peer.ts";
import type {
  H248ConnectSpec,
  H248ListenSpec,
  H248Listening,
  H248Peer,
  H248Transport,
  H248TransportLimits,
  H248WireEvent,
} from "./peer.ts";
import { Streams } from "./streams.ts";

export interface H248TransportOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  readonly limits?: Partial<H248TransportLimits>;
  /** One whole message; its octets are only lent. */
  onMessage(octets: Buffer, peer: H248Peer): void;
  /** A stream to this peer has ended, for whatever reason. For datagrams: its own socket was closed by `disconnect`. */
  onPeerClosed(peer: H248Peer): void;
  observe?(event: H248WireEvent): void;
}

const datagramPeer = (local: Endpoint, remote: Endpoint): H248Peer => ({
  id: `udp:${remote.address}:${remote.port}@${local.address}:${local.port}`,
  protocol: "udp",
  local,
  remote,
  peerNames: [],
  protected: false,
});

const keyOf = (endpoint: Endpoint): string => `${endpoint.address}:${endpoint.port}`;
const wildcard = (address: string): string => (address.includes(":") ? "::" : "0.0.0.0");

export const createH248Transport = (options: H248TransportOptions): H248Transport => {
  const { clock, log } = options;
  const limits = { ...defaultH248TransportLimits, ...options.limits };
  const sockets = new Map<string, Datagram>();
  /** Of them those that were opened for one peer. */
  const own = new Set<string>();
  const listening: H248Listening[] = [];
  let closed = false;
  /** The peer a datagram came from last: nearly always the next one's too. */
  let latest: H248Peer | undefined;

  const peerOf = (local: Endpoint, from: Endpoint): H248Peer => {
    const { remote, local: ours } = latest ?? { remote: undefined, local: undefined };
    const same = ours === local && remote?.port === from.port && remote.address === from.address;
    if (latest === undefined || !same) latest = datagramPeer(local, from);
    return latest;
  };

  const deliver = (octets: Buffer, peer: H248Peer): void => {
    if (closed) return;
    options.observe?.({ direction: "in", octets: Buffer.from(octets), peer, at: clock.now() });
    options.onMessage(octets, peer);
  };

  const streams = new Streams({
    clock,
    log,
    limits,
    onMessage: deliver,
    onClosed: (peer) => options.onPeerClosed(peer),
  });

  const openSocket = async (address: string, port: number): Promise<Datagram> => {
    // The handlers need the bound address, which is known before the first datagram can be read.
    const bound: { local: Endpoint } = { local: { address, port } };
    const socket = await (options.openDatagram ?? systemDatagrams)(
      { address, port },
      {
        onMessage: (octets, from) => deliver(octets, peerOf(bound.local, from)),
        onError: (error) => log.debug("h248 datagram error", { reason: error.message }),
      },
    );
    bound.local = socket.local;
    if (closed) await socket.close();
    sockets.set(keyOf(socket.local), socket);
    return socket;
  };

  const listenDatagram = async (spec: H248ListenSpec): Promise<H248Listening> => {
    try {
      const { local } = await openSocket(spec.address, spec.port);
      return { protocol: "udp", ...local };
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : "";
      throw h248Errors("SALLY_H248_LISTEN", why, { cause, where: `${spec.address}:${spec.port}` });
    }
  };

  const connectDatagram = async ({ address: host, port, from }: H248ConnectSpec): Promise<H248Peer> => {
    const where = `${host}:${port}`;
    const source = from === undefined ? undefined : sockets.get(keyOf(from));
    if (from !== undefined && source === undefined)
      throw h248Errors("SALLY_H248_CONNECT", "The listening point to send from is not open.", { where });
    try {
      // Answers come from an address: a peer known by its name would be somebody else.
      const remote = { address: isIP(host) === 0 ? (await lookup(host)).address : host, port };
      if (source !== undefined) return datagramPeer(source.local, remote);
      const { local } = await openSocket(wildcard(remote.address), 0);
      own.add(keyOf(local));
      return datagramPeer(local, remote);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : "No socket.";
      throw h248Errors("SALLY_H248_CONNECT", why, { cause, where });
    }
  };

  const disconnectDatagram = (peer: H248Peer): void => {
    const key = keyOf(peer.local);
    if (!own.delete(key)) return;
    void sockets.get(key)?.close();
    sockets.delete(key);
    options.onPeerClosed(peer);
  };

  const sendDatagram = (octets: Uint8Array, peer: H248Peer): boolean => {
    const socket = sockets.get(keyOf(peer.local));
    if (socket === undefined || octets.length > limits.maxDatagram) return false;
    socket.send(octets, peer.remote);
    return true;
  };

  return {
    listening,
    get connections() {
      return streams.size;
    },
    listen: async (spec) => {
      if (closed) throw h248Errors("SALLY_H248_LISTEN", "The transport was closed.");
      const point = await (spec.protocol === "udp" ? listenDatagram(spec) : streams.listen(spec));
      listening.push(point);
      return point;
    },
    connect: async (spec) => {
      if (closed) throw h248Errors("SALLY_H248_CONNECT", "The transport was closed.");
      return spec.protocol === "udp" ? connectDatagram(spec) : streams.connect(spec);
    },
    send: (octets, peer) => {
      if (closed) return false;
      const sent = peer.protocol === "udp" ? sendDatagram(octets, peer) : streams.send(octets, peer);
      if (sent) options.observe?.({ direction: "out", octets: Buffer.from(octets), peer, at: clock.now() });
      return sent;
    },
    maxMessage: (peer) => (peer.protocol === "udp" ? limits.maxDatagram : limits.maxFrame),
    disconnect: (peer) => (peer.protocol === "udp" ? disconnectDatagram(peer) : streams.disconnect(peer)),
    close: async () => {
      closed = true;
      listening.length = 0;
      const open = [...sockets.values()];
      sockets.clear();
      own.clear();
      await Promise.all([streams.close(), ...open.map((socket) => socket.close())]);
    },
  };
};
