// `gw media` against the real interface of a gateway that exists only as its views.
import { apiConfigSchema, createGatewayApi, type Api, type AskedGateway } from "@sallyport/api";
import { silentLog, VirtualClock } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import { sallyport } from "./support/run.ts";

let node: Api | undefined;
afterEach(async () => {
  await node?.close();
  node = undefined;
});

const thread = {
  packetsIn: 123_456,
  packetsOut: 123_000,
  wakes: 100,
  lost: 7,
  sendErrors: 3,
  load: 0.934,
  queueDepth: 1200.4,
  legs: 20,
  buffersExhausted: 0,
  oversized: 0,
  cpuSeconds: 4.25,
  batchUs: 250,
};
const loaded: AskedGateway = {
  id: "gw-a",
  registration: () => ({ registered: true, reason: "Restart 901" }),
  contexts: () => 10,
  terminations: () => 20,
  refused: () => 4,
  media: () => ({
    engine: "socket",
    reason: "socket over io_uring: the best that starts on this machine",
    shortage: "media packets were lost",
    threads: [thread],
  }),
};
const ask = async (gateway: AskedGateway, ...more: string[]) => {
  node = await createGatewayApi(apiConfigSchema.parse({ listen: { port: 0 } }), gateway, {
    clock: new VirtualClock(1_000_000),
    log: silentLog,
    version: "0.1.0",
  });
  return sallyport(["gw", "media", "--api", node.url, ...more]);
};

describe("gw media", () => {
  it("one screen: what moves media, why calls are turned away, and each thread", async () => {
    const { code, err, out } = await ask(loaded);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toBe(
      [
        "gw-a",
        "iq        registered (Restart 901)",
        "holds     10 calls; 4 turned away",
        "engine    socket (socket over io_uring: the best that starts on this machine)",
        "short     media packets were lost: new calls are turned away",
        "",
        "THREAD  LOAD  QUEUE  LEGS      IN     OUT  LOST  NOT SENT  CPU S",
        "0        93%   1200    20  123456  123000     7         3    4.3",
        "",
      ].join("\n"),
    );
  });

  it("an engine without threads has no table; --json is the answer as it is", async () => {
    const media = () => ({ engine: "portable", reason: "portable: asked for", warning: "a fraction", threads: [] });
    const { out } = await ask({ ...loaded, media, contexts: () => 1 }, "--json");
    expect(JSON.parse(out)).toMatchObject({ engine: "portable", warning: "a fraction", threads: [], contexts: 1 });
  });
});
