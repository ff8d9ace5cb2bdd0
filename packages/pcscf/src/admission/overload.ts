// Whether this element has more to do than it can: by the delay of its event loop and the number of its calls. Looks twice
// a second. RFC 3261 21.5.4, RFC 6357.
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock, Log, Timer } from "@sallyport/kit";
import type { EdgeConfig } from "../config.ts";

export interface Overload {
  readonly active: boolean;
  close(): void;
}

/** 99th percentile of the delay since it was last asked, ms. */
export interface EventLoopDelay {
  read(): number;
  close(): void;
}

const lookMs = 500;
const resolutionMs = 10;
/** It is over when the load has fallen well below the limit, so that it does not flicker. */
const relief = 0.8;

export const systemEventLoopDelay = (): EventLoopDelay => {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return {
    read: () => {
      const delay = histogram.percentile(99) / 1e6 - resolutionMs;
      histogram.reset();
      return Math.max(0, delay);
    },
    close: () => void histogram.disable(),
  };
};

export const createOverload = (parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: EdgeConfig["limits"]["overload"];
  readonly delay: EventLoopDelay;
  readonly calls: () => number;
}): Overload => {
  const { clock, log, limits, delay } = parts;
  let active = false;
  let timer: Timer;
  const exceeded = (value: number, limit: number): boolean => limit > 0 && value > (active ? limit * relief : limit);
  const look = (): void => {
    const [delayMs, calls] = [delay.read(), parts.calls()];
    const now = exceeded(delayMs, limits.eventLoopMs) || exceeded(calls, limits.calls);
    if (now !== active) log.warn(now ? "overloaded" : "no longer overloaded", { delayMs: Math.round(delayMs), calls });
    active = now;
    timer = clock.after(lookMs, look);
  };
  timer = clock.after(lookMs, look);
  return {
    get active() {
      return active;
    },
    close: () => {
      timer.cancel();
      delay.close();
    },
  };
};
