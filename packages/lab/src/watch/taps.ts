// Puts a tap on the UDP sockets of one element: what it sent and what it got, octet for octet, and a way to send from its address.
// An attacker on the path sees and can do exactly this.
import type { Datagram, Endpoint, OpenDatagram } from "@sallyport/kit";

export interface TappedPacket {
  readonly direction: "in" | "out";
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly octets: Buffer;
  readonly at: number;
}

export interface Tap {
  /** The wrapped way to open sockets, to be handed to the element. */
  readonly open: OpenDatagram;
  readonly packets: readonly TappedPacket[];
  /** Local ports of the sockets that are open now. */
  readonly ports: readonly number[];
  /** Sends from the socket bound to `localPort`, behind the element's back. */
  inject(localPort: number, octets: Uint8Array, to: Endpoint): void;
}

/** Packets kept by one tap: the demonstration needs a few thousand. */
const packetLimit = 50_000;

export const tapDatagrams = (open: OpenDatagram, now: () => number): Tap => {
  const packets: TappedPacket[] = [];
  const sockets = new Map<number, Datagram>();
  const note = (direction: "in" | "out", local: Endpoint, remote: Endpoint, octets: Uint8Array): void => {
    if (packets.length < packetLimit)
      packets.push({ direction, local, remote, octets: Buffer.from(octets), at: now() });
  };
  const opened: OpenDatagram = async (binding, handlers) => {
    let own: Endpoint = { address: binding.address, port: binding.port };
    const socket = await open(binding, {
      onMessage: (octets, from) => {
        note("in", own, from, octets);
        handlers.onMessage(octets, from);
      },
      onError: (error) => handlers.onError(error),
    });
    own = socket.local;
    sockets.set(own.port, socket);
    return {
      local: own,
      send: (octets, to) => {
        note("out", own, to, octets);
        socket.send(octets, to);
      },
      close: () => {
        sockets.delete(own.port);
        return socket.close();
      },
    };
  };
  return {
    open: opened,
    packets,
    get ports() {
      return [...sockets.keys()];
    },
    inject: (port, octets, to) => sockets.get(port)?.send(octets, to),
  };
};
