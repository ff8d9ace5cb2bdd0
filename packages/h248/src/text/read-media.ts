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

const readLocalControl = (cursor: Cursor): LocalControl => {
  const properties: Property[] = [];
  const control: Draft<LocalControl> = { properties };
  const seen: unknown[] = [];
  cursor.list(() => {
    const word = keywordOrProperty(cursor, cursor.keywordIf(localControlWords), properties, seen);
    if (word === "Mode") {
      const mode = cursor.assigned(streamModes);
      if (mode !== undefined) control.mode = mode;
    } else if (word === "ReservedValue") control.reservedValue = cursor.assigned(onOff) === "On";
    else if (word === "ReservedGroup") control.reservedGroup = cursor.assigned(onOff) === "On";
  });
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
  else stream.statistics = cursor.list(() => readStatistic(cursor));
};

const readStream = (cursor: Cursor): StreamDescriptor => {
  const stream: Draft<StreamDescriptor> = { id: cursor.assignedInteger(uint16) };
  const seen: unknown[] = [];
  cursor.list(() => {
    const word = cursor.keyword(streamWords);
    cursor.once(seen, word);
    if (word !== undefined) readStreamPart(cursor, word, stream);
  });
  return stream;
};

/** What follows the Media token. Streams stand either all at their level or, for a single one, without it. */
export const readMedia = (cursor: Cursor): MediaDescriptor => {
  const streams: StreamDescriptor[] = [];
  const media: Draft<MediaDescriptor> = { kind: "media", streams };
  const only: Draft<StreamDescriptor> = {};
  const seen: unknown[] = [];
  const ids = new Set<number | undefined>();
  cursor.list(() => {
    const word = cursor.keyword(mediaWords, "unknown-descriptor");
    if (word === "Stream") {
      const stream = readStream(cursor);
      if (ids.has(stream.id)) cursor.fail("duplicate");
      ids.add(stream.id);
      streams.push(stream);
      return;
    }
    cursor.once(seen, word);
    if (word === "TerminationState") media.terminationState = readTerminationState(cursor);
    else if (word !== undefined) readStreamPart(cursor, word, only);
  });
  if (Object.keys(only).length > 0) {
    if (streams.length > 0) cursor.fail("syntax");
    streams.push(only);
  }
  return media;
};
