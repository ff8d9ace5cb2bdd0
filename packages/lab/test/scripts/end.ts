// One end of the scripted network: a UE or the far end behind the core, with real transactions on memory's datagrams.
// Owns its socket and hands what arrives to the call it is about; knows no script.
import { seededRandom, silentLog, type Clock, type OpenDatagram } from "@sallyport/kit";
import {
  createResponse,
  createSipTransport,
  createTransactions,
  headerValue,
  type ServerTransaction,
  type SipRequest,
  type SipTarget,
  type Transactions,
} from "@sallyport/sip";

interface CallHandler {
  onRequest(server: ServerTransaction): void;
  onAck(ack: SipRequest): void;
}

export interface End {
  readonly name: string;
  readonly side: "ue" | "core";
  readonly contact: string;
  readonly target: SipTarget;
  readonly transactions: Transactions;
  /** By Call-ID. */
  readonly calls: Map<string, CallHandler>;
  /** From now on this end neither hears nor says anything of the call. */
  silence(callId: string): void;
  close(): Promise<void>;
}

export interface EndOptions {
  readonly name: string;
  readonly side: "ue" | "core";
  readonly address: string;
  readonly clock: Clock;
  readonly open: OpenDatagram;
  /** Where this end sends its requests. */
  readonly edge: { readonly address: string; readonly port: number };
  /** Requests of no call it knows. */
  onOther(server: ServerTransaction): void;
}

const callIdOf = (octets: Buffer): string | undefined => /^Call-ID: *(\S+)/im.exec(octets.toString("latin1"))?.[1];

export const openEnd = async (options: EndOptions): Promise<End> => {
  const { name, side, address, clock } = options;
  const silent = new Set<string>();
  const isSilent = (octets: Buffer): boolean => silent.size > 0 && silent.has(callIdOf(octets) ?? "");
  const calls = new Map<string, CallHandler>();
  const open: OpenDatagram = async (binding, handlers) => {
    const socket = await options.open(binding, {
      ...handlers,
      onMessage: (octets, from) => {
        if (!isSilent(octets)) handlers.onMessage(octets, from);
      },
    });
    return {
      ...socket,
      send: (octets, to) => {
        if (!isSilent(Buffer.from(octets))) socket.send(octets, to);
      },
    };
  };
  const transport = createSipTransport({
    clock,
    log: silentLog,
    openDatagram: open,
    onMessage: (message, flow) => transactions.receive(message, flow),
  });
  const transactions: Transactions = createTransactions({
    transport,
    clock,
    random: seededRandom(name),
    log: silentLog,
    onRequest: (server) => {
      const call = calls.get(headerValue(server.request, "call-id") ?? "");
      if (call === undefined) options.onOther(server);
      else call.onRequest(server);
    },
    onAck: (ack) => calls.get(headerValue(ack, "call-id") ?? "")?.onAck(ack),
  });
  const port = 5060;
  await transport.listen({ name, protocol: "udp", address, port });
  return {
    name,
    side,
    contact: `sip:${name}@${address}:${port}`,
    target: { protocol: "udp", ...options.edge, listener: name },
    transactions,
    calls,
    silence: (callId) => void silent.add(callId),
    close: async () => {
      transactions.close();
      await transport.close();
    },
  };
};

/** An answer without a body, to requests of no interest. */
export const reply = (server: ServerTransaction, status: number): void =>
  server.respond(createResponse(server.request, status, undefined, { toTag: server.toTag }));
