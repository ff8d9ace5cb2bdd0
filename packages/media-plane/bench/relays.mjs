// The relays under comparison, each a process of its own on one core, behind the same four calls.
import { fileURLToPath } from "node:url";
import { residentOctets, startChild } from "./child.mjs";
import { startRtpengine } from "./rtpengine.mjs";

const program = fileURLToPath(new URL("relay.mjs", import.meta.url));

const startOurs = async (name, settings, { address, core }, bare = false) => {
  const child = startChild(process.execPath, ["--expose-gc", program, JSON.stringify(settings)], { core, show: true });
  const { reason } = JSON.parse(await child.next());
  return {
    name,
    reason,
    bare,
    pid: child.pid,
    open: async ({ suite, calls, ports }) => (await child.ask("open", { address, suite, bare, calls, ports })).calls,
    close: () => child.ask("close"),
    figures: () => child.ask("figures"),
    control: (values) => child.ask("control", { address, ...values }),
    memory: async () => {
      await child.ask("figures");
      return residentOctets(child.pid);
    },
    stop: () => child.stop(),
  };
};

const socket = { engine: "socket", threads: 1, firstCore: 0 };

/** By name: `null` is our engine without crypto. */
export const relayStarters = {
  null: (where) => startOurs("null", { ...socket, io: "io_uring", firstCore: where.core }, where, true),
  socket: (where) => startOurs("socket", { ...socket, io: "io_uring", firstCore: where.core }, where),
  // The same without sockets connected to where a flow sends.
  unconnected: (where) =>
    startOurs("unconnected", { ...socket, io: "io_uring", firstCore: where.core, connectAfter: 0 }, where),
  batch500: (where) => startOurs("batch500", { ...socket, io: "io_uring", firstCore: where.core, batchUs: 500 }, where),
  epoll: (where) => startOurs("epoll", { ...socket, io: "epoll", firstCore: where.core }, where),
  portable: (where) => startOurs("portable", { engine: "portable" }, where),
  rtpengine: (where) => startRtpengine(where),
};
