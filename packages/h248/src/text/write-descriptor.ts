// Owns the written form of the other descriptors (H.248.1 Annex B.2). Local and Remote end with `}` on a line of its own.
import { decimal, uint16, uint32 } from "./cursor.ts";
import type { Descriptor, MediaDescriptor, ServicesDescriptor, StreamDescriptor } from "./descriptor.ts";
import type { Pen } from "./pen.ts";
import { writeDigitMap, writeEventBuffer, writeEvents, writeObservedEvents, writeSignals } from "./write-events.ts";
import { writeMid } from "./write-mid.ts";
import { properties, writeAuditItem, writeError, writeStatistic } from "./write-property.ts";

type Step = () => void;

const block = (pen: Pen, name: "Local" | "Remote", text: string): void => {
  pen.keyword(name);
  pen.octets(text);
};

const streamParts = (pen: Pen, stream: StreamDescriptor): Step[] => {
  const { localControl, local, remote, statistics } = stream;
  const parts: Step[] = [];
  if (localControl !== undefined) {
    const { mode, reservedValue, reservedGroup } = localControl;
    const items: Step[] = [];
    if (mode !== undefined) items.push(() => pen.assignKeyword("Mode", mode));
    if (reservedValue !== undefined) items.push(() => pen.assignKeyword("ReservedValue", reservedValue ? "On" : "Off"));
    if (reservedGroup !== undefined) items.push(() => pen.assignKeyword("ReservedGroup", reservedGroup ? "On" : "Off"));
    items.push(...properties(pen, localControl.properties));
    parts.push(() => {
      pen.keyword("LocalControl");
      pen.block(items);
    });
  }
  if (local !== undefined) parts.push(() => block(pen, "Local", local));
  if (remote !== undefined) parts.push(() => block(pen, "Remote", remote));
  if (statistics !== undefined) {
    parts.push(() => {
      pen.keyword("Statistics");
      pen.block(statistics.map((statistic) => () => writeStatistic(pen, statistic)));
    });
  }
  return parts;
};

const writeMedia = (pen: Pen, media: MediaDescriptor): void => {
  const items: Step[] = [];
  const state = media.terminationState;
  if (state !== undefined) {
    const { serviceState, eventBufferControl } = state;
    const parts: Step[] = [];
    if (serviceState !== undefined) parts.push(() => pen.assignKeyword("ServiceStates", serviceState));
    if (eventBufferControl !== undefined) parts.push(() => pen.assignKeyword("Buffer", eventBufferControl));
    parts.push(...properties(pen, state.properties));
    items.push(() => {
      pen.keyword("TerminationState");
      pen.block(parts);
    });
  }
  for (const stream of media.streams) {
    const { id } = stream;
    if (id === undefined) items.push(...streamParts(pen, stream));
    else {
      items.push(() => {
        pen.assignNumber("Stream", id, uint16);
        pen.block(streamParts(pen, stream));
      });
    }
  }
  pen.keyword("Media");
  pen.block(items);
};

const writeServices = (pen: Pen, services: ServicesDescriptor): void => {
  const { method, address, reason, delay, profile, version, timeStamp, mgcIdToTry } = services;
  const items: Step[] = [];
  if (method !== undefined) items.push(() => writeMethod(pen, method));
  if (version !== undefined) items.push(() => pen.assignNumber("Version", version, 99));
  if (address !== undefined) {
    items.push(() => {
      pen.keyword("ServiceChangeAddress");
      pen.equals();
      if (decimal(address, uint16) === undefined) writeMid(pen, address);
      else pen.raw(address);
    });
  }
  if (profile !== undefined) items.push(() => pen.assignWord("Profile", profile));
  if (reason !== undefined) {
    items.push(() => {
      pen.keyword("Reason");
      pen.equals();
      pen.value(reason, false);
    });
  }
  if (delay !== undefined) items.push(() => pen.assignNumber("Delay", delay, uint32));
  if (mgcIdToTry !== undefined) {
    items.push(() => {
      pen.keyword("MgcIdToTry");
      pen.equals();
      writeMid(pen, mgcIdToTry);
    });
  }
  if (timeStamp !== undefined) items.push(() => pen.word(timeStamp));
  if (services.incomplete === true) items.push(() => pen.keyword("ServiceChangeInc"));
  items.push(...properties(pen, services.extensions));
  items.push(...(services.audit ?? []).map((item) => () => writeAuditItem(pen, item)));
  pen.keyword("Services");
  pen.block(items);
};

const methods: ReadonlySet<string> = new Set(["Restart", "Forced", "Graceful", "Disconnected", "HandOff", "Failover"]);

const writeMethod = (pen: Pen, method: string): void => {
  if (methods.has(method)) pen.assignKeyword("Method", method as "Restart");
  else pen.assignWord("Method", method);
};

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
      return pen.block(descriptor.items.map((item) => () => writeAuditItem(pen, item)));
    case "statistics":
      pen.keyword("Statistics");
      return pen.block(descriptor.statistics.map((statistic) => () => writeStatistic(pen, statistic)));
    case "packages":
      pen.keyword("Packages");
      return pen.block(
        descriptor.packages.map(
          ({ name, version }) =>
            () =>
              pen.word(`${name}-${version}`),
        ),
      );
    case "error":
      return writeError(pen, descriptor.error);
    case "digitmap":
      return writeDigitMap(pen, descriptor.digitMap);
    case "modem":
      pen.keyword("Modem");
      pen.inline(
        "[",
        descriptor.types.map((type) => () => pen.word(type)),
      );
      return descriptor.properties.length === 0 ? undefined : pen.block(properties(pen, descriptor.properties));
    case "mux":
      pen.assignWord("Mux", descriptor.type);
      pen.gap();
      return pen.inline(
        "{",
        descriptor.terminations.map((name) => () => pen.word(name)),
      );
    case "bare":
      return pen.keyword(descriptor.name);
  }
};
