// `npm run bench:media`: what a packet costs. Every relay is a process on one core, the load generator has another; relays
// alternate within one run on the same traffic, and the medians are compared. Processor time a packet, from the scheduler's
// account, is the figure to trust: wall-clock figures drift with whatever else the machine does.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildGenerator } from "./generator.mjs";
import { relayStarters } from "./relays.mjs";
import { findRtpengine } from "./rtpengine.mjs";
import { ports, runTrial } from "./trial.mjs";
import { makeLinks, makeLoopback } from "./veth.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const { values: options } = parseArgs({
  options: {
    relays: { type: "string" },
    // Over what packets go: loopback, or veth between two namespaces (as root), where xdp can be measured.
    link: { type: "string", default: "loopback" },
    // Of veth: the load's core polls the queue of its interface, as it would a network card's.
    polled: { type: "boolean", default: false },
    // What `--link veth` tells the process it starts within the relays' namespace.
    inside: { type: "string" },
    only: { type: "string", default: "cpu,delay,capacity,memory,control" },
    calls: { type: "string", default: "1,100,500,1000,5000" },
    suites: { type: "string", default: "AES_CM_128_HMAC_SHA1_80,AEAD_AES_128_GCM" },
    rates: { type: "string", default: "50000,100000" },
    "delay-rate": { type: "string", default: "55000" },
    highest: { type: "string", default: "260000" },
    seconds: { type: "string", default: "2" },
    // Streams become steady within it: rates and sockets settle.
    warm: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    address: { type: "string", default: "127.0.0.1" },
    "relay-core": { type: "string", default: "0" },
    "load-core": { type: "string", default: "1" },
    json: { type: "string", default: join(root, ".sallyport/bench/media.json") },
  },
});
const number = (name) => Number(options[name]);
const list = (name) => options[name].split(",").filter((word) => word !== "");
const parts = new Set(list("only"));
const core = number("relay-core");
const say = (text) => process.stderr.write(`${text}\n`);
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
const results = [];
const note = (result) => {
  results.push(result);
  const { part, relay, suite, calls, ...figures } = result;
  const shown = Object.entries(figures).map(
    ([name, value]) => `${name} ${typeof value === "number" ? Number(value.toPrecision(4)) : JSON.stringify(value)}`,
  );
  // What else the machine does stands beside each figure.
  result.load = Number(loadavg()[0].toFixed(1));
  say(
    [part.padEnd(9), relay.padEnd(10), suite ?? "", calls === undefined ? "" : `${calls} calls`, ...shown].join("  "),
  );
};

const wanted = options.relays ?? (options.link === "veth" ? "xdpnull,xdp,socket,rtpengine" : "null,socket,rtpengine");
const names = wanted.split(",").filter((name) => name !== "rtpengine" || findRtpengine());
buildGenerator();

if (options.inside === undefined) {
  const links = options.link === "veth" ? makeLinks(names, options.polled) : makeLoopback();
  if (links !== undefined) {
    const again = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
    const inside = ["--relays", names.join(","), "--inside", JSON.stringify(links)];
    const done = spawnSync("ip", ["netns", "exec", links.relays, process.execPath, ...again, ...inside], {
      stdio: "inherit",
    });
    process.exit(done.status ?? 1);
  }
  say("loopback is shared with whatever else this machine does: only root can make another");
}
const links = options.inside === undefined ? undefined : JSON.parse(options.inside);
// Each has an address of its own where it can: a relay keeps sockets of ended calls for a while, on ports the next one would take.
const addressOf = (at) => options.address.replace(/^127\.0\.0\.\d+$/, `127.0.0.${at + 1}`);
const placeOf = (at) => links?.places?.[at] ?? { address: addressOf(at), peer: options.address, polled: "-" };

// Two legs of two ports for each call, and some besides.
const openFiles = Number(spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).stdout);
const counts = list("calls")
  .map(Number)
  .filter((calls) => {
    const room = !(4 * calls + 200 > openFiles);
    if (!room) say(`${calls} calls are left out: they need more than the ${openFiles} files that may be open`);
    return room;
  });

const withRelays = async (use) => {
  const relays = [];
  try {
    for (const [at, name] of names.entries()) {
      const place = placeOf(at);
      relays.push({ ...(await relayStarters[name]({ ...place, core })), ...place });
    }
    await use(relays);
  } finally {
    for (const relay of relays) await relay.stop();
  }
};

const trial = (relay, suite, calls, rate) =>
  runTrial(relay, {
    namespace: links?.load,
    suite,
    calls,
    rate,
    warmMs: number("warm") * 1000,
    measureMs: number("seconds") * 1000,
    core: number("load-core"),
  });

/** Alternating rounds; medians. */
const compare = async (part, relays, suite, calls, rate, pick) => {
  const found = new Map(relays.map((relay) => [relay, []]));
  for (let round = 0; round < number("rounds"); round++) {
    for (const relay of relays) found.get(relay).push(await trial(relay, suite, calls, rate));
  }
  for (const relay of relays) note({ part, relay: relay.name, suite, calls, rate, ...pick(found.get(relay)) });
};

const middle = (trials, get) => median(trials.map(get));

/** The highest rate with less than 0.1 % lost at which the generator kept up, by halving, to within 4 %. */
const capacity = async (relay, suite, calls) => {
  let good = 0;
  let bad = number("highest");
  let rate = bad / 2;
  let generatorBound = false;
  while (bad - good > bad * 0.04) {
    const { lossPercent, behindUs } = await trial(relay, suite, calls, Math.round(rate));
    const late = behindUs > 200_000;
    if (lossPercent < 0.1 && !late) {
      good = rate;
      generatorBound = false;
    } else {
      bad = rate;
      generatorBound = late && lossPercent < 0.1;
    }
    rate = (good + bad) / 2;
  }
  return { packetsPerS: Math.round(good), generatorBound };
};

await withRelays(async (relays) => {
  if (parts.has("cpu")) {
    for (const suite of list("suites")) {
      for (const calls of counts) {
        for (const rate of list("rates").map(Number)) {
          await compare("cpu", relays, suite, calls, rate, (trials) => ({
            cpuUs: middle(trials, (one) => one.cpuUs),
            lossPercent: middle(trials, (one) => one.lossPercent),
            verified: trials.reduce((sum, one) => sum + one.verified, 0),
          }));
        }
      }
    }
  }
  if (parts.has("delay")) {
    for (const suite of list("suites")) {
      for (const calls of counts) {
        await compare("delay", relays, suite, calls, number("delay-rate"), (trials) => ({
          p50: middle(trials, (one) => one.delayUs.p50),
          p99: middle(trials, (one) => one.delayUs.p99),
          p999: middle(trials, (one) => one.delayUs.p999),
          lossPercent: middle(trials, (one) => one.lossPercent),
        }));
      }
    }
  }
  if (parts.has("capacity")) {
    for (const suite of list("suites")) {
      for (const calls of counts) {
        for (const relay of relays) {
          note({ part: "capacity", relay: relay.name, suite, calls, ...(await capacity(relay, suite, calls)) });
        }
      }
    }
  }
});

if (parts.has("memory")) {
  // Processes of their own: what earlier calls left behind is not counted.
  await withRelays(async (relays) => {
    for (const relay of relays) {
      const suite = list("suites")[0];
      await relay.open({ suite, calls: 100, ports });
      await relay.close();
      const before = await relay.memory();
      await relay.open({ suite, calls: 1000, ports });
      note({
        part: "memory",
        relay: relay.name,
        suite,
        calls: 1000,
        kibPerCall: ((await relay.memory()) - before) / 1024_000,
      });
      await relay.close();
    }
  });
}

if (parts.has("control")) {
  await withRelays(async (relays) => {
    for (const relay of relays.filter((one) => one.control !== undefined && !one.bare)) {
      note({ part: "control", relay: relay.name, ...(await relay.control({ suite: list("suites")[0] })) });
    }
  });
}

const ratios = [];
for (const ours of results) {
  const rival = results.find(
    (one) => one.relay === "rtpengine" && ["part", "suite", "calls", "rate"].every((key) => one[key] === ours[key]),
  );
  const nulls = ours.relay.startsWith("xdp") ? "xdpnull" : "null";
  const bare = results.find(
    (one) => one.relay === nulls && ["part", "suite", "calls", "rate"].every((key) => one[key] === ours[key]),
  );
  if (["rtpengine", "null", "xdpnull"].includes(ours.relay)) continue;
  const figure = { cpu: "cpuUs", capacity: "packetsPerS", memory: "kibPerCall", delay: "p99" }[ours.part];
  if (figure === undefined) continue;
  ratios.push({
    part: ours.part,
    relay: ours.relay,
    suite: ours.suite,
    calls: ours.calls,
    ...(ours.rate === undefined ? {} : { rate: ours.rate }),
    figure,
    ...(rival === undefined ? {} : { toRtpengine: Number((ours[figure] / rival[figure]).toFixed(3)) }),
    ...(bare === undefined ? {} : { toNull: Number((ours[figure] / bare[figure]).toFixed(3)) }),
  });
}
say("\nRatios");
for (const { part, relay, ...ratio } of ratios) {
  const shown = Object.entries(ratio).map(([name, value]) => `${name} ${value}`);
  say([part.padEnd(9), relay.padEnd(10), ...shown].join("  "));
}
mkdirSync(dirname(options.json), { recursive: true });
writeFileSync(options.json, `${JSON.stringify({ options, results, ratios }, undefined, 2)}\n`);
say(`written to ${options.json}`);
