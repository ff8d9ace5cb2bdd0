// When the media engine cannot keep up: new calls are refused, running ones are not asked. And which engine a configuration gets.
import { describe, expect, it } from "vitest";
import { VirtualClock, memoryLog, systemDatagrams } from "@sallyport/kit";
import { createPortablePlane, type ThreadLoad } from "@sallyport/media-plane";
import { gatewayConfigSchema } from "../src/index.ts";
import { mediaGauge, openMedia } from "../src/media.ts";

const idle: ThreadLoad = {
  packetsIn: 0,
  packetsOut: 0,
  wakes: 0,
  lost: 0,
  sendErrors: 0,
  load: 0,
  queueDepth: 0,
  legs: 0,
  buffersExhausted: 0,
  oversized: 0,
  cpuSeconds: 0,
  batchUs: 0,
  moves: 0,
  connects: 0,
};

describe("overload", () => {
  const gauge = (threads: ThreadLoad[]) => {
    const clock = new VirtualClock(0);
    const ask = mediaGauge(clock, 0.85, () => threads);
    return {
      set: (at: number, change: Partial<ThreadLoad>) => {
        threads[at] = { ...idle, ...threads[at], ...change };
      },
      after: (ms: number) => {
        clock.advance(ms);
        return ask();
      },
    };
  };

  it("H.248.1 510: no new call while every packet thread is above its bound, or has a deep queue", () => {
    const on = gauge([idle, idle]);
    expect(on.after(100)).toBeUndefined();
    on.set(0, { load: 0.9 });
    expect(on.after(100)).toBeUndefined();
    on.set(1, { queueDepth: 1500 });
    expect(on.after(100)).toBe("media threads are loaded");
    on.set(0, { load: 0.5 });
    // Threads measure themselves ten times a second: until then the last answer stands.
    expect(on.after(10)).toBe("media threads are loaded");
    expect(on.after(90)).toBeUndefined();
  });

  it("H.248.1 510: no new call for five seconds after the kernel dropped media", () => {
    const on = gauge([idle]);
    expect(on.after(100)).toBeUndefined();
    on.set(0, { lost: 3 });
    expect(on.after(100)).toBe("media packets were lost");
    expect(on.after(4900)).toBe("media packets were lost");
    expect(on.after(100)).toBeUndefined();
  });

  it("an engine without threads of its own is not asked", () => {
    expect(gauge([]).after(100)).toBeUndefined();
  });
});

describe("choice of the engine", () => {
  const config = (media: unknown) =>
    gatewayConfigSchema.parse({
      id: "gw-a.example",
      controllers: [{ address: "127.0.0.1", port: 2945, protocol: "tcp" }],
      interfaces: { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } },
      ports: { first: 26_000, last: 26_099 },
      media,
    });

  it("portable by name, or where sockets are given; what runs and why is told and logged", async () => {
    const { log, records } = memoryLog();
    const clock = new VirtualClock(0);
    const named = openMedia(config({ engine: "portable" }), { clock, log, openDatagram: systemDatagrams });
    expect(named.view()).toEqual({
      engine: "portable",
      reason: "portable: the configuration asks for it",
      threads: [],
    });
    const tapped = openMedia(config({}), { clock, log, openDatagram: (at, on) => systemDatagrams(at, on) });
    expect(tapped.view().reason).toBe("portable: sockets are given by the caller");
    const plane = createPortablePlane({ clock, log, portRange: { first: 26_000, last: 26_099 } });
    expect(openMedia(config({}), { clock, log, plane }).plane).toBe(plane);
    expect(records.filter(({ event }) => event === "media engine")).toHaveLength(3);
    for (const one of [named.plane, tapped.plane, plane]) await one.shutdown();
  });

  it("auto starts something everywhere; what it goes without is a warning", async () => {
    const { log } = memoryLog();
    const media = openMedia(config({}), { clock: new VirtualClock(0), log, openDatagram: systemDatagrams });
    const { engine, threads, warning } = media.view();
    expect(["socket", "portable"]).toContain(engine);
    expect(threads.length).toBe(engine === "socket" ? 1 : 0);
    if (engine === "portable") expect(warning).toMatch(/native engine/);
    expect(media.shortage()).toBeUndefined();
    await media.plane.shutdown();
  });
});
