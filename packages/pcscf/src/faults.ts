// What becomes of an error nobody foresaw: a defect of ours that shows while the edge runs. One policy for all rooms: it is
// told in the log as an error, with its code and what it was about, and counted; it ends what it happened in and nothing
// else, and never the process. Knows no room.
import { redactKeys, SallyportError, type Clock, type Log, type LogFields } from "@sallyport/kit";
import type { EdgeCounters } from "./counters.ts";

/** Where an error got as far as here, in words of our own: they label a counter. */
type FaultPlace = "call" | "gateway" | "timer" | "connection" | "registration" | "request";

export interface Faults {
  tell(place: FaultPlace, error: unknown, about?: LogFields): void;
  /** Runs it; what it throws ends here. */
  guard(place: FaultPlace, run: () => void): void;
  /** Work nobody waits for. */
  watch(place: FaultPlace, work: Promise<unknown>): void;
  /** The same time; what a timer throws ends here. */
  clock(clock: Clock): Clock;
}

const known = new Set(["TypeError", "RangeError", "ReferenceError", "SyntaxError"]);

/** The code of an error of ours, or what kind another one is. */
export const codeOf = (error: unknown): string => {
  if (error instanceof SallyportError) return error.code;
  return error instanceof Error && known.has(error.name) ? error.name : "Error";
};

/** Frames of the stack that are told: enough to find the place. */
const frames = 5;

const whereOf = (error: unknown): readonly string[] =>
  error instanceof Error
    ? (error.stack ?? "")
        .split("\n")
        .filter((line) => /^\s+at /.test(line))
        .slice(0, frames)
        .map((line) => redactKeys(line.trim()))
    : [];

export const createFaults = (log: Log, counters: EdgeCounters): Faults => {
  const tell: Faults["tell"] = (place, error, about = {}) => {
    const code = codeOf(error);
    counters.count("faults_total", { place, code });
    log.error("fault", { place, ...about, code, error: redactKeys(String(error)), at: whereOf(error) });
  };
  const guard: Faults["guard"] = (place, run) => {
    try {
      run();
    } catch (error) {
      tell(place, error);
    }
  };
  return {
    tell,
    guard,
    watch: (place, work) => {
      work.catch((error: unknown) => tell(place, error));
    },
    clock: (clock) => ({
      now: () => clock.now(),
      after: (ms, run) => clock.after(ms, () => guard("timer", run)),
    }),
  };
};
