// Owns commands and the choice of descriptors (H.248.1 clause 7.2, Annex B.2: commandRequest, commandReply).
import type { Cursor, Draft } from "./cursor.ts";
import type { BareName, Descriptor, DescriptorKind, H248Error } from "./descriptor.ts";
import type { CommandName, CommandReply, CommandRequest } from "./message.ts";
import { readAudit } from "./read-audit.ts";
import { readDigitMap, readEvents, readObservedEvents, readOccurrence } from "./read-events.ts";
import { readMedia } from "./read-media.ts";
import { readTermination } from "./read-mid.ts";
import { readError, readPackage, readProperty, readStatistic } from "./read-property.ts";
import { readServices } from "./read-services.ts";
import { readSignals } from "./read-signals.ts";
import { vocabulary } from "./tokens.ts";

const descriptorWords = vocabulary(
  "Media",
  "Modem",
  "Mux",
  "Events",
  "Signals",
  "DigitMap",
  "EventBuffer",
  "ObservedEvents",
  "Statistics",
  "Packages",
  "Audit",
  "Services",
  "Error",
);
const contextWord = vocabulary("Context");

const named: readonly string[] = [
  "Media",
  "Mux",
  "Modem",
  "DigitMap",
  "Statistics",
  "ObservedEvents",
  "Packages",
  "Audit",
] satisfies readonly BareName[];

const readModem = (cursor: Cursor): Descriptor => {
  const type = (): string => cursor.word(cursor.limits.maxName);
  const types = cursor.take("=") ? [type()] : cursor.list(type, "[");
  return { kind: "modem", types, properties: cursor.listIf(readProperty) };
};

const readMux = (cursor: Cursor): Descriptor => {
  cursor.expect("=");
  const type = cursor.word(cursor.limits.maxName);
  return { kind: "mux", type, terminations: cursor.list(() => cursor.word(cursor.limits.maxName)) };
};

const readers: Readonly<Record<NonNullable<ReturnType<typeof descriptorWords.get>>, (cursor: Cursor) => Descriptor>> = {
  Media: readMedia,
  Modem: readModem,
  Mux: readMux,
  Events: readEvents,
  Signals: readSignals,
  DigitMap: (cursor) => ({ kind: "digitmap", digitMap: readDigitMap(cursor) }),
  EventBuffer: (cursor) => ({ kind: "eventBuffer", events: cursor.listIf(readOccurrence) }),
  ObservedEvents: readObservedEvents,
  Statistics: (cursor) => ({ kind: "statistics", statistics: cursor.list(readStatistic) }),
  Packages: (cursor) => ({ kind: "packages", packages: cursor.list(readPackage) }),
  Audit: (cursor) => ({ kind: "audit", items: readAudit(cursor) }),
  Services: readServices,
  Error: (cursor) => ({ kind: "error", error: readError(cursor) }),
};

const readDescriptor = (cursor: Cursor): Descriptor | undefined => {
  const word = cursor.keyword(descriptorWords, "unknown-descriptor");
  if (word === undefined) return undefined;
  const next = cursor.peek();
  if (named.includes(word) && next !== "=" && next !== "{" && next !== "[") {
    return { kind: "bare", name: word as BareName };
  }
  return readers[word](cursor);
};

const addModifyMove: readonly DescriptorKind[] = [
  "media",
  "modem",
  "mux",
  "events",
  "signals",
  "digitmap",
  "eventBuffer",
  "statistics",
  "audit",
];
const allowedInRequest: Readonly<Record<CommandName, readonly DescriptorKind[]>> = {
  Add: addModifyMove,
  Move: addModifyMove,
  Modify: addModifyMove,
  Subtract: ["audit"],
  AuditValue: ["audit"],
  AuditCapability: ["audit"],
  Notify: ["observedEvents", "error"],
  ServiceChange: ["services"],
};

interface Reading {
  readonly descriptors: Descriptor[];
  readonly allowed: readonly DescriptorKind[] | undefined;
}

const readOne = (cursor: Cursor, { allowed, descriptors }: Reading, seen: string[]): void => {
  cursor.skip();
  const start = cursor.at;
  const descriptor = readDescriptor(cursor);
  if (descriptor === undefined) return;
  // 7.1.18 and the error registry: 448 twice, 447 not legal in this command.
  const place = descriptor.kind === "bare" ? descriptor.name : descriptor.kind;
  if (seen.includes(place)) cursor.fail("duplicate", start);
  if (allowed !== undefined && !allowed.includes(descriptor.kind)) cursor.fail("misplaced-descriptor", start);
  seen.push(place);
  descriptors.push(descriptor);
};

const readDescriptors = (cursor: Cursor, allowed?: readonly DescriptorKind[]): Descriptor[] => {
  const descriptors: Descriptor[] = [];
  if (cursor.peek() === "{") cursor.each(readOne, { descriptors, allowed }, []);
  return descriptors;
};

/** What follows a command's token in a request. */
export const readCommandRequest = (
  cursor: Cursor,
  command: CommandName,
  prefix: { readonly optional?: true; readonly wildcarded?: true },
): CommandRequest => {
  cursor.expect("=");
  const termination = readTermination(cursor);
  const descriptors = readDescriptors(cursor, allowedInRequest[command]);
  const plain = prefix.optional === undefined && prefix.wildcarded === undefined;
  return plain ? { command, termination, descriptors } : { command, ...prefix, termination, descriptors };
};

const contextTerminations = (cursor: Cursor, command: CommandName): CommandReply => {
  const reply: Draft<CommandReply> = { command, termination: "*", contextTerminations: [], descriptors: [] };
  const start = cursor.at;
  cursor.expect("{");
  const error = cursor.keywordIf(vocabulary("Error"));
  if (error !== undefined && cursor.peek() === "=") {
    reply.error = readError(cursor);
    cursor.expect("}");
  } else if (!cursor.failed) {
    cursor.at = start;
    reply.contextTerminations = cursor.list(() => cursor.word(cursor.limits.maxName));
  }
  return reply;
};

/** What follows a command's token in a reply. */
export const readCommandReply = (cursor: Cursor, command: CommandName): CommandReply => {
  cursor.expect("=");
  if (command === "AuditValue" || command === "AuditCapability") {
    cursor.skip();
    const start = cursor.at;
    if (cursor.keywordIf(contextWord) !== undefined) {
      if (cursor.peek() === "{") return contextTerminations(cursor, command);
      if (!cursor.failed) cursor.at = start;
    }
  }
  const termination = readTermination(cursor);
  const descriptors: Descriptor[] = [];
  let error: H248Error | undefined;
  for (const descriptor of readDescriptors(cursor)) {
    if (descriptor.kind === "error") error = descriptor.error;
    else descriptors.push(descriptor);
  }
  return error === undefined ? { command, termination, descriptors } : { command, termination, descriptors, error };
};
