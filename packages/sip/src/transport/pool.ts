// Owns every open TCP and TLS connection and the finding of one to send on (RFC 3261 18.1.1, RFC 5923 5 for inbound reuse).
// Must not know what is said on a connection.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import type { Admission } from "./accept.ts";
import { createConnection } from "./connection.ts";
import type { Connection, ConnectionHandlers } from "./connection.ts";
import { dial } from "./connect.ts";
import type { Dial } from "./connect.ts";
import { hostPort, plainAddress } from "./flow.ts";
import type { Flow, SipProtocol, SipTarget, TlsMaterial, TransportLimits } from "./flow.ts";
import { namesMatch, peerNames } from "./tls.ts";

export interface PoolOptions {
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly admission: Admission;
  /** Whether a peer has shown who it is; left out: by its first message. */
  readonly isProven: ((flow: Flow) => boolean) | undefined;
  handlersOf(connection: () => Connection): ConnectionHandlers;
  onClose(flow: Flow): void;
}

/** From where and with which certificate a connection is opened. */
export interface Origin {
  readonly from?: string | undefined;
  readonly tls?: Partial<TlsMaterial> | undefined;
}

export interface ConnectionPool {
  get(id: string): Connection | undefined;
  /** Takes a connection a peer opened. */
  adopt(socket: Socket | TLSSocket, protocol: SipProtocol, listener: string): Connection;
  /** The open connection to the target, else a new one. Rejects SALLY_SIP_CONNECT, SALLY_SIP_TLS, SALLY_SIP_LIMIT. */
  reach(target: SipTarget, origin: Origin): Promise<Connection>;
  /** The open connection `reach` would use, if there is one. */
  find(target: SipTarget): Connection | undefined;
  close(): Promise<void>;
}

/** With the certificate: a connection shows one, and is not reused for a sender with another. */
const targetKey = ({ protocol, address, port, serverName = "", listener = "", tls }: SipTarget): string =>
  `${protocol}|${address}|${port}|${serverName}|${listener}|${tls?.cert ?? ""}`;

const remoteKey = (protocol: SipProtocol, address: string, port: number): string => `${protocol}|${address}|${port}`;

export const createConnectionPool = (options: PoolOptions): ConnectionPool => {
  const { clock, limits, admission } = options;
  // Ids carry the time of the start, so that one kept over a restart can never name somebody else's connection.
  const epoch = Math.floor(clock.now()).toString(36);
  let count = 0;
  const byId = new Map<string, Connection>();
  const byTarget = new Map<string, Connection>();
  const byRemote = new Map<string, Connection>();
  const opening = new Map<string, { readonly dial: Dial; readonly connection: Promise<Connection> }>();
  let closed: (() => void) | undefined;

  const add = (
    socket: Socket | TLSSocket,
    protocol: SipProtocol,
    listener: string | undefined,
    ours: boolean,
  ): Connection => {
    const remote = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    const flow: Flow = {
      id: `${protocol}-${epoch}-${++count}`,
      protocol,
      local: { address: plainAddress(socket.localAddress ?? ""), port: socket.localPort ?? 0 },
      remote,
      ...(listener === undefined ? {} : { listener }),
      peerNames: socket instanceof TLSSocket ? peerNames(socket) : [],
    };
    const handlers = options.handlersOf(() => connection);
    const there = remoteKey(protocol, remote.address, remote.port);
    const connection = createConnection(
      socket,
      flow,
      { clock, limits, ours, isProven: options.isProven },
      {
        ...handlers,
        onClose: () => {
          byId.delete(flow.id);
          if (byRemote.get(there) === connection) byRemote.delete(there);
          for (const [key, value] of byTarget) if (value === connection) byTarget.delete(key);
          handlers.onClose();
          options.onClose(flow);
          if (byId.size === 0) closed?.();
        },
      },
    );
    byId.set(flow.id, connection);
    if (!ours) byRemote.set(there, connection);
    return connection;
  };

  const find = (target: SipTarget): Connection | undefined => {
    const known = byTarget.get(targetKey(target));
    // One that a firewall forgot swallows what is sent for a quarter of an hour: what is new goes by another, and what is
    // under way may still come on this one.
    if (known?.open === true && !known.mute) return known;
    const inbound = byRemote.get(remoteKey(target.protocol, target.address, target.port));
    if (inbound?.open !== true) return undefined;
    if (target.listener !== undefined && inbound.flow.listener !== target.listener) return undefined;
    // RFC 5923 8: a TLS connection stands for a target only if its certificate names the target.
    if (target.protocol === "tls" && !namesMatch(inbound.flow.peerNames, target.serverName ?? target.address))
      return undefined;
    return inbound;
  };

  const open = (target: SipTarget, origin: Origin): Promise<Connection> => {
    const key = targetKey(target);
    const place = admission.admit("ours", `to ${hostPort(target.address, target.port)}`);
    if (place === undefined) return Promise.reject(sipErrors("SALLY_SIP_LIMIT", hostPort(target.address, target.port)));
    const started = dial(target, { clock, connectMs: limits.connectMs, ...origin });
    const connection = started.opened.then(
      (socket) => {
        opening.delete(key);
        socket.once("close", () => place.leave());
        const made = add(socket, target.protocol, target.listener, true);
        byTarget.set(key, made);
        return made;
      },
      (error: unknown) => {
        opening.delete(key);
        place.leave();
        throw error;
      },
    );
    opening.set(key, { dial: started, connection });
    return connection;
  };

  return {
    get: (id) => byId.get(id),
    adopt: (socket, protocol, listener) => add(socket, protocol, listener, false),
    find,
    reach: (target, origin) => {
      const known = find(target);
      if (known !== undefined) return Promise.resolve(known);
      try {
        return opening.get(targetKey(target))?.connection ?? open(target, origin);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    close: async () => {
      for (const { dial: started } of opening.values()) started.abort(sipErrors("SALLY_SIP_CLOSED"));
      if (byId.size === 0) return;
      const done = new Promise<void>((resolve) => {
        closed = resolve;
      });
      for (const connection of byId.values()) connection.close();
      await done;
    },
  };
};
