// Owns the detection of silence on one leg, for each direction apart (the gateway's inactivity event, adid/ipstop).
// One timer a leg, moved only when it fires: a packet costs a store. Knows no packet.
import type { Clock, Timer } from "@sallyport/kit";

export type Direction = "in" | "out";

interface Watched {
  expected: boolean;
  last: number;
  reported: boolean;
}

export class InactivityWatch {
  readonly #clock: Clock;
  readonly #report: (direction: Direction) => void;
  readonly #state: Readonly<Record<Direction, Watched>> = {
    in: { expected: false, last: 0, reported: false },
    out: { expected: false, last: 0, reported: false },
  };
  #after: number | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, report: (direction: Direction) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** Starts anew: silence is counted from now. `undefined` or a direction not expected is not watched. */
  watch(afterMs: number | undefined, expected: Readonly<Record<Direction, boolean>>): void {
    const now = this.#clock.now();
    this.#after = afterMs;
    for (const direction of ["in", "out"] as const) {
      const state = this.#state[direction];
      state.expected = expected[direction];
      state.last = now;
      state.reported = false;
    }
    this.#arm(now);
  }

  /** A packet went that way; after a report this starts the watch again. */
  touched(direction: Direction, now: number): void {
    const state = this.#state[direction];
    state.last = now;
    if (!state.reported) return;
    state.reported = false;
    this.#arm(now);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#after = undefined;
  }

  #arm(now: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const after = this.#after;
    if (after === undefined) return;
    let due = Infinity;
    for (const state of [this.#state.in, this.#state.out]) {
      if (state.expected && !state.reported) due = Math.min(due, state.last + after);
    }
    if (due < Infinity) this.#timer = this.#clock.after(Math.max(1, due - now), () => this.#due(after));
  }

  #due(after: number): void {
    const now = this.#clock.now();
    for (const direction of ["in", "out"] as const) {
      const state = this.#state[direction];
      if (!state.expected || state.reported || now - state.last < after) continue;
      state.reported = true;
      this.#report(direction);
    }
    this.#arm(now);
  }
}
