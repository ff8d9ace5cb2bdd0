// More and more media through a gateway as a process of its own, on fresh calls at each step: from which rate on new calls are turned
// away, and from which on packets are lost. `node bench/overload.mjs [--rates 20000,40000,...] [--calls 100] [--engine socket]`
// after a build. The gateway has core 0, the load generator core 1.
import { parseArgs } from "node:util";
import { buildGenerator, startGenerator } from "../../media-plane/bench/generator.mjs";
import { address, lostOf, newCall, startPair } from "./pair.mjs";

const { values: options } = parseArgs({
  options: {
    rates: { type: "string", default: "20000,40000,60000,80000,100000,120000,150000,200000" },
    calls: { type: "string", default: "100" },
    seconds: { type: "string", default: "3" },
    engine: { type: "string", default: "auto" },
  },
});
const calls = Number(options.calls);
const say = (text) => process.stderr.write(`${text}\n`);

buildGenerator();
const { controller, gateway, stop } = await startPair(options.engine, 0);
const setUp = async (at) => {
  const { plan, line } = newCall(at);
  const added = await controller.add(undefined, plan("send-receive", true));
  return { context: added.context, line: line(added) };
};

say("   rate/s  lost %  kernel lost  load  queue  turned away");
for (const rate of options.rates.split(",").map(Number)) {
  // A loss keeps new calls away for five seconds.
  while ((await gateway.ask("figures")).media.shortage !== undefined)
    await new Promise((resolve) => setTimeout(resolve, 200));
  const running = [];
  for (let at = 0; at < calls; at++) running.push(await setUp(at));
  const before = await gateway.ask("figures");
  const measureMs = Number(options.seconds) * 1000;
  const load = startGenerator({ local: address, relay: address, rate, warmMs: 1000, measureMs, core: 1 });
  load.write(`${running.map(({ line }) => line).join("\n")}\n`);
  load.endInput();
  await load.next();
  const finished = load.next().then(() => true);
  const seen = { load: 0, queue: 0, away: 0, asked: 0, why: new Set() };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 100, false));
  while (!(await Promise.race([finished, pause()]))) {
    const { media } = await gateway.ask("figures");
    seen.load = Math.max(seen.load, ...media.threads.map((thread) => thread.load));
    seen.queue = Math.max(seen.queue, ...media.threads.map((thread) => thread.queueDepth));
    seen.asked += 1;
    if (media.shortage !== undefined) {
      seen.away += 1;
      seen.why.add(media.shortage);
    }
  }
  const { received, sent } = JSON.parse(await load.next());
  const after = await gateway.ask("figures");
  const figures = [
    String(rate).padStart(9),
    ((100 * (sent - received)) / sent).toFixed(2).padStart(7),
    String(lostOf(after) - lostOf(before)).padStart(12),
    seen.load.toFixed(2).padStart(5),
    String(Math.round(seen.queue)).padStart(6),
    `${Math.round((100 * seen.away) / Math.max(1, seen.asked))} % of the time: ${[...seen.why].join(", ") || "-"}`,
  ];
  say(figures.join("  "));
  for (const { context } of running) await controller.subtract(context);
}
await stop();
process.exit(0);
