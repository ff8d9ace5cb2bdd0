// A raw SIP element on a real socket: a UE or a piece of core, driven message by message by a test.
import { seededRandom, silentLog, type Clock } from "@sallyport/kit";
import {
  createResponse,
  createSipTransport,
  createTransactions,
  parseMessage,
  writeMessage,
  type Flow,
  type ListenSpec,
  type Params,
  type ServerTransaction,
  type SipRequest,
  type SipResponse,
  type SipTarget,
  type TlsMaterial,
} from "@sallyport/sip";
import { createInbox, type Inbox } from "./inbox.ts";

export interface Sent {
  readonly responses: Inbox<SipResponse>;
  /** The first final response. */
  final(): Promise<SipResponse>;
  cancel(headers?: readonly (readonly [string, string])[]): void;
}

export interface Peer {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly listener: string;
  readonly requests: Inbox<ServerTransaction>;
  readonly acks: Inbox<SipRequest>;
  /** Everything that came in and went out, as text. */
  readonly wire: { readonly direction: "in" | "out"; readonly text: string }[];
  /** `viaParams` go on the peer's own Via. */
  send(request: SipRequest, viaParams?: Params): Sent;
  ack(request: SipRequest): Promise<void>;
  /** The next request of that method. */
  expect(method: string): Promise<ServerTransaction>;
  respond(
    transaction: ServerTransaction,
    status: number,
    options?: {
      readonly headers?: readonly (readonly [string, string])[];
      readonly body?: string;
      readonly tag?: string;
    },
  ): void;
  /** Sends the last message that went out and fits once more, octet for octet: a retransmission. */
  again(fits: (text: string) => boolean): Promise<void>;
  /** Drops the connection to the edge. */
  hangUp(): void;
  close(): Promise<void>;
}

export interface PeerOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly protocol?: "tcp" | "udp" | "tls";
  readonly tls?: TlsMaterial;
  /** Where it listens; 127.0.0.1 and any port when left out. */
  readonly address?: string;
  readonly port?: number;
  /** Where its requests go. */
  target(): SipTarget;
}

export const createPeer = async (options: PeerOptions): Promise<Peer> => {
  const { name, clock, protocol = "tcp" } = options;
  const requests = createInbox<ServerTransaction>(name, ({ request }) => request.startLine);
  const acks = createInbox<SipRequest>(`${name} acks`, (ack) => ack.uri);
  const wire: Peer["wire"] = [];
  const flows = new Set<Flow>();
  const transport = createSipTransport({
    clock,
    log: silentLog,
    onMessage: (message, flow) => {
      flows.add(flow);
      transactions.receive(message, flow);
    },
    observe: ({ direction, octets }) => void wire.push({ direction, text: octets.toString("latin1") }),
  });
  const transactions = createTransactions({
    transport,
    clock,
    random: seededRandom(name),
    log: silentLog,
    timers: { trying: Infinity },
    onRequest: (transaction) => requests.push(transaction),
    onAck: (request) => acks.push(request),
  });
  const spec: ListenSpec = {
    name,
    protocol,
    address: options.address ?? "127.0.0.1",
    port: options.port ?? 0,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  };
  const listening = await transport.listen(spec);
  const target = (): SipTarget => ({ ...options.target(), listener: name });
  return {
    name,
    address: listening.address,
    port: listening.port,
    listener: name,
    requests,
    acks,
    wire,
    send: (request, viaParams) => {
      const responses = createInbox<SipResponse>(`${name} ${request.method}`, (response) => response.startLine);
      const transaction = transactions.request(
        request,
        target(),
        {
          onResponse: (response, flow) => {
            flows.add(flow);
            responses.push(response);
          },
          onTimeout: () => responses.push(createResponse(request, 408)),
          onTransportError: () => responses.push(createResponse(request, 503)),
        },
        viaParams === undefined ? {} : { viaParams },
      );
      return {
        responses,
        final: () => responses.next((response) => response.status >= 200),
        cancel: (headers) => transaction.cancel(headers),
      };
    },
    ack: (request) => transactions.sendAck(request, target()),
    expect: (method) => requests.next(({ request }) => request.method === method),
    respond: (transaction, status, { headers = [], body, tag } = {}) =>
      transaction.respond(
        createResponse(transaction.request, status, undefined, {
          ...(status === 100 ? {} : { toTag: tag ?? transaction.toTag }),
          headers: body === undefined ? headers : [...headers, ["Content-Type", "application/sdp"]],
          ...(body === undefined ? {} : { body: Buffer.from(body, "latin1") }),
        }),
      ),
    again: async (fits) => {
      const last = wire.findLast(({ direction, text }) => direction === "out" && fits(text));
      const parsed = last === undefined ? undefined : parseMessage(Buffer.from(last.text, "latin1"));
      if (parsed?.ok !== true) throw new Error(`${name}: nothing that fits went out`);
      await transport.send(parsed.message, target());
    },
    hangUp: () => {
      for (const flow of flows) transport.closeFlow(flow);
    },
    close: async () => {
      transactions.close();
      await transport.close();
    },
  };
};

export const textOf = (message: SipRequest | SipResponse): string => writeMessage(message).toString("latin1");
