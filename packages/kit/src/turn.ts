// The end of a turn of the event loop: what is done once for all that arrived together. A process that does nothing but
// signalling may ask for turns at a pace: under load each message would wake it by itself, and waking costs more than most
// messages do. It then looks at its sockets at most once in so many milliseconds. Knows no socket and no message.

/** Messages in a millisecond from which on turns keep the pace: below, nobody would gain by waiting. */
const dense = 0.2;
const windowMs = 100;
/** A turn with so much to do was no waste, and there may be more where it came from. */
const fullTurn = 24;
/** Who is woken late is short of processor time: nothing is waited for then. */
const hurryMs = 200;

/** Decides how long a process waits after a turn. Times in milliseconds, of any clock that does not go back. */
export class Pace {
  readonly #everyMs: number;
  #resumedAt = -Infinity;
  #windowFrom = -Infinity;
  #count = 0;
  #dense = false;
  #hurryUntil = -Infinity;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** How long to wait after a turn that sent `messages`; 0 when it was long enough, or there is little to do. */
  afterTurn(now: number, messages: number): number {
    this.#count += messages;
    const elapsed = now - this.#windowFrom;
    if (elapsed >= windowMs) {
      this.#dense = this.#count / elapsed >= dense;
      this.#windowFrom = now;
      this.#count = 0;
    }
    const may = this.#dense && messages < fullTurn && now >= this.#hurryUntil;
    const pause = may ? Math.max(0, this.#resumedAt + this.#everyMs - now) : 0;
    this.#resumedAt = now + pause;
    return pause;
  }

  /** The pause is over. */
  resumed(now: number): void {
    if (now - this.#resumedAt > this.#everyMs) this.#hurryUntil = now + hurryMs;
    this.#resumedAt = now;
  }
}

let tasks: (() => void)[] = [];
let messages = 0;
let keeping = false;
let pace: Pace | undefined;

const nothing = new Int32Array(new SharedArrayBuffer(4));
/** The thread sleeps: a timer would let each message wake it. */
const sleep = (ms: number): void => void Atomics.wait(nothing, 0, 0, ms);

const carryOut = (): void => {
  const due = tasks;
  tasks = [];
  for (const run of due) run();
};

const keepPace = (): void => {
  keeping = false;
  // What the first ones set going is not kept waiting.
  carryOut();
  const sent = messages;
  messages = 0;
  const pause = pace?.afterTurn(performance.now(), sent) ?? 0;
  if (pause === 0) return;
  sleep(pause);
  pace?.resumed(performance.now());
};

const count = (): void => {
  if (pace === undefined) return;
  messages += 1;
  if (keeping) return;
  keeping = true;
  setImmediate(keepPace);
};

/** Runs `run`, which must not throw, when all that has arrived by now has been worked on: to send a message with others. */
export const atTurnEnd = (run: () => void): void => {
  if (tasks.push(run) === 1) setImmediate(carryOut);
  count();
};

/** A message has left at once. */
export const sentInTurn = count;

/**
 * From now on this process looks at its sockets at most every `everyMs` milliseconds while it is busy; 0: at once, as it
 * does unless told otherwise. Not for a process that moves media by itself: all of its threads' events wait.
 */
export const paceTurns = (everyMs: number): void => {
  pace = everyMs > 0 ? new Pace(everyMs) : undefined;
};
