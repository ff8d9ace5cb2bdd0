// Owns the stream listeners and connections: TCP and TLS, how many, from where, and how long a handshake may take.
import { faultOf, sparing, type Clock, type Log, type Sparing } from "@sallyport/kit";
import { createServer, connect as connectTcp, isIP } from "node:net";
import type { Server, Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { h248Errors } from "../errors.ts";
import { createConnection } from "./connection.ts";
import type { Connection, ConnectionHandlers, Intake } from "./connection.ts";
import { verifiedNames } from "./names.ts";
import type {
  H248ConnectSpec,
  H248ListenSpec,
  H248Listening,
  H248Peer,
  H248Protocol,
  H248TransportLimits,
} from "./peer.ts";
import { tlsOptions } from "./tls.ts";

const lastWordsMs = 1000;

/** False stops the reading: nobody may speak before there is a connection. */
const taken = ({ buffer, take }: Intake, octets: number): boolean => {
  take?.(buffer.subarray(0, octets));
  return take !== undefined;
};

export interface StreamOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: H248TransportLimits;
  onMessage(message: Buffer, peer: H248Peer): void;
  onClosed(peer: H248Peer): void;
}

export class Streams {
  readonly #options: StreamOptions;
  readonly #servers = new Set<Server>();
  readonly #connections = new Map<string, Connection>();
  /** Every accepted or opened socket, those in their handshake included. */
  readonly #sockets = new Set<Socket>();
  /** Those of them that have not become a connection, by remote address and port. */
  readonly #handshakes = new Map<string, Socket>();
  readonly #perAddress = new Map<string, number>();
  /** Strangers can make a handshake fail as often as they like. */
  readonly #mayTell: Sparing;
  #count = 0;
  #closed = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#mayTell = sparing(options.clock);
  }

  get size(): number {
    return this.#sockets.size;
  }

  async listen(spec: H248ListenSpec): Promise<H248Listening> {
    const server = this.#server(spec);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) =>
        reject(h248Errors("SALLY_H248_LISTEN", `${faultOf(cause)}.`, { cause, where: `${spec.address}:${spec.port}` })),
      );
      server.listen(spec.port, spec.address, resolve);
    });
    // Later errors (too many open files) concern one connection that was not accepted.
    server.on("error", (error) => this.#options.log.warn("h248 listener error", { reason: error.message }));
    this.#servers.add(server);
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : spec.port;
    return { protocol: spec.protocol, address: spec.address, port };
  }

  async connect(spec: H248ConnectSpec): Promise<H248Peer> {
    const { address, port, protocol } = spec;
    const intake: Intake = { buffer: Buffer.allocUnsafeSlow(65_536), take: undefined };
    const socket = this.#dial(spec, intake);
    const dialled = `${address}:${port}#${++this.#count}`;
    this.#sockets.add(socket);
    this.#handshakes.set(dialled, socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // An error after the first must have a listener too.
    socket.on("error", () => undefined);
    return new Promise<H248Peer>((resolve, reject) => {
      const refuse = (cause: unknown): void => {
        timer.cancel();
        socket.destroy();
        reject(h248Errors("SALLY_H248_CONNECT", `${faultOf(cause)}.`, { cause, where: `${address}:${port}` }));
      };
      const timer = this.#options.clock.after(this.#options.limits.progressMs, () => refuse("no answer in time"));
      const closedEarly = (): void => refuse("the connection was closed");
      socket.once("error", refuse);
      socket.once("close", closedEarly);
      socket.once(protocol === "tls" ? "secureConnect" : "connect", () => {
        timer.cancel();
        socket.off("error", refuse).off("close", closedEarly);
        if (this.#closed) return refuse("the transport is closing");
        return resolve(this.#adopt(socket, protocol, intake));
      });
    }).finally(() => this.#handshakes.delete(dialled));
  }

  send(octets: Uint8Array, peer: H248Peer): boolean {
    return this.#connections.get(peer.id)?.send(octets) ?? false;
  }

  disconnect(peer: H248Peer): void {
    this.#connections.get(peer.id)?.end("disconnected");
  }

  /** Lets what was written go out, for a moment. */
  async close(): Promise<void> {
    this.#closed = true;
    const gone = [...this.#sockets].map((socket) => new Promise((resolve) => void socket.once("close", resolve)));
    const servers = [...this.#servers].map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.#servers.clear();
    for (const socket of this.#handshakes.values()) socket.destroy();
    for (const connection of this.#connections.values()) connection.end("disconnected");
    const cut = this.#options.clock.after(lastWordsMs, () => this.#sockets.forEach((socket) => socket.destroy()));
    await Promise.all([...servers, ...gone]);
    cut.cancel();
  }

  #server(spec: H248ListenSpec): Server {
    if (spec.protocol !== "tls") {
      return createServer((socket) => {
        if (this.#admit(socket)) this.#adopt(socket, "tcp");
      });
    }
    if (spec.tls === undefined)
      throw h248Errors("SALLY_H248_LISTEN", "TLS needs a key, a certificate and an authority.");
    const { limits, log } = this.#options;
    try {
      const server = createTlsServer({
        ...tlsOptions(spec.tls),
        requestCert: true,
        handshakeTimeout: limits.progressMs,
      });
      server.on("connection", (socket) => void this.#admit(socket));
      server.on("secureConnection", (socket) => this.#verified(socket));
      server.on("tlsClientError", (error, socket) => {
        // A certificate that was not accepted is no error of the handshake: the server hangs up, and says here why.
        const unaccepted: unknown = socket.authorizationError;
        const reason = faultOf(unaccepted ?? error);
        const remote = socket.remoteAddress;
        const untold = this.#mayTell(`${remote} ${reason}`);
        if (untold !== undefined) log.warn("h248 tls handshake failed", { remote, reason, untold });
        socket.destroy();
      });
      return server;
    } catch (cause) {
      throw h248Errors("SALLY_H248_LISTEN", "The TLS material cannot be used.", { cause });
    }
  }

  #dial(spec: H248ConnectSpec, intake: Intake): Socket {
    const { address, port } = spec;
    const onread = { buffer: intake.buffer, callback: (octets: number) => taken(intake, octets) };
    if (spec.protocol === "tcp") return connectTcp({ host: address, port, onread });
    const where = { where: `${address}:${port}` };
    if (spec.tls === undefined) {
      throw h248Errors("SALLY_H248_CONNECT", "TLS needs a key, a certificate and an authority.", where);
    }
    const name = spec.serverName ?? address;
    try {
      // RFC 6066 section 3: no literal address as server name; Node checks the certificate against `host` then.
      const servername = isIP(name) === 0 ? { servername: name } : {};
      const options: ConnectionOptions & { readonly onread: typeof onread } = {
        ...tlsOptions(spec.tls),
        ...servername,
        host: address,
        port,
        onread,
      };
      return connectTls(options);
    } catch (cause) {
      throw h248Errors("SALLY_H248_CONNECT", "The TLS material cannot be used.", { ...where, cause });
    }
  }

  /** Counts a socket in, or cuts it off when there are too many, in all or from one address. */
  #admit(socket: Socket): boolean {
    const { limits, log } = this.#options;
    const address = socket.remoteAddress ?? "";
    const same = this.#perAddress.get(address) ?? 0;
    if (this.#closed || this.#sockets.size >= limits.maxConnections || same >= limits.maxConnectionsPerAddress) {
      const untold = this.#mayTell(`refused ${address}`);
      if (untold !== undefined)
        log.warn("h248 connection refused", { remote: address, connections: this.#sockets.size, untold });
      socket.destroy();
      return false;
    }
    const from = `${address}:${socket.remotePort}`;
    this.#sockets.add(socket);
    this.#handshakes.set(from, socket);
    this.#perAddress.set(address, same + 1);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#handshakes.delete(from);
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
    });
    // Until a connection takes it over an error has nobody else to hear it.
    socket.on("error", () => undefined);
    return true;
  }

  #verified(socket: TLSSocket): void {
    // requestCert and rejectUnauthorized end the handshake without a certificate; this is the second lock.
    if (!socket.authorized) {
      socket.destroy();
      return;
    }
    this.#adopt(socket, "tls");
  }

  #adopt(socket: Socket | TLSSocket, protocol: H248Protocol, intake?: Intake): H248Peer {
    const { clock, limits, log } = this.#options;
    const local = { address: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    const remote = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    this.#handshakes.delete(`${remote.address}:${remote.port}`);
    const secured = protocol === "tls" && "authorized" in socket && socket.authorized;
    const peer: H248Peer = {
      id: `${protocol}:${remote.address}:${remote.port}#${++this.#count}`,
      protocol,
      local,
      remote,
      peerNames: secured ? verifiedNames(socket) : [],
      protected: secured,
    };
    const handlers: ConnectionHandlers = {
      clock,
      limits,
      intake,
      onMessage: (message) => this.#options.onMessage(message, peer),
      onEnd: (reason) => {
        this.#connections.delete(peer.id);
        log.debug("h248 connection ended", { peer: peer.id, reason });
        this.#options.onClosed(peer);
      },
    };
    this.#connections.set(peer.id, createConnection(socket, peer, handlers));
    log.debug("h248 connection open", { peer: peer.id, names: peer.peerNames });
    return peer;
  }
}
