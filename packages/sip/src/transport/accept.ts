// Owns the TCP and TLS listening points: who may connect, how many, and when a handshake has taken too long.
// Must not know what is said on a connection.
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { faultOf, sparing, type Clock, type Log } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import type { Flow, ListenSpec, TlsMaterial, TransportLimits } from "./flow.ts";
import { hostPort, plainAddress } from "./flow.ts";
import { sourceOf } from "./source.ts";
import { renewedTls, serverTls } from "./tls.ts";

/** Who a place is for: peers of a listening point, those of a reserved one, or those we connect to. */
export type Share = "open" | "reserved" | "ours";

/** A connection's place, from before its handshake to its end. */
export interface Place {
  /** Gives it back, once. */
  leave(): void;
  /** The connection it is for has begun. */
  become(flow: Flow): void;
}

/** Counts connections: in total, by share, and by source (RFC 4291: an IPv6 /64 is one). */
export interface Admission {
  /** Undefined when there is no place. `drop` ends the connection when another needs its place more. */
  admit(share: Share, source: string, drop?: () => void): Place | undefined;
  readonly total: number;
}

/** Places nobody else may take, of all there are. What is promised to none goes to whoever comes first. */
const promised = (max: number): Readonly<Record<Share, number>> => {
  const tenth = Math.floor(max / 10);
  return { open: 5 * tenth, reserved: tenth, ours: tenth };
};

/**
 * `isProven`: whether a peer has shown who it is. Where it is given, a peer that finds its share full takes the place of the
 * one in that share that has stood there longest without having done so: strangers can only fill what is left of the others.
 */
export const createAdmission = (
  limits: Pick<TransportLimits, "maxConnections" | "maxConnectionsPerAddress">,
  isProven?: (flow: Flow) => boolean,
): Admission => {
  const max = limits.maxConnections;
  const own = promised(max);
  const counts: Record<Share, number> = { open: 0, reserved: 0, ours: 0 };
  const perSource = new Map<string, number>();
  interface Standing {
    flow: Flow | undefined;
    readonly drop: () => void;
    readonly leave: () => void;
  }
  /** Those that may have to make room, longest there first. */
  const unproven: Record<Share, Set<Standing>> = { open: new Set(), reserved: new Set(), ours: new Set() };
  const shares = ["open", "reserved", "ours"] as const;
  const total = (): number => counts.open + counts.reserved + counts.ours;
  const hasPlace = (share: Share): boolean => {
    let free = max - total();
    if (free > 0 && counts[share] < own[share]) return true;
    for (const other of shares) if (other !== share) free -= Math.max(0, own[other] - counts[other]);
    return free > 0;
  };
  /** Whoever has proven itself since is looked at no more. */
  const makeRoom = (share: Share): boolean => {
    for (const standing of unproven[share]) {
      unproven[share].delete(standing);
      if (standing.flow !== undefined && isProven?.(standing.flow) === true) continue;
      standing.leave();
      standing.drop();
      return true;
    }
    return false;
  };
  return {
    admit: (share, source, drop) => {
      if ((perSource.get(source) ?? 0) >= limits.maxConnectionsPerAddress) return undefined;
      if (!hasPlace(share) && (isProven === undefined || !makeRoom(share) || !hasPlace(share))) return undefined;
      counts[share] += 1;
      perSource.set(source, (perSource.get(source) ?? 0) + 1);
      let held = true;
      const leave = (): void => {
        if (!held) return;
        held = false;
        unproven[share].delete(standing);
        counts[share] -= 1;
        const left = (perSource.get(source) ?? 1) - 1;
        if (left === 0) perSource.delete(source);
        else perSource.set(source, left);
      };
      const standing: Standing = { flow: undefined, drop: drop ?? (() => undefined), leave };
      if (drop !== undefined && isProven !== undefined) unproven[share].add(standing);
      return {
        leave,
        become: (flow) => {
          standing.flow = flow;
        },
      };
    },
    get total() {
      return total();
    },
  };
};

export interface StreamPoint {
  readonly address: string;
  readonly port: number;
  /** What connections are shown that begin from now on. @throws SALLY_SIP_TLS_MATERIAL */
  renew(tls: TlsMaterial): void;
  close(): Promise<void>;
}

/** Reasons of failed handshakes that are told apart: strangers make them come. */
const handshakeFaults = 16;

/** Rejects SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL. */
export const openStreamPoint = async (
  spec: ListenSpec,
  options: {
    readonly clock: Clock;
    readonly limits: TransportLimits;
    readonly admission: Admission;
    readonly log: Log;
  },
  onSocket: (socket: Socket | TLSSocket) => Flow,
): Promise<StreamPoint> => {
  const { clock, limits, admission, log } = options;
  const mayTell = sparing(clock, { names: handshakeFaults });
  const pending = new Set<Socket>();
  /** By where they come from: over TLS the socket that connects is not the one that is spoken on. */
  const places = new Map<string, Place>();
  const from = (socket: Socket): string => hostPort(plainAddress(socket.remoteAddress ?? ""), socket.remotePort ?? 0);
  const onOpen = (socket: Socket | TLSSocket): void => {
    if (socket.destroyed) return;
    const place = places.get(from(socket));
    const flow = onSocket(socket);
    place?.become(flow);
  };
  let server: Server;
  let renew: StreamPoint["renew"] = () => {
    throw sipErrors("SALLY_SIP_TLS_MATERIAL", `Listening point "${spec.name}" speaks no TLS.`);
  };
  if (spec.protocol === "tls") {
    if (spec.tls === undefined) throw sipErrors("SALLY_SIP_TLS_MATERIAL", `Listening point "${spec.name}".`);
    const tls = createTlsServer(serverTls(spec.tls, limits.connectMs), onOpen);
    tls.on("tlsClientError", (error, socket) => {
      // A certificate that was not accepted is no error of the handshake: the server hangs up, and says here why.
      const unaccepted: unknown = socket.authorizationError;
      const reason = faultOf(unaccepted ?? error);
      const untold = mayTell(reason);
      if (untold !== undefined)
        log.info("tls handshake failed", { listener: spec.name, from: socket.remoteAddress, reason, untold });
      socket.destroy();
    });
    server = tls;
    renew = (material) => tls.setSecureContext(renewedTls(material));
  } else {
    server = createServer(onOpen);
  }
  // Before the handshake: a stranger's half-made connections count as well.
  server.prependListener("connection", (socket: Socket) => {
    const share = spec.reserved === true ? "reserved" : "open";
    const place = admission.admit(share, sourceOf(socket.remoteAddress ?? ""), () => socket.destroy());
    if (place === undefined) {
      log.debug("connection refused: limit reached", { listener: spec.name, from: socket.remoteAddress });
      socket.destroy();
      return;
    }
    const key = from(socket);
    pending.add(socket);
    places.set(key, place);
    socket.on("close", () => {
      pending.delete(socket);
      if (places.get(key) === place) places.delete(key);
      place.leave();
    });
  });
  await new Promise<void>((resolve, reject) => {
    const fault = (cause: Error): void =>
      reject(
        sipErrors("SALLY_SIP_LISTEN", `${spec.protocol} ${hostPort(spec.address, spec.port)}: ${faultOf(cause)}.`, {
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
    renew,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Handshakes still under way have no flow that would close them.
        for (const socket of pending) if (!socket.destroyed) socket.destroySoon();
      }),
  };
};
