// A gateway in a process of its own, whose memory a test looks into or fills. Told by its parent: `gc` to collect garbage,
// `load <n>` and `unload` to take n MB and give them back, `stop` to end.
import { silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { createGateway, gatewayConfigSchema } from "../../src/index.ts";

const config = gatewayConfigSchema.parse(JSON.parse(process.argv[2] ?? "{}"));
const gateway = await createGateway(config, { clock: systemClock, random: systemRandom, log: silentLog });

/** Pages that are there: written to, and outside the JavaScript heap, so that they go back when they are let go. */
const ballast: Buffer[] = [];
const megabyte = 1_048_576;

process.on("message", (message) => {
  const load = /^load (\d+)$/.exec(String(message))?.[1];
  if (load !== undefined) {
    while (ballast.length < Number(load)) ballast.push(Buffer.alloc(megabyte, 1));
    process.send?.({ rss: process.memoryUsage.rss() / megabyte });
  }
  if (message === "unload") {
    ballast.length = 0;
    (globalThis as { gc?: () => void }).gc?.();
    process.send?.({ rss: process.memoryUsage.rss() / megabyte });
  }
  if (message === "gc") {
    // Twice: what the first one frees may hold what the second one frees.
    for (let round = 0; round < 3; round++) (globalThis as { gc?: () => void }).gc?.();
    setTimeout(() => process.send?.("collected"), 50);
  }
  if (message === "stop") void gateway.close().then(() => process.exit(0));
});
