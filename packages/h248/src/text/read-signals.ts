// Owns the Signals descriptor (H.248.1 7.1.11). `Signals` and `Signals {}` both stop every signal.
import type { Cursor, Draft } from "./cursor.ts";
import { uint16, uint32 } from "./cursor.ts";
import type { CompletionReason, Property, Signal, SignalList, SignalsDescriptor } from "./descriptor.ts";
import { readCondition } from "./read-property.ts";
import { vocabulary } from "./tokens.ts";

const signalWords = vocabulary(
  "Stream",
  "SignalType",
  "Duration",
  "NotifyCompletion",
  "KeepActive",
  "Direction",
  "RequestID",
);
const listWord = vocabulary("SignalList");
const signalTypes = vocabulary("OnOff", "TimeOut", "Brief");
const completionReasons = vocabulary("TimeOut", "IntByEvent", "IntBySigDescr", "OtherReason");
const directions = vocabulary("External", "Internal", "Both");

const readCompletion = (cursor: Cursor): CompletionReason[] => {
  cursor.expect("=");
  return cursor.list(() => cursor.keyword(completionReasons) ?? "OtherReason");
};

type Reading = Omit<Draft<Signal>, "properties"> & { readonly properties: Property[] };

const readParameter = (cursor: Cursor, signal: Reading, seen: unknown[]): void => {
  const name = cursor.name();
  const word = signalWords.get(name.toLowerCase());
  if (word === undefined) {
    signal.properties.push(readCondition(cursor, name));
    return;
  }
  cursor.once(seen, word);
  if (word === "Stream") signal.stream = cursor.assignedInteger(uint16);
  else if (word === "SignalType") signal.type = cursor.assigned(signalTypes) ?? "Brief";
  else if (word === "Duration") signal.duration = cursor.assignedInteger(uint16);
  else if (word === "NotifyCompletion") signal.notifyCompletion = readCompletion(cursor);
  else if (word === "KeepActive") signal.keepActive = true;
  else if (word === "Direction") signal.direction = cursor.assigned(directions) ?? "Both";
  else {
    cursor.expect("=");
    signal.requestId = cursor.take("*") ? "*" : cursor.integer(uint32);
  }
};

const readSignal = (cursor: Cursor, name = cursor.name()): Signal => {
  const signal: Reading = { kind: "signal", name, properties: [] };
  if (cursor.peek() === "{") cursor.each(readParameter, signal, []);
  return signal;
};

const readSignalOrList = (cursor: Cursor): Signal | SignalList => {
  const name = cursor.name();
  if (!listWord.has(name.toLowerCase()) || cursor.peek() !== "=") return readSignal(cursor, name);
  return { kind: "list", id: cursor.assignedInteger(uint16), signals: cursor.list(() => readSignal(cursor)) };
};

/** What follows the Signals token. */
export const readSignals = (cursor: Cursor): SignalsDescriptor => {
  if (cursor.peek() !== "{") return { kind: "signals", signals: [] };
  const start = cursor.at;
  cursor.expect("{");
  if (cursor.take("}")) return { kind: "signals", signals: [] };
  cursor.at = start;
  return { kind: "signals", signals: cursor.list(readSignalOrList) };
};
