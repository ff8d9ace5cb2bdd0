// Owns the Events, EventBuffer, ObservedEvents and DigitMap descriptors (H.248.1 7.1.9, 7.1.10, 7.1.14, 7.1.17).
import { isDigitMapText } from "./characters.ts";
import type { Cursor, Draft } from "./cursor.ts";
import { uint16, uint32 } from "./cursor.ts";
import type {
  DigitMap,
  EventOccurrence,
  EventsDescriptor,
  ObservedEventsDescriptor,
  Property,
  RequestedEvent,
  SignalsDescriptor,
} from "./descriptor.ts";
import { readCondition } from "./read-property.ts";
import { readSignals } from "./read-signals.ts";
import { streamKeyword, vocabulary } from "./tokens.ts";

const eventWords = vocabulary("Stream", "KeepActive", "DigitMap", "Embed", "NeverNotify", "ResetEventsDescriptor");
const embedWords = vocabulary("Signals", "Events");
const timeStamp = /^\d{8}T\d{8}$/i;

export const isTimeStamp = (text: string): boolean => timeStamp.test(text);

const readRequestId = (cursor: Cursor): number | "*" => (cursor.take("*") ? "*" : cursor.integer(uint32));

const readDigitMapValue = (cursor: Cursor): string => {
  const start = cursor.at;
  const value = cursor.braced();
  if (value === "" || !isDigitMapText(value)) cursor.fail("syntax", start);
  return value;
};

/** What follows the DigitMap token. Some peers leave the `=` before `{` out. */
export const readDigitMap = (cursor: Cursor): DigitMap => {
  if (cursor.peek() !== "{") cursor.expect("=");
  if (cursor.peek() === "{") return { value: readDigitMapValue(cursor) };
  const name = cursor.word(cursor.limits.maxName);
  return cursor.peek() === "{" ? { name, value: readDigitMapValue(cursor) } : { name };
};

const readEmbed = (cursor: Cursor): NonNullable<RequestedEvent["embed"]> => {
  const embed: { signals?: SignalsDescriptor; events?: EventsDescriptor } = {};
  const seen: unknown[] = [];
  cursor.list(() => {
    const word = cursor.keyword(embedWords);
    cursor.once(seen, word);
    if (word === "Signals") embed.signals = readSignals(cursor);
    else if (word === "Events") embed.events = cursor.nested(() => readEvents(cursor), { kind: "events", events: [] });
  });
  return embed;
};

type Requested = Omit<Draft<RequestedEvent>, "properties"> & { readonly properties: Property[] };

const readEventParameter = (cursor: Cursor, event: Requested, seen: unknown[]): void => {
  const start = cursor.at;
  const name = cursor.name();
  const word = eventWords.get(name.toLowerCase());
  const next = cursor.peek();
  if (word !== undefined) cursor.once(seen, word);
  // A parameter may carry a keyword's name, so that what follows decides (Annex B.2 is read with its context).
  if (word === "Stream" && next === "=") event.stream = cursor.assignedInteger(uint16);
  else if (word === "DigitMap" && (next === "=" || next === "{")) event.digitMap = readDigitMap(cursor);
  else if (word === "Embed" && next === "{") event.embed = readEmbed(cursor);
  else if (next === "," || next === "}") {
    if (word === "KeepActive") event.keepActive = true;
    else if (word === "NeverNotify") event.neverNotify = true;
    else if (word === "ResetEventsDescriptor") event.resetEvents = true;
    else cursor.fail("unknown-word", start);
  } else event.properties.push(readCondition(cursor, name));
};

const readRequestedEvent = (cursor: Cursor): RequestedEvent => {
  const event: Requested = { name: cursor.name(), properties: [] };
  if (cursor.peek() === "{") cursor.each(readEventParameter, event, []);
  return event;
};

/** What follows the Events token: nothing, or `= id { events }`. */
export const readEvents = (cursor: Cursor): EventsDescriptor => {
  if (!cursor.take("=")) return { kind: "events", events: [] };
  const requestId = readRequestId(cursor);
  return { kind: "events", requestId, events: cursor.listIf(readRequestedEvent) };
};

/** An event name with its stream and parameters. */
export const readOccurrence = (cursor: Cursor, name = cursor.name()): EventOccurrence => {
  const properties: Property[] = [];
  const event: Draft<EventOccurrence> = { name, properties };
  cursor.listIf(() => {
    const parameter = cursor.name();
    if (event.stream === undefined && streamKeyword.has(parameter.toLowerCase())) {
      event.stream = cursor.assignedInteger(uint16);
    } else properties.push(readCondition(cursor, parameter));
  });
  return event;
};

/** What follows the ObservedEvents token. */
export const readObservedEvents = (cursor: Cursor): ObservedEventsDescriptor => {
  cursor.expect("=");
  const requestId = readRequestId(cursor);
  const events = cursor.list(() => {
    const first = cursor.name();
    if (!isTimeStamp(first) || !cursor.take(":")) return readOccurrence(cursor, first);
    return { ...readOccurrence(cursor), time: first.toUpperCase() };
  });
  return { kind: "observedEvents", requestId, events };
};
