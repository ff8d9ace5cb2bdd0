// Datagrams in memory, on a clock turned by hand: a network as good or as bad as a test wants it.
import { seededRandom } from "@sallyport/kit";
import type { DatagramHandlers, Endpoint, OpenDatagram, VirtualClock } from "@sallyport/kit";

/** `bad`: one in five is lost, one in five comes twice, all come when they like. */
export const badNetwork = (clock: VirtualClock, seed: number) => {
  const dice = seededRandom(seed);
  const roll = (): number => dice.bytes(1)[0] ?? 0;
  const sockets = new Map<string, DatagramHandlers>();
  const state = {
    bad: false,
    lost: 0,
    doubled: 0,
    /** What does not arrive, whatever the weather. */
    stops: (_text: string, _from: Endpoint): boolean => false,
  };
  let lastPort = 40_000;
  const keyOf = ({ address, port }: Endpoint): string => `${address}:${port}`;
  const openDatagram: OpenDatagram = async (binding, handlers) => {
    const local = { address: "127.0.0.1", port: binding.port === 0 ? ++lastPort : binding.port };
    sockets.set(keyOf(local), handlers);
    return {
      local,
      send: (octets, to) => {
        const copy = Buffer.from(octets);
        if (state.stops(copy.toString("latin1"), local)) return void (state.lost += 1);
        const arrive = (ms: number): void =>
          void clock.after(ms, () => sockets.get(keyOf(to))?.onMessage(Buffer.from(copy), local));
        if (!state.bad) return arrive(1);
        if (roll() < 51) return void (state.lost += 1);
        arrive(roll());
        if (roll() < 51) {
          state.doubled += 1;
          arrive(roll() * 3);
        }
      },
      close: async () => void sockets.delete(keyOf(local)),
    };
  };
  return { openDatagram, state };
};

export const turnsOf = async (clock: VirtualClock, ms: number): Promise<void> => {
  for (let gone = 0; gone < ms; gone += 20) {
    clock.advance(20);
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
  }
};
