// Owns our requests: transaction ids, the sender machines and their timers, and the promises that wait (H.248.1 8.2, D.1).
import type { SallyportError, Timer } from "@sallyport/kit";
import { h248Errors, peerError } from "../errors.ts";
import { canonicalMid } from "../text/write-mid.ts";
import { writeH248 } from "../text/write.ts";
import type { ActionReply, ActionRequest, H248Message, Segment, Transaction } from "../text/message.ts";
import type { H248Error } from "../text/descriptor.ts";
import type { H248Peer } from "../transport/peer.ts";
import { firstRetry, measure } from "./delay.ts";
import type { Delay } from "./delay.ts";
import { LateReplies } from "./late.ts";
import type {
  AssociationLimits,
  AssociationOptions,
  AssociationTimers,
  Destination,
  RequestOptions,
} from "./options.ts";
import { scopeOf } from "./scope.ts";
import { gather, missing, whole } from "./segments.ts";
import type { Gathered } from "./segments.ts";
import { stepSender } from "./sender.ts";
import type { SenderInput, SenderRules, SenderState } from "./sender.ts";

interface Waiting {
  readonly id: number;
  readonly peer: H248Peer;
  readonly mid: string | undefined;
  readonly octets: Buffer;
  readonly rules: SenderRules;
  readonly startedAt: number;
  state: SenderState;
  timer: Timer | undefined;
  sends: number;
  /** Version 3: what came of a reply in segments. */
  segments: Gathered | undefined;
  /** Set before the machine is told of the reply. */
  outcome: { readonly actions: readonly ActionReply[] } | { readonly error: SallyportError } | undefined;
  readonly onLate: RequestOptions["onLate"];
  resolve(actions: readonly ActionReply[]): void;
  reject(error: SallyportError): void;
}

const maxMeasuredPeers = 4096;
const maxPiggybacked = 32;

export class Outgoing {
  readonly #options: AssociationOptions;
  readonly #timers: AssociationTimers;
  readonly #limits: AssociationLimits;
  readonly #waiting = new Map<number, Waiting>();
  readonly #delays = new Map<string, Delay>();
  /** Answers we have, to be told with the next request on datagrams (D.1.2.1). */
  readonly #confirmed = new Map<string, number[]>();
  readonly #late: LateReplies;
  #lastId: number;
  #repeated = 0;

  constructor(options: AssociationOptions, timers: AssociationTimers, limits: AssociationLimits, firstId: number) {
    this.#options = options;
    this.#timers = timers;
    this.#limits = limits;
    this.#lastId = firstId;
    this.#late = new LateReplies(timers.longTimerMs);
  }

  get outstanding(): number {
    return this.#waiting.size;
  }

  get repeated(): number {
    return this.#repeated;
  }

  request(
    actions: readonly ActionRequest[],
    to: Destination,
    options: RequestOptions,
  ): Promise<readonly ActionReply[]> {
    return new Promise((resolve, reject) => {
      const { peer } = to;
      if (this.#waiting.size >= this.#limits.maxOutstanding) throw h248Errors("SALLY_H248_BUSY", `Peer ${peer.id}.`);
      const id = this.#nextId();
      const octets = this.#compose(id, actions, peer, options);
      const startedAt = this.#options.clock.now();
      const mid = to.mid === undefined ? undefined : canonicalMid(to.mid);
      const rules = this.#rules(peer, options);
      const state: SenderState = { kind: "idle" };
      const entry: Waiting = {
        id,
        peer,
        mid,
        octets,
        rules,
        startedAt,
        state,
        timer: undefined,
        sends: 0,
        segments: undefined,
        outcome: undefined,
        onLate: options.onLate,
        resolve,
        reject,
      };
      this.#waiting.set(id, entry);
      this.#step(entry, { kind: "start", now: startedAt });
    });
  }

  /** A reply or Pending for one of ours, from `mid` over `peer`. */
  receive(transaction: Transaction & { readonly kind: "reply" | "pending" }, mid: string, peer: H248Peer): void {
    const entry = this.#waiting.get(transaction.id);
    if (entry === undefined || !this.#belongs(entry, mid, peer)) {
      if (entry !== undefined || transaction.kind === "pending") return;
      this.#takeLate(transaction, mid, peer);
      // D.1.2.2: a reply that was taken long ago is asking again for its acknowledgement.
      if (transaction.segment !== undefined) this.#acknowledgeSegment(transaction.id, transaction.segment, peer);
      else if (transaction.immAckRequired === true) this.#acknowledge(transaction.id, peer);
      return;
    }
    const now = this.#options.clock.now();
    if (transaction.kind === "pending") return this.#step(entry, { kind: "pending", now });
    if (transaction.body.kind === "error") entry.outcome = { error: peerError(transaction.body.error, peer.id) };
    else if (transaction.segment === undefined) entry.outcome = { actions: transaction.body.actions };
    else return this.#takeSegment(entry, transaction.segment, transaction.body.actions, peer);
    this.#measure(entry, now);
    return this.#step(entry, { kind: "reply", ackRequired: transaction.immAckRequired === true });
  }

  #takeLate({ id, body, segment }: Transaction & { readonly kind: "reply" }, mid: string, peer: H248Peer): void {
    const givenUp = this.#late.take(id, scopeOf(peer), mid, this.#options.clock.now());
    if (body.kind === "actions" && segment === undefined) givenUp?.onLate(body.actions);
  }

  /** E.14: each segment is acknowledged; the reply is taken when all have come, in whatever order. */
  #takeSegment(entry: Waiting, segment: Segment, actions: readonly ActionReply[], peer: H248Peer): void {
    this.#acknowledgeSegment(entry.id, segment, peer);
    const gathered = gather(entry.segments, segment, actions);
    const all = gathered === undefined ? undefined : whole(gathered);
    if (gathered !== undefined && all === undefined) {
      entry.segments = gathered;
      const { longTimerMs } = entry.rules;
      const patienceMs = gathered.last === undefined ? longTimerMs : Math.min(longTimerMs, this.#timers.segmentationMs);
      return this.#step(entry, { kind: "segment", now: this.#options.clock.now(), patienceMs });
    }
    entry.outcome =
      all === undefined
        ? { error: h248Errors("SALLY_H248_UNREADABLE", "Its segments make no reply.", { where: peer.id }) }
        : { actions: all };
    return this.#step(entry, { kind: "reply", ackRequired: false });
  }

  /** A reply that could not be read ends its request at once. */
  unreadable(id: number, mid: string, peer: H248Peer, why: string): void {
    const entry = this.#waiting.get(id);
    if (entry === undefined || !this.#belongs(entry, mid, peer)) return;
    entry.outcome = { error: h248Errors("SALLY_H248_UNREADABLE", why, { where: peer.id }) };
    this.#step(entry, { kind: "reply", ackRequired: false });
  }

  /** The peer could not read one of our messages: that is clear only where one request waits for it. */
  messageError(error: H248Error, mid: string, peer: H248Peer): void {
    const candidates = [...this.#waiting.values()].filter((entry) => this.#belongs(entry, mid, peer));
    const [entry] = candidates;
    if (entry === undefined || candidates.length !== 1) return;
    entry.outcome = { error: peerError(error, peer.id) };
    this.#step(entry, { kind: "reply", ackRequired: false });
  }

  closed(peer: H248Peer | undefined): void {
    for (const entry of this.#waiting.values()) {
      if (peer === undefined || entry.peer.id === peer.id) this.#step(entry, { kind: "closed" });
    }
    if (peer !== undefined) {
      this.#delays.delete(peer.id);
      this.#confirmed.delete(peer.id);
      return;
    }
    this.#delays.clear();
    this.#confirmed.clear();
    this.#late.clear();
  }

  #belongs(entry: Waiting, mid: string, peer: H248Peer): boolean {
    return scopeOf(entry.peer) === scopeOf(peer) && (entry.mid === undefined || entry.mid === mid);
  }

  /** 6.1.3: 1..0xFFFFFFFF; not one that is in use. It takes longer than LONG-TIMER to come round. */
  #nextId(): number {
    do this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #rules(peer: H248Peer, options: RequestOptions): SenderRules {
    const timers = this.#timers;
    const { firstRetryMs, minRetryMs, maxRetryMs, pendingRetryMs } = timers;
    return {
      reliable: peer.protocol !== "udp",
      firstRetryMs: firstRetry(this.#delays.get(peer.id), firstRetryMs, minRetryMs, maxRetryMs),
      maxRetryMs,
      longTimerMs: options.timeoutMs ?? timers.longTimerMs,
      pendingRetryMs,
      pendingLimit: timers.peerPendingLimit,
    };
  }

  #compose(id: number, actions: readonly ActionRequest[], peer: H248Peer, options: RequestOptions): Buffer {
    const { mid, style = "pretty", version = 2, transport } = this.#options;
    const request: Transaction = { kind: "request", id, actions };
    const write = (transactions: readonly Transaction[]): Buffer =>
      writeH248({ version: options.version ?? version, mid, body: { kind: "transactions", transactions } }, style);
    const ranges = (this.#confirmed.get(peer.id) ?? []).map((done) => [done, done] as const);
    const octets = ranges.length === 0 ? write([request]) : write([request, { kind: "ack", ranges }]);
    const max = transport.maxMessage(peer);
    if (octets.length <= max) {
      this.#confirmed.delete(peer.id);
      return octets;
    }
    const alone = write([request]);
    if (alone.length <= max) return alone;
    throw h248Errors("SALLY_H248_TOO_LARGE", `${alone.length} octets, at most ${max}.`, { where: peer.id });
  }

  #step(entry: Waiting, input: SenderInput): void {
    const { state, effects } = stepSender(entry.rules, entry.state, input);
    entry.state = state;
    if (state.kind === "done") this.#waiting.delete(entry.id);
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          this.#send(entry);
          break;
        case "timer":
          entry.timer?.cancel();
          entry.timer = this.#options.clock.after(effect.ms, () =>
            this.#step(entry, { kind: "timer", now: this.#options.clock.now() }),
          );
          break;
        case "stop-timer":
          entry.timer?.cancel();
          break;
        case "acknowledge":
          this.#acknowledge(entry.id, entry.peer);
          break;
        case "resolve":
          if (entry.outcome !== undefined && "actions" in entry.outcome) entry.resolve(entry.outcome.actions);
          else entry.reject(entry.outcome?.error ?? h248Errors("SALLY_H248_UNREADABLE"));
          this.#confirm(entry, input);
          break;
        case "fail":
          this.#giveUp(entry, effect.why);
          break;
      }
    }
  }

  #giveUp(entry: Waiting, why: "timeout" | "pendings" | "closed"): void {
    const { id, mid, onLate, peer } = entry;
    // What is not known to be undone may come to light yet; a connection that is gone brings nothing.
    if (onLate !== undefined && why !== "closed")
      this.#late.remember(id, { scope: scopeOf(peer), mid, onLate }, this.#options.clock.now());
    entry.reject(this.#failure(entry, why));
  }

  #failure(entry: Waiting, why: "timeout" | "pendings" | "closed"): SallyportError {
    const where = { where: entry.peer.id };
    if (why === "closed") return h248Errors("SALLY_H248_CLOSED", "", where);
    if (why === "timeout" && entry.segments !== undefined) {
      // H.248.8: the peer is told which.
      const text = missing(entry.segments).slice(0, 20).join(",");
      this.#write({ kind: "error", error: { code: 459, text } }, entry.peer, 3);
    }
    if (why === "timeout") return h248Errors("SALLY_H248_TIMEOUT", `Sent ${entry.sends} times.`, where);
    return peerError({ code: 506, text: "Number of TransactionPendings exceeded" }, entry.peer.id);
  }

  #send(entry: Waiting): void {
    entry.sends++;
    if (entry.sends > 1) this.#repeated++;
    if (this.#options.transport.send(entry.octets, entry.peer)) return;
    // The step that asked for this send is still being carried out.
    queueMicrotask(() => this.#step(entry, { kind: "closed" }));
  }

  #write(body: H248Message["body"], peer: H248Peer, version: H248Message["version"]): void {
    const { mid, style = "pretty", transport } = this.#options;
    transport.send(writeH248({ version, mid, body }, style), peer);
  }

  #acknowledge(id: number, peer: H248Peer): void {
    const ack: Transaction = { kind: "ack", ranges: [[id, id]] };
    this.#write({ kind: "transactions", transactions: [ack] }, peer, this.#options.version ?? 2);
  }

  #acknowledgeSegment(id: number, segment: Segment, peer: H248Peer): void {
    this.#write({ kind: "transactions", transactions: [{ kind: "segment", id, segment }] }, peer, 3);
  }

  /** Remembers an answer that was not acknowledged at once, for the next request to this datagram peer. */
  #confirm(entry: Waiting, input: SenderInput): void {
    if (entry.peer.protocol !== "udp" || input.kind !== "reply" || input.ackRequired) return;
    const ids = this.#confirmed.get(entry.peer.id);
    if (ids === undefined) {
      if (this.#confirmed.size < maxMeasuredPeers) this.#confirmed.set(entry.peer.id, [entry.id]);
    } else if (ids.length < maxPiggybacked) ids.push(entry.id);
  }

  #measure(entry: Waiting, now: number): void {
    // D.1.3: an answer to a request sent more than once, or delayed by its execution, says nothing about the path.
    if (entry.peer.protocol !== "udp" || entry.sends !== 1) return;
    if (entry.state.kind === "waiting" && entry.state.pendings > 0) return;
    if (this.#delays.size >= maxMeasuredPeers && !this.#delays.has(entry.peer.id)) return;
    this.#delays.set(entry.peer.id, measure(this.#delays.get(entry.peer.id), now - entry.startedAt));
  }
}
