// The yardstick: Kamailio (stateful, record-routing) with rtpengine (SDES to RTP, in user space), where both are installed.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { start } from "./process.mjs";

const address = "127.0.0.1";
const mediaAddress = "127.0.0.3";

const version = (command, args) => {
  const done = spawnSync(command, args, { encoding: "utf8" });
  const text = `${done.stdout ?? ""}${done.stderr ?? ""}`;
  return done.error === undefined ? (/\d+\.\d+(?:\.\d+)*/.exec(text)?.[0] ?? "?") : undefined;
};

/** Both versions, or undefined when one is missing. */
export const findPeers = () => {
  const kamailio = version("kamailio", ["-v"]);
  const rtpengine = version("rtpengine", ["--version"]);
  return kamailio === undefined || rtpengine === undefined ? undefined : { kamailio, rtpengine };
};

const modulesFolder = () =>
  readdirSync("/usr/lib", { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `/usr/lib/${entry.name}/kamailio/modules/`)
    .find((path) => {
      try {
        return readdirSync(path).includes("tm.so");
      } catch {
        return false;
      }
    });

/** Ports in a range of their own: Kamailio cannot choose one itself and tell. */
export const startPeers = async (folder, protocol, farEndPort) => {
  const base = 25_000 + (process.pid % 1000) * 4;
  const controlPort = base + 1;
  const rtpengine = await start(
    "rtpengine",
    "rtpengine",
    [
      "--foreground",
      "--log-stderr",
      "--log-level=5",
      "--table=-1",
      // An address of its own, as our gateway has: ports of ended calls are kept back for a while.
      `--interface=${mediaAddress}`,
      `--listen-ng=${address}:${controlPort}`,
      "--port-min=2000",
      "--port-max=64999",
      `--pidfile=${folder}/rtpengine.pid`,
    ],
    {},
  );
  const template = readFileSync(new URL("kamailio.cfg", import.meta.url), "utf8");
  const config = `${folder}/kamailio.cfg`;
  const words = { PORT: base, PROTOCOL: protocol, CONTROL: controlPort, FAREND: farEndPort, MODULES: modulesFolder() };
  writeFileSync(
    config,
    template.replace(/@([A-Z]+)@/g, (_, word) => String(words[word])),
  );
  const kamailio = await start("kamailio", "kamailio", ["-DD", "-E", "-f", config, "-Y", folder], {});
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  for (const peer of [rtpengine, kamailio])
    if (peer.child.exitCode !== null) throw new Error(`${peer.name} ended too early\n${peer.tail()}`);
  return {
    port: base,
    kamailio,
    rtpengine,
    stop: async () => {
      await kamailio.stop();
      await rtpengine.stop();
    },
  };
};
