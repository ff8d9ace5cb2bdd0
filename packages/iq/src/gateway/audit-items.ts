// Owns what one audit item shows of one termination or of ROOT: whole descriptors, or from version 2 on single properties.
// H.248.1 7.1.12, 7.2.5 (what is), 7.2.6 (what could be). Pure; never shows a key.
import type { AuditItem, Descriptor, H248Error, Property, Signal, StreamDescriptor } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { refusal } from "../profile/error-text.ts";
import { writeSessionText } from "../profile/session-text.ts";
import type { RootWatch } from "./decode-events.ts";
import { modeToken, statisticsDescriptors, statisticsProperties, withoutKey } from "./encode.ts";
import type { ItemKind } from "./packages.ts";
import { itemsDone, judgeItem, packagesDone } from "./packages.ts";
import type { RootProperties } from "./root.ts";
import type { GatewayCapabilities, TerminationView } from "./types.ts";

type Shown = Result<readonly Descriptor[], H248Error>;

const below = (item: AuditItem): readonly AuditItem[] => item.items ?? [];
const is = (item: AuditItem, name: string): boolean => item.name.toLowerCase() === name;

const property = (name: string, ...values: readonly string[]): Property => ({
  name,
  relation: values.length === 1 ? "=" : "any",
  values,
});

const streamsOf = (view: TerminationView): readonly StreamDescriptor[] =>
  view.streams.map((stream) => ({
    id: stream.stream,
    localControl: {
      mode: modeToken[stream.mode],
      ...(stream.reservedValue === undefined ? {} : { reservedValue: stream.reservedValue }),
      ...(stream.reservedGroup === undefined ? {} : { reservedGroup: stream.reservedGroup }),
      properties: Object.entries(stream.controls ?? {}).map(([name, value]) => property(name, value)),
    },
    local: writeSessionText(withoutKey(stream.local)),
    ...(stream.remote === undefined ? {} : { remote: writeSessionText(withoutKey(stream.remote)) }),
  }));

/** Single items that must be of the package vocabulary; those that are not set are passed over. */
const pick = (
  kind: ItemKind,
  wanted: readonly AuditItem[],
  have: readonly Property[],
  passing: readonly string[] = [],
): Result<readonly Property[], H248Error> => {
  if (wanted.length === 0) return ok(have);
  const picked: Property[] = [];
  for (const item of wanted) {
    if (passing.includes(item.name.toLowerCase())) continue;
    const judged = judgeItem(kind, item.name);
    if (judged !== undefined) return { ok: false, error: judged };
    picked.push(...have.filter(({ name }) => name.toLowerCase() === item.name.toLowerCase()));
  }
  return ok(picked);
};

const controlWords = ["mode", "reservedvalue", "reservedgroup"];

const pickControl = (stream: StreamDescriptor, wanted: readonly AuditItem[]): Result<StreamDescriptor, H248Error> => {
  const { localControl } = stream;
  if (localControl === undefined) return ok({});
  if (wanted.length === 0) return ok({ localControl });
  const properties = pick("properties", wanted, localControl.properties, controlWords);
  if (!properties.ok) return properties;
  const asked = (word: string): boolean => wanted.some((item) => is(item, word));
  const control = {
    ...(asked("mode") && localControl.mode !== undefined ? { mode: localControl.mode } : {}),
    ...(asked("reservedvalue") ? { reservedValue: localControl.reservedValue ?? false } : {}),
    ...(asked("reservedgroup") ? { reservedGroup: localControl.reservedGroup ?? false } : {}),
    properties: properties.value,
  };
  return ok(Object.keys(control).length === 1 && control.properties.length === 0 ? {} : { localControl: control });
};

const pickStream = (
  stream: StreamDescriptor,
  statistics: readonly Property[],
  wanted: readonly AuditItem[],
): Result<StreamDescriptor, H248Error> => {
  const picked: { -readonly [K in keyof StreamDescriptor]: StreamDescriptor[K] } = {};
  for (const item of wanted) {
    if (is(item, "local")) {
      if (stream.local !== undefined) picked.local = stream.local;
    } else if (is(item, "remote")) {
      if (stream.remote !== undefined) picked.remote = stream.remote;
    } else if (is(item, "localcontrol")) {
      const control = pickControl(stream, below(item));
      if (!control.ok) return control;
      Object.assign(picked, control.value);
    } else if (is(item, "statistics")) {
      const chosen = pick("statistics", below(item), statistics);
      if (!chosen.ok) return chosen;
      if (chosen.value.length > 0) picked.statistics = chosen.value;
    } else return refusal(444, `Audit of ${item.name}`);
  }
  return ok(picked);
};

/** Nothing of what was asked for is there: the bare name says so. */
const media = (streams: readonly StreamDescriptor[], state: boolean): Descriptor => {
  const shown = streams.filter((stream) => Object.keys(stream).some((key) => key !== "id"));
  if (shown.length === 0 && !state) return { kind: "bare", name: "Media" };
  return {
    kind: "media",
    streams: shown,
    ...(state ? { terminationState: { serviceState: "InService", eventBufferControl: "Off", properties: [] } } : {}),
  };
};

const showMedia = (view: TerminationView, wanted: readonly AuditItem[]): Shown => {
  const streams = streamsOf(view);
  if (wanted.length === 0) return ok([media(streams, false)]);
  const shown: StreamDescriptor[] = [];
  let state = false;
  for (const item of wanted) {
    if (is(item, "terminationstate")) {
      state = true;
      continue;
    }
    const named = is(item, "stream");
    // H.248.1 7.1.4: without a Stream level it is stream 1.
    const id = named ? Number(item.value) : 1;
    const stream = streams.find((candidate) => candidate.id === id);
    if (stream === undefined) return refusal(430, `Stream ${item.value ?? 1}`);
    const counts = view.streams.find((candidate) => candidate.stream === id)?.counts.values ?? {};
    const parts = named ? below(item) : [item];
    const picked = parts.length === 0 ? ok(stream) : pickStream(stream, statisticsProperties(counts), parts);
    if (!picked.ok) return picked;
    shown.push({ ...picked.value, id });
  }
  return ok([media(shown, state)]);
};

const showEvents = (view: TerminationView, wanted: readonly AuditItem[]): Shown => {
  const events = view.watch?.events ?? [];
  const names = wanted.map(({ name }) => name.toLowerCase());
  const shown = names.length === 0 ? events : events.filter(({ name }) => names.includes(name.toLowerCase()));
  return ok([
    shown.length === 0
      ? { kind: "events", events: [] }
      : { kind: "events", requestId: view.watch?.request ?? 0, events: shown },
  ]);
};

const showStatistics = (view: TerminationView, wanted: readonly AuditItem[], version: number): Shown => {
  const all = statisticsDescriptors(
    view.streams.map((stream) => stream.counts),
    version,
  );
  if (wanted.length === 0) return ok(all.length === 0 ? [{ kind: "bare", name: "Statistics" }] : all);
  const whole = statisticsDescriptors(
    view.streams.map((stream) => stream.counts),
    2,
  ).flatMap((descriptor) => (descriptor.kind === "statistics" ? descriptor.statistics : []));
  const picked = pick("statistics", wanted, whole);
  if (!picked.ok) return picked;
  return ok([
    picked.value.length === 0 ? { kind: "bare", name: "Statistics" } : { kind: "statistics", statistics: picked.value },
  ]);
};

const showPackages = (wanted: readonly AuditItem[]): Shown => {
  if (wanted.length === 0) return ok([{ kind: "packages", packages: packagesDone }]);
  const names = wanted.map(({ name }) => name.toLowerCase().replace(/-\d+$/, ""));
  const shown = packagesDone.filter(({ name }) => names.includes(name));
  return shown.length < names.length
    ? refusal(440, names.filter((name) => !shown.some((have) => have.name === name)).join(" "))
    : ok([{ kind: "packages", packages: shown }]);
};

/** Items that are the same for everything: there are no buffers and no digit maps here. */
const showCommon = (item: AuditItem): Shown => {
  switch (item.name.toLowerCase()) {
    case "packages":
      return showPackages(below(item));
    case "eventbuffer":
      return ok([{ kind: "eventBuffer", events: [] }]);
    case "observedevents":
      return ok([{ kind: "bare", name: "ObservedEvents" }]);
    case "digitmap":
      return ok([{ kind: "bare", name: "DigitMap" }]);
    case "signals":
      // Every signal of the profile is over when it has been carried out.
      return ok([{ kind: "signals", signals: [] }]);
    default:
      return refusal(501, `Audit of ${item.name}`);
  }
};

/** AuditValue of a termination: one item. */
export const terminationValue = (view: TerminationView, item: AuditItem, version: number): Shown => {
  switch (item.name.toLowerCase()) {
    case "media":
      return showMedia(view, below(item));
    case "events":
      return showEvents(view, below(item));
    case "statistics":
      return showStatistics(view, below(item), version);
    default:
      return showCommon(item);
  }
};

const named = (name: string) => ({ name, properties: [] });

const controlsPossible = ({ marks, realms }: GatewayCapabilities): readonly Property[] => [
  ...["gm/saf", "gm/spf", "tman/pol", "rtcph/rsb"].map((name) => property(name, "ON", "OFF")),
  ...(realms.length === 0 ? [] : [property("ipdc/realm", ...realms)]),
  marks ? { name: "ds/dscp", relation: "range", values: ["00", "3F"] } : property("ds/dscp", "00"),
];

/** AuditCapability of a termination: one item, what it could be (H.248.1 7.2.6). */
export const terminationCapability = (view: TerminationView, item: AuditItem, can: GatewayCapabilities): Shown => {
  switch (item.name.toLowerCase()) {
    case "media": {
      const properties = controlsPossible(can);
      return ok([
        { kind: "media", streams: view.streams.map(({ stream: id }) => ({ id, localControl: { properties } })) },
      ]);
    }
    case "events":
      return ok([{ kind: "events", requestId: 0, events: itemsDone("events").map(named) }]);
    case "signals": {
      const signals = itemsDone("signals").map((name): Signal => ({ kind: "signal", name, properties: [] }));
      return ok([{ kind: "signals", signals }]);
    }
    case "statistics":
      return ok([
        {
          kind: "statistics",
          statistics: itemsDone("statistics").map((name) => ({ name, relation: "=", values: [] })),
        },
      ]);
    default:
      return showCommon(item);
  }
};

/** What ROOT is: limits and timers of this gateway, `root` and `ipra` packages (H.248.1 E.2, H.248.41 Amd. 1). */
export interface RootState {
  readonly watch: RootWatch;
  readonly properties: RootProperties;
}

/** AuditValue and AuditCapability of ROOT: one item. */
export const rootValue = (state: RootState, item: AuditItem): Shown => {
  switch (item.name.toLowerCase()) {
    case "media": {
      const all = Object.entries(state.properties).map(([name, value]): Property =>
        typeof value === "string" ? property(name, value) : { name, relation: "all", values: value },
      );
      const wanted = below(item).flatMap((part) => (is(part, "terminationstate") ? below(part) : [part]));
      for (const one of wanted) {
        if (is(one, "servicestates") || is(one, "buffer")) continue;
        const judged = judgeItem("properties", one.name, "root");
        if (judged !== undefined) return { ok: false, error: judged };
      }
      const chosen =
        wanted.length === 0
          ? all
          : all.filter(({ name }) => wanted.some((one) => one.name.toLowerCase() === name.toLowerCase()));
      return ok([{ kind: "media", streams: [], terminationState: { serviceState: "InService", properties: chosen } }]);
    }
    case "events": {
      const { request, events } = state.watch;
      return ok([events.length === 0 ? { kind: "events", events } : { kind: "events", requestId: request, events }]);
    }
    case "statistics":
      // There are none of ROOT: the bare name says so, as of any descriptor that is empty.
      return item.items === undefined || item.items.length === 0
        ? ok([{ kind: "bare", name: "Statistics" }])
        : showCommon(item);
    default:
      return showCommon(item);
  }
};
