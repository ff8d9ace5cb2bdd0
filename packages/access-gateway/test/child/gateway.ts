// A gateway in a process of its own, whose memory a test looks into. Told by its parent: `gc` to collect garbage, `stop` to end.
import { silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { createGateway, gatewayConfigSchema } from "../../src/index.ts";

const config = gatewayConfigSchema.parse(JSON.parse(process.argv[2] ?? "{}"));
const gateway = await createGateway(config, { clock: systemClock, random: systemRandom, log: silentLog });

process.on("message", (message) => {
  if (message === "gc") {
    // Twice: what the first one frees may hold what the second one frees.
    for (let round = 0; round < 3; round++) (globalThis as { gc?: () => void }).gc?.();
    setTimeout(() => process.send?.("collected"), 50);
  }
  if (message === "stop") void gateway.close().then(() => process.exit(0));
});
