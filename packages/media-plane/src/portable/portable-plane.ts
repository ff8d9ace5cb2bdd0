// Owns the portable engine: every leg, its ports, and their joining, on datagram sockets and the srtp package.
// Runs anywhere Node does; each packet passes through JavaScript. Knows no signalling.
import { systemDatagrams, type Clock, type DatagramHandlers, type Log, type OpenDatagram } from "@sallyport/kit";
import { mediaPlaneErrors } from "../errors.ts";
import type { LegPlan, MediaPlane } from "../plane.ts";
import { EventQueue } from "./events.ts";
import { Leg } from "./leg.ts";
import { PortPools, type PortPairs, type PortRange } from "./ports.ts";
import { SendKeys } from "./send-keys.ts";
import { openPair } from "./sockets.ts";

export interface PortablePlaneOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** The system's sockets when left out. */
  readonly openDatagram?: OpenDatagram;
  /** Ports of each local address, both ends included, where a leg has none of its own. */
  readonly portRange: PortRange;
  /** How long a freed pair of ports rests, default 5,000 ms. */
  readonly quarantineMs?: number;
}

interface Entry {
  readonly leg: Leg;
  readonly ports: PortPairs;
  readonly port: number;
}

/** @throws SALLY_PLANE_RANGE. */
export const createPortablePlane = (options: PortablePlaneOptions): MediaPlane => {
  const { clock, log, openDatagram = systemDatagrams, portRange, quarantineMs = 5000 } = options;
  const pools = new PortPools(clock, portRange, quarantineMs);
  const entries = new Map<number, Entry>();
  const queue = new EventQueue();
  const sendKeys = new SendKeys();
  const opening = new Set<Promise<unknown>>();
  let lastId = 0;
  let closed = false;

  const entryOf = (id: number): Entry => {
    const entry = entries.get(id);
    if (entry === undefined) throw mediaPlaneErrors("SALLY_PLANE_LEG", `Leg ${id}.`);
    return entry;
  };

  const handlersFor = (leg: Leg, flow: "rtp" | "rtcp"): DatagramHandlers => ({
    onMessage: (octets, from) => leg.receive(flow, octets, from),
    onError: (error) => {
      leg.sendError();
      log.debug("media socket error", { leg: leg.id, flow, error: error.message });
    },
  });

  const closeEntry = async (id: number, entry: Entry) => {
    entries.delete(id);
    const counters = await entry.leg.close();
    entry.ports.give(entry.port);
    return counters;
  };

  const bind = async (leg: Leg, { address, ports: range }: LegPlan) => {
    const ports = pools.of(address, range);
    try {
      const sockets = await openPair(openDatagram, address, ports, {
        rtp: handlersFor(leg, "rtp"),
        rtcp: handlersFor(leg, "rtcp"),
      });
      const entry = { leg, ports, port: sockets.rtp.local.port };
      leg.start(sockets);
      if (!closed) return entry;
      await closeEntry(leg.id, entry);
      throw mediaPlaneErrors("SALLY_PLANE_CLOSED");
    } catch (error) {
      await leg.close();
      throw error;
    }
  };

  return {
    engine: "portable",
    marks: false,

    open: async (plan) => {
      if (closed) throw mediaPlaneErrors("SALLY_PLANE_CLOSED");
      const leg = new Leg(++lastId, plan, { clock, queue, sendKeys });
      const binding = bind(leg, plan);
      opening.add(binding);
      try {
        const entry = await binding;
        entries.set(leg.id, entry);
        const rtcpPort = plan.rtcp === "mux" ? entry.port : entry.port + 1;
        return { leg: leg.id, local: { address: plan.address, rtpPort: entry.port, rtcpPort } };
      } finally {
        opening.delete(binding);
      }
    },

    join: (a, b) => {
      const one = entryOf(a).leg;
      const other = entryOf(b).leg;
      if (one === other) throw mediaPlaneErrors("SALLY_PLANE_LEG", `Leg ${a} cannot be joined to itself.`);
      for (const leg of [one, other]) if (leg.peer !== undefined) leg.peer.peer = undefined;
      one.peer = other;
      other.peer = one;
    },

    update: (id, change) => entryOf(id).leg.update(change),
    counters: (id) => entryOf(id).leg.counters(),
    close: async (id) => closeEntry(id, entryOf(id)),
    events: () => queue.drain(),

    get legs() {
      return entries.size;
    },

    shutdown: async () => {
      closed = true;
      await Promise.allSettled(opening);
      await Promise.all(Array.from(entries, ([id, entry]) => closeEntry(id, entry)));
      pools.clear();
      sendKeys.clear();
      queue.drain();
    },
  };
};
