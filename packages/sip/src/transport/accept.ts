// Owns the TCP and TLS listening points: who may connect, how many, and when a handshake has taken too long.
// Must not know what is said on a connection.
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import type { Log } from "@sallyport/kit";
import { reasonOf, sipErrors } from "../errors.ts";
import type { ListenSpec, TransportLimits } from "./flow.ts";
import { hostPort, plainAddress } from "./flow.ts";
import { serverTls } from "./tls.ts";

/** Counts connections, in total and per source address. */
export interface Admission {
  /** The way to give the place back (once), or undefined when there is none. */
  admit(address: string): (() => void) | undefined;
  readonly total: number;
}

export const createAdmission = (
  limits: Pick<TransportLimits, "maxConnections" | "maxConnectionsPerAddress">,
): Admission => {
  let total = 0;
  const perAddress = new Map<string, number>();
  return {
    admit: (address) => {
      const here = perAddress.get(address) ?? 0;
      if (total >= limits.maxConnections || here >= limits.maxConnectionsPerAddress) return undefined;
      total++;
      perAddress.set(address, here + 1);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        total--;
        const left = (perAddress.get(address) ?? 1) - 1;
        if (left === 0) perAddress.delete(address);
        else perAddress.set(address, left);
      };
    },
    get total() {
      return total;
    },
  };
};

export interface StreamPoint {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL. */
export const openStreamPoint = async (
  spec: ListenSpec,
  options: { readonly limits: TransportLimits; readonly admission: Admission; readonly log: Log },
  onSocket: (socket: Socket | TLSSocket) => void,
): Promise<StreamPoint> => {
  const { limits, admission, log } = options;
  const pending = new Set<Socket>();
  let server: Server;
  if (spec.protocol === "tls") {
    if (spec.tls === undefined) throw sipErrors("SALLY_SIP_TLS_MATERIAL", `Listening point "${spec.name}".`);
    const tls = createTlsServer(serverTls(spec.tls, limits.connectMs), onSocket);
    tls.on("tlsClientError", (error, socket) => {
      log.debug("tls handshake failed", { listener: spec.name, from: socket.remoteAddress, error: error.message });
      socket.destroy();
    });
    server = tls;
  } else {
    server = createServer(onSocket);
  }
  // Before the handshake: a stranger's half-made connections count as well.
  server.prependListener("connection", (socket: Socket) => {
    const leave = admission.admit(plainAddress(socket.remoteAddress ?? ""));
    if (leave === undefined) {
      log.debug("connection refused: limit reached", { listener: spec.name, from: socket.remoteAddress });
      socket.destroy();
      return;
    }
    pending.add(socket);
    socket.on("close", () => {
      pending.delete(socket);
      leave();
    });
  });
  await new Promise<void>((resolve, reject) => {
    const fault = (cause: Error): void =>
      reject(
        sipErrors("SALLY_SIP_LISTEN", `${spec.protocol} ${hostPort(spec.address, spec.port)}: ${reasonOf(cause)}.`, {
          cause,
          where: `listening point "${spec.name}"`,
        }),
      );
    server.once("error", fault);
    server.listen({ host: spec.address, port: spec.port, backlog: 1024 }, () => {
      server.off("error", fault);
      server.on("error", (error) => log.error("listening point failed", { listener: spec.name, error: error.message }));
      resolve();
    });
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw sipErrors("SALLY_SIP_LISTEN", spec.name);
  return {
    address: bound.address,
    port: bound.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Handshakes still under way have no flow that would close them.
        for (const socket of pending) if (!socket.destroyed) socket.destroySoon();
      }),
  };
};
