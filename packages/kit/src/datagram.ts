// UDP sockets as a port, so that the lab can watch a wire and tests can lose, double and reorder packets.
import { createSocket, type SocketOptions } from "node:dgram";
import { lookup } from "node:dns";
import { isIPv6 } from "node:net";

export interface Endpoint {
  /** An IPv4 or IPv6 literal, without brackets. */
  readonly address: string;
  readonly port: number;
}

export interface Datagram {
  readonly local: Endpoint;
  /** Sends one datagram; a network error is reported to `onError`, never thrown. */
  send(octets: Uint8Array, to: Endpoint): void;
  close(): Promise<void>;
}

export interface DatagramHandlers {
  /** `octets` is only lent for the duration of the call. */
  onMessage(octets: Buffer, from: Endpoint): void;
  onError(error: Error): void;
}

export interface DatagramBinding {
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Octets of kernel receive buffer to ask for. */
  readonly receiveBuffer?: number;
}

/** Opens a bound socket. Rejects with the system's error (`EADDRINUSE`, `EADDRNOTAVAIL`...). */
export type OpenDatagram = (binding: DatagramBinding, handlers: DatagramHandlers) => Promise<Datagram>;

const isLiteral = (host: string): boolean => {
  if (host.includes(":")) return true;
  for (let at = 0; at < host.length; at += 1) {
    const character = host.charCodeAt(at);
    if (character !== 46 && (character < 48 || character > 57)) return false;
  }
  return host !== "";
};

// Node asks where to send to anew for every datagram. Contracts want literals, which need no asking.
const find: NonNullable<SocketOptions["lookup"]> = (host, options, found) => {
  if (isLiteral(host)) found(null, host, host.includes(":") ? 6 : 4);
  else lookup(host, options, found);
};

/** The operating system's UDP sockets. */
export const systemDatagrams: OpenDatagram = (binding, handlers) =>
  new Promise((resolve, reject) => {
    const socket = createSocket({
      type: isIPv6(binding.address) ? "udp6" : "udp4",
      lookup: find,
      ...(binding.receiveBuffer === undefined ? {} : { recvBufferSize: binding.receiveBuffer }),
    });
    socket.once("error", reject);
    socket.bind(binding.port, binding.address, () => {
      socket.off("error", reject);
      socket.on("error", (error) => handlers.onError(error));
      socket.on("message", (octets, from) => handlers.onMessage(octets, { address: from.address, port: from.port }));
      const { address, port } = socket.address();
      let open = true;
      const sent = (error: Error | null): void => {
        if (error !== null && open) handlers.onError(error);
      };
      resolve({
        local: { address, port },
        send: (octets, to) => {
          if (!open) return;
          try {
            socket.send(octets, to.port, to.address, sent);
          } catch (error) {
            // Node checks the destination before it sends: port 0, no address.
            handlers.onError(error as Error);
          }
        },
        close: () =>
          new Promise((done) => {
            if (!open) return done();
            open = false;
            socket.close(() => done());
          }),
      });
    });
  });
