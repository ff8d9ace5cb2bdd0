// A SIP element built on the sip package alone: it stands for a UE with its P-CSCF in front of the core under test.
import { seededRandom, silentLog, systemClock } from "@sallyport/kit";
import {
  answerChallenge,
  chooseChallenge,
  createRequest,
  createResponse,
  createSipTransport,
  createTransactions,
  headerValue,
  headerValues,
  prependHeader,
} from "@sallyport/sip";
import type {
  ClientTransaction,
  ServerTransaction,
  SipRequest,
  SipResponse,
  SipTarget,
  Transactions,
  WireEvent,
} from "@sallyport/sip";
import type { Core } from "../src/index.ts";

type Headers = readonly (readonly [string, string])[];

/** A queue one can wait on. */
const createInbox = <T>() => {
  const items: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  return {
    push: (item: T) => {
      const next = waiting.shift();
      if (next === undefined) items.push(item);
      else next(item);
    },
    next: (): Promise<T> => {
      const item = items.shift();
      return item === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(item);
    },
    get size() {
      return items.length;
    },
  };
};

interface RawCall {
  readonly transaction: ClientTransaction;
  readonly responses: { next(): Promise<SipResponse>; readonly size: number };
  /** The first response of 200 or above. */
  final(): Promise<SipResponse>;
}

export interface RawClient {
  readonly port: number;
  readonly name: string;
  readonly uri: string;
  readonly path: string;
  readonly requests: { next(): Promise<ServerTransaction>; readonly size: number };
  readonly acks: { next(): Promise<SipRequest>; readonly size: number };
  readonly wire: readonly WireEvent[];
  contact(user: string): string;
  send(request: SipRequest, to?: SipTarget): RawCall;
  sendAck(request: SipRequest, to?: SipTarget): Promise<void>;
  /** One REGISTER, or two when challenged. */
  register(user: string, options?: RegisterOptions): Promise<SipResponse>;
  request(method: string, user: string, to: string, headers?: Headers, body?: string): SipRequest;
  reply(server: ServerTransaction, status: number, headers?: Headers): void;
  close(): Promise<void>;
}

interface RegisterOptions {
  readonly password?: string;
  readonly expires?: string;
  readonly contact?: string;
  readonly headers?: Headers;
  /** Default: path with Supported: path. */
  readonly path?: boolean;
  readonly credentials?: boolean;
  readonly algorithm?: "MD5" | "SHA-256";
  readonly callId?: string;
  readonly cseq?: number;
  readonly domain?: string;
  readonly impi?: string;
}

let clients = 0;

export const createRawClient = async (core: Core, protocol: "udp" | "tcp" = "tcp"): Promise<RawClient> => {
  clients += 1;
  const random = seededRandom(`client ${clients}`);
  const name = `edge${clients}`;
  const requests = createInbox<ServerTransaction>();
  const acks = createInbox<SipRequest>();
  const wire: WireEvent[] = [];
  const transport = createSipTransport({
    clock: systemClock,
    log: silentLog,
    onMessage: (message, flow) => transactions.receive(message, flow),
    observe: (event) => wire.push(event),
  });
  const transactions: Transactions = createTransactions({
    transport,
    clock: systemClock,
    random,
    log: silentLog,
    onRequest: (server) => requests.push(server),
    onAck: (ack) => acks.push(ack),
  });
  const { port } = await transport.listen({ name, protocol, address: "127.0.0.1", port: 0 });
  const there = core.listening.find((point) => point.protocol === protocol);
  if (there === undefined) throw new Error("the core does not listen there");
  const target: SipTarget = { protocol, address: there.address, port: there.port, listener: name };
  const uri = `sip:127.0.0.1:${port};transport=${protocol};lr`;
  let sequence = 0;

  const client: RawClient = {
    port,
    name,
    uri,
    path: `<sip:${name}@127.0.0.1:${port};transport=${protocol};lr>`,
    requests,
    acks,
    wire,
    contact: (user) => `<sip:${user}@127.0.0.1:${port};transport=${protocol};line=Abc%2F1;x-unknown>`,
    send: (request, to = target) => {
      const responses = createInbox<SipResponse>();
      const transaction = transactions.request(request, to, {
        onResponse: (response) => responses.push(response),
        onTimeout: () => responses.push(createResponse(request, 408, "no answer")),
        onTransportError: (error) => responses.push(createResponse(request, 503, error.message.slice(0, 60))),
      });
      return {
        transaction,
        responses,
        final: async () => {
          for (;;) {
            const response = await responses.next();
            if (response.status >= 200) return response;
          }
        },
      };
    },
    sendAck: (request, to = target) => transactions.sendAck(request, to),
    request: (method, user, to, headers = [], body = "") => {
      sequence += 1;
      return createRequest({
        method,
        uri: to,
        headers: [
          ["Max-Forwards", "70"],
          ["From", `<sip:${user}@example.test>;tag=${name}-${sequence}`],
          ["To", `<${to}>`],
          ["Call-ID", `${name}-${sequence}`],
          ["CSeq", `${sequence} ${method}`],
          ...headers,
        ],
        ...(body === "" ? {} : { body: Buffer.from(body, "latin1") }),
      });
    },
    register: async (user, options = {}) => {
      const domain = options.domain ?? "example.test";
      const build = (authorization: string | undefined): SipRequest => {
        sequence += 1;
        return createRequest({
          method: "REGISTER",
          uri: `sip:${domain}`,
          headers: [
            ...(options.path === false
              ? []
              : ([
                  ["Path", client.path],
                  ["Require", "path"],
                  ["Supported", "path"],
                ] as const)),
            ["Max-Forwards", "69"],
            ["From", `<sip:${user}@example.test>;tag=r${sequence}`],
            ["To", `<sip:${user}@example.test>`],
            ["Call-ID", options.callId ?? `reg-${name}-${user}`],
            ["CSeq", `${options.cseq ?? sequence} REGISTER`],
            ["Contact", options.contact ?? client.contact(user)],
            ...(options.expires === undefined ? [] : ([["Expires", options.expires]] as const)),
            ...(authorization === undefined ? [] : ([["Authorization", authorization]] as const)),
            ...(options.headers ?? []),
          ],
        });
      };
      const first = await client.send(build(undefined)).final();
      if (first.status !== 401 || options.credentials === false) return first;
      const offered = headerValues(first, "www-authenticate").filter(
        (value) => options.algorithm === undefined || value.includes(`algorithm=${options.algorithm},`),
      );
      const challenge = chooseChallenge(offered);
      if (challenge === undefined) throw new Error("no challenge to answer");
      return client
        .send(
          build(
            answerChallenge({
              challenge,
              method: "REGISTER",
              uri: `sip:${domain}`,
              username: options.impi ?? `${user}@example.test`,
              password: options.password ?? `secret of ${user}`,
              random,
              nonceCount: 1,
            }),
          ),
        )
        .final();
    },
    reply: (server, status, headers = []) =>
      server.respond(createResponse(server.request, status, undefined, { toTag: server.toTag, headers })),
    close: async () => {
      transactions.close();
      await transport.close();
    },
  };
  return client;
};

/** The request with the Service-Route of a registration, as a P-CSCF sends it on, itself on Record-Route. */
export const originating = (request: SipRequest, registered: SipResponse, client: RawClient): SipRequest => {
  const route = headerValue(registered, "service-route") ?? "";
  const identity = /<(sip:[^>]*)>/.exec(headerValue(request, "from") ?? "")?.[1] ?? "";
  let routed = prependHeader(request, "Route", route);
  routed = prependHeader(routed, "P-Asserted-Identity", `<${identity}>`);
  return prependHeader(routed, "Record-Route", `<${client.uri}>`);
};
