// Owns the life of one machine: its state, its timers and the order of its inputs. Generic over the four tables.
// Must not know what an effect does: its host tells it. A class: an element runs thousands of these at a time.
import type { Clock, Timer } from "@sallyport/kit";
import type { Effect, Step } from "./machine.ts";

/** The effects that are left to the host. */
export type ShellEffect<T extends string> = Exclude<Effect<T>, { readonly kind: "start" | "stop" }>;

export interface RunnerHost<S extends { readonly name: string }, T extends string, I> {
  step(state: S, input: I): Step<S, T>;
  perform(effect: ShellEffect<T>): void;
  /** The machine has terminated. */
  ended(): void;
  /** A handler of the transaction's user threw: a defect there must not end other calls. */
  fault(error: unknown): void;
}

type TimerInput<T extends string> = { readonly kind: "timer"; readonly timer: T };

export class Runner<S extends { readonly name: string }, T extends string, I extends { readonly kind: string }> {
  readonly #clock: Clock;
  readonly #host: RunnerHost<S, T, I | TimerInput<T>>;
  readonly #first: Step<S, T>["effects"];
  // Two or three run at a time: parallel lists are smaller than a table, and as fast.
  readonly #names: T[] = [];
  readonly #timers: Timer[] = [];
  #state: S;
  #waiting: (I | TimerInput<T>)[] | undefined;
  #working = false;
  #over = false;

  constructor(clock: Clock, first: Step<S, T>, host: RunnerHost<S, T, I | TimerInput<T>>) {
    this.#clock = clock;
    this.#host = host;
    this.#state = first.state;
    this.#first = first.effects;
  }

  get state(): S {
    return this.#state;
  }

  /** Performs the effects of the first step. */
  begin(): void {
    this.#working = true;
    this.#apply(this.#state, this.#first);
    this.#drain();
  }

  /** Inputs that arise while another is worked on wait for their turn. */
  feed(input: I | TimerInput<T>): void {
    if (this.#over) return;
    if (this.#working) {
      (this.#waiting ??= []).push(input);
      return;
    }
    this.#working = true;
    this.#take(input);
    this.#drain();
  }

  /** Stops all timers without a word to anybody. */
  drop(): void {
    this.#over = true;
    this.#waiting = undefined;
    for (const timer of this.#timers) timer.cancel();
    this.#names.length = 0;
    this.#timers.length = 0;
  }

  #drain(): void {
    for (let input = this.#waiting?.shift(); input !== undefined; input = this.#waiting?.shift()) this.#take(input);
    this.#working = false;
  }

  #take(input: I | TimerInput<T>): void {
    let next: Step<S, T>;
    try {
      next = this.#host.step(this.#state, input);
    } catch (error) {
      return this.#host.fault(error);
    }
    return this.#apply(next.state, next.effects);
  }

  #stop(timer: T): void {
    const at = this.#names.indexOf(timer);
    if (at < 0) return;
    this.#timers[at]?.cancel();
    this.#forget(at);
  }

  #forget(at: number): void {
    this.#names.splice(at, 1);
    this.#timers.splice(at, 1);
  }

  #start(timer: T, ms: number): void {
    this.#stop(timer);
    const handle = this.#clock.after(ms, () => {
      this.#forget(this.#names.indexOf(timer));
      this.feed({ kind: "timer", timer });
    });
    this.#names.push(timer);
    this.#timers.push(handle);
  }

  #apply(state: S, effects: Step<S, T>["effects"]): void {
    this.#state = state;
    for (const effect of effects) {
      if (this.#over) break;
      try {
        if (effect.kind === "stop") this.#stop(effect.timer);
        else if (effect.kind === "start") this.#start(effect.timer, effect.ms);
        else this.#host.perform(effect);
      } catch (error) {
        this.#host.fault(error);
      }
    }
    if (state.name !== "terminated" || this.#over) return;
    this.drop();
    try {
      this.#host.ended();
    } catch (error) {
      this.#host.fault(error);
    }
  }
}
