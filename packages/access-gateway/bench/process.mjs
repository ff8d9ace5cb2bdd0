// A gateway as a process of its own: its configuration is the argument, each line on standard input is answered with what it holds
// and what its media engine says, the end of the input ends it.
import { createInterface } from "node:readline";
import { createGateway, gatewayConfigSchema } from "@sallyport/access-gateway";
import { silentLog, systemClock, systemRandom } from "@sallyport/kit";

const config = gatewayConfigSchema.parse(JSON.parse(process.argv[2]));
const gateway = await createGateway(config, { clock: systemClock, random: systemRandom, log: silentLog });
for await (const _ of createInterface({ input: process.stdin })) {
  const answer = { contexts: gateway.contexts(), refused: gateway.refused(), media: gateway.media() };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await gateway.close();
process.exit(0);
