// Time as a port: state machines ask this clock, tests turn it by hand.

export interface Timer {
  /** Stops the timer; harmless when it has fired or was cancelled. */
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the Unix epoch; never goes back. */
  now(): number;
  /** Runs `run` once, `ms` milliseconds from now. Does not keep the process alive. */
  after(ms: number, run: () => void): Timer;
}

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that stands still until `advance` is called. Timers due at the same moment fire in the order they were set. */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(start = 0) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const pending: Pending = { at: this.#now + Math.max(0, ms), order: this.#order++, run };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  /** How many timers are waiting: zero when nothing was left behind. */
  get waiting(): number {
    return this.#pending.size;
  }

  /** Lets `ms` milliseconds pass and fires, in order, every timer that falls due, those set on the way included. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let next = this.#dueBy(until); next !== undefined; next = this.#dueBy(until)) {
      this.#pending.delete(next);
      this.#now = next.at;
      next.run();
    }
    this.#now = until;
  }

  #dueBy(until: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.at > until) continue;
      if (first === undefined || pending.at < first.at || (pending.at === first.at && pending.order < first.order)) {
        first = pending;
      }
    }
    return first;
  }
}
