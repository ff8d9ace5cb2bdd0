// Owns the UE's one way out: transport and transactions towards its P-CSCF, and nobody else. Who may talk to us is
// decided here, because the UE believes `applied` only from its P-CSCF (TS 33.328 5.4.1).
import { readPemFiles, type Clock, type Log, type OpenDatagram, type Random } from "@sallyport/kit";
import {
  createResponse,
  createSipTransport,
  createTransactions,
  formatHost,
  parseSipUri,
  type ClientTransaction,
  type Flow,
  type ServerTransaction,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  type SipTarget,
  type TlsMaterial,
  type WireEvent,
} from "@sallyport/sip";
import type { UeConfig } from "./config.ts";
import { ueErrors } from "./errors.ts";

export interface ElementDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  observe?(event: WireEvent): void;
  /** Says a message in another way just before it leaves, as another maker's UE would; the first time and each repetition. */
  alter?(message: SipMessage): SipMessage;
}

export interface SignallingHandlers {
  onRequest(transaction: ServerTransaction): void;
  onAck(request: SipRequest): void;
  /** The connection to the P-CSCF is gone. */
  onLost(): void;
}

export interface Signalling {
  /** The URI the P-CSCF reaches us at. */
  readonly contactUri: string;
  request(
    request: SipRequest,
    handlers: {
      onResponse(response: SipResponse): void;
      /** Timeout or transport error. */
      onFailure(why: string): void;
    },
  ): ClientTransaction;
  ack(request: SipRequest): void;
  close(): Promise<void>;
}

/** @throws SALLY_UE_FILE for certificates, SALLY_SIP_LISTEN. */
export const openSignalling = async (
  config: UeConfig,
  deps: ElementDeps,
  handlers: SignallingHandlers,
): Promise<Signalling> => {
  const { edge, local } = config;
  const { log } = deps;
  const heard = new Set<string>([edge.address]);
  let closed = false;

  const transport = createSipTransport({
    clock: deps.clock,
    log,
    ...(deps.openDatagram === undefined ? {} : { openDatagram: deps.openDatagram }),
    ...(deps.observe === undefined ? {} : { observe: (event: WireEvent) => deps.observe?.(event) }),
    onMessage: (message, flow) => transactions.receive(message, flow),
    onFlowClosed: (flow) => {
      transactions.flowClosed(flow);
      if (!closed && flow.listener === undefined) handlers.onLost();
    },
  });
  const transactions = createTransactions({
    transport: { ...transport, send: (message, to) => transport.send(deps.alter?.(message) ?? message, to) },
    clock: deps.clock,
    random: deps.random,
    log,
    onRequest: (transaction) => {
      if (fromEdge(transaction.flow)) return handlers.onRequest(transaction);
      log.warn("request from a stranger refused", { from: transaction.flow.remote.address });
      transaction.respond(createResponse(transaction.request, 403));
    },
    onAck: (request, flow) => {
      if (fromEdge(flow)) handlers.onAck(request);
    },
  });
  /** A connection we opened leads to the edge, its certificate verified where it is TLS. */
  const fromEdge = (flow: Flow): boolean =>
    (flow.protocol !== "udp" && flow.listener === undefined) || heard.has(flow.remote.address);

  const user = parseSipUri(config.impu)?.user ?? "ue";
  let bound = { address: local.address, port: local.port === 0 ? 5061 : local.port };
  let tls: TlsMaterial | undefined;
  if (edge.protocol === "tls") {
    // A UE listens on no TLS port: requests reach it on the connection it registered over (RFC 5626 4).
    const { ca, certificate, key } = edge.tls;
    const read = await readPemFiles({ ca, certificate, key }, ({ path, what, cause }) =>
      ueErrors("SALLY_UE_FILE", what, { where: path, cause }),
    );
    if (read.ca !== undefined || read.certificate !== undefined) {
      tls = { cert: read.certificate ?? "", key: read.key ?? "", ...(read.ca === undefined ? {} : { ca: read.ca }) };
    }
  } else {
    bound = await transport.listen({ name: "ue", protocol: edge.protocol, address: local.address, port: local.port });
  }
  const target: SipTarget = {
    protocol: edge.protocol,
    address: edge.address,
    port: edge.port,
    ...(edge.serverName === undefined ? {} : { serverName: edge.serverName }),
    ...(tls === undefined ? {} : { tls }),
    ...(edge.protocol === "udp" ? { listener: "ue" } : {}),
  };
  const suffix = edge.protocol === "udp" ? "" : `;transport=${edge.protocol}`;

  return {
    contactUri: `sip:${user}@${formatHost(bound.address)}:${bound.port}${suffix}`,
    request: (request, each) =>
      transactions.request(request, target, {
        onResponse: (response, flow) => {
          heard.add(flow.remote.address);
          each.onResponse(response);
        },
        onTimeout: () => each.onFailure("no answer came in time"),
        onTransportError: (error) => each.onFailure(error.message),
      }),
    ack: (request) => {
      transactions.sendAck(request, target).catch((error: Error) => log.warn("ACK not sent", { error: error.message }));
    },
    close: async () => {
      closed = true;
      transactions.close();
      await transport.close();
    },
  };
};
