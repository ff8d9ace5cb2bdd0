// UDP sockets as a port, so that the lab can watch a wire and tests can lose, double and reorder packets.
import { createSocket } from "node:dgram";
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

/** The operating system's UDP sockets. */
export const systemDatagrams: OpenDatagram = (binding, handlers) =>
  new Promise((resolve, reject) => {
    const socket = createSocket({
      type: isIPv6(binding.address) ? "udp6" : "udp4",
      ...(binding.receiveBuffer === undefined ? {} : { recvBufferSize: binding.receiveBuffer }),
    });
    socket.once("error", reject);
    socket.bind(binding.port, binding.address, () => {
      socket.off("error", reject);
      socket.on("error", (error) => handlers.onError(error));
      socket.on("message", (octets, from) => handlers.onMessage(octets, { address: from.address, port: from.port }));
      const { address, port } = socket.address();
      let open = true;
      resolve({
        local: { address, port },
        send: (octets, to) => {
          if (!open) return;
          try {
            socket.send(octets, to.port, to.address, (error) => {
              if (error !== null && open) handlers.onError(error);
            });
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
