// A gateway's own interface: what it holds, and how its media engine bears the load, as JSON and as metrics.
import { silentLog, VirtualClock } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import { apiConfigSchema, createGatewayApi, mediaLoadSchema, type Api, type AskedGateway } from "../src/index.ts";
import { ask, openApi } from "./support/ask.ts";
import { fakeEdge } from "./support/edge.ts";

let api: Api | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
});

const thread = {
  packetsIn: 1000,
  packetsOut: 990,
  wakes: 100,
  lost: 7,
  sendErrors: 3,
  load: 0.93,
  queueDepth: 1200.5,
  legs: 20,
  buffersExhausted: 1,
  oversized: 2,
  cpuSeconds: 4.25,
  batchUs: 250,
  moves: 0,
  connects: 12,
};
const loaded: AskedGateway = {
  id: "gw-a",
  registration: () => ({ registered: true, reason: "<edge-a.example>" }),
  contexts: () => 10,
  terminations: () => 20,
  refused: () => 4,
  media: () => ({
    engine: "socket",
    reason: "socket over io_uring: the best that starts on this machine",
    shortage: "media packets were lost",
    threads: [thread, { ...thread, lost: 0, load: 0.1 }],
  }),
};
const start = (gateway: AskedGateway) =>
  createGatewayApi(apiConfigSchema.parse({ listen: { port: 0 } }), gateway, {
    clock: new VirtualClock(1_000_000),
    log: silentLog,
    version: "0.1.0",
  });

describe("a gateway's interface", () => {
  it("/v1/media says what runs, what is short, and what each thread carries", async () => {
    api = await start(loaded);
    const answer = mediaLoadSchema.parse((await ask(api, "/v1/media")).json());
    expect(answer).toMatchObject({ id: "gw-a", registered: true, contexts: 10, refused: 4, engine: "socket" });
    expect(answer.shortage).toBe("media packets were lost");
    expect(answer.threads.map(({ load, lost, queueDepth }) => [load, lost, queueDepth])).toEqual([
      [0.93, 7, 1200.5],
      [0.1, 0, 1200.5],
    ]);
    expect(JSON.stringify(answer)).not.toContain("connects");
  });

  it("/v1 lists the paths and /v1/schemas documents them; of an edge's it says who answers, as an edge does of a gateway's", async () => {
    api = await start(loaded);
    expect((await ask(api, "/v1")).json()).toMatchObject({ paths: ["/metrics", "/v1/schemas", "/v1/media"] });
    const { schemas } = (await ask(api, "/v1/schemas")).json() as { schemas: Record<string, { properties: object }> };
    expect(schemas["/v1/media"]?.properties).toHaveProperty("threads");
    for (const path of ["/v1/status", "/v1/calls/latest/explain", "/v1/gateways"])
      expect((await ask(api, path)).json(), path).toMatchObject({
        code: "SALLY_API_PATH",
        message: expect.stringContaining("This is a gateway; the interface of its edge answers that."),
      });
    expect((await ask(api, "/v2")).text).not.toContain("This is");
    await api.close();
    api = await openApi(fakeEdge());
    expect((await ask(api, "/v1/media")).json()).toMatchObject({
      code: "SALLY_API_PATH",
      message: expect.stringContaining("This is an edge; a gateway's own interface answers that."),
    });
  });

  it("/metrics carry loss, queue depth and load of every thread, and whether calls are turned away", async () => {
    api = await start(loaded);
    const { headers, text } = await ask(api, "/metrics");
    expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    const lines = text.split("\n");
    for (const line of [
      "sallyport_gw_registered 1",
      "sallyport_gw_contexts 10",
      "sallyport_gw_contexts_refused_total 4",
      "sallyport_gw_short 1",
      'sallyport_media_engine{engine="socket"} 1',
      'sallyport_media_lost_total{thread="0"} 7',
      'sallyport_media_lost_total{thread="1"} 0',
      'sallyport_media_load{thread="0"} 0.93',
      'sallyport_media_queue_depth{thread="0"} 1200.5',
      'sallyport_media_packets_in_total{thread="1"} 1000',
      "# TYPE sallyport_media_lost_total counter",
      "# TYPE sallyport_media_load gauge",
      'sallyport_info{version="0.1.0"} 1',
    ])
      expect(lines, line).toContain(line);
    const names = lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []);
    expect(new Set(names).size).toBe(names.length);
  });

  it("an engine without threads has no metrics of threads, and nothing is short", async () => {
    const media = () => ({ engine: "portable", reason: "asked for", threads: [] });
    api = await start({ ...loaded, media });
    const { text } = await ask(api, "/metrics");
    expect(text).not.toContain("sallyport_media_load");
    expect(text).toContain("sallyport_gw_short 0\n");
    expect(mediaLoadSchema.parse((await ask(api, "/v1/media")).json()).shortage).toBeUndefined();
  });

  it("it answers questions only, under known hosts only", async () => {
    api = await start(loaded);
    expect((await ask(api, "/v1/media", { method: "POST" })).status).toBe(405);
    expect((await ask(api, "/v1/gateways/gw-a/drain", { method: "POST" })).status).toBe(405);
    expect((await ask(api, "/v1/media", { headers: { host: "evil.example" } })).status).toBe(403);
    expect((await ask(api, "/v1/status")).status).toBe(404);
  });
});
