// Owns the SIP transport of one element: its listening points, its flows, and the choice of where a message goes
// (RFC 3261 18). Must not know transactions, methods or IMS. It never writes a Via: the caller does.
import { isIP } from "node:net";
import { faultOf, systemDatagrams } from "@sallyport/kit";
import type { Clock, Endpoint, Log, OpenDatagram } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import { defaultSipLimits, withLength, writeMessage } from "../message/index.ts";
import type { SipLimits, SipMessage, SipResponse } from "../message/index.ts";
import { createAdmission, openStreamPoint } from "./accept.ts";
import type { StreamPoint } from "./accept.ts";
import type { Connection } from "./connection.ts";
import { openDatagramPoint, pointFor, resolveDatagram, systemLookup } from "./datagrams.ts";
import type { DatagramPoint, Lookup } from "./datagrams.ts";
import { defaultPort, defaultTransportLimits, hostPort } from "./flow.ts";
import type {
  Flow,
  Listening,
  ListenSpec,
  MalformedInput,
  SipProtocol,
  SipTarget,
  TlsMaterial,
  TransportLimits,
  WireEvent,
} from "./flow.ts";
import { receiveBroken, receiveOctets } from "./inbound.ts";
import type { InboundPort } from "./inbound.ts";
import { createConnectionPool } from "./pool.ts";
import type { Origin } from "./pool.ts";
import { responseAddress } from "./via.ts";

export interface SipTransportOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<TransportLimits>;
  readonly messageLimits?: Partial<SipLimits>;
  readonly openDatagram?: OpenDatagram;
  readonly lookup?: Lookup;
  /** Requests come with the top Via stamped (`received`, `rport`). */
  onMessage(message: SipMessage, flow: Flow): void;
  /** After the transport has answered what can be answered. */
  onMalformed?(input: MalformedInput, flow: Flow): void;
  /** A handler threw: a defect met by one message must not end the calls of all others. Default: an error in the log. */
  onFault?(error: unknown): void;
  /** A connection is gone, whoever closed it. */
  onFlowClosed?(flow: Flow): void;
  /**
   * Whether an answer whose connection is gone may go to where its Via says, over a new one (RFC 3261 18.2.2). Not to
   * clients that are reached by their own connections alone (RFC 5626 5.3). Default: to everybody.
   */
  answersAnew?(flow: Flow): boolean;
  /**
   * Whether a peer that connected has shown who it is. One that has not is given up after `firstMessageMs`, whatever it
   * sends, and makes room when there are too many. Default: by its first message, and nobody makes room.
   */
  isProven?(flow: Flow): boolean;
  /** Sees every message as it crosses the socket. */
  observe?(event: WireEvent): void;
}

export interface SipTransport {
  /** Rejects SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL. */
  listen(spec: ListenSpec): Promise<Listening>;
  /**
   * Another certificate for a TLS listening point, and for what is sent from it: connections that are open keep theirs.
   * @throws SALLY_SIP_TLS_MATERIAL, SALLY_SIP_NO_LISTENER; then what was before stays
   */
  renew(listener: string, tls: TlsMaterial): void;
  /**
   * Sends on a flow, or on a reused or new connection to a target. Resolves when the octets are with the kernel.
   * A response whose connection is gone goes where its top Via says (RFC 3261 18.2.2).
   * Rejects SALLY_SIP_CONNECT, _TLS, _FLOW_GONE, _BACKLOG, _TOO_LARGE, _NO_LISTENER, _RESOLVE, _NO_ROUTE_BACK, _LIMIT, _CLOSED.
   */
  send(message: SipMessage, to: Flow | SipTarget): Promise<Flow>;
  /** Undefined when it is gone. A UDP flow is there as long as its listening point is. */
  flow(id: string): Flow | undefined;
  /** RFC 5626 4.4.1 keep-alive on a connection; rejects and closes it when no answer comes. */
  ping(flow: Flow): Promise<void>;
  /** Closes one connection, after what is still to be sent. */
  closeFlow(flow: Flow): void;
  readonly listeners: readonly Listening[];
  /** What the Via of a request sent there has to say. `host` without brackets. */
  viaFor(to: Flow | SipTarget): {
    readonly protocol: "UDP" | "TCP" | "TLS";
    readonly host: string;
    readonly port: number;
  };
  close(): Promise<void>;
}

export const isFlow = (to: Flow | SipTarget): to is Flow => "id" in to;

const isWildcard = (address: string): boolean => address === "0.0.0.0" || address === "::";
const viaNames = { udp: "UDP", tcp: "TCP", tls: "TLS" } as const;

export const createSipTransport = (options: SipTransportOptions): SipTransport => {
  const { clock, log } = options;
  const limits: TransportLimits = { ...defaultTransportLimits, ...options.limits };
  const datagrams = new Map<string, DatagramPoint>();
  const streams = new Map<string, StreamPoint>();
  const specs = new Map<string, ListenSpec & Listening>();
  const isProven = options.isProven === undefined ? undefined : (flow: Flow) => options.isProven?.(flow) === true;
  const admission = createAdmission(limits, isProven);
  let closed = false;

  const observe = (direction: "in" | "out", octets: Buffer, flow: Flow): void =>
    options.observe?.({ direction, octets, flow, at: clock.now() });

  const inbound: InboundPort = {
    limits: { ...defaultSipLimits, maxMessage: limits.maxMessage, ...options.messageLimits },
    deliver: (message, flow) => {
      if (closed) return;
      try {
        options.onMessage(message, flow);
      } catch (error) {
        if (options.onFault === undefined) log.error("message handler failed", { flow: flow.id, error: String(error) });
        else options.onFault(error);
      }
    },
    reply: (response, flow) => {
      transport
        .send(response, flow)
        .catch((error: Error) => log.debug("malformed input not answered", { error: error.message }));
    },
    report: (input, flow) => {
      log.debug("malformed input", { flow: flow.id, ...input });
      options.onMalformed?.(input, flow);
    },
  };

  const pool = createConnectionPool({
    clock,
    limits,
    admission,
    isProven,
    handlersOf: (connection) => {
      let malformed = 0;
      return {
        onMessage: (octets) => {
          const { flow } = connection();
          observe("in", octets, flow);
          const last = malformed + 1 >= limits.maxMalformed;
          if (receiveOctets(octets, flow, inbound, last)) return;
          malformed++;
          if (last) connection().close();
        },
        onBroken: (code, head) => {
          receiveBroken(code, head, connection().flow, inbound);
          connection().close();
        },
        onClose: () => undefined,
      };
    },
    onClose: (flow) => {
      log.debug("connection closed", { flow: flow.id });
      options.onFlowClosed?.(flow);
    },
  });

  const listenerFor = (protocol: SipProtocol, name: string | undefined): (ListenSpec & Listening) | undefined => {
    if (name !== undefined) return specs.get(name);
    for (const spec of specs.values()) if (spec.protocol === protocol) return spec;
    return undefined;
  };

  const originOf = (target: SipTarget): Origin => {
    const spec = listenerFor(target.protocol, target.listener);
    const tls = target.tls ?? spec?.tls;
    // Sent from the listening point's own address, which the peer may have been told to expect.
    const from =
      target.listener !== undefined && spec !== undefined && !isWildcard(spec.address) ? spec.address : undefined;
    return { from, tls };
  };

  const sendOn = (connection: Connection, octets: Buffer): Promise<Flow> => {
    observe("out", octets, connection.flow);
    return connection.write(octets);
  };

  const sendDatagramTo = (point: DatagramPoint, octets: Buffer, to: Endpoint): Flow => {
    const flow = point.flowTo(to);
    point.send(octets, to);
    observe("out", octets, flow);
    return flow;
  };

  const sendDatagram = (point: DatagramPoint, octets: Buffer, address: string, port: number): Promise<Flow> => {
    if (isIP(address) !== 0) return Promise.resolve(sendDatagramTo(point, octets, { address, port }));
    const found = resolveDatagram(address, port, point.local, options.lookup ?? systemLookup);
    return found.then((to) => sendDatagramTo(point, octets, to));
  };

  /** RFC 3261 18.2.2, RFC 3581 4: the connection of the request while it is open, else where the top Via points. */
  const respond = (response: SipResponse, octets: Buffer, flow: Flow): Promise<Flow> => {
    const connection = pool.get(flow.id);
    if (connection?.open === true) return sendOn(connection, octets);
    const back = responseAddress(response, flow.protocol);
    // RFC 4475 3.1.2.1: also a request whose Via can not be read gets its 400, where the datagram came from.
    if (back === undefined && flow.protocol === "udp") return toFlow(flow, octets);
    if (back === undefined) throw sipErrors("SALLY_SIP_NO_ROUTE_BACK", `Answer ${response.status}.`);
    if (flow.protocol !== "udp") {
      if (options.answersAnew?.(flow) === false)
        throw sipErrors("SALLY_SIP_FLOW_GONE", hostPort(flow.remote.address, flow.remote.port));
      return toTarget(
        {
          protocol: flow.protocol,
          address: back.address,
          port: back.port,
          serverName: back.sentBy,
          ...(flow.listener === undefined ? {} : { listener: flow.listener }),
        },
        octets,
      );
    }
    const point = flow.listener === undefined ? undefined : datagrams.get(flow.listener);
    if (point === undefined) throw sipErrors("SALLY_SIP_NO_LISTENER", `UDP flow ${flow.id}.`);
    return sendDatagram(point, octets, back.address, back.port);
  };

  const toFlow = (flow: Flow, octets: Buffer): Promise<Flow> => {
    if (flow.protocol === "udp") {
      const point = flow.listener === undefined ? undefined : datagrams.get(flow.listener);
      if (point === undefined) throw sipErrors("SALLY_SIP_NO_LISTENER", `UDP flow ${flow.id}.`);
      return sendDatagram(point, octets, flow.remote.address, flow.remote.port);
    }
    const connection = pool.get(flow.id);
    if (connection === undefined)
      throw sipErrors("SALLY_SIP_FLOW_GONE", hostPort(flow.remote.address, flow.remote.port));
    return sendOn(connection, octets);
  };

  const toTarget = (target: SipTarget, octets: Buffer): Promise<Flow> => {
    if (target.protocol === "udp")
      return sendDatagram(pointFor(datagrams, target), octets, target.address, target.port);
    const known = pool.find(target);
    if (known !== undefined) return sendOn(known, octets);
    return pool.reach(target, originOf(target)).then((connection) => sendOn(connection, octets));
  };

  const transport: SipTransport = {
    listen: async (spec) => {
      if (closed) throw sipErrors("SALLY_SIP_CLOSED");
      if (specs.has(spec.name)) throw sipErrors("SALLY_SIP_LISTEN", `The name "${spec.name}" is taken.`);
      let bound: { readonly address: string; readonly port: number };
      if (spec.protocol === "udp") {
        const point = await openDatagramPoint(spec, options.openDatagram ?? systemDatagrams, {
          onOctets: (octets, flow) => {
            observe("in", octets, flow);
            receiveOctets(octets, flow, inbound, false);
          },
          onError: (error) => log.debug("datagram socket error", { listener: spec.name, error: error.message }),
        }).catch((cause: Error) => {
          throw sipErrors("SALLY_SIP_LISTEN", `udp ${hostPort(spec.address, spec.port)}: ${faultOf(cause)}.`, {
            cause,
            where: `listening point "${spec.name}"`,
          });
        });
        datagrams.set(spec.name, point);
        bound = point.local;
      } else {
        const point = await openStreamPoint(
          spec,
          { clock, limits, admission, log },
          (socket) => pool.adopt(socket, spec.protocol, spec.name).flow,
        );
        streams.set(spec.name, point);
        bound = point;
      }
      specs.set(spec.name, { ...spec, address: bound.address, port: bound.port });
      return { name: spec.name, protocol: spec.protocol, address: bound.address, port: bound.port };
    },
    renew: (name, tls) => {
      const [spec, point] = [specs.get(name), streams.get(name)];
      if (spec === undefined || point === undefined) throw sipErrors("SALLY_SIP_NO_LISTENER", `"${name}".`);
      point.renew(tls);
      specs.set(name, { ...spec, tls });
    },
    // Not async: each message would make three promises more.
    send: (message, to) => {
      try {
        if (closed) throw sipErrors("SALLY_SIP_CLOSED");
        // RFC 3261 18.3: on a stream nothing else tells where the message ends.
        const octets = writeMessage(to.protocol === "udp" ? message : withLength(message));
        if (!isFlow(to)) return toTarget(to, octets);
        return message.kind === "response" ? respond(message, octets, to) : toFlow(to, octets);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    flow: (id) => {
      const connection = pool.get(id);
      if (connection !== undefined) return connection.open ? connection.flow : undefined;
      const slash = id.lastIndexOf("/");
      const point = id.startsWith("udp/") ? datagrams.get(id.slice(4, slash)) : undefined;
      const remote = id.slice(slash + 1);
      const colon = remote.lastIndexOf(":");
      if (point === undefined || colon === -1) return undefined;
      return point.flowTo({
        address: remote.slice(0, colon).replace(/^\[|\]$/g, ""),
        port: Number(remote.slice(colon + 1)),
      });
    },
    ping: async (flow) => {
      const connection = pool.get(flow.id);
      if (connection === undefined)
        throw sipErrors("SALLY_SIP_FLOW_GONE", hostPort(flow.remote.address, flow.remote.port));
      await connection.ping();
    },
    closeFlow: (flow) => pool.get(flow.id)?.close(),
    get listeners() {
      return [...specs.values()].map(({ name, protocol, address, port }) => ({ name, protocol, address, port }));
    },
    viaFor: (to) => {
      const flow = isFlow(to) ? to : pool.find(to);
      const local = flow === undefined ? undefined : "flow" in flow ? flow.flow.local : flow.local;
      const spec =
        isFlow(to) || to.protocol !== "udp"
          ? listenerFor(to.protocol, to.listener)
          : specs.get(pointFor(datagrams, to).name);
      const protocol = viaNames[to.protocol];
      if (spec !== undefined) {
        const host = spec.advertise ?? (isWildcard(spec.address) ? (local?.address ?? spec.address) : spec.address);
        return { protocol, host, port: spec.port };
      }
      // Nobody can connect back to an element that listens nowhere: RFC 7118 5.3.1 shows what to write then.
      return { protocol, host: local?.address ?? "unreachable.invalid", port: local?.port ?? defaultPort(to.protocol) };
    },
    close: async () => {
      if (closed) return;
      closed = true;
      await Promise.all([
        ...[...streams.values()].map((point) => point.close()),
        ...[...datagrams.values()].map((point) => point.close()),
        pool.close(),
      ]);
      streams.clear();
      datagrams.clear();
      specs.clear();
    },
  };
  return transport;
};
