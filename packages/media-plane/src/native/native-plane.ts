// Owns the native engine behind the MediaPlane port: checks what is asked, hands it over, and gives what came back its names.
// Packets never come here. Knows no signalling.
import type { Clock, Log } from "@sallyport/kit";
import { mediaPlaneErrors } from "../errors.ts";
import type { LegCounters, LegPlan, MediaPlane, OpenedLeg, PlaneAlarm, PlaneEvent } from "../plane.ts";
import { heldByOthers, PortPools, type PortPairs, type PortRange } from "../portable/ports.ts";
import type { NativeAddon, NativeDoor } from "./addon.ts";
import { checkChange } from "./check.ts";
import { readCounters } from "./counters.ts";
import { ChangeRecord } from "./record.ts";
import { refusal, unbound } from "./refusal.ts";
import { threadLoads, type ThreadLoad } from "./threads.ts";

export interface NativePlaneOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Ports of each local address, both ends included, where a leg has none of its own. */
  readonly portRange: PortRange;
  /** How long a freed pair of ports rests, default 5,000 ms. */
  readonly quarantineMs?: number;
  /** Packet threads, default 1. */
  readonly threads?: number;
  /** `auto`: io_uring where the kernel lets us, else epoll. */
  readonly io?: "auto" | "io_uring" | "epoll";
  /** Under load packets are worked off at most this often, default 250 microseconds; 0: each at once. */
  readonly batchUs?: number;
  /** Octets of each socket's receive buffer as far as `net.core.rmem_max` lets them be, default 524,288: a bound, not memory taken. */
  readonly receiveBuffer?: number;
  /** A flow that has sent so many packets to one place gets a socket connected to it, which costs the kernel less; 0: never. Default 50, at most 255. */
  readonly connectAfter?: number;
  /** Names of Ethernet interfaces: packets go past the kernel's sockets there (AF_XDP), by one thread. None: the socket engine. */
  readonly interfaces?: readonly string[];
  /** First core to bind threads to; not bound when left out. */
  readonly firstCore?: number;
}

/** The port, and what the threads say of themselves. */
export interface NativePlane extends MediaPlane {
  /** Which way packets come and go. */
  readonly io: "io_uring" | "epoll" | "AF_XDP";
  /** With AF_XDP: how each interface is served; else empty. */
  readonly manner: string;
  /** What it goes without, and what would help; empty when nothing. */
  readonly note: string;
  threads(): readonly ThreadLoad[];
}

interface Entry {
  readonly id: number;
  readonly index: number;
  readonly ports: PortPairs;
  readonly port: number;
  closed: ((counters: LegCounters) => void) | undefined;
}

/** Some 700 packets of speech: what one fast flow brings while the thread is kept waiting for some milliseconds. */
const defaultReceiveBuffer = 524_288;
const ios = { auto: 0, io_uring: 1, epoll: 2 } as const;
const busy: ReadonlySet<number> = new Set([-98, -13]);
const alarms: readonly PlaneAlarm[] = ["clear-on-protected", "authentication", "lifetime", "index-reuse"];
const directions = ["in", "out"] as const;

/** A sentence instead of a plane: why it cannot start. @throws SALLY_PLANE_RANGE. */
export const createNativePlane = (addon: NativeAddon, options: NativePlaneOptions): NativePlane | string => {
  const { clock, portRange, quarantineMs = 5000, threads = 1, interfaces = [] } = options;
  const direct = interfaces.length > 0;
  const pools = new PortPools(clock, portRange, quarantineMs);
  const start = addon.create(
    () => drain(),
    threads,
    ios[options.io ?? "auto"],
    options.batchUs ?? 250,
    options.receiveBuffer ?? defaultReceiveBuffer,
    options.firstCore ?? -1,
    options.connectAfter ?? 50,
    interfaces.join("\n"),
  );
  if (start.why !== undefined) return start.why;
  const door: NativeDoor = start.door;
  const record = new ChangeRecord(start.scratch);
  const numbers = new Float64Array(start.scratch);
  const stats = new Float64Array(start.stats);
  const entries = new Map<number, Entry>();
  const leaving = new Map<number, Entry>();
  let lastId = 0;
  let closed = false;

  const ended = (id: number, kept: number): void => {
    const entry = leaving.get(id);
    if (entry === undefined) return;
    leaving.delete(id);
    entry.ports.give(entry.port, kept === 1);
    entry.closed?.(readCounters(numbers));
  };
  const drain = (): void => addon.drain(door, ended);

  const unknown = (id: number): Error => mediaPlaneErrors("SALLY_PLANE_LEG", `Leg ${id}.`);
  const entryOf = (id: number): Entry => {
    const entry = entries.get(id);
    if (entry === undefined) throw unknown(id);
    return entry;
  };

  const bind = (index: number, address: string, ports: PortPairs): number => {
    let error = 0;
    for (let tried = 0; tried < Math.min(heldByOthers, ports.count); tried++) {
      const port = ports.take();
      if (port === undefined) break;
      record.writeLocal(address, port);
      error = addon.bind(door, index);
      if (error === 0) return port;
      ports.give(port);
      if (!busy.has(error)) throw unbound(error, address);
    }
    throw mediaPlaneErrors("SALLY_PLANE_PORTS", "", { where: address });
  };

  const open = (plan: LegPlan): OpenedLeg => {
    checkChange(plan);
    const { address } = plan;
    const ports = pools.of(address, plan.ports);
    const id = ++lastId;
    record.writePlan(plan);
    const index = addon.prepare(door, id);
    if (index < 0) throw refusal(index, () => addon.owner(door));
    try {
      const port = bind(index, address, ports);
      entries.set(id, { id, index, ports, port, closed: undefined });
      return { leg: id, local: { address, rtpPort: port, rtcpPort: plan.rtcp === "mux" ? port : port + 1 } };
    } catch (error) {
      addon.abandon(door, index);
      throw error;
    }
  };

  const close = (entry: Entry): Promise<LegCounters> => {
    entries.delete(entry.id);
    leaving.set(entry.id, entry);
    return new Promise((resolve) => {
      entry.closed = resolve;
      if (addon.close(door, entry.index) === 1) drain();
    });
  };

  return {
    engine: direct ? "xdp" : "socket",
    marks: true,
    io: direct ? "AF_XDP" : start.ioUring ? "io_uring" : "epoll",
    manner: start.manner,
    note:
      direct && threads > 1 ? `one packet thread: ${threads} were asked for, xdp has one; ${start.note}` : start.note,

    open: async (plan) => {
      if (closed) throw mediaPlaneErrors("SALLY_PLANE_CLOSED");
      const opened = open(plan);
      // A shutdown in the same turn has closed it again.
      await Promise.resolve();
      if (closed) throw mediaPlaneErrors("SALLY_PLANE_CLOSED");
      return opened;
    },

    join: (a, b) => {
      const one = entryOf(a);
      const other = entryOf(b);
      if (one === other) throw mediaPlaneErrors("SALLY_PLANE_LEG", `Leg ${a} cannot be joined to itself.`);
      addon.join(door, one.index, other.index);
    },

    update: (id, change) => {
      const { index } = entryOf(id);
      checkChange(change);
      record.writeChange(change);
      const done = addon.change(door, index);
      if (done < 0) throw refusal(done, () => addon.owner(door));
    },

    counters: (id) => {
      addon.counters(door, entryOf(id).index);
      return readCounters(numbers);
    },

    close: (id) => {
      const entry = entries.get(id);
      return entry === undefined ? Promise.reject(unknown(id)) : close(entry);
    },

    events: () => {
      if (closed) return [];
      drain();
      const events: PlaneEvent[] = [];
      const found = addon.events(door);
      for (let at = 0; at < found * 4; at += 4) {
        const [leg = 0, kind = 0, what = 0, times = 0] = numbers.subarray(at, at + 4);
        if (kind === 0) events.push({ kind: "inactive", leg, direction: directions[what] ?? "in" });
        else if (kind === 1) events.push({ kind: "key-expiring", leg, direction: directions[what] ?? "in" });
        else events.push({ kind: "alarm", leg, what: alarms[what] ?? "authentication", count: times });
      }
      return events;
    },

    get legs() {
      return entries.size;
    },

    threads: () => threadLoads(stats),

    shutdown: async () => {
      if (closed) return;
      closed = true;
      await Promise.all(Array.from(entries.values(), close));
      pools.clear();
      addon.shutdown(door);
    },
  };
};
