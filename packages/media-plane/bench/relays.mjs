// The relays under comparison, each a process of its own on one core, behind the same four calls.
import { fileURLToPath } from "node:url";
import { residentOctets, startChild } from "./child.mjs";
import { startRtpengine } from "./rtpengine.mjs";

const program = fileURLToPath(new URL("relay.mjs", import.meta.url));

const startOurs = async (name, settings, { address, peer, core }, bare = false) => {
  const child = startChild(process.execPath, ["--expose-gc", program, JSON.stringify(settings)], { core, show: true });
  const { reason } = JSON.parse(await child.next());
  return {
    name,
    reason,
    bare,
    pid: child.pid,
    open: async ({ suite, calls, ports }) =>
      (await child.ask("open", { address, peer, suite, bare, calls, ports })).calls,
    close: () => child.ask("close"),
    figures: () => child.ask("figures"),
    control: (values) => child.ask("control", { address, peer, ...values }),
    memory: async () => {
      await child.ask("figures");
      return residentOctets(child.pid);
    },
    stop: () => child.stop(),
  };
};

const socket = { engine: "socket", threads: 1, firstCore: 0 };

const xdp = (where) => ({ engine: "xdp", firstCore: where.core, interfaces: [where.interface] });

/** By name: `null` and `xdpnull` are our engine without crypto; the xdp ones need `--link veth`. */
export const relayStarters = {
  null: (where) => startOurs("null", { ...socket, io: "io_uring", firstCore: where.core }, where, true),
  socket: (where) => startOurs("socket", { ...socket, io: "io_uring", firstCore: where.core }, where),
  // The same without sockets connected to where a flow sends.
  unconnected: (where) =>
    startOurs("unconnected", { ...socket, io: "io_uring", firstCore: where.core, connectAfter: 0 }, where),
  // The second thread's core is the load's: its processor time a packet tells, not how many there are.
  two: (where) => startOurs("two", { ...socket, io: "io_uring", firstCore: where.core, threads: 2 }, where),
  batch500: (where) => startOurs("batch500", { ...socket, io: "io_uring", firstCore: where.core, batchUs: 500 }, where),
  batch50: (where) => startOurs("batch50", { ...socket, io: "io_uring", firstCore: where.core, batchUs: 50 }, where),
  epoll: (where) => startOurs("epoll", { ...socket, io: "epoll", firstCore: where.core }, where),
  xdpnull: (where) => startOurs("xdpnull", xdp(where), where, true),
  xdp: (where) => startOurs("xdp", xdp(where), where),
  xdp500: (where) => startOurs("xdp500", { ...xdp(where), batchUs: 500 }, where),
  portable: (where) => startOurs("portable", { engine: "portable" }, where),
  rtpengine: (where) => startRtpengine(where),
};
