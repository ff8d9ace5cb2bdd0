// Preloaded into the processes under measurement (`node --import`), so that they need no code for it themselves.
// On SIGURG it begins to look at the event loop: not before, since a thousand looks a second cost what ten calls do.
// On SIGUSR2 it collects garbage, writes what it has seen as one JSON line to standard error, and stops looking.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
const resolutionMs = 1;
const delay = monitorEventLoopDelay({ resolution: resolutionMs });

/** The histogram holds intervals between two looks, the sleep of `resolutionMs` in them. */
const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolutionMs);

process.on("SIGURG", () => {
  delay.reset();
  delay.enable();
});

process.on("SIGUSR2", () => {
  const delayMs = { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) };
  collect();
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.stderr.write(`${JSON.stringify({ watch: { delayMs, heapUsed, external, rss } })}\n`);
  delay.disable();
  delay.reset();
});
