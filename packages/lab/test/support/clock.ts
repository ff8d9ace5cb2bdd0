// Time that runs as the machine's does, and can be made to run ahead: 64*T1 and timer C pass in a moment.
import { systemClock, VirtualClock, type Clock } from "@sallyport/kit";
import { settle } from "../../src/demo/await.ts";

export interface DrivenClock {
  readonly clock: Clock;
  /** Lets so many milliseconds pass at once, in steps between which messages on their way arrive. */
  pass(ms: number, stepMs?: number): Promise<void>;
  stop(): void;
}

const tickMs = 4;

export const drivenClock = (): DrivenClock => {
  let seen = systemClock.now();
  const clock = new VirtualClock(seen);
  const tick = setInterval(() => {
    const now = systemClock.now();
    clock.advance(now - seen);
    seen = now;
  }, tickMs);
  return {
    clock,
    pass: async (ms, stepMs = 1000) => {
      for (let left = ms; left > 0; left -= stepMs) {
        clock.advance(Math.min(left, stepMs));
        await settle(tickMs);
      }
    },
    stop: () => clearInterval(tick),
  };
};
