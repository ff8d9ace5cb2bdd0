// Owns the peers' requests: the receiver machines, their timers and the stored answers (H.248.1 8.2.3, D.1.1, D.1.2).
// Everything a stranger can make us remember is bounded; what is past the bounds is dropped, never carried out twice.
import { SallyportError, sparing } from "@sallyport/kit";
import type { Sparing, Timer } from "@sallyport/kit";
import { safeErrorText } from "../errors.ts";
import type { ActionReply, H248Version, ReplyBody, Segment, Transaction } from "../text/message.ts";
import { writeH248 } from "../text/write.ts";
import type { H248Peer } from "../transport/peer.ts";
import type { AssociationLimits, AssociationOptions, AssociationTimers } from "./options.ts";
import { stepReceiver } from "./receiver.ts";
import type { ReceiverEffect, ReceiverInput, ReceiverRules, ReceiverState } from "./receiver.ts";
import { scopeOf } from "./scope.ts";
import { cut } from "./segments.ts";

type Request = Transaction & { readonly kind: "request" };
type Sender = Map<number, Remembered>;

interface Remembered {
  readonly id: number;
  readonly senderKey: string;
  readonly scope: string;
  readonly version: H248Version;
  readonly rules: ReceiverRules;
  state: ReceiverState;
  timer: Timer | undefined;
  /** Where the newest copy of the request came from. */
  peer: H248Peer;
  answer: Answer | undefined;
  /** Of those whose answer is stored. */
  older: Remembered | undefined;
  newer: Remembered | undefined;
}

/** An answer as it goes out: one message, or (version 3) segments of which some have been acknowledged. */
interface Answer {
  readonly messages: readonly Buffer[];
  readonly octets: number;
  /** Numbers that were sent and not acknowledged; nothing of an answer that is one message. */
  readonly open: Set<number> | undefined;
  sent: number;
}

/** How a peer's requests are kept apart from those of others. */
interface Place {
  readonly peer: H248Peer;
  readonly mid: string;
  readonly scope: string;
  readonly senderKey: string;
}

/** Segments on their way at a time, on datagrams. */
const segmentWindow = 16;

/** A request as it came, and the executions of its message before it. */
export interface Arrival {
  readonly request: Request;
  readonly mid: string;
  readonly version: H248Version;
  readonly peer: H248Peer;
  readonly after: Promise<void> | undefined;
}

const failed = (code: number, text: string): ReplyBody => ({ kind: "error", error: { code, text } });

const rejection = (error: unknown): ReplyBody => {
  if (!(error instanceof SallyportError)) return failed(500, "Internal failure");
  return failed(error.h248Error ?? 500, safeErrorText(error.detail === "" ? error.code : error.detail));
};

const opensAssociation = (request: Request): boolean =>
  request.actions.some((action) => action.commands.some((command) => command.command === "ServiceChange"));

export class Incoming {
  readonly #options: AssociationOptions;
  readonly #mayTell: Sparing;
  readonly #timers: AssociationTimers;
  readonly #limits: AssociationLimits;
  readonly #fault: (what: string, error: unknown) => void;
  readonly #senders = new Map<string, Sender>();
  /** How many of a peer's transactions are remembered, whatever message identifiers it uses. */
  readonly #ofPeer = new Map<string, number>();
  /** Of the entries whose answer is stored. */
  #oldest: Remembered | undefined;
  #newest: Remembered | undefined;
  readonly #rulesKnown: ReceiverRules[] = [];
  /** Of the latest request: nearly always the next one's too. */
  #place: Place | undefined;
  #remembered = 0;
  #octets = 0;
  #dropped = 0;
  #closed = false;

  constructor(
    options: AssociationOptions,
    timers: AssociationTimers,
    limits: AssociationLimits,
    fault: (what: string, error: unknown) => void,
  ) {
    this.#options = options;
    this.#mayTell = sparing(options.clock);
    this.#timers = timers;
    this.#limits = limits;
    this.#fault = fault;
  }

  get counts(): { readonly remembered: number; readonly answerOctets: number; readonly dropped: number } {
    return { remembered: this.#remembered, answerOctets: this.#octets, dropped: this.#dropped };
  }

  /** Takes a request in; resolves when its execution has ended. Undefined where nothing is executed. */
  receive(arrival: Arrival): Promise<void> | undefined {
    const { request, mid, peer, version } = arrival;
    if (request.id === 0) {
      // 6.1.3: 0 stands for an id that could not be read.
      this.#send(this.#write(0, version, failed(410, "Incorrect identifier"), false, peer)[0], peer);
      return undefined;
    }
    const place = this.#placeOf(peer, mid);
    const known = this.#senders.get(place.senderKey)?.get(request.id);
    if (known !== undefined) {
      known.peer = peer;
      this.#step(known, { kind: "request" });
      return undefined;
    }
    const entry = this.#remember(arrival, place);
    if (entry === undefined) return undefined;
    let execution: Promise<void> | undefined;
    this.#step(entry, { kind: "request" }, () => {
      execution = this.#execute(entry, arrival);
    });
    return execution;
  }

  /** D.1.2: the peer has these answers. Work is bounded by what is remembered, whatever the ranges say. */
  acknowledged(ranges: readonly (readonly [number, number])[], mid: string, peer: H248Peer): void {
    const sender = this.#senders.get(this.#placeOf(peer, mid).senderKey);
    if (sender === undefined) return;
    const now = this.#options.clock.now();
    let budget = 2 * sender.size + ranges.length;
    for (const [first, last] of ranges) {
      const ids = last - first < sender.size ? idsBetween(first, last) : sender.keys();
      for (const id of ids) {
        if (--budget < 0) return;
        const entry = id < first || id > last ? undefined : sender.get(id);
        if (entry !== undefined) this.#step(entry, { kind: "acknowledged", now });
      }
    }
  }

  /** E.14: the peer has this segment; further ones may follow it. */
  acknowledgedSegment(id: number, number: number, mid: string, peer: H248Peer): void {
    const entry = this.#senders.get(this.#placeOf(peer, mid).senderKey)?.get(id);
    const answer = entry?.answer;
    if (entry === undefined || answer?.open?.delete(number) !== true) return;
    this.#sendSegments(entry, answer, answer.open);
    if (answer.open.size === 0) this.#step(entry, { kind: "acknowledged", now: this.#options.clock.now() });
  }

  close(): void {
    this.#closed = true;
    for (const sender of this.#senders.values()) for (const entry of sender.values()) entry.timer?.cancel();
    this.#senders.clear();
    this.#ofPeer.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#place = undefined;
    this.#remembered = 0;
    this.#octets = 0;
  }

  #placeOf(peer: H248Peer, mid: string): Place {
    const latest = this.#place;
    if (latest?.peer === peer && latest.mid === mid) return latest;
    const scope = scopeOf(peer);
    return (this.#place = { peer, mid, scope, senderKey: `${scope}|${mid}` });
  }

  #remember({ request, peer, version }: Arrival, { scope, senderKey }: Place): Remembered | undefined {
    const { maxRemembered, maxRememberedPerPeer } = this.#limits;
    const ofPeer = this.#ofPeer.get(scope) ?? 0;
    if (this.#remembered >= maxRemembered || ofPeer >= maxRememberedPerPeer) {
      this.#dropped++;
      return undefined;
    }
    const rules = this.#rules(peer.protocol !== "udp", !opensAssociation(request));
    const entry: Remembered = {
      id: request.id,
      senderKey,
      scope,
      version,
      rules,
      state: { kind: "new" },
      timer: undefined,
      peer,
      answer: undefined,
      older: undefined,
      newer: undefined,
    };
    const sender = this.#senders.get(senderKey);
    if (sender === undefined) this.#senders.set(senderKey, new Map([[request.id, entry]]));
    else sender.set(request.id, entry);
    this.#ofPeer.set(scope, ofPeer + 1);
    this.#remembered++;
    return entry;
  }

  /** There are four of them. */
  #rules(reliable: boolean, mayPend: boolean): ReceiverRules {
    const key = (reliable ? 2 : 0) + (mayPend ? 1 : 0);
    const known = this.#rulesKnown[key];
    if (known !== undefined) return known;
    const { provisionalMs, pendingLimit, longTimerMs, maxDelayMs, firstRetryMs, maxRetryMs } = this.#timers;
    const keepMs = longTimerMs + 3 * maxDelayMs;
    return (this.#rulesKnown[key] = {
      reliable,
      provisionalMs,
      pendingLimit,
      mayPend,
      keepMs,
      firstRetryMs,
      maxRetryMs,
    });
  }

  async #execute(entry: Remembered, { request, mid, version, peer, after }: Arrival): Promise<void> {
    let body: ReplyBody;
    try {
      if (after !== undefined) await after;
      if (this.#closed) return;
      body = {
        kind: "actions",
        actions: await this.#options.onRequest({ actions: request.actions, mid, peer, version }),
      };
    } catch (error) {
      if (error instanceof SallyportError) this.#tell(error.code, peer, entry.id);
      else this.#fault("request", error);
      body = rejection(error);
    }
    if (!this.#closed) this.#step(entry, { kind: "executed", now: this.#options.clock.now() }, undefined, body);
  }

  #tell(code: string, peer: H248Peer, transaction: number): void {
    const untold = this.#mayTell(`${peer.remote.address} ${code}`);
    if (untold !== undefined)
      this.#options.log.warn("h248 request failed", { transaction, peer: peer.id, code, untold });
  }

  #step(entry: Remembered, input: ReceiverInput, execute?: () => void, body?: ReplyBody): void {
    const { state, effects } = stepReceiver(entry.rules, entry.state, input);
    entry.state = state;
    for (const effect of effects) this.#carryOut(entry, effect, execute, body);
  }

  #carryOut(entry: Remembered, effect: ReceiverEffect, execute?: () => void, body?: ReplyBody): void {
    switch (effect.kind) {
      case "execute":
        return execute?.();
      case "send-pending":
        return this.#send(this.#writeTransaction({ kind: "pending", id: entry.id }, entry.version), entry.peer);
      case "answer": {
        const result = effect.with === "506" ? failed(506, "Number of TransactionPendings exceeded") : body;
        const { id, version, peer } = entry;
        this.#store(entry, this.#write(id, version, result ?? failed(500, ""), effect.ackRequired, peer));
        return this.#sendAnswer(entry);
      }
      case "send-stored":
        return this.#sendAnswer(entry);
      case "free-answer":
        return this.#free(entry);
      case "timer":
        entry.timer?.cancel();
        entry.timer = this.#options.clock.after(effect.ms, () =>
          this.#step(entry, { kind: "timer", now: this.#options.clock.now() }),
        );
        return undefined;
      case "forget":
        return this.#forget(entry);
    }
  }

  /** For the first time, or whatever of it was not acknowledged. */
  #sendAnswer(entry: Remembered): void {
    const { answer, peer } = entry;
    if (answer === undefined) return;
    if (answer.open === undefined) return this.#send(answer.messages[0], peer);
    for (const number of answer.open) this.#send(answer.messages[number - 1], peer);
    this.#sendSegments(entry, answer, answer.open);
  }

  #sendSegments({ peer, rules }: Remembered, answer: Answer, open: Set<number>): void {
    const most = rules.reliable ? Infinity : segmentWindow;
    while (answer.sent < answer.messages.length && open.size < most) {
      this.#send(answer.messages[answer.sent], peer);
      open.add(++answer.sent);
    }
  }

  #store(entry: Remembered, messages: readonly Buffer[]): void {
    this.#free(entry);
    let octets = 0;
    for (const { length } of messages) octets += length;
    entry.answer = { messages, octets, open: messages.length === 1 ? undefined : new Set(), sent: 0 };
    this.#octets += octets;
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    while (this.#octets > this.#limits.maxAnswerOctets && this.#oldest !== undefined && this.#oldest !== entry) {
      this.#free(this.#oldest);
    }
  }

  #free(entry: Remembered): void {
    const { answer, newer, older } = entry;
    if (answer === undefined) return;
    this.#octets -= answer.octets;
    entry.answer = undefined;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }

  #forget(entry: Remembered): void {
    this.#free(entry);
    entry.timer?.cancel();
    const sender = this.#senders.get(entry.senderKey);
    if (sender?.size === 1 && sender.has(entry.id)) this.#senders.delete(entry.senderKey);
    if (sender?.delete(entry.id) !== true) return;
    this.#remembered--;
    const left = (this.#ofPeer.get(entry.scope) ?? 1) - 1;
    if (left === 0) this.#ofPeer.delete(entry.scope);
    else this.#ofPeer.set(entry.scope, left);
  }

  /** A reply that the text encoding or the transport cannot carry becomes segments (version 3) or error 500 or 533. */
  #write(id: number, version: H248Version, body: ReplyBody, ackRequired: boolean, peer: H248Peer): readonly Buffer[] {
    const reply = (content: ReplyBody, immAckRequired?: true, segment?: Segment): Buffer =>
      this.#writeTransaction({ kind: "reply", id, immAckRequired, segment, body: content }, version);
    try {
      const most = this.#options.transport.maxMessage(peer);
      const octets = reply(body, ackRequired ? true : undefined);
      if (octets.length <= most) return [octets];
      const segments =
        version < 3 || body.kind === "error"
          ? undefined
          : this.#cut(body.actions, (part, segment) => reply(part, undefined, segment), most);
      return segments ?? [reply(failed(533, "Response exceeds maximum transport PDU size"))];
    } catch (error) {
      this.#fault("reply", error);
      return [reply(failed(500, "Internal failure"))];
    }
  }

  #cut(
    actions: readonly ActionReply[],
    reply: (body: ReplyBody, segment: Segment) => Buffer,
    most: number,
  ): readonly Buffer[] | undefined {
    const write = (part: readonly ActionReply[], number: number, last: boolean): Buffer =>
      reply({ kind: "actions", actions: part }, { number, last });
    const parts = cut(actions, (part) => write(part, 0xffff, true).length <= most);
    if (parts === undefined || parts.length > 0xffff) return undefined;
    return parts.map((part, at) => write(part, at + 1, at + 1 === parts.length));
  }

  #writeTransaction(transaction: Transaction, version: H248Version): Buffer {
    const { mid, style = "pretty" } = this.#options;
    return writeH248({ version, mid, body: { kind: "transactions", transactions: [transaction] } }, style);
  }

  #send(octets: Buffer | undefined, peer: H248Peer): void {
    if (octets !== undefined) this.#options.transport.send(octets, peer);
  }
}

function* idsBetween(first: number, last: number): Generator<number> {
  for (let id = first; id <= last; id++) yield id;
}
