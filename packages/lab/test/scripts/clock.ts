// A clock that jumps from timer to timer, for runs of many hours: a heap, where the small VirtualClock looks at every timer.
// Between two moments whatever was promised gets done. Owns time and nothing else.
import type { Clock } from "@sallyport/kit";

interface Pending {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const before = (a: Pending, b: Pending): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

export interface ScriptClock extends Clock {
  /** Timers that wait. */
  readonly waiting: number;
  /** Lets `ms` pass; promises settle after every moment at which something fired. */
  pass(ms: number): Promise<void>;
}

/** `activity` counts what the outside world did: while it stands still, there is little that could have been promised. */
export const scriptClock = (start: number, activity: () => number): ScriptClock => {
  const heap: Pending[] = [];
  let now = start;
  let order = 0;
  let waiting = 0;

  const push = (pending: Pending): void => {
    let at = heap.push(pending) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || before(parent, pending)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = pending;
  };

  const pop = (): void => {
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      const [left, right] = [heap[down], heap[down + 1]];
      if (left === undefined) break;
      const small = right !== undefined && before(right, left) ? right : left;
      if (small === right) down += 1;
      if (before(last, small)) break;
      heap[at] = small;
      at = down;
    }
    heap[at] = last;
  };

  /** The first timer that was not cancelled. */
  const first = (): Pending | undefined => {
    while (heap[0] !== undefined && heap[0].run === undefined) pop();
    return heap[0];
  };

  let seen = -1;
  const settle = async (): Promise<void> => {
    const acts = activity();
    if (acts !== seen) await new Promise((resolve) => setImmediate(resolve));
    else for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
    seen = acts;
  };

  return {
    now: () => now,
    after: (ms, run) => {
      const pending: Pending = { at: now + Math.max(0, ms), order: (order += 1), run };
      push(pending);
      waiting += 1;
      return {
        cancel: () => {
          if (pending.run === undefined) return;
          pending.run = undefined;
          waiting -= 1;
        },
      };
    },
    get waiting() {
      return waiting;
    },
    pass: async (ms) => {
      const until = now + ms;
      await settle();
      for (let next = first(); next !== undefined && next.at <= until; next = first()) {
        now = next.at;
        for (let due: Pending | undefined = next; due !== undefined && due.at <= now; due = first()) {
          pop();
          const { run } = due;
          due.run = undefined;
          waiting -= 1;
          run?.();
        }
        await settle();
      }
      now = until;
    },
  };
};
