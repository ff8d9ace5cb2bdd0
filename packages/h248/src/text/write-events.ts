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
import { writeKeyword } from "./pen.ts";
import type { Pen } from "./pen.ts";
import type { Keyword } from "./tokens.ts";
import { writeProperties } from "./write-property.ts";

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

const writeEmbed = (pen: Pen, { signals, events }: NonNullable<RequestedEvent["embed"]>): void => {
  pen.keyword("Embed");
  pen.open();
  if (signals !== undefined) {
    pen.item();
    writeSignals(pen, signals);
  }
  if (events !== undefined) {
    pen.item();
    writeEvents(pen, events);
  }
  pen.close();
};

const flag = (pen: Pen, keyword: Keyword, is: true | undefined): void => {
  if (is !== true) return;
  pen.item();
  pen.keyword(keyword);
};

const writeStream = (pen: Pen, stream: number | undefined): void => {
  if (stream === undefined) return;
  pen.item();
  pen.assignNumber("Stream", stream, uint16);
};

const writeRequestedEvent = (pen: Pen, event: RequestedEvent): void => {
  const { stream, keepActive, neverNotify, resetEvents, digitMap, embed, properties } = event;
  pen.word(event.name);
  const flags = keepActive === true || neverNotify === true || resetEvents === true;
  if (stream === undefined && !flags && digitMap === undefined && embed === undefined && properties.length === 0)
    return;
  pen.open();
  writeStream(pen, stream);
  flag(pen, "KeepActive", keepActive);
  flag(pen, "NeverNotify", neverNotify);
  flag(pen, "ResetEventsDescriptor", resetEvents);
  if (digitMap !== undefined) {
    pen.item();
    writeDigitMap(pen, digitMap);
  }
  if (embed !== undefined) {
    pen.item();
    writeEmbed(pen, embed);
  }
  writeProperties(pen, properties);
  pen.close();
};

export const writeEvents = (pen: Pen, { requestId, events }: EventsDescriptor): void => {
  pen.keyword("Events");
  if (requestId === undefined) return;
  writeRequestId(pen, requestId);
  if (events.length > 0) pen.block(events, writeRequestedEvent);
};

const writeOccurrence = (pen: Pen, { time, name, stream, properties }: EventOccurrence): void => {
  if (time !== undefined) {
    pen.word(time);
    pen.raw(":");
  }
  pen.word(name);
  if (stream === undefined && properties.length === 0) return;
  pen.open();
  writeStream(pen, stream);
  writeProperties(pen, properties);
  pen.close();
};

export const writeEventBuffer = (pen: Pen, events: readonly EventOccurrence[]): void => {
  pen.keyword("EventBuffer");
  if (events.length > 0) pen.block(events, writeOccurrence);
};

export const writeObservedEvents = (pen: Pen, descriptor: ObservedEventsDescriptor): void => {
  pen.keyword("ObservedEvents");
  writeRequestId(pen, descriptor.requestId);
  pen.block(descriptor.events, writeOccurrence);
};

const isPlain = (signal: Signal): boolean =>
  signal.stream === undefined &&
  signal.type === undefined &&
  signal.duration === undefined &&
  signal.notifyCompletion === undefined &&
  signal.keepActive !== true &&
  signal.direction === undefined &&
  signal.requestId === undefined &&
  signal.properties.length === 0;

const writeSignal = (pen: Pen, signal: Signal): void => {
  const { stream, type, duration, notifyCompletion, keepActive, direction, requestId } = signal;
  pen.word(signal.name);
  if (isPlain(signal)) return;
  pen.open();
  writeStream(pen, stream);
  if (type !== undefined) {
    pen.item();
    pen.assignKeyword("SignalType", type);
  }
  if (duration !== undefined) {
    pen.item();
    pen.assignNumber("Duration", duration, uint16);
  }
  if (notifyCompletion !== undefined) {
    pen.item();
    pen.keyword("NotifyCompletion");
    pen.equals();
    pen.inline("{", notifyCompletion, writeKeyword);
  }
  flag(pen, "KeepActive", keepActive);
  if (direction !== undefined) {
    pen.item();
    pen.assignKeyword("Direction", direction);
  }
  if (requestId !== undefined) {
    pen.item();
    pen.keyword("RequestID");
    writeRequestId(pen, requestId);
  }
  writeProperties(pen, signal.properties);
  pen.close();
};

const writeSignalItem = (pen: Pen, item: SignalsDescriptor["signals"][number]): void => {
  if (item.kind === "signal") return writeSignal(pen, item);
  pen.assignNumber("SignalList", item.id, uint16);
  return pen.block(item.signals, writeSignal);
};

/** No signals are written as the bare token: some peers refuse `Signals {}`. */
export const writeSignals = (pen: Pen, { signals }: SignalsDescriptor): void => {
  pen.keyword("Signals");
  if (signals.length > 0) pen.block(signals, writeSignalItem);
};
