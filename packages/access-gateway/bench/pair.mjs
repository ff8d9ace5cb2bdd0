// A gateway as a process of its own with this process as its controller over TCP, and what calls need to be set up at it: shared by
// the benchmarks that look at a gateway under load.
import { fileURLToPath } from "node:url";
import { createIqController } from "@sallyport/iq";
import { Secret, silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { suites } from "@sallyport/srtp";
import { favour, startChild } from "../../media-plane/bench/child.mjs";

export const address = "127.0.0.1";
const ports = { ue: 10_000, core: 20_000 };
const suite = suites.AES_CM_128_HMAC_SHA1_80;

/** `core`: the one the gateway is bound to, where it is to be. Resolves when it has registered. */
export const startPair = async (engine, core) => {
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
  favour(process.pid);
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
        media: { engine },
        retry: { firstMs: 20, longestMs: 100 },
        lab: true,
      }),
    ],
    { core, show: true },
  );
  while (controller.gateways()[0]?.state !== "up") await new Promise((resolve) => setTimeout(resolve, 10));
  return {
    controller,
    gateway,
    stop: async () => {
      gateway.endInput();
      await gateway.gone;
      await controller.close();
    },
  };
};

/** Master keys of a new call, and its two ends as a plan in `mode`, with the keys or before there are any. */
export const newCall = (at) => {
  const [fromUe, towardsUe] = [systemRandom.bytes(30), systemRandom.bytes(30)].map((octets) => Buffer.from(octets));
  const crypto = (master) => ({
    tag: 1,
    suite: suite.name,
    keys: [{ master: Secret.copyOf(master) }],
    sessionParams: [],
  });
  const end = (protocol, mode, port) => ({ media: "audio", formats: ["0"], protocol, mode, remote: { address, port } });
  const plan = (mode, keyed) => [
    {
      stream: 1,
      access: {
        ...end("RTP/SAVP", mode, ports.ue + 2 * at),
        ...(keyed ? { localCrypto: crypto(towardsUe), remoteCrypto: crypto(fromUe) } : {}),
      },
      core: end("RTP/AVP", mode, ports.core + 2 * at),
    },
  ];
  /** For the load generator: where both ends are, where the gateway is, and the UE's key. */
  const line = ({ access, core }) =>
    [ports.ue + 2 * at, ports.core + 2 * at, access[0].port, core[0].port, fromUe.toString("hex")].join(" ");
  return { plan, line };
};

/** Packets the kernel dropped before the engine's threads saw them. */
export const lostOf = ({ media }) => media.threads.reduce((sum, { lost }) => sum + lost, 0);
