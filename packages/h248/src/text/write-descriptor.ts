// Owns the written form of the other descriptors (H.248.1 Annex B.2). Local and Remote end with `}` on a line of its own.
import { decimal, uint16, uint32 } from "./cursor.ts";
import type {
  Descriptor,
  LocalControl,
  MediaDescriptor,
  PackageVersion,
  Property,
  ServicesDescriptor,
  StreamDescriptor,
  TerminationState,
} from "./descriptor.ts";
import { writeWord } from "./pen.ts";
import type { Pen } from "./pen.ts";
import { writeDigitMap, writeEventBuffer, writeEvents, writeObservedEvents, writeSignals } from "./write-events.ts";
import { writeMid } from "./write-mid.ts";
import { writeAuditItem, writeError, writeProperties, writeStatistic } from "./write-property.ts";

const writeText = (pen: Pen, name: "Local" | "Remote", text: string): void => {
  pen.item();
  pen.keyword(name);
  pen.octets(text);
};

const writeLocalControl = (pen: Pen, control: LocalControl): void => {
  const { mode, reservedValue, reservedGroup } = control;
  pen.keyword("LocalControl");
  pen.open();
  if (mode !== undefined) {
    pen.item();
    pen.assignKeyword("Mode", mode);
  }
  if (reservedValue !== undefined) {
    pen.item();
    pen.assignKeyword("ReservedValue", reservedValue ? "On" : "Off");
  }
  if (reservedGroup !== undefined) {
    pen.item();
    pen.assignKeyword("ReservedGroup", reservedGroup ? "On" : "Off");
  }
  writeProperties(pen, control.properties);
  pen.close();
};

const writeStatistics = (pen: Pen, statistics: readonly Property[]): void => {
  pen.keyword("Statistics");
  pen.block(statistics, writeStatistic);
};

const writeStreamParts = (pen: Pen, stream: StreamDescriptor): void => {
  const { localControl, local, remote, statistics } = stream;
  if (localControl !== undefined) {
    pen.item();
    writeLocalControl(pen, localControl);
  }
  if (local !== undefined) writeText(pen, "Local", local);
  if (remote !== undefined) writeText(pen, "Remote", remote);
  if (statistics !== undefined) {
    pen.item();
    writeStatistics(pen, statistics);
  }
};

const writeTerminationState = (pen: Pen, state: TerminationState): void => {
  const { serviceState, eventBufferControl } = state;
  pen.keyword("TerminationState");
  pen.open();
  if (serviceState !== undefined) {
    pen.item();
    pen.assignKeyword("ServiceStates", serviceState);
  }
  if (eventBufferControl !== undefined) {
    pen.item();
    pen.assignKeyword("Buffer", eventBufferControl);
  }
  writeProperties(pen, state.properties);
  pen.close();
};

const writeMedia = (pen: Pen, media: MediaDescriptor): void => {
  const { terminationState } = media;
  pen.keyword("Media");
  pen.open();
  if (terminationState !== undefined) {
    pen.item();
    writeTerminationState(pen, terminationState);
  }
  for (const stream of media.streams) {
    if (stream.id === undefined) writeStreamParts(pen, stream);
    else {
      pen.item();
      pen.assignNumber("Stream", stream.id, uint16);
      pen.open();
      writeStreamParts(pen, stream);
      pen.close();
    }
  }
  pen.close();
};

const writeServices = (pen: Pen, services: ServicesDescriptor): void => {
  const { method, address, reason, delay, profile, version, timeStamp, mgcIdToTry } = services;
  pen.keyword("Services");
  pen.open();
  if (method !== undefined) {
    pen.item();
    writeMethod(pen, method);
  }
  if (version !== undefined) {
    pen.item();
    pen.assignNumber("Version", version, 99);
  }
  if (address !== undefined) {
    pen.item();
    pen.keyword("ServiceChangeAddress");
    pen.equals();
    if (decimal(address, uint16) === undefined) writeMid(pen, address);
    else pen.raw(address);
  }
  if (profile !== undefined) {
    pen.item();
    pen.assignWord("Profile", profile);
  }
  if (reason !== undefined) {
    pen.item();
    pen.keyword("Reason");
    pen.equals();
    pen.value(reason, false);
  }
  if (delay !== undefined) {
    pen.item();
    pen.assignNumber("Delay", delay, uint32);
  }
  if (mgcIdToTry !== undefined) {
    pen.item();
    pen.keyword("MgcIdToTry");
    pen.equals();
    writeMid(pen, mgcIdToTry);
  }
  if (timeStamp !== undefined) {
    pen.item();
    pen.word(timeStamp);
  }
  if (services.incomplete === true) {
    pen.item();
    pen.keyword("ServiceChangeInc");
  }
  writeProperties(pen, services.extensions);
  for (const item of services.audit ?? []) {
    pen.item();
    writeAuditItem(pen, item);
  }
  pen.close();
};

const methods: ReadonlySet<string> = new Set(["Restart", "Forced", "Graceful", "Disconnected", "HandOff", "Failover"]);

const writeMethod = (pen: Pen, method: string): void => {
  if (methods.has(method)) pen.assignKeyword("Method", method as "Restart");
  else pen.assignWord("Method", method);
};

const writePackage = (pen: Pen, { name, version }: PackageVersion): void => pen.word(`${name}-${version}`);

/** One descriptor as it stands in a command. */
export const writeDescriptor = (pen: Pen, descriptor: Descriptor): void => {
  switch (descriptor.kind) {
    case "media":
      return writeMedia(pen, descriptor);
    case "events":
      return writeEvents(pen, descriptor);
    case "observedEvents":
      return writeObservedEvents(pen, descriptor);
    case "eventBuffer":
      return writeEventBuffer(pen, descriptor.events);
    case "signals":
      return writeSignals(pen, descriptor);
    case "services":
      return writeServices(pen, descriptor);
    case "audit":
      pen.keyword("Audit");
      if (descriptor.items.length === 0) return pen.raw("{}");
      return pen.block(descriptor.items, writeAuditItem);
    case "statistics":
      return writeStatistics(pen, descriptor.statistics);
    case "packages":
      pen.keyword("Packages");
      return pen.block(descriptor.packages, writePackage);
    case "error":
      return writeError(pen, descriptor.error);
    case "digitmap":
      return writeDigitMap(pen, descriptor.digitMap);
    case "modem":
      pen.keyword("Modem");
      pen.inline("[", descriptor.types, writeWord);
      if (descriptor.properties.length === 0) return undefined;
      pen.open();
      writeProperties(pen, descriptor.properties);
      return pen.close();
    case "mux":
      pen.assignWord("Mux", descriptor.type);
      pen.gap();
      return pen.inline("{", descriptor.terminations, writeWord);
    case "bare":
      return pen.keyword(descriptor.name);
  }
};
