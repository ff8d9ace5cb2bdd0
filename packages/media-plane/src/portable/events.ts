// Owns the rare events between two polls: bounded, and alarms held back so that a flood of packets is one event.
import type { Clock } from "@sallyport/kit";
import type { PlaneAlarm, PlaneEvent } from "../plane.ts";

const maxEvents = 1024;
const alarmEveryMs = 10_000;

export class EventQueue {
  #events: PlaneEvent[] = [];

  /** Drops the event when nobody has polled for the last 1,024 of them: the counters still tell. */
  push(event: PlaneEvent): void {
    if (this.#events.length < maxEvents) this.#events.push(event);
  }

  drain(): readonly PlaneEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

interface Pending {
  at: number;
  count: number;
}

/** The alarms of one leg. */
export class LegAlarms {
  readonly #clock: Clock;
  readonly #leg: number;
  readonly #queue: EventQueue;
  readonly #pending = new Map<PlaneAlarm, Pending>();

  constructor(clock: Clock, leg: number, queue: EventQueue) {
    this.#clock = clock;
    this.#leg = leg;
    this.#queue = queue;
  }

  raise(what: PlaneAlarm): void {
    const now = this.#clock.now();
    let pending = this.#pending.get(what);
    if (pending === undefined) {
      pending = { at: -Infinity, count: 0 };
      this.#pending.set(what, pending);
    }
    pending.count += 1;
    if (now - pending.at < alarmEveryMs) return;
    this.#queue.push({ kind: "alarm", leg: this.#leg, what, count: pending.count });
    pending.at = now;
    pending.count = 0;
  }
}
