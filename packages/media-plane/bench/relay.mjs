// One media engine as a process of its own, told what to do by lines of JSON on its standard input: opens calls between the
// generator's ports, says where it listens and under which keys, closes them, tells its memory and its threads' figures.
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { Secret, silentLog, systemClock } from "@sallyport/kit";
import { createMediaPlane } from "@sallyport/media-plane";
import { suites } from "@sallyport/srtp";

const settings = JSON.parse(process.argv[2] ?? "{}");
const { plane, native, reason } = createMediaPlane({
  clock: systemClock,
  log: silentLog,
  portRange: { first: 30_000, last: 59_999 },
  quarantineMs: 0,
  ...settings,
});
let legs = [];

const common = { rtcp: "separate", mode: "send-receive", latch: "off" };

/** With `bare` nothing is opened or sealed: the null relay. */
const openCall = async (address, peer, suite, bare, ports, at) => {
  const key = (octets) => ({ master: Secret.take(Buffer.from(octets)) });
  const fromUe = randomBytes(suites[suite].masterLength);
  const towardsUe = randomBytes(suites[suite].masterLength);
  const clear = bare ? { kind: "transparent" } : { kind: "clear" };
  const protection = bare ? clear : { kind: "srtp", suite, receive: [key(fromUe)], send: key(towardsUe) };
  const remote = (port) => ({ address: peer, rtpPort: port, rtcpPort: port + 1 });
  const access = await plane.open({ ...common, address, protection, remote: remote(ports.ue + 2 * at) });
  const core = await plane.open({ ...common, address, protection: clear, remote: remote(ports.core + 2 * at) });
  plane.join(access.leg, core.leg);
  legs.push(access.leg, core.leg);
  return [access.local.rtpPort, core.local.rtpPort, fromUe.toString("hex"), towardsUe.toString("hex")];
};

const answers = {
  open: async ({ address, peer, suite, bare, calls, ports }) => {
    const opened = [];
    for (let at = 0; at < calls; at++) opened.push(await openCall(address, peer, suite, bare, ports, at));
    return { calls: opened };
  },
  close: async () => {
    await Promise.all(legs.map((leg) => plane.close(leg)));
    legs = [];
    return {};
  },
  figures: async () => {
    globalThis.gc?.();
    const sums = {};
    for (const leg of legs) {
      for (const [name, value] of Object.entries(plane.counters(leg))) sums[name] = (sums[name] ?? 0) + value;
    }
    const dropped = Object.entries(sums).filter(
      ([name, value]) =>
        value > 0 && !/^(rtp|rtcp|octets|other)(In|Out)$|^(lastPacketAt|sources|jitter|keyChanges)$/.test(name),
    );
    return {
      rss: process.memoryUsage().rss,
      threads: native?.threads() ?? [],
      note: native?.note ?? "",
      dropped: Object.fromEntries(dropped),
    };
  },
  // What calls cost JavaScript, microseconds: the median of batches, so that a collection or a neighbour does not decide.
  control: async ({ address, peer, suite }) => {
    const key = () => ({ master: Secret.take(randomBytes(suites[suite].masterLength)) });
    const remote = (port) => ({ address: peer, rtpPort: port, rtcpPort: port + 1 });
    const keyed = () => ({ kind: "srtp", suite, receive: [key()], send: key() });
    const rounds = 60;
    const each = 50;
    const times = {};
    const timed = async (name, run) => {
      const found = [];
      for (let round = 0; round < rounds; round++) {
        const started = performance.now();
        for (let at = 0; at < each; at++) run(round, at);
        found.push(((performance.now() - started) * 1000) / each);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      times[name] = found.toSorted((a, b) => a - b)[rounds / 2];
    };
    const plan = { ...common, address, remote: remote(10_000), protection: { kind: "clear" } };
    const opened = [];
    await timed("openClear", () => opened.push(plane.open(plan)));
    const ids = (await Promise.all(opened)).map(({ leg }) => leg);
    await timed("remote", (round, at) => plane.update(ids[at], { remote: remote(10_000 + 2 * round) }));
    await timed("mode", (round, at) => plane.update(ids[at], { mode: round % 2 === 0 ? "inactive" : "send-receive" }));
    await timed("counters", (_, at) => plane.counters(ids[at]));
    const keys = Array.from({ length: rounds }, () => Array.from({ length: each }, keyed));
    await timed("rekey", (round, at) => plane.update(ids[at], { protection: keys[round][at] }));
    await timed("sameKeys", (_, at) => plane.update(ids[at], { protection: keys[rounds - 1][at] }));
    await timed("join", (_, at) => plane.join(ids[2 * (at % 20)], ids[2 * (at % 20) + 1]));
    const closing = [];
    await timed("close", (round, at) => closing.push(plane.close(ids[round * each + at])));
    await Promise.all(closing);
    return times;
  },
  end: async () => {
    await plane.shutdown();
    process.exit(0);
  },
};

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

say({ reason });
for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...values } = JSON.parse(line);
  say(await answers[ask](values));
}
