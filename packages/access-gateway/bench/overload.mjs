// More and more media through a gateway as a process of its own, on fresh calls at each step: from which rate on new calls are turned
// away, and from which on packets are lost. `node bench/overload.mjs [--rates 20000,40000,...] [--calls 100] [--engine socket]`
// after a build. The gateway has core 0, the load generator core 1.
import { createIqController } from "@sallyport/iq";
import { Secret, silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { suites } from "@sallyport/srtp";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { favour, startChild } from "../../media-plane/bench/child.mjs";
import { buildGenerator, generator } from "../../media-plane/bench/generator.mjs";

const { values: options } = parseArgs({
  options: {
    rates: { type: "string", default: "20000,40000,60000,80000,100000,120000,150000,200000" },
    calls: { type: "string", default: "100" },
    seconds: { type: "string", default: "3" },
    engine: { type: "string", default: "auto" },
  },
});
const calls = Number(options.calls);
const address = "127.0.0.1";
const suite = suites.AES_CM_128_HMAC_SHA1_80;
const say = (text) => process.stderr.write(`${text}\n`);

buildGenerator();
favour(process.pid);
const controller = await createIqController({
  config: {
    mid: "<edge-a.example>",
    listen: [{ protocol: "tcp", address, port: 0 }],
    gateways: [{ id: "gw-a", mid: "<gw-a.example>" }],
    lab: true,
    style: "compact",
  },
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
  onNotify: () => undefined,
  onGateway: () => undefined,
});
const gateway = startChild(
  process.execPath,
  [
    ...process.execArgv,
    fileURLToPath(new URL("process.mjs", import.meta.url)),
    JSON.stringify({
      id: "gw-a.example",
      controllers: [{ address, port: controller.listening[0].port, protocol: "tcp" }],
      interfaces: { access: { address }, core: { address } },
      ports: { first: 30_000, last: 59_999 },
      media: { engine: options.engine },
      retry: { firstMs: 20, longestMs: 100 },
      lab: true,
    }),
  ],
  { core: 0, show: true },
);
while (controller.gateways()[0]?.state !== "up") await new Promise((resolve) => setTimeout(resolve, 10));

const common = { media: "audio", formats: ["0"], mode: "send-receive" };
const key = (master) => ({ tag: 1, suite: suite.name, keys: [{ master: Secret.copyOf(master) }], sessionParams: [] });
const setUp = async (at) => {
  const [fromUe, towardsUe] = [systemRandom.bytes(30), systemRandom.bytes(30)].map((octets) => Buffer.from(octets));
  const remote = (port) => ({ address, port });
  const added = await controller.add(undefined, [
    {
      stream: 1,
      access: {
        ...common,
        protocol: "RTP/SAVP",
        remote: remote(10_000 + 2 * at),
        localCrypto: key(towardsUe),
        remoteCrypto: key(fromUe),
      },
      core: { ...common, protocol: "RTP/AVP", remote: remote(20_000 + 2 * at) },
    },
  ]);
  const line = [10_000 + 2 * at, 20_000 + 2 * at, added.access[0].port, added.core[0].port, fromUe.toString("hex")];
  return { context: added.context, line: line.join(" ") };
};
const lostOf = ({ media }) => media.threads.reduce((sum, { lost }) => sum + lost, 0);

say("   rate/s  lost %  kernel lost  load  queue  turned away");
for (const rate of options.rates.split(",").map(Number)) {
  // A loss keeps new calls away for five seconds.
  while ((await gateway.ask("figures")).media.shortage !== undefined)
    await new Promise((resolve) => setTimeout(resolve, 200));
  const running = [];
  for (let at = 0; at < calls; at++) running.push(await setUp(at));
  const before = await gateway.ask("figures");
  const args = [address, address, 0, rate, 1000, Number(options.seconds) * 1000, 1, 160];
  const load = startChild(generator, args.map(String), { show: true });
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
gateway.endInput();
await gateway.gone;
await controller.close();
process.exit(0);
