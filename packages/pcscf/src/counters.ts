// What this element counts. Owns names only; knows no exporter.
export interface EdgeCounters {
  /** Adds one, or `by`, to `name`, optionally labelled. */
  count(name: CounterName, labels?: Readonly<Record<string, string>>, by?: number): void;
  snapshot(): readonly CounterView[];
}

export type CounterName =
  | "calls_total"
  | "media_dropped_total"
  | "indications_removed_total"
  | "registrations_total"
  | "registrations_refused_total"
  | "requests_refused_total"
  | "strangers_refused_total"
  | "gateway_failures_total"
  | "quirks_total"
  | "malformed_total"
  | "admission_refused_total"
  | "store_failures_total"
  | "faults_total";

export interface CounterView {
  readonly name: CounterName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Distinct label sets kept; labels never come from the wire, so this bound is a safety net. */
const maxSeries = 512;

interface Series {
  readonly name: CounterName;
  readonly labels: Readonly<Record<string, string>>;
  value: number;
}

export const createCounters = (): EdgeCounters => {
  // Names and values of labels are words of our own: the separator is in none of them.
  const series = new Map<string, Series>();
  const keyOf = (name: CounterName, labels: Readonly<Record<string, string>>): string => {
    let key: string = name;
    for (const label in labels) key += `|${label}=${labels[label]}`;
    return key;
  };
  return {
    count: (name, labels, by = 1) => {
      const key = labels === undefined ? name : keyOf(name, labels);
      const found = series.get(key);
      if (found !== undefined) found.value += by;
      else if (series.size < maxSeries) series.set(key, { name, labels: labels ?? {}, value: by });
    },
    snapshot: () => Array.from(series.values(), ({ name, labels, value }) => ({ name, labels, value })),
  };
};
