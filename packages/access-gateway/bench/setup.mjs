// Calls set up through Iq at a steady rate while running calls carry media: does a packet of those get lost, and how long does a
// set-up take? A gateway as a process of its own, this one as its controller over TCP, the media benchmark's load generator as both
// ends of the running calls. `node bench/setup.mjs [--calls 5000] [--rate 1000] [--running 50] [--packets 5000] [--json FILE]` after
// a build; needs as many file descriptors as four a call (`ulimit -n`).
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { cpuSeconds } from "../../media-plane/bench/child.mjs";
import { buildGenerator, startGenerator } from "../../media-plane/bench/generator.mjs";
import { address, lostOf, newCall, startPair } from "./pair.mjs";

const { values: options } = parseArgs({
  options: {
    calls: { type: "string", default: "5000" },
    rate: { type: "string", default: "1000" },
    running: { type: "string", default: "50" },
    packets: { type: "string", default: "5000" },
    engine: { type: "string", default: "auto" },
    json: { type: "string" },
  },
});
const [calls, rate, running, packets] = ["calls", "rate", "running", "packets"].map((name) => Number(options[name]));
const say = (text) => process.stderr.write(`${text}\n`);

buildGenerator();
const { controller, gateway, stop } = await startPair(options.engine);

/** Reserve, then configure with both keys, as an edge does for an INVITE and its answer. */
const setUp = async (at) => {
  const { plan, line } = newCall(at);
  const added = await controller.add(undefined, plan("inactive", false));
  await controller.modify(added.context, plan("send-receive", true));
  return line(added);
};

const opened = [];
for (let at = 0; at < running; at++) opened.push(await setUp(at));

const warmMs = 2000;
const measureMs = Math.ceil((calls / rate) * 1000) + 4000;
const load = startGenerator({ local: address, relay: address, rate: packets, warmMs, measureMs });
load.write(`${opened.join("\n")}\n`);
load.endInput();
await load.next();
const before = await gateway.ask("figures");
const cpuBefore = cpuSeconds(gateway.pid);

const took = [];
const refusals = new Map();
const started = performance.now();
const one = async (at) => {
  const from = performance.now();
  try {
    await setUp(at);
    took.push(performance.now() - from);
  } catch (error) {
    const why = error.code ?? error.message;
    refusals.set(why, (refusals.get(why) ?? 0) + 1);
  }
};
const all = [];
while (all.length < calls) {
  // As many as are due by now: a late timer is made up for.
  const due = Math.min(calls, Math.floor(((performance.now() - started) * rate) / 1000) + 1);
  while (all.length < due) all.push(one(running + (all.length % 4900)));
  await new Promise((resolve) => setTimeout(resolve, 1));
}
const offeredMs = performance.now() - started;
await Promise.all(all);
const doneMs = performance.now() - started;
const cpuMs = (cpuSeconds(gateway.pid) - cpuBefore) * 1000;

await load.next();
const { received, sent } = JSON.parse(await load.next());
const after = await gateway.ask("figures");
const sorted = took.toSorted((a, b) => a - b);
const quantile = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
const result = {
  engine: after.media.engine,
  calls,
  running,
  packetsPerS: packets,
  offeredPerS: Math.round(calls / (offeredMs / 1000)),
  doneInMs: Math.round(doneMs),
  setUp: took.length,
  refused: Object.fromEntries(refusals),
  setUpMs: { p50: quantile(0.5), p99: quantile(0.99), most: sorted.at(-1) },
  gatewayCpuMsPerCall: cpuMs / calls,
  media: { sent, received, lost: sent - received },
  kernelLost: lostOf(after) - lostOf(before),
  contexts: after.contexts,
};
say(JSON.stringify(result, undefined, 2));
if (options.json !== undefined) {
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
}
await stop();
process.exit(0);
