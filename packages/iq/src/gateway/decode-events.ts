// Owns the reading of the Events descriptor, of a termination and of ROOT (H.248.1 7.1.9).
// H.248.40 (`adid`), H.248.36 (`hangterm`), H.248.14 (`it`); 457: a parameter is missing, 449: its value can not be used.
import type { EventsDescriptor, H248Error, Property, RequestedEvent } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { refusal } from "../profile/error-text.ts";
import { singleValue } from "./decode-properties.ts";
import { judgeItem } from "./packages.ts";
import type { InactivityOrder, WatchOrder } from "./types.ts";

export const parameter = (properties: readonly Property[], name: string): string | undefined => {
  const found = properties.find((property) => property.name.toLowerCase() === name);
  return found === undefined ? undefined : singleValue(found);
};

/** A whole number of a unit, in ms; what it is when it is left out, if it may be. */
const readTime = (event: RequestedEvent, name: string, unitMs: number, least: number): Result<number, H248Error> => {
  const text = parameter(event.properties, name);
  if (text === undefined) return refusal(457, `${event.name} ${name}`);
  const time = /^\d{1,7}$/.test(text) ? Number(text) : NaN;
  // The longest a timer runs.
  if (!(time >= least && time * unitMs <= 0x7fff_ffff)) return refusal(449, `${event.name} ${name}=${text}`);
  return ok(time * unitMs);
};

const readInactivity = (event: RequestedEvent): Result<InactivityOrder, H248Error> => {
  const afterMs = readTime(event, "dt", 1000, 1);
  if (!afterMs.ok) return afterMs;
  const direction = (parameter(event.properties, "dir") ?? "in").toLowerCase();
  if (direction !== "in" && direction !== "out" && direction !== "both") {
    return refusal(449, `${event.name} dir=${direction}`);
  }
  return ok({
    afterMs: afterMs.value,
    direction,
    ...(event.stream === undefined ? {} : { stream: event.stream }),
  });
};

/** What may stand in front of every event of this profile. */
const judgeEvent = (event: RequestedEvent, on: "root" | "termination"): H248Error | undefined => {
  const judged = judgeItem("events", event.name, on);
  if (judged !== undefined) return judged;
  if (event.embed !== undefined || event.digitMap !== undefined) {
    return refusal(501, `${event.name} embedded action`).error;
  }
  return undefined;
};

export const decodeEvents = (descriptor: EventsDescriptor): Result<WatchOrder, H248Error> => {
  if (descriptor.requestId === "*") return refusal(449, "Events=*");
  const inactivity: InactivityOrder[] = [];
  let hangingMs = 0;
  const flags = { bearer: false, keyExpiring: false, clearMedia: false };
  for (const event of descriptor.events) {
    const judged = judgeEvent(event, "termination");
    if (judged !== undefined) return { ok: false, error: judged };
    switch (event.name.toLowerCase()) {
      case "adid/ipstop": {
        const order = readInactivity(event);
        if (!order.ok) return order;
        inactivity.push(order.value);
        break;
      }
      case "hangterm/thb": {
        // H.248.36: 0 turns the timer off.
        const time = readTime(event, "timerx", 1000, 0);
        if (!time.ok) return time;
        hangingMs = time.value;
        break;
      }
      case "g/cause":
        flags.bearer = true;
        break;
      case "xsrtp/kexp":
        flags.keyExpiring = true;
        break;
      case "xsrtp/clear":
        flags.clearMedia = true;
        break;
    }
  }
  return ok({
    request: descriptor.requestId ?? 0,
    inactivity,
    ...(hangingMs === 0 ? {} : { hangingMs }),
    ...flags,
    events: descriptor.events,
  });
};

/** What ROOT was asked to report. */
export interface RootWatch {
  readonly request: number;
  readonly names: ReadonlySet<string>;
  /** `it/ito`: the controller was not heard for so long, ms. */
  readonly silenceMs?: number;
  readonly events: readonly RequestedEvent[];
}

export const noRootWatch: RootWatch = { request: 0, names: new Set(), events: [] };

export const decodeRootEvents = (descriptor: EventsDescriptor): Result<RootWatch, H248Error> => {
  if (descriptor.requestId === "*") return refusal(449, "Events=*");
  const names = new Set<string>();
  let silenceMs: number | undefined;
  for (const event of descriptor.events) {
    const judged = judgeEvent(event, "root");
    if (judged !== undefined) return { ok: false, error: judged };
    const name = event.name.toLowerCase();
    names.add(name);
    if (name !== "it/ito") continue;
    // H.248.14: in hundredths of a second.
    const time = readTime(event, "mit", 10, 1);
    if (!time.ok) return time;
    silenceMs = time.value;
  }
  const watch = { request: descriptor.requestId ?? 0, names, events: descriptor.events };
  return ok(silenceMs === undefined ? watch : { ...watch, silenceMs });
};
