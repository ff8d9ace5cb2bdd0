// Owns the written form of Events, EventBuffer, ObservedEvents, Signals and DigitMap (H.248.1 Annex B.2).
import type {
  DigitMap,
  EventOccurrence,
  EventsDescriptor,
  ObservedEventsDescriptor,
  RequestedEvent,
  Signal,
  SignalsDescriptor,
} from "./descriptor.ts";
import { uint16, uint32 } from "./cursor.ts";
import type { Pen } from "./pen.ts";
import { properties } from "./write-property.ts";

type Step = () => void;

const some = (pen: Pen, items: readonly Step[]): void => {
  if (items.length > 0) pen.block(items);
};

const writeRequestId = (pen: Pen, id: number | "*"): void => {
  pen.equals();
  if (id === "*") pen.raw("*");
  else pen.number(id, uint32);
};

export const writeDigitMap = (pen: Pen, map: DigitMap): void => {
  pen.keyword("DigitMap");
  pen.equals();
  if (map.name !== undefined || map.value === undefined) pen.word(map.name ?? "");
  if (map.value !== undefined) pen.digitMap(map.value);
};

const writeEmbed = (pen: Pen, embed: NonNullable<RequestedEvent["embed"]>): void => {
  const { signals, events } = embed;
  const items: Step[] = [];
  if (signals !== undefined) items.push(() => writeSignals(pen, signals));
  if (events !== undefined) items.push(() => writeEvents(pen, events));
  pen.keyword("Embed");
  pen.block(items);
};

const writeRequestedEvent = (pen: Pen, event: RequestedEvent): void => {
  const { stream, digitMap, embed } = event;
  const items: Step[] = [];
  if (stream !== undefined) items.push(() => pen.assignNumber("Stream", stream, uint16));
  if (event.keepActive === true) items.push(() => pen.keyword("KeepActive"));
  if (event.neverNotify === true) items.push(() => pen.keyword("NeverNotify"));
  if (event.resetEvents === true) items.push(() => pen.keyword("ResetEventsDescriptor"));
  if (digitMap !== undefined) items.push(() => writeDigitMap(pen, digitMap));
  if (embed !== undefined) items.push(() => writeEmbed(pen, embed));
  pen.word(event.name);
  some(pen, [...items, ...properties(pen, event.properties)]);
};

export const writeEvents = (pen: Pen, descriptor: EventsDescriptor): void => {
  pen.keyword("Events");
  if (descriptor.requestId === undefined) return;
  writeRequestId(pen, descriptor.requestId);
  some(
    pen,
    descriptor.events.map((event) => () => writeRequestedEvent(pen, event)),
  );
};

const writeOccurrence = (pen: Pen, event: EventOccurrence): void => {
  const { time, stream } = event;
  if (time !== undefined) {
    pen.word(time);
    pen.raw(":");
  }
  pen.word(event.name);
  const items: Step[] = stream === undefined ? [] : [() => pen.assignNumber("Stream", stream, uint16)];
  some(pen, [...items, ...properties(pen, event.properties)]);
};

export const writeEventBuffer = (pen: Pen, events: readonly EventOccurrence[]): void => {
  pen.keyword("EventBuffer");
  some(
    pen,
    events.map((event) => () => writeOccurrence(pen, event)),
  );
};

export const writeObservedEvents = (pen: Pen, descriptor: ObservedEventsDescriptor): void => {
  pen.keyword("ObservedEvents");
  writeRequestId(pen, descriptor.requestId);
  pen.block(descriptor.events.map((event) => () => writeOccurrence(pen, event)));
};

const writeSignal = (pen: Pen, signal: Signal): void => {
  const { stream, type, duration, notifyCompletion, direction, requestId } = signal;
  const items: Step[] = [];
  if (stream !== undefined) items.push(() => pen.assignNumber("Stream", stream, uint16));
  if (type !== undefined) items.push(() => pen.assignKeyword("SignalType", type));
  if (duration !== undefined) items.push(() => pen.assignNumber("Duration", duration, uint16));
  if (notifyCompletion !== undefined) {
    items.push(() => {
      pen.keyword("NotifyCompletion");
      pen.equals();
      pen.inline(
        "{",
        notifyCompletion.map((reason) => () => pen.keyword(reason)),
      );
    });
  }
  if (signal.keepActive === true) items.push(() => pen.keyword("KeepActive"));
  if (direction !== undefined) items.push(() => pen.assignKeyword("Direction", direction));
  if (requestId !== undefined) {
    items.push(() => {
      pen.keyword("RequestID");
      writeRequestId(pen, requestId);
    });
  }
  pen.word(signal.name);
  some(pen, [...items, ...properties(pen, signal.properties)]);
};

/** No signals are written as the bare token: some peers refuse `Signals {}`. */
export const writeSignals = (pen: Pen, descriptor: SignalsDescriptor): void => {
  pen.keyword("Signals");
  some(
    pen,
    descriptor.signals.map((item) => () => {
      if (item.kind === "signal") return writeSignal(pen, item);
      pen.assignNumber("SignalList", item.id, uint16);
      return pen.block(item.signals.map((signal) => () => writeSignal(pen, signal)));
    }),
  );
};
