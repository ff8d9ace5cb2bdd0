// One trial: fresh calls on a relay, the generator at one rate, and what came of it. A sample of what arrived is opened with this
// project's own SRTP, and compared octet for octet with what was sent.
import { Secret } from "@sallyport/kit";
import { createSrtpReceiver, suites } from "@sallyport/srtp";
import { cpuSeconds } from "./child.mjs";
import { startGenerator } from "./generator.mjs";

export const ports = { ue: 10_000, core: 20_000 };
const wide = 5000;

const expected = (stream, packet) => {
  const index = packet.readUInt16BE(2);
  for (let at = 12; at < packet.length; at++) {
    if (packet[at] !== ((stream * 31 + index * 7 + at - 12) & 255)) return false;
  }
  return packet.readUInt32BE(8) === 0x5a110000 + stream;
};

/** How many of the sample are what they should be; throws where one is not. */
const verify = (samples, calls, suite, bare) => {
  const receivers = new Map();
  for (const [stream, hex] of samples) {
    const packet = Buffer.from(hex, "hex");
    const fromUe = stream % 2 === 0;
    // The null relay passes what the UE sealed: nothing to compare with but the header.
    if (bare) {
      if (!expected(stream, fromUe ? packet.subarray(0, 12) : packet)) throw new Error("the relay changed a packet");
      continue;
    }
    if (fromUe) {
      if (!expected(stream, packet)) throw new Error("a clear packet is not what was sent");
      continue;
    }
    const key = calls[(stream - 1) / 2][3];
    const receiver =
      receivers.get(stream) ??
      createSrtpReceiver({ suite: suites[suite], keys: [{ master: Secret.take(Buffer.from(key, "hex")) }] });
    receivers.set(stream, receiver);
    const opened = receiver.unprotectRtp(packet);
    if (!opened.ok || !expected(stream, opened.packet)) throw new Error(`a sealed packet is wrong: ${opened.code}`);
  }
  for (const receiver of receivers.values()) receiver.release();
  return samples.length;
};

/** `suite` is what the UE seals with, also where the relay is the null relay. */
export const runTrial = async (relay, { namespace, calls, suite, rate, warmMs, measureMs, core, payload = 160 }) => {
  if (calls > wide) throw new Error(`at most ${wide} calls have ports`);
  const opened = await relay.open({ suite, calls, ports });
  const child = startGenerator({
    local: relay.peer,
    relay: relay.address,
    suite: Object.keys(suites).indexOf(suite),
    rate,
    warmMs,
    measureMs,
    core,
    payload,
    polled: relay.polled,
    within: namespace === undefined ? [] : ["ip", "netns", "exec", namespace],
  });
  const lines = opened.map(([ue, coreSide, key], at) =>
    [ports.ue + 2 * at, ports.core + 2 * at, ue, coreSide, key].join(" "),
  );
  child.write(`${lines.join("\n")}\n`);
  child.endInput();
  await child.next();
  const before = cpuSeconds(relay.pid);
  await child.next();
  const cpu = cpuSeconds(relay.pid) - before;
  const result = JSON.parse(await child.next());
  await child.gone;
  const figures = await relay.figures();
  await relay.close();
  const { samples, ...rest } = result;
  const verified = verify(samples, opened, suite, relay.bare);
  const passed = result.received / result.sent;
  return {
    ...rest,
    verified,
    lossPercent: 100 * (1 - passed),
    // A packet that was lost cost little: it must not make the others look cheap.
    cpuUs: (cpu * 1e6) / (result.sentInTime * passed),
    figures,
  };
};
