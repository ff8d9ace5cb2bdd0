// Counters and counts as Prometheus text (exposition format 0.0.4). Pure. Owns metric names; knows no HTTP.
import type { Edge } from "@sallyport/pcscf";

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Samples written at most: a scrape stays small whatever happens. */
const maxSamples = 4096;

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');
const number = (value: number): string => (Number.isFinite(value) ? String(value) : "0");

/** @returns the text, ending in a line feed; metrics without a sample are left out. */
export const prometheusText = (metrics: readonly Metric[]): string => {
  const lines: string[] = [];
  let left = maxSamples;
  for (const { name, type, help, samples } of metrics) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of samples.slice(0, left)) {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
      lines.push(`${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${number(value)}`);
      left -= 1;
    }
  }
  return `${lines.join("\n")}\n`;
};

const help: Readonly<Record<string, string>> = {
  calls_total: "Call legs that ended, by direction, security and reason code.",
  media_dropped_total: "Media packets of ended calls that were not let through at the access side, by kind.",
  indications_removed_total: "What was taken out of messages, by kind and by the side it came from.",
  registrations_total: "Contacts registered or refreshed, by whether e2ae was agreed.",
  registrations_refused_total: "REGISTER requests the core refused, by status; challenges are none.",
  requests_refused_total: "Requests this edge refused.",
  strangers_refused_total: "Requests from the core side by nobody we trust.",
  gateway_failures_total: "Gateway commands that failed.",
  quirks_total: "Ways of their own in which devices speak, by kind.",
  malformed_total: "Messages and bodies that could not be read.",
  admission_refused_total: "Messages turned away because of load or rate, by reason.",
  store_failures_total: "Changes the state store did not take.",
  faults_total: "Errors of this edge, each with a line in its log.",
};

/** More entries than this are counted, not looked at one by one: a scrape must not hold the event loop. */
const maxLookedAt = 1000;

type Labels = Readonly<Record<string, string>>;

/** How many have each set of labels; the usual sets are there with 0, so that a graph has no holes. */
const tally = <T>(usual: readonly Labels[], items: readonly T[], labelsOf: (item: T) => Labels): readonly Sample[] => {
  const samples = new Map(usual.map((labels) => [JSON.stringify(labels), { labels, value: 0 }]));
  for (const item of items) {
    const labels = labelsOf(item);
    const key = JSON.stringify(labels);
    const found = samples.get(key);
    if (found === undefined) samples.set(key, { labels, value: 1 });
    else found.value += 1;
  }
  return [...samples.values()];
};

const usualCalls: readonly Labels[] = ["originating", "terminating"].flatMap((side) =>
  ["e2ae", "e2e", "none", "mixed"].map((security) => ({ side, security })),
);

export type MeasuredEdge = Pick<Edge, "counts" | "counters" | "calls" | "registrations" | "gateways">;

/** What this process says of itself. */
export interface ProcessFacts {
  readonly version: string;
  readonly startedAt: number;
  readonly cpuSeconds: number;
  readonly residentOctets: number;
}

export const gauge = (name: string, text: string, samples: readonly Sample[]): Metric => ({
  name,
  type: "gauge",
  help: text,
  samples,
});

export const one = (value: number): readonly Sample[] => [{ labels: {}, value }];

/** What every element's process says of itself. */
export const processMetrics = (facts: ProcessFacts): readonly Metric[] => [
  gauge("sallyport_info", "Version of Sallyport.", [{ labels: { version: facts.version }, value: 1 }]),
  gauge("process_start_time_seconds", "Start, seconds since 1970.", one(facts.startedAt / 1000)),
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "CPU time, user and system, seconds.",
    samples: one(facts.cpuSeconds),
  },
  gauge("process_resident_memory_bytes", "Resident memory, octets.", one(facts.residentOctets)),
];

/** Every metric of an edge. Above 1,000 calls or registrations the labels of their gauges are `any`; the sum stays right. */
export const metricsOf = (edge: MeasuredEdge, facts: ProcessFacts): readonly Metric[] => {
  const counts = edge.counts();
  const gateways = edge.gateways();
  const counters = new Map<string, Sample[]>();
  for (const { name, labels, value } of edge.counters())
    if (counters.get(name)?.push({ labels, value }) === undefined) counters.set(name, [{ labels, value }]);
  return [
    gauge(
      "sallyport_registrations",
      "Registered contacts, by whether e2ae was agreed.",
      counts.registrations > maxLookedAt
        ? [{ labels: { e2ae: "any" }, value: counts.registrations }]
        : tally([{ e2ae: "yes" }, { e2ae: "no" }], edge.registrations(), ({ indications }) => ({
            e2ae: indications.ueE2ae && indications.networkE2ae ? "yes" : "no",
          })),
    ),
    gauge(
      "sallyport_calls_active",
      "Live call legs, by direction and security.",
      counts.calls > maxLookedAt
        ? [{ labels: { side: "any", security: "any" }, value: counts.calls }]
        : tally(
            usualCalls,
            edge.calls().filter(({ phase }) => phase !== "ended"),
            ({ direction, security }) => ({ side: direction, security }),
          ),
    ),
    gauge("sallyport_transactions", "SIP transactions held.", one(counts.transactions)),
    gauge(
      "sallyport_iq_contexts",
      "Gateway contexts held, by gateway.",
      gateways.map(({ id, contexts }) => ({ labels: { gw: id }, value: contexts })),
    ),
    gauge(
      "sallyport_gateway_up",
      "1 where the gateway takes new calls.",
      gateways.map(({ id, state }) => ({ labels: { gw: id }, value: state === "up" ? 1 : 0 })),
    ),
    ...[...counters].map(([name, samples]): Metric => ({
      name: `sallyport_${name}`,
      type: name.endsWith("_total") ? "counter" : "gauge",
      help: help[name] ?? "Counted by the edge.",
      samples,
    })),
    ...processMetrics(facts),
  ];
};
