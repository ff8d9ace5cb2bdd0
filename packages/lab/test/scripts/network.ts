// A network of datagrams in memory: it delays, loses, doubles and reorders by a seed. Knows addresses, not what is said.
import type { Clock, Datagram, Endpoint, OpenDatagram } from "@sallyport/kit";

/** 0 to below 1, the same for the same seed (mulberry32). */
const dice = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

export interface Weather {
  readonly seed: number;
  /** Share of datagrams that never arrive, and of those that arrive twice. */
  readonly loss: number;
  readonly double: number;
  /** Longest time on the way, ms; shorter for most, so that some overtake others. */
  readonly slowestMs: number;
}

export interface Network {
  readonly open: OpenDatagram;
  /** Sockets that are open. */
  readonly sockets: number;
  /** Datagrams sent so far. */
  readonly sent: number;
  /** From now on everything arrives, once and in order. */
  calm(): void;
  /** Nothing leaves these addresses until they rejoin. */
  isolate(...addresses: readonly string[]): void;
  rejoin(): void;
  /** Whoever speaks from these addresses is gone without a word; another may take its ports at once. */
  kill(...addresses: readonly string[]): void;
}

const firstPort = 40_000;

export const createNetwork = (clock: Clock, weather: Weather): Network => {
  const roll = dice(weather.seed);
  interface Socket {
    readonly hear: (octets: Buffer, from: Endpoint) => void;
    dead: boolean;
  }
  const sockets = new Map<string, Socket>();
  const cutOff = new Set<string>();
  let now = weather;
  let ports = firstPort;
  let sent = 0;

  const deliver = (octets: Buffer, from: Endpoint, to: string): void => {
    const ms = 1 + (now.slowestMs === 0 ? 0 : roll() ** 3 * now.slowestMs);
    clock.after(ms, () => sockets.get(to)?.hear(octets, from));
  };

  return {
    open: async ({ address, port }, handlers): Promise<Datagram> => {
      const local = { address, port: port === 0 ? (ports += 2) : port };
      const name = `${local.address} ${local.port}`;
      if (sockets.has(name)) throw Object.assign(new Error(`${name} is in use`), { code: "EADDRINUSE" });
      const socket: Socket = { hear: (octets, from) => handlers.onMessage(octets, from), dead: false };
      sockets.set(name, socket);
      return {
        local,
        send: (octets, to) => {
          sent += 1;
          if (socket.dead || cutOff.has(local.address)) return;
          const copy = Buffer.from(octets);
          const there = `${to.address} ${to.port}`;
          if (roll() >= now.loss) deliver(copy, local, there);
          if (roll() < now.double) deliver(copy, local, there);
        },
        close: async () => {
          if (!socket.dead) sockets.delete(name);
        },
      };
    },
    get sockets() {
      return sockets.size;
    },
    get sent() {
      return sent;
    },
    calm: () => {
      now = { ...weather, loss: 0, double: 0, slowestMs: 0 };
    },
    isolate: (...addresses) => {
      for (const each of addresses) cutOff.add(each);
    },
    rejoin: () => cutOff.clear(),
    kill: (...addresses) => {
      for (const [name, socket] of sockets) {
        if (!addresses.includes(name.split(" ")[0] ?? "")) continue;
        socket.dead = true;
        sockets.delete(name);
      }
    },
  };
};
