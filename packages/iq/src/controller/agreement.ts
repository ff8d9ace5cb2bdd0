// Owns the agreement of both ends about their contexts: what only the gateway knows is subtracted, what only we know is lost,
// what was given up is subtracted when it comes to light. H.248.1 11.5, invariant 10. Contexts come and go meanwhile: none is
// touched that an Add under way may still bring. Knows no registration.
import type { ActionReply, ActionRequest } from "@sallyport/h248";
import type { Clock, Log } from "@sallyport/kit";
import { SallyportError } from "@sallyport/kit";
import { contextsThere, subtractEach } from "./compare.ts";
import type { HeldContext } from "./held.ts";

export interface BothEnds {
  readonly gateway: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What we hold, as it is when it is read. */
  readonly held: ReadonlyMap<number, HeldContext>;
  /** The gateway can be asked. */
  ready(): boolean;
  ask(actions: readonly ActionRequest[]): Promise<readonly ActionReply[]>;
  /** Subtracts one context. */
  tidy(context: number): Promise<void>;
  /** The gateway does not hold these. */
  lose(contexts: readonly HeldContext[]): void;
}

/** LONG-TIMER: so long after it was given up a request may still be carried out (H.248.1 D.1.3). */
const lateMs = 30_000;
/** Numbers a line of the log may hold. */
const told = 20;

export class Agreement {
  readonly #ends: BothEnds;
  /** Adds under way: they may bring a context we do not know yet. */
  readonly #adding = new Set<Promise<unknown>>();
  #doubtful = false;
  /** Adds that were given up and may be carried out yet: how many, and until when. */
  #givenUp = 0;
  #givenUpUntil = 0;
  /** What ended here while contexts are compared: the gateway may have given its number anew. */
  #ended: Set<number> | undefined;
  /** Another comparison was wanted meanwhile. */
  #again = false;

  constructor(ends: BothEnds) {
    this.#ends = ends;
  }

  /** A command's outcome is not known: contexts are to be compared. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  get adding(): number {
    return this.#adding.size;
  }

  doubt(): void {
    this.#doubtful = true;
  }

  /** An Add is under way until this is called. */
  began(add: Promise<unknown>): () => void {
    this.#adding.add(add);
    return () => this.#adding.delete(add);
  }

  /** An Add was given up; it may be carried out all the same. */
  gaveUp(): void {
    this.#givenUp += 1;
    this.#givenUpUntil = this.#ends.clock.now() + lateMs;
  }

  /** The reply to an Add that was given up: what it made is nobody's. */
  async late(replies: readonly ActionReply[]): Promise<void> {
    this.#givenUp = Math.max(0, this.#givenUp - 1);
    const made = replies.find(({ context }) => typeof context === "number")?.context;
    if (!this.#ends.ready() || typeof made !== "number" || this.#ends.held.has(made)) return;
    this.#ends.log.info("late context is subtracted", { gateway: this.#ends.gateway, context: made });
    await this.#ends.tidy(made);
  }

  ended(context: number): void {
    this.#ended?.add(context);
  }

  /** H.248.1 11.2: nothing is asked of a gateway before the reply to its ServiceChange has left. */
  async soon(): Promise<void> {
    await new Promise(setImmediate);
    if (this.#ends.ready()) await this.reach();
  }

  /** Compares, one comparison at a time. What could not be had is doubted on. */
  async reach(): Promise<void> {
    if (this.#ended !== undefined) {
      this.#again = true;
      return;
    }
    const ended = (this.#ended = new Set<number>());
    // A doubt that comes up meanwhile is one for the next comparison.
    this.#doubtful = false;
    try {
      if (!(await this.#compare(ended))) this.doubt();
    } catch (error) {
      this.doubt();
      this.#ends.log.warn("contexts could not be compared", {
        gateway: this.#ends.gateway,
        code: error instanceof SallyportError ? error.code : "unknown",
      });
    } finally {
      this.#ended = undefined;
    }
    // What was given up may be carried out yet, and its reply be lost.
    if (this.#givenUp > 0 && this.#ends.clock.now() < this.#givenUpUntil) this.doubt();
    else this.#givenUp = 0;
    if (!this.#again) return;
    this.#again = false;
    await this.soon();
  }

  /** Resolves to whether both ends agree now. Rejects as `ask`. */
  async #compare(ended: ReadonlySet<number>): Promise<boolean> {
    const { gateway, held, log } = this.#ends;
    const ask: BothEnds["ask"] = (actions) => this.#ends.ask(actions);
    const known = new Map(held);
    const listed = await contextsThere(ask, [...known.keys()]);
    if (!this.#ends.ready()) return false;
    const { complete, there } = listed;
    if (!complete) log.warn("contexts can not be listed", { gateway, known: known.size });
    this.#ends.lose([...known].flatMap(([id, one]) => (!there.has(id) && held.get(id) === one ? [one] : [])));
    const suspects = [...there].filter((id) => !held.has(id) && !known.has(id));
    if (suspects.length === 0) return true;
    // One of them may be what an Add made whose reply is on its way.
    await Promise.allSettled(this.#adding);
    // Whoever waited for the same replies has taken them in by then.
    await new Promise(setImmediate);
    const left = suspects.filter((id) => !held.has(id) && !ended.has(id));
    if (left.length === 0) return true;
    log.warn("contexts left behind are subtracted", { gateway, count: left.length, contexts: left.slice(0, told) });
    return subtractEach(ask, left);
  }
}
