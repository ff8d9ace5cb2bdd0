// Owns the life of one machine: its state, its timers and the order of its inputs. Generic over the four tables.
// Must not know what an effect does: the shell tells it.
import type { Clock, Timer } from "@sallyport/kit";
import type { Effect, Step } from "./machine.ts";

/** The effects that are left to the shell. */
export type ShellEffect<T extends string> = Exclude<Effect<T>, { readonly kind: "start" | "stop" }>;

export interface Runner<S, I> {
  readonly state: S;
  /** Performs the effects of the first step. */
  begin(): void;
  /** Inputs that arise while another is worked on wait for their turn. */
  feed(input: I): void;
  /** Stops all timers without a word to anybody. */
  drop(): void;
}

export interface RunnerOptions<S extends { readonly name: string }, T extends string, I> {
  readonly clock: Clock;
  readonly first: Step<S, T>;
  step(state: S, input: I): Step<S, T>;
  onTimer(timer: T): I;
  perform(effect: ShellEffect<T>): void;
  onEnd(): void;
  /** A handler of the transaction's user threw: a defect there must not end other calls. */
  readonly onFault: (error: unknown) => void;
}

export const createRunner = <S extends { readonly name: string }, T extends string, I>(
  options: RunnerOptions<S, T, I>,
): Runner<S, I> => {
  const timers = new Map<T, Timer>();
  const inputs: I[] = [];
  let state = options.first.state;
  let working = false;
  let over = false;

  const stopTimer = (timer: T): void => {
    timers.get(timer)?.cancel();
    timers.delete(timer);
  };

  const finish = (): void => {
    over = true;
    inputs.length = 0;
    for (const timer of timers.values()) timer.cancel();
    timers.clear();
  };

  const perform = (effect: Effect<T>): void => {
    if (effect.kind === "stop") return stopTimer(effect.timer);
    if (effect.kind !== "start") return options.perform(effect);
    const { timer, ms } = effect;
    stopTimer(timer);
    const fire = (): void => {
      timers.delete(timer);
      feed(options.onTimer(timer));
    };
    timers.set(timer, options.clock.after(ms, fire));
  };

  const apply = (next: Step<S, T>): void => {
    ({ state } = next);
    for (const effect of next.effects) {
      if (over) break;
      try {
        perform(effect);
      } catch (error) {
        options.onFault(error);
      }
    }
    if (state.name !== "terminated" || over) return;
    finish();
    try {
      options.onEnd();
    } catch (error) {
      options.onFault(error);
    }
  };

  const work = (first: () => void): void => {
    working = true;
    first();
    for (let input = inputs.shift(); input !== undefined; input = inputs.shift()) {
      apply(options.step(state, input));
    }
    working = false;
  };

  const feed = (input: I): void => {
    if (over) return;
    inputs.push(input);
    if (!working) work(() => undefined);
  };

  return {
    get state() {
      return state;
    },
    begin: () => work(() => apply(options.first)),
    feed,
    drop: finish,
  };
};
