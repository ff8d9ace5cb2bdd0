// Owns the order in which calls of a lost gateway are moved: so many at a time, so that ten thousand calls that lose their
// context in one moment do not ask the next gateway and all UEs in the same moment. Knows no call.
import type { Clock, Timer } from "@sallyport/kit";

export interface Losses<T> {
  /** Handled at once, or when its turn comes. */
  add(item: T): void;
  /** Forgets what waits. */
  close(): void;
}

/** 1 600 calls a second: more than a gateway of ours takes, less than what would look like an attack. */
const batch = 32;
const everyMs = 20;

export const createLosses = <T>(clock: Clock, handle: (item: T) => void): Losses<T> => {
  const waiting: T[] = [];
  let handled = 0;
  let timer: Timer | undefined;
  const next = (): void => {
    timer = undefined;
    handled = 0;
    for (const item of waiting.splice(0, batch)) {
      handled += 1;
      handle(item);
    }
    if (handled > 0) timer = clock.after(everyMs, next);
  };
  return {
    add: (item) => {
      if (waiting.length > 0 || handled >= batch) {
        waiting.push(item);
        return;
      }
      handled += 1;
      timer ??= clock.after(everyMs, next);
      handle(item);
    },
    close: () => {
      timer?.cancel();
      timer = undefined;
      waiting.length = 0;
    },
  };
};
