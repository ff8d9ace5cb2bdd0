// Owns the transactions of one element: matching, the shells around the pure tables, the bound on their number, and what
// the layer answers by itself: CANCEL (RFC 3261 9.2), malformed requests (8.2), overload. RFC 3261 17, RFC 6026.
// Must not know dialogs, routing or bodies.
import { hash } from "node:crypto";
import { token } from "@sallyport/kit";
import type { Clock, Log, Random } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import {
  createResponse,
  formatVia,
  parseMessage,
  prependHeader,
  removeTopListElement,
  validateRequest,
  validateResponse,
  writeMessage,
} from "../message/index.ts";
import type { Params, SipMessage, SipRequest, SipResponse, ValidationOptions } from "../message/index.ts";
import { hostPort } from "../transport/flow.ts";
import type { Flow, SipTarget } from "../transport/flow.ts";
import type { SipTransport } from "../transport/transport.ts";
import { ackBranch } from "./ack-branch.ts";
import { ClientShell, silent } from "./client-shell.ts";
import type { ClientHandlers, ClientLayer, ClientTransaction } from "./client-shell.ts";
import { defaultTimers } from "./machine.ts";
import type { TransactionTimers } from "./machine.ts";
import { clientKey, responseKey, sameSentBy, serverMatch, topVia } from "./match.ts";
import { ServerShell } from "./server-shell.ts";
import type { ServerLayer, ServerTransaction } from "./server-shell.ts";
import { createSpent } from "./spent.ts";

export interface TransactionLimits {
  /** Transactions somebody still has something to do with. */
  readonly maxServer: number;
  readonly maxClient: number;
}

/**
 * What is kept of transactions that only take in copies: of 3,000 challenged registrations a second over UDP, for 32 s.
 * More are forgotten early, and a late copy is a request of its own.
 */
const maxSpent = { entries: 250_000, weight: 268_435_456 };

/** What copies of a request are answered with: the response as it went out; undefined for nothing. */
interface SpentServer {
  readonly flow: Flow;
  readonly text: string | undefined;
}

export const defaultTransactionLimits: TransactionLimits = { maxServer: 20_000, maxClient: 20_000 };

/** What the layer needs of a transport. */
export type TransactionTransport = Pick<SipTransport, "send" | "viaFor">;

export interface TransactionsOptions {
  readonly transport: TransactionTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: Partial<TransactionLimits>;
  readonly timers?: Partial<TransactionTimers>;
  /** The role, methods and URI schemes new requests are checked against before anybody sees them. */
  readonly validation?: ValidationOptions;
  /** Every new request but ACK and CANCEL. When it throws, the request is answered 500. */
  onRequest(transaction: ServerTransaction): void;
  /** An ACK that belongs to no transaction here: that of a 2xx. */
  onAck(request: SipRequest, flow: Flow): void;
  /** RFC 6026 8.9: to be counted, never to be forwarded. */
  onStrayResponse?(response: SipResponse, flow: Flow): void;
  /**
   * Whether an answer that came on `flow` may be of whom the request was sent to; `sent` is the flow it left on, or its
   * target while that is not known. An answer that may not is dropped. Default: all may who know the branch.
   */
  mayAnswer?(flow: Flow, sent: Flow | SipTarget): boolean;
  /** A response dropped before anybody acts on it: `sender` by `mayAnswer`, else RFC 3261 18.1.2 and 17.1.3. */
  onDiscarded?(why: "sender" | "sent-by" | "malformed", response: SipResponse, flow: Flow): void;
  /**
   * Whether nothing is known of who is at the other end. Strangers' requests hold half of the table at most, and what is
   * refused of them is not kept at all. Default: nobody is a stranger.
   */
  isStranger?(flow: Flow): boolean;
  /**
   * Whether the final answer to a stranger's INVITE over UDP may be sent once more though nobody sent the INVITE again
   * (RFC 3261 17.2.1 Timer G): where the source is forged, each goes to somebody who never asked. Default: always.
   */
  mayRepeat?(flow: Flow): boolean;
  /** A handler threw: a defect of the layer above, which must not end other calls. Default: an error in the log. */
  onFault?(error: unknown): void;
}

export interface RequestOptions {
  readonly viaParams?: Params;
  /** Must begin with z9hG4bK and be unique; default: a random one. */
  readonly branch?: string;
}

export interface Transactions {
  /** Takes what the transport received. */
  receive(message: SipMessage, flow: Flow): void;
  /** Sends a request that does not have our Via yet. Handlers are never called before it returns. */
  request(
    request: SipRequest,
    to: Flow | SipTarget,
    handlers: ClientHandlers,
    options?: RequestOptions,
  ): ClientTransaction;
  /** Sends the ACK of a 2xx, our Via added. Rejects with the transport's errors. */
  sendAck(ack: SipRequest, to: Flow | SipTarget, options?: RequestOptions): Promise<void>;
  readonly counts: { readonly client: number; readonly server: number };
  /**
   * A connection is gone. Requests it took and that nobody has answered at all fail as if they had not been sent
   * (RFC 3261 17.1.4, 18.4); those with a provisional answer wait on, the rest may come on another connection (18.2.2).
   */
  flowClosed(flow: Flow): void;
  /** Forgets every transaction, timers included, and calls nobody. */
  close(): void;
}

export const createTransactions = (options: TransactionsOptions): Transactions => {
  const { transport, clock, random, log } = options;
  const timers: TransactionTimers = { ...defaultTimers, ...options.timers };
  const limits = { ...defaultTransactionLimits, ...options.limits };
  const clients = new Map<string, ClientShell>();
  const servers = new Map<string, ServerShell>();
  let seed: string | undefined;
  /** Text of this element alone. */
  const ownSeed = (): string => (seed ??= random.bytes(16).toString("hex"));
  let strangers = 0;
  let closed = false;

  const onFault = (error: unknown): void =>
    options.onFault === undefined
      ? log.error("transaction handler failed", { error: String(error) })
      : options.onFault(error);

  const sendStateless = (response: SipResponse, flow: Flow): void => {
    transport.send(response, flow).catch((error: Error) => log.debug("response not sent", { error: error.message }));
  };

  const withVia = (request: SipRequest, to: Flow | SipTarget, given: RequestOptions | undefined) => {
    const { protocol, host, port } = transport.viaFor(to);
    const branch = given?.branch ?? `z9hG4bK${token(random, 24)}`;
    // RFC 3581 3: ask for the way back our packets really took.
    const params: Params = [["branch", branch], ["rport", undefined], ...(given?.viaParams ?? [])];
    return { branch, request: prependHeader(request, "Via", formatVia({ transport: protocol, host, port, params })) };
  };

  const discard = (
    why: "sender" | "sent-by" | "malformed",
    response: SipResponse,
    flow: Flow,
    reason: string = why,
  ): void => {
    log.debug("response discarded", { reason, flow: flow.id });
    options.onDiscarded?.(why, response, flow);
  };

  const receiveResponse = (response: SipResponse, flow: Flow): void => {
    const key = responseKey(response);
    const found = key === undefined ? undefined : clients.get(key);
    if (found === undefined && key !== undefined && (spentClients.get(key) ?? spentInvites.get(key)) !== undefined)
      return;
    const verdict = validateResponse(response, options.validation);
    if (!verdict.ok) return discard("malformed", response, flow, verdict.reason);
    if (found === undefined) return options.onStrayResponse?.(response, flow);
    const via = topVia(response);
    const ours = topVia(found.request);
    // RFC 3261 18.1.2: silently discarded.
    if (via === undefined || ours === undefined || !sameSentBy(via, ours)) return discard("sent-by", response, flow);
    if (options.mayAnswer?.(flow, found.sent) === false) return discard("sender", response, flow);
    found.receive(removeTopListElement(response, "via"), flow);
  };

  const spentServers = createSpent<SpentServer>(clock, 64 * timers.T1, maxSpent);
  const spentClients = createSpent<true>(clock, timers.T4, maxSpent);
  const spentInvites = createSpent<true>(clock, 64 * timers.T1, maxSpent);

  const leave = (shell: ServerShell): boolean => {
    if (servers.get(shell.id) !== shell) return false;
    servers.delete(shell.id);
    if (shell.stranger) strangers -= 1;
    return true;
  };

  /** RFC 3261 8.2.7: the same for every copy of a request, without anything kept of it. */
  const tagOfCopies = (key: string): string => hash("sha256", `${ownSeed()}\n${key}`, "hex").slice(0, 16);

  const serverLayer: ServerLayer = {
    clock,
    timers,
    newTag: () => token(random, 16),
    tagOf: tagOfCopies,
    send: (response, flow) => transport.send(response, flow),
    mayRepeat: (flow) => options.mayRepeat?.(flow) !== false,
    onAckOf2xx: (ack, flow) => options.onAck(ack, flow),
    onEnd: (shell) => void leave(shell),
    onRefused: (shell, response) => {
      if (!leave(shell)) return;
      shell.drop();
      sendStateless(response, shell.flow);
      shell.onEnd?.();
    },
    onSpent: (shell, last) => {
      if (!leave(shell)) return;
      shell.drop();
      const text = last === undefined ? undefined : writeMessage(last).toString("latin1");
      spentServers.put(shell.id, { flow: shell.flow, text }, text?.length ?? 0);
      shell.onEnd?.();
    },
    onFault,
  };

  /** RFC 3261 17.2.2: a copy of a request that was answered gets the same answer. */
  const answerAgain = ({ flow, text }: SpentServer): void => {
    if (text === undefined) return;
    const parsed = parseMessage(Buffer.from(text, "latin1"));
    if (parsed.ok && parsed.message.kind === "response") sendStateless(parsed.message, flow);
  };

  const openServer = (request: SipRequest, flow: Flow, key: string): ServerShell | undefined => {
    const stranger = options.isStranger?.(flow) === true;
    if (servers.size >= limits.maxServer || (stranger && strangers >= limits.maxServer / 2)) {
      const busy = { toTag: tagOfCopies(key), headers: [["Retry-After", "10"]] } as const;
      sendStateless(createResponse(request, 503, undefined, busy), flow);
      return undefined;
    }
    const shell = new ServerShell(serverLayer, key, { request, flow, stranger });
    servers.set(key, shell);
    if (stranger) strangers += 1;
    shell.begin();
    return shell;
  };

  /** RFC 3261 9.2: answered 200 whatever becomes of it; it has an effect only on an INVITE not finally answered. */
  const receiveCancel = (cancel: SipRequest, flow: Flow, key: string): void => {
    const target = serverMatch(cancel, flow.remote.address, "INVITE");
    const invite = target === undefined ? undefined : servers.get(target.key);
    const shell = openServer(cancel, flow, key);
    if (shell === undefined) return;
    const toTag = invite?.toTag ?? shell.toTag;
    const known = invite !== undefined || (target !== undefined && spentServers.get(target.key) !== undefined);
    shell.end(createResponse(cancel, known ? 200 : 481, undefined, { toTag }));
    invite?.cancel(cancel);
  };

  const receiveRequest = (request: SipRequest, flow: Flow): void => {
    const match = serverMatch(request, flow.remote.address);
    if (match === undefined) {
      if (request.method !== "ACK") sendStateless(createResponse(request, 400), flow);
      return;
    }
    const found = servers.get(match.key);
    const spent = found === undefined ? spentServers.get(match.key) : undefined;
    if (request.method === "ACK") {
      if (found?.acknowledges(request, match.old) === true) return found.receive(request);
      if (validateRequest(request, options.validation).ok) options.onAck(request, flow);
      return;
    }
    if (found !== undefined) return found.receive(request);
    if (spent !== undefined) return answerAgain(spent);
    const verdict = validateRequest(request, options.validation);
    if (verdict.ok && request.method === "CANCEL") return receiveCancel(request, flow, match.key);
    const shell = openServer(request, flow, match.key);
    if (shell === undefined) return;
    if (!verdict.ok) return shell.refuse(verdict.status, verdict.reason);
    try {
      options.onRequest(shell);
    } catch (error) {
      onFault(error);
      shell.respond(createResponse(request, 500, undefined, { toTag: shell.toTag }));
    }
  };

  const clientLayer: ClientLayer = {
    clock,
    timers,
    send: (message, to) => transport.send(message, to),
    sendCancel: (shell, cancel) => {
      // Nobody waits for the answer to a CANCEL: the INVITE's own final response tells.
      // RFC 3261 9.1: a transaction of its own, with the branch of the request it cancels.
      const branch = shell.id.slice(shell.id.indexOf("\n") + 1);
      launch(cancel, branch, shell.to, silent);
    },
    onEnd: (shell) => {
      if (clients.get(shell.id) === shell) clients.delete(shell.id);
    },
    onSpent: (shell) => {
      if (clients.get(shell.id) !== shell) return;
      clients.delete(shell.id);
      (shell.request.method === "INVITE" ? spentInvites : spentClients).put(shell.id, true, 0);
      shell.retire();
    },
    onFault,
  };

  /** Starts a client transaction for a request that has its Via. */
  const launch = (
    request: SipRequest,
    branch: string,
    to: Flow | SipTarget,
    handlers: ClientHandlers,
  ): ClientTransaction => {
    const key = clientKey(branch, request.method);
    let refused: Error | undefined;
    if (closed) refused = sipErrors("SALLY_SIP_CLOSED");
    else if (clients.size >= limits.maxClient) refused = sipErrors("SALLY_SIP_LIMIT", `${clients.size} transactions.`);
    else if (clients.has(key) || spentClients.get(key) === true || spentInvites.get(key) === true)
      refused = sipErrors("SALLY_SIP_LIMIT", "The branch is in use.");
    const shell = new ClientShell(clientLayer, { request, id: key, to, handlers, refused });
    if (refused === undefined) clients.set(key, shell);
    shell.begin();
    return shell;
  };

  const gone = new Map<string, Flow>();
  /** After what the connection still delivered or failed to write has been told; once for all that closed meanwhile. */
  const tellOfGone = (): void => {
    if (closed) return;
    for (const shell of clients.values()) {
      const flow = shell.sentOn === undefined ? undefined : gone.get(shell.sentOn);
      if (flow === undefined) continue;
      const { protocol, remote } = flow;
      shell.connectionLost(sipErrors("SALLY_SIP_FLOW_GONE", `${protocol} ${hostPort(remote.address, remote.port)}.`));
    }
    gone.clear();
  };

  return {
    receive: (message, flow) => {
      if (closed) return;
      if (message.kind === "response") receiveResponse(message, flow);
      else receiveRequest(message, flow);
    },
    request: (request, to, handlers, given) => {
      const own = withVia(request, to, given);
      return launch(own.request, own.branch, to, handlers);
    },
    sendAck: async (ack, to, given) => {
      await transport.send(withVia(ack, to, { branch: ackBranch(ack, ownSeed()), ...given }).request, to);
    },
    get counts() {
      return { client: clients.size + spentClients.size + spentInvites.size, server: servers.size + spentServers.size };
    },
    flowClosed: (flow) => {
      if (closed || flow.protocol === "udp") return;
      if (gone.size === 0) setImmediate(tellOfGone);
      gone.set(flow.id, flow);
    },
    close: () => {
      closed = true;
      gone.clear();
      for (const shell of clients.values()) shell.drop();
      for (const shell of servers.values()) shell.drop();
      strangers = 0;
      clients.clear();
      servers.clear();
      spentClients.clear();
      spentInvites.clear();
      spentServers.clear();
    },
  };
};
