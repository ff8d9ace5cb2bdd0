// What a gateway says of itself: what it holds, what moves its media, and how that bears the load. Owns the names of its metrics;
// opens no socket, and is shown no key.
import type { Hono } from "hono";
import { answerTheRest, createGuarded, type Asked } from "./http.ts";
import { certificateMetric } from "./certificates.ts";
import { gauge, one, processMetrics, prometheusText, type Metric } from "./metrics.ts";
import { apiSchemas, apiVersion, described, gatewaySchemas, type MediaLoad } from "./schema.ts";
import { name, prose } from "./text.ts";

type Thread = MediaLoad["threads"][number];

/** What the interface needs of a gateway: its views. */
export interface AskedGateway {
  readonly id: string;
  registration(): { readonly registered: boolean; readonly reason: string };
  contexts(): number;
  terminations(): number;
  /** New contexts that were turned away so far. */
  refused(): number;
  media(): {
    readonly engine: string;
    readonly reason: string;
    readonly warning?: string;
    /** Why new calls are turned away now. */
    readonly shortage?: string;
    readonly threads: readonly Thread[];
  };
}

const mediaOf = (gateway: AskedGateway, now: number): MediaLoad => {
  const { registered, reason: registration } = gateway.registration();
  const { engine, reason, shortage, threads, warning } = gateway.media();
  return {
    apiVersion,
    now,
    id: name(gateway.id),
    registered,
    registration: prose(registration),
    contexts: gateway.contexts(),
    terminations: gateway.terminations(),
    refused: gateway.refused(),
    engine: name(engine),
    reason: prose(reason),
    ...(warning === undefined ? {} : { warning: prose(warning) }),
    ...(shortage === undefined ? {} : { shortage: prose(shortage) }),
    threads: threads.map(
      ({
        batchUs,
        buffersExhausted,
        cpuSeconds,
        legs,
        load,
        lost,
        oversized,
        packetsIn,
        packetsOut,
        queueDepth,
        sendErrors,
        wakes,
      }) => ({
        packetsIn,
        packetsOut,
        lost,
        load,
        queueDepth,
        legs,
        sendErrors,
        buffersExhausted,
        oversized,
        wakes,
        batchUs,
        cpuSeconds,
      }),
    ),
  };
};

/** Of each packet thread: metric, what it counts, and the field it is taken from. */
const threadMetrics: readonly (readonly [string, Metric["type"], string, keyof Thread])[] = [
  ["media_packets_in_total", "counter", "Media datagrams received.", "packetsIn"],
  ["media_packets_out_total", "counter", "Media datagrams sent.", "packetsOut"],
  ["media_lost_total", "counter", "Media datagrams the kernel dropped: a receive buffer was full.", "lost"],
  ["media_send_errors_total", "counter", "Media datagrams that could not be sent.", "sendErrors"],
  ["media_buffers_exhausted_total", "counter", "Times receive buffers ran out.", "buffersExhausted"],
  ["media_oversized_total", "counter", "Media datagrams longer than a receive buffer.", "oversized"],
  ["media_cpu_seconds_total", "counter", "Processor time of the thread, seconds.", "cpuSeconds"],
  ["media_load", "gauge", "Share of the last tenths of a second the thread was at work, 0 to 1.", "load"],
  ["media_queue_depth", "gauge", "Datagrams found waiting at once, a peak that decays within seconds.", "queueDepth"],
  ["media_legs", "gauge", "Legs on the thread.", "legs"],
];

/** Every metric of a gateway. */
const gatewayMetrics = (gateway: AskedGateway): readonly Metric[] => {
  const { engine, shortage, threads } = gateway.media();
  return [
    gauge(
      "sallyport_gw_registered",
      "1 where a controller has taken the gateway.",
      one(Number(gateway.registration().registered)),
    ),
    gauge("sallyport_gw_contexts", "Calls held.", one(gateway.contexts())),
    gauge("sallyport_gw_terminations", "Terminations held.", one(gateway.terminations())),
    {
      name: "sallyport_gw_contexts_refused_total",
      type: "counter",
      help: "New calls turned away: no contexts, ports, memory, or media threads that are loaded.",
      samples: one(gateway.refused()),
    },
    gauge(
      "sallyport_gw_short",
      "1 while new calls are turned away because media could not keep up.",
      one(shortage === undefined ? 0 : 1),
    ),
    gauge("sallyport_media_engine", "The engine that moves media.", [{ labels: { engine }, value: 1 }]),
    ...threadMetrics.map(([metric, type, help, field]): Metric => ({
      name: `sallyport_${metric}`,
      type,
      help,
      samples: threads.map((thread, at) => ({ labels: { thread: String(at) }, value: thread[field] })),
    })),
  ];
};

export const createGatewayApp = (gateway: AskedGateway, asked: Asked): Hono => {
  const { facts, log } = asked;
  const app = createGuarded(asked, () => false);
  app.get("/v1", (c) => c.json({ apiVersion, paths: ["/metrics", "/v1/schemas", ...Object.keys(gatewaySchemas)] }));
  const schemas = described(gatewaySchemas);
  app.get("/v1/schemas", (c) => c.json(schemas()));
  app.get("/v1/media", (c) => c.json(mediaOf(gateway, facts().now)));
  app.get("/metrics", (c) => {
    const { certificates, cpuSeconds, memory, startedAt, version } = facts();
    c.header("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    const process = processMetrics({ version, startedAt, cpuSeconds, residentOctets: memory });
    return c.body(prometheusText([...gatewayMetrics(gateway), ...process, certificateMetric(certificates)]));
  });
  const atEdges = new Set(Object.keys(apiSchemas).map((path) => path.split("/")[2]));
  answerTheRest(app, log, (path) =>
    atEdges.has(path.split("/")[2]) ? "This is a gateway; the interface of its edge answers that." : undefined,
  );
  return app;
};
