// `npm run bench:survive`: kill -9 of the edge, again and again, under calls with media. Edge, gateway and core are processes;
// the phones live in this one. It fails when a registration, an established call, a packet of its media or a context is
// lost. Calls that were being set up or taken down at the moment of a kill are counted apart: they have to end, no more.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createPhones } from "./survive/phones.mjs";
import { judge } from "./survive/judge.mjs";
import { createTown } from "./survive/town.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const { values: options } = parseArgs({
  options: {
    transports: { type: "string", default: "udp,tcp,tls" },
    rate: { type: "string", default: "20" },
    seconds: { type: "string", default: "180" },
    every: { type: "string", default: "20" },
    hold: { type: "string", default: "8" },
    phones: { type: "string", default: "40" },
    sample: { type: "string", default: "40" },
    // How long a phone repeats a 200 nobody acknowledges, s. RFC 3261 13.3.1.4: 32.
    unacknowledged: { type: "string", default: "32" },
    // Wait for the edge's last transactions, which stay 64*T1.
    linger: { type: "string", default: "yes" },
    lane: { type: "string", default: String(process.pid) },
    json: { type: "string", default: join(root, ".sallyport/bench/survive.json") },
  },
});
const [rate, seconds, every, hold, count, sampleOf] = ["rate", "seconds", "every", "hold", "phones", "sample"].map(
  (name) => Number(options[name]),
);
const linger = options.linger === "yes";
const certificates = join(root, ".sallyport/certificates");
if (!existsSync(`${certificates}/ca.crt`)) {
  console.error("There are no certificates yet: run `npm run setup` first.");
  process.exit(1);
}
const say = (text) => process.stderr.write(`${text}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Timer C and 64*T1 after it: by then whatever was being set up at the last kill has ended, and its transactions too. */
const lastWaitMs = 230_000;

const until = async (ms, holds) => {
  for (const from = Date.now(); Date.now() - from < ms; await pause(100)) if (await holds()) return true;
  return false;
};

const survive = async (protocol, lane) => {
  const folder = mkdtempSync(join(tmpdir(), "sallyport-survive-"));
  const town = createTown({ root, folder, certificates, protocol, users: count, lane });
  const closing = [async () => rmSync(folder, { recursive: true, force: true })];
  try {
    const core = await town.start("core");
    closing.push(() => core.stop());
    let edge = await town.start("edge");
    closing.push(() => edge.stop());
    const gateway = await town.start("gateway");
    closing.push(() => gateway.stop());
    const up = async () => (await town.status())?.gateways.some(({ state }) => state === "up") === true;
    if (!(await until(15_000, up))) throw new Error(`the gateway does not register\n${edge.tail()}${gateway.tail()}`);
    const phones = await createPhones({
      protocol,
      count,
      town,
      certificates,
      unacknowledgedMs: 1000 * Number(options.unacknowledged),
    });
    closing.push(() => phones.close());
    await phones.register();
    const registered = phones.counted.registers;

    // Without connections nothing has to be said again; with them a phone that wants to call does register on its new one.
    const [callers, callees] = [[], []];
    for (const { index } of phones.phones) {
      if (protocol === "udp" || index % 2 === 0) callers.push(index);
      if (protocol === "udp" || index % 2 === 1) callees.push(index);
    }
    const calls = [];
    const kills = [];
    const begun = Date.now();
    const launch = () => {
      while (calls.length < Math.min(rate * seconds, ((Date.now() - begun) / 1000) * rate)) {
        const number = calls.length;
        const sample = number % sampleOf === 0;
        const callee = callees[(number + 7) % callees.length];
        calls.push(
          phones.start(number, callers[number % callers.length], callee, {
            holdMs: 1000 * (sample ? Math.min(2.5 * hold, every + 5) : hold),
            sample,
            byCallee: number % 2 === 1,
          }),
        );
      }
    };
    const launching = setInterval(launch, 10);
    closing.push(() => clearInterval(launching));
    let last = edge;
    while (Date.now() - begun < (seconds - 2) * 1000) {
      await pause(Math.min(every * 1000, Math.max(0, (seconds - 1) * 1000 - (Date.now() - begun))));
      if (Date.now() - begun > (seconds - 2) * 1000) break;
      const at = Date.now();
      const live = calls.filter(({ calling, called }) => calling.ended === undefined || called?.ended === undefined);
      const established = live.filter((call) => phones.isEstablished(call));
      for (const call of live)
        (call.kills ??= []).push({ kill: kills.length, established: phones.isEstablished(call) });
      const ports = town.gatewayPorts(gateway);
      const dead = once(edge.child, "exit");
      edge.child.kill("SIGKILL");
      await dead;
      const logged = edge.tail();
      edge = await town.start("edge");
      last = edge;
      const backAfterMs = Date.now() - at;
      if (!(await until(15_000, up)))
        throw new Error(`the gateway does not come back\n${edge.tail()}${gateway.tail()}`);
      const unsettled = live.length - established.length;
      const kill = {
        at,
        backAfterMs,
        gatewayAfterMs: Date.now() - at,
        established: established.length,
        unsettled,
        ports,
      };
      kills.push({ ...kill, logged });
      say(`${protocol} kill ${kills.length}: ${JSON.stringify(kill)}`);
    }
    await pause(Math.max(0, seconds * 1000 - (Date.now() - begun)));
    clearInterval(launching);
    launch();
    const over = await Promise.race([
      Promise.all(calls.map(({ done }) => done)).then(() => true),
      pause(lastWaitMs).then(() => false),
    ]);
    const clean = async () => {
      const { counts } = (await town.status()) ?? {};
      const left = counts === undefined ? 1 : counts.calls + counts.contexts + (linger ? counts.transactions : 0);
      return left + town.gatewayPorts(gateway) === 0;
    };
    await until(lastWaitMs, clean);
    const status = await town.status();
    const result = judge({
      protocol,
      calls,
      kills,
      over,
      counts: status?.counts,
      gatewayPorts: town.gatewayPorts(gateway),
      phones: { count, callees, registered, ...phones.counted },
      log: last.tail(),
      linger,
    });
    if (result.broken.length > 0) say(`edge:\n${last.tail()}\ngateway:\n${gateway.tail()}\ncore:\n${core.tail()}`);
    return result;
  } finally {
    for (const close of closing.toReversed()) await close();
  }
};

const results = [];
for (const [index, protocol] of options.transports.split(",").entries()) {
  const result = await survive(protocol, Number(options.lane) + index);
  results.push(result);
  say(`${protocol}: ${JSON.stringify(result, undefined, 1)}`);
}
mkdirSync(join(options.json, ".."), { recursive: true });
writeFileSync(
  options.json,
  `${JSON.stringify({ node: process.version, rate, seconds, every, results }, undefined, 2)}\n`,
);
const broken = results.flatMap(({ protocol, broken: found }) => found.map((what) => `${protocol}: ${what}`));
console.log(
  [
    ...results.map(
      ({ protocol, kills, calls, media }) =>
        `${protocol.padEnd(4)} ${kills.length} kills, back after ${Math.round(Math.max(...kills.map(({ backAfterMs }) => backAfterMs)))} ms at most; ` +
        `${calls.total} calls, ${calls.survived} lived through a kill, ${calls.unsettled} were being set up or taken down; ` +
        `${calls.turnedAway} of ${calls.meanwhile} made meanwhile were turned away; ${calls.ghosts} answered without a caller; ` +
        `${media.sent} packets in ${media.calls} calls, ${media.lost} lost`,
    ),
    ...(broken.length === 0 ? ["Nothing was lost."] : broken),
  ].join("\n"),
);
// Phones may still be waiting for answers that nobody needs any more.
process.exit(broken.length === 0 ? 0 : 1);
