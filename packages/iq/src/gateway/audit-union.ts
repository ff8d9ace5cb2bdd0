// Owns the one answer to an audit with a wildcarded response: the union of what all terminations show (H.248.1 7.2.5, 7.2.6).
// What can not stand beside another value (a mode, a RequestID) is told only where all agree. Pure.
import type { Descriptor, EventsDescriptor, LocalControl, Property, StreamDescriptor } from "@sallyport/h248";
import { statisticsProperties, totals } from "./encode.ts";

const distinct = <T>(values: readonly T[]): readonly T[] => [
  ...new Map(values.map((value) => [JSON.stringify(value), value])).values(),
];

/** The value all have; undefined where they differ. */
const agreed = <T>(values: readonly T[]): T | undefined => (distinct(values).length === 1 ? values[0] : undefined);

const byName = (lists: readonly (readonly Property[])[]): readonly (readonly [string, readonly Property[]])[] => {
  const named = new Map<string, Property[]>();
  for (const property of lists.flat()) named.set(property.name, [...(named.get(property.name) ?? []), property]);
  return [...named];
};

/** Values side by side: what one is and what another is are alternatives; a range or a comparison stands for itself. */
const uniteProperties = (lists: readonly (readonly Property[])[]): readonly Property[] => {
  const united: Property[] = [];
  for (const [name, all] of byName(lists)) {
    const plain = all.filter(({ relation }) => relation === "=" || relation === "any");
    const values = distinct(plain.flatMap((property) => property.values));
    if (plain.length > 0) united.push({ name, relation: values.length === 1 ? "=" : "any", values });
    united.push(...distinct(all.filter((property) => !plain.includes(property))));
  }
  return united;
};

/** Counts add up as those of the streams of one termination do; names alone (of a capability) stay names. */
const uniteStatistics = (lists: readonly (readonly Property[])[]): readonly Property[] => {
  const names = distinct(lists.flatMap((list) => list.filter(({ values }) => values.length === 0)));
  const counts = lists.map((list) => ({
    stream: 1,
    values: Object.fromEntries(
      list.flatMap(({ name, values: [value] }) => (value === undefined ? [] : [[name, value]])),
    ),
  }));
  return [...names, ...statisticsProperties(totals(counts))];
};

const present = <T>(values: readonly (T | undefined)[]): readonly T[] => values.filter((value) => value !== undefined);

const uniteControls = (controls: readonly LocalControl[]): LocalControl => {
  const mode = agreed(controls.map((control) => control.mode));
  const reservedValue = agreed(controls.map((control) => control.reservedValue));
  const reservedGroup = agreed(controls.map((control) => control.reservedGroup));
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(reservedValue === undefined ? {} : { reservedValue }),
    ...(reservedGroup === undefined ? {} : { reservedGroup }),
    properties: uniteProperties(controls.map(({ properties }) => properties)),
  };
};

const uniteStream = (id: number | undefined, all: readonly StreamDescriptor[]): StreamDescriptor => {
  const united: { -readonly [K in keyof StreamDescriptor]: StreamDescriptor[K] } = id === undefined ? {} : { id };
  const controls = present(all.map(({ localControl }) => localControl));
  const [locals, remotes] = [present(all.map(({ local }) => local)), present(all.map(({ remote }) => remote))];
  const statistics = present(all.map((stream) => stream.statistics));
  if (controls.length > 0) united.localControl = uniteControls(controls);
  // Several descriptions follow each other, each from its v= (H.248.1 7.1.8).
  if (locals.length > 0) united.local = distinct(locals).join("");
  if (remotes.length > 0) united.remote = distinct(remotes).join("");
  if (statistics.length > 0) united.statistics = uniteStatistics(statistics);
  return united;
};

const uniteStreams = (streams: readonly StreamDescriptor[]): readonly StreamDescriptor[] =>
  distinct(streams.map(({ id }) => id)).map((id) =>
    uniteStream(
      id,
      streams.filter((stream) => stream.id === id),
    ),
  );

const uniteEvents = (all: readonly EventsDescriptor[]): EventsDescriptor => {
  const events = distinct(all.flatMap((one) => one.events));
  if (events.length === 0) return { kind: "events", events };
  return { kind: "events", requestId: agreed(present(all.map(({ requestId }) => requestId))) ?? 0, events };
};

/** One descriptor of each kind, in the order they first came in. */
export const unite = (shown: readonly (readonly Descriptor[])[]): readonly Descriptor[] => {
  const kinds = new Map<string, Descriptor[]>();
  for (const descriptor of shown.flat()) {
    const kind = descriptor.kind === "bare" ? descriptor.name.toLowerCase() : descriptor.kind.toLowerCase();
    kinds.set(kind, [...(kinds.get(kind) ?? []), descriptor]);
  }
  return [...kinds.values()].flatMap((same): readonly Descriptor[] => {
    // That one has nothing adds nothing to what another has.
    const told = same.filter(({ kind }) => kind !== "bare");
    const media = told.flatMap((one) => (one.kind === "media" ? [one] : []));
    const events = told.flatMap((one) => (one.kind === "events" ? [one] : []));
    const statistics = told.flatMap((one) => (one.kind === "statistics" ? [one.statistics] : []));
    const [state] = present(media.map(({ terminationState }) => terminationState));
    if (media.length > 0) {
      const streams = uniteStreams(media.flatMap((one) => one.streams));
      return [{ kind: "media", streams, ...(state === undefined ? {} : { terminationState: state }) }];
    }
    if (events.length > 0) return [uniteEvents(events)];
    if (statistics.length > 0) return [{ kind: "statistics", statistics: uniteStatistics(statistics) }];
    return distinct(told.length > 0 ? told : same);
  });
};
