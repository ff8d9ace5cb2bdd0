// `npm run bench:sip`: what a call and a registration cost at the edge. Real processes on loopback, a load generator of its
// own, no media packets; beside them Kamailio with rtpengine on the same calls, alternating, where those are installed.
// Processor time per unit of work is the figure to compare: wall-clock figures drift with whatever else the machine does.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createElements } from "./elements.mjs";
import { findPeers, startPeers } from "./peers.mjs";
import { startLoad } from "./process.mjs";
import { median, report } from "./report.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const { values: options } = parseArgs({
  options: {
    transports: { type: "string", default: "udp,tcp,tls" },
    rate: { type: "string", default: "200" },
    seconds: { type: "string", default: "6" },
    rounds: { type: "string", default: "3" },
    // Calls before the first measured one: compiled code is what is compared.
    warm: { type: "string", default: "5000" },
    only: { type: "string", default: "calls,capacity,memory,registrations" },
    peers: { type: "string", default: "auto" },
    json: { type: "string", default: join(root, ".sallyport/bench/sip.json") },
    "edge-options": { type: "string", default: "" },
    "gateway-options": { type: "string", default: "" },
  },
});
const words = (text) => text.split(" ").filter((word) => word !== "");
const number = (name) => Number(options[name]);
const parts = new Set(options.only.split(","));
const certificates = join(root, ".sallyport/certificates");
if (!existsSync(`${certificates}/ca.crt`)) {
  console.error("There are no certificates yet: run `npm run setup` first.");
  process.exit(1);
}

const say = (text) => process.stderr.write(`${text}\n`);
const folder = mkdtempSync(join(tmpdir(), "sallyport-bench-"));
const elements = createElements({
  root,
  folder,
  certificates,
  nodeOptions: { edge: words(options["edge-options"]), gateway: words(options["gateway-options"]) },
});
const flows = 200;
const standing = 1_000;
const contacts = 5_000;
/** RFC 3261 and 6026: transactions of ended exchanges stay 64*T1; memory is looked at when they are gone. */
const lingerMs = 34_000;

/** Runs `work` and gives, beside its result, each process's CPU time per unit of it, in milliseconds. */
const costOf = async (processes, work) => {
  const before = processes.map((each) => each.cpu());
  const result = await work();
  const done = Math.max(1, result.total - result.failed);
  const cpu = Object.fromEntries(processes.map((each, index) => [each.name, (each.cpu() - before[index]) / done]));
  return { ...result, cpu };
};

/** Of the rounds in which every call succeeded: what a failed call costs is another matter. Undefined if there was none. */
const medians = (runs) => {
  const whole = runs.filter(({ failed }) => failed === 0);
  if (whole.length === 0) return undefined;
  return Object.fromEntries(Object.keys(whole[0].cpu).map((name) => [name, median(whole.map(({ cpu }) => cpu[name]))]));
};

const paced = (rate) => ({ do: "calls", rate, total: Math.max(1, Math.round(rate * number("seconds"))) });

const kib = (after, before, units) =>
  (after.heapUsed + after.external - before.heapUsed - before.external) / 1024 / units;

const settle = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const callsOver = async (protocol, peers) => {
  const load = await startLoad({ protocol, certificates });
  const edge = await elements.edge(protocol, load.port);
  const gateway = await elements.gateway(edge.iqPort);
  const rivals = peers === undefined || protocol === "tls" ? undefined : await startPeers(folder, protocol, load.port);
  const rivalLoad = rivals === undefined ? undefined : await startLoad({ protocol, certificates, farEnd: false });
  const out = { protocol };
  try {
    await load.ask({ do: "open", port: edge.accessPort, flows });
    await settle(500);
    const registered = await load.ask({ do: "register", total: flows, window: 32 });
    if (registered.failed > 0) throw new Error(`phones could not register: ${JSON.stringify(registered.failures)}`);
    await rivalLoad?.ask({ do: "open", port: rivals.port, flows });
    const warm = await load.ask({ do: "calls", total: number("warm"), window: 32 });
    if (warm.failed > 0)
      throw new Error(`calls fail: ${JSON.stringify(warm.failures)}\n${edge.tail()}${gateway.tail()}`);
    await rivalLoad?.ask({ do: "calls", total: 200, window: 8 });

    const rate = number("rate");
    const [own, theirs] = [[], []];
    for (let round = 0; parts.has("calls") && round < number("rounds"); round += 1) {
      own.push(await costOf([edge, gateway], () => load.ask(paced(rate))));
      say(`${protocol} round ${round + 1}: ${JSON.stringify(own.at(-1))}`);
      if (rivals === undefined) continue;
      theirs.push(await costOf([rivals.kamailio, rivals.rtpengine], () => rivalLoad.ask(paced(rate))));
      say(`${protocol} round ${round + 1}, yardstick: ${JSON.stringify(theirs.at(-1))}`);
    }
    if (own.length > 0) {
      const cpu = medians(own);
      if (cpu === undefined) throw new Error(`${protocol}: calls failed in every round: ${JSON.stringify(own)}`);
      out.calls = { rate, rounds: own.length, cpu, runs: own };
    }
    if (theirs.length > 0) {
      const cpu = medians(theirs);
      const ratio = cpu && (out.calls.cpu.edge + out.calls.cpu.gateway) / (cpu.kamailio + cpu.rtpengine);
      out.yardstick = { cpu, ratio, runs: theirs };
    }
    if (parts.has("memory")) {
      await settle(lingerMs);
      const before = [await edge.watch(), await gateway.watch()];
      const held = await load.ask({ do: "hold", total: standing, window: 16 });
      await settle(lingerMs);
      const during = [await edge.watch(), await gateway.watch()];
      const ended = await load.ask({ do: "hangUp" });
      const up = standing - held.failed;
      out.memory = {
        edge: kib(during[0], before[0], up),
        gateway: kib(during[1], before[1], up),
        standing: up,
        failed: held.failed + ended.failed,
        failures: held.failures,
      };
      say(`${protocol} memory: ${JSON.stringify(out.memory)}`);
    }
    if (parts.has("capacity")) {
      out.capacity = await costOf([edge, gateway], () => load.ask({ do: "calls", total: 2_000, window: 48 }));
      edge.watchDelay();
      out.loaded = await costOf([edge, gateway], () => load.ask(paced(out.capacity.perSecond * 0.8)));
      out.loaded.delayMs = (await edge.watch()).delayMs;
      say(`${protocol} capacity: ${JSON.stringify([out.capacity, out.loaded])}`);
    }
    return out;
  } finally {
    for (const each of [load, rivalLoad, rivals, gateway, edge]) await each?.stop();
  }
};

/** Digest registrations through a real registrar; over UDP fewer, since the edge keeps each transaction for 32 s. */
const registrationsOver = async (protocol) => {
  const load = await startLoad({ protocol, certificates });
  const core = await elements.core(protocol, contacts);
  const edge = await elements.edge(protocol, core.port);
  try {
    await load.ask({ do: "open", port: edge.accessPort, flows: 500 });
    const order = { do: "register", challenged: true, window: 64, total: protocol === "udp" ? 4_000 : contacts };
    const before = await edge.watch();
    const first = await load.ask(order);
    if (first.failed > 0) say(`${protocol} registrations: ${JSON.stringify(first)} ${edge.tail()}`);
    await settle(lingerMs);
    const after = await edge.watch();
    edge.watchDelay();
    const run = await costOf([edge, core], () => load.ask(order));
    const delayMs = (await edge.watch()).delayMs;
    say(`${protocol} registrations: ${JSON.stringify(run)}`);
    return { protocol, ...run, delayMs, kibPerContact: kib(after, before, order.total - first.failed) };
  } finally {
    for (const each of [load, edge, core]) await each.stop();
  }
};

const found = options.peers === "off" ? undefined : findPeers();
if (found === undefined && options.peers !== "off")
  say("Kamailio and rtpengine are not both installed: no comparison.");
const result = {
  node: process.version,
  processors: cpus().length,
  yardstick: found,
  transports: [],
  registrations: [],
};
try {
  for (const protocol of options.transports.split(",")) {
    if (["calls", "capacity", "memory"].some((part) => parts.has(part)))
      result.transports.push(await callsOver(protocol, found));
  }
  for (const protocol of options.transports.split(","))
    if (parts.has("registrations")) result.registrations.push(await registrationsOver(protocol));
  mkdirSync(join(options.json, ".."), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
  console.log(report(result));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
