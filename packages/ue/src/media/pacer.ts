// Owns the 20 ms beat: slots counted from one origin, so that late timers never add up to drift. Knows no packet.
import type { Clock, Timer } from "@sallyport/kit";

export interface Pacer {
  /** Starts beating; harmless when it beats already. */
  wake(): void;
  /** The slot that is now. */
  readonly slot: number;
  /** The same with its fraction. */
  readonly position: number;
  stop(): void;
}

/** A sender stopped longer than this (a suspended process) goes on with the present slot instead of catching up. */
const maxCatchUp = 50;

/** Calls `beat` once for each slot of `periodMs`, in order, until it returns false. */
export const createPacer = (clock: Clock, periodMs: number, beat: (slot: number) => boolean): Pacer => {
  const origin = clock.now();
  const slotNow = (): number => Math.floor((clock.now() - origin) / periodMs);
  let next = 0;
  let timer: Timer | undefined;
  let beating = false;

  const arm = (): void => {
    timer = clock.after(Math.max(0, origin + next * periodMs - clock.now()), run);
  };
  const run = (): void => {
    timer = undefined;
    const now = slotNow();
    if (now - next > maxCatchUp) next = now;
    beating = true;
    let more = true;
    while (more && next <= now) more = beat(next++);
    beating = false;
    if (more) arm();
  };
  return {
    wake: () => {
      if (beating || timer !== undefined) return;
      next = Math.max(next, slotNow());
      arm();
    },
    get slot() {
      return slotNow();
    },
    get position() {
      return (clock.now() - origin) / periodMs;
    },
    stop: () => {
      timer?.cancel();
      timer = undefined;
    },
  };
};
