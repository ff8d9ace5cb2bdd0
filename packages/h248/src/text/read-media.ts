// Owns the Media descriptor (H.248.1 7.1.4 to 7.1.8): termination state, streams, LocalControl, and the raw SDP of Local and Remote.
import type { Cursor, Draft } from "./cursor.ts";
import { uint16 } from "./cursor.ts";
import type { LocalControl, MediaDescriptor, Property, StreamDescriptor, TerminationState } from "./descriptor.ts";
import { readProperty, readStatistic } from "./read-property.ts";
import { trimSdp } from "./sdp-text.ts";
import { onOff, streamModes, vocabulary } from "./tokens.ts";

const mediaWords = vocabulary("Stream", "TerminationState", "LocalControl", "Local", "Remote", "Statistics");
const streamWords = vocabulary("LocalControl", "Local", "Remote", "Statistics");
const localControlWords = vocabulary("Mode", "ReservedValue", "ReservedGroup");
const terminationStateWords = vocabulary("ServiceStates", "Buffer");
const serviceStates = vocabulary("InService", "OutOfService", "Test");
const bufferStates = vocabulary("Off", "LockStep");

/** A keyword with `=`, or else a property: a keyword may also be a property's name only with a package before it. */
const keywordOrProperty = <K extends string>(
  cursor: Cursor,
  keyword: K | undefined,
  properties: Property[],
  seen: unknown[],
): K | undefined => {
  if (keyword === undefined) properties.push(readProperty(cursor));
  else cursor.once(seen, keyword);
  return keyword;
};

type Controls = Omit<Draft<LocalControl>, "properties"> & { readonly properties: Property[] };

const readControl = (cursor: Cursor, control: Controls, seen: unknown[]): void => {
  const word = keywordOrProperty(cursor, cursor.keywordIf(localControlWords), control.properties, seen);
  if (word === "Mode") {
    const mode = cursor.assigned(streamModes);
    if (mode !== undefined) control.mode = mode;
  } else if (word === "ReservedValue") control.reservedValue = cursor.assigned(onOff) === "On";
  else if (word === "ReservedGroup") control.reservedGroup = cursor.assigned(onOff) === "On";
};

const readLocalControl = (cursor: Cursor): LocalControl => {
  const control: Controls = { properties: [] };
  cursor.each(readControl, control, []);
  return control;
};

const readTerminationState = (cursor: Cursor): TerminationState => {
  const properties: Property[] = [];
  const state: Draft<TerminationState> = { properties };
  const seen: unknown[] = [];
  cursor.list(() => {
    const word = keywordOrProperty(cursor, cursor.keywordIf(terminationStateWords), properties, seen);
    if (word === "ServiceStates") {
      const service = cursor.assigned(serviceStates);
      if (service !== undefined) state.serviceState = service;
    } else if (word === "Buffer") {
      const control = cursor.assigned(bufferStates);
      if (control !== undefined) state.eventBufferControl = control;
    }
  });
  return state;
};

const readStreamPart = (
  cursor: Cursor,
  word: "LocalControl" | "Local" | "Remote" | "Statistics",
  stream: Draft<StreamDescriptor>,
): void => {
  if (word === "LocalControl") stream.localControl = readLocalControl(cursor);
  else if (word === "Local") stream.local = trimSdp(cursor.octets());
  else if (word === "Remote") stream.remote = trimSdp(cursor.octets());
  else stream.statistics = cursor.list(readStatistic);
};

const readPart = (cursor: Cursor, stream: Draft<StreamDescriptor>, seen: unknown[]): void => {
  const word = cursor.keyword(streamWords);
  cursor.once(seen, word);
  if (word !== undefined) readStreamPart(cursor, word, stream);
};

const readStream = (cursor: Cursor): StreamDescriptor => {
  const stream: Draft<StreamDescriptor> = { id: cursor.assignedInteger(uint16) };
  cursor.each(readPart, stream, []);
  return stream;
};

interface Parts {
  readonly media: Draft<MediaDescriptor>;
  readonly streams: StreamDescriptor[];
  /** Of a stream without its level. */
  only: Draft<StreamDescriptor> | undefined;
  /** Of streams, from the second on. */
  ids: Set<number | undefined> | undefined;
}

const isTwice = (parts: Parts, id: number | undefined): boolean => {
  const [first] = parts.streams;
  if (first === undefined) return false;
  parts.ids ??= new Set([first.id]);
  return parts.ids.size === parts.ids.add(id).size;
};

const readMediaPart = (cursor: Cursor, parts: Parts, seen: unknown[]): void => {
  const word = cursor.keyword(mediaWords, "unknown-descriptor");
  if (word === "Stream") {
    const stream = readStream(cursor);
    if (isTwice(parts, stream.id)) cursor.fail("duplicate");
    parts.streams.push(stream);
    return;
  }
  cursor.once(seen, word);
  if (word === "TerminationState") parts.media.terminationState = readTerminationState(cursor);
  else if (word !== undefined) readStreamPart(cursor, word, (parts.only ??= {}));
};

/** What follows the Media token. Streams stand either all at their level or, for a single one, without it. */
export const readMedia = (cursor: Cursor): MediaDescriptor => {
  const streams: StreamDescriptor[] = [];
  const media: Draft<MediaDescriptor> = { kind: "media", streams };
  const parts: Parts = { media, streams, only: undefined, ids: undefined };
  cursor.each(readMediaPart, parts, []);
  if (parts.only !== undefined) {
    if (streams.length > 0) cursor.fail("syntax");
    streams.push(parts.only);
  }
  return media;
};
