// The machine's own time. An element sets dozens of timers a call and cancels nearly all of them: those of one length run
// in one line, and only the head of a line has a timer of the system's.
import type { Clock, Timer } from "./clock.ts";

const origin = Date.now() - performance.now();
const now = (): number => origin + performance.now();

/** What the system's own timers take; a longer one is cut into such pieces. */
const longestMs = 2_147_483_647;

/** All waiting timers of one length: whoever comes later ends later. */
interface Line {
  readonly ms: number;
  first: Waiting | undefined;
  last: Waiting | undefined;
}

const lines = new Map<number, Line>();

class Waiting implements Timer {
  readonly at: number;
  run: (() => void) | undefined;
  line: Line | undefined;
  before: Waiting | undefined = undefined;
  after: Waiting | undefined = undefined;

  constructor(line: Line, run: () => void) {
    this.at = now() + line.ms;
    this.run = run;
    this.line = line;
    const { last } = line;
    if (last === undefined) line.first = this;
    else {
      last.after = this;
      this.before = last;
    }
    line.last = this;
  }

  cancel(): void {
    const { line, before, after } = this;
    if (line === undefined) return;
    this.line = undefined;
    this.run = undefined;
    if (before === undefined) line.first = after;
    else before.after = after;
    if (after === undefined) line.last = before;
    else after.before = before;
    this.before = undefined;
    this.after = undefined;
  }
}

/** Timers of seconds may come a hundredth late: those that fall due together then cost one look. */
const lookAgain = (line: Line, ms: number): void => {
  const grain = line.ms / 128;
  setTimeout(look, Math.min(Math.ceil(Math.max(ms, grain)), longestMs), line).unref();
};

const look = (line: Line): void => {
  const time = now();
  try {
    for (let due = line.first; due !== undefined && due.at <= time; due = line.first) {
      const { run } = due;
      due.cancel();
      run?.();
    }
  } finally {
    const { first } = line;
    // What came late runs late: the line is looked at until it is empty.
    if (first === undefined) lines.delete(line.ms);
    else lookAgain(line, first.at - now());
  }
};

/** The machine's own time, monotonic within the process. */
export const systemClock: Clock = {
  now,
  after: (ms, run) => {
    const length = ms >= 1 ? Math.ceil(ms) : 1;
    let line = lines.get(length);
    if (line === undefined) {
      line = { ms: length, first: undefined, last: undefined };
      lines.set(length, line);
      lookAgain(line, length);
    }
    return new Waiting(line, run);
  },
};
