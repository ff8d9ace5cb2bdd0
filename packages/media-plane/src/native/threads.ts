// Owns the names of what a packet thread says of itself; the order is that of native/engine/stats.hpp.
const figures = 32;

/** Totals since the start unless the name says otherwise. */
export interface ThreadLoad {
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly wakes: number;
  /** Datagrams the kernel dropped because a socket's receive buffer was full. */
  readonly lost: number;
  readonly sendErrors: number;
  /** 0 to 1: the share of the last tenths of a second it was at work. */
  readonly load: number;
  /** Packets found waiting at once, a peak that decays within seconds. */
  readonly queueDepth: number;
  readonly legs: number;
  /** Times receive buffers ran out: packets waited in their sockets. */
  readonly buffersExhausted: number;
  /** Datagrams longer than a receive buffer, dropped. */
  readonly oversized: number;
  readonly cpuSeconds: number;
  /** How long packets are gathered now, microseconds; 0: each is worked off at once. */
  readonly batchUs: number;
  /** Legs given to another thread. */
  readonly moves: number;
  /** Sockets connected so far to where a flow sends steadily. */
  readonly connects: number;
  /** Of the xdp engine alone. */
  readonly direct?: DirectLoad;
}

/** What went past the sockets. */
export interface DirectLoad {
  readonly packetsIn: number;
  readonly packetsOut: number;
  /** Frames for our ports that were no sound datagram (length, checksum, source) or whose port was gone, dropped. */
  readonly unsound: number;
  /** Frames in all, those nobody has, and those the kernel has to receive into or to send. */
  readonly frames: number;
  readonly framesFree: number;
  readonly framesHeld: number;
  /** Places whose way is known or asked for. */
  readonly hops: number;
  /** Everything goes by the sockets, because the kernel has IPsec policies. */
  readonly paused: boolean;
}

/** `stats` is the engine's memory: read as it stands. */
export const threadLoads = (stats: Float64Array): readonly ThreadLoad[] => {
  const loads: ThreadLoad[] = [];
  for (let start = 0; start < stats.length; start += figures) {
    const at = (place: number): number => stats[start + place] ?? 0;
    loads.push({
      packetsIn: at(0),
      packetsOut: at(1),
      wakes: at(2),
      lost: at(3),
      sendErrors: at(4),
      load: at(5),
      queueDepth: at(6),
      legs: at(7),
      buffersExhausted: at(8),
      oversized: at(9),
      cpuSeconds: at(10),
      batchUs: at(11),
      moves: at(12),
      connects: at(13),
      ...(at(17) === 0
        ? {}
        : {
            direct: {
              packetsIn: at(14),
              packetsOut: at(15),
              unsound: at(16),
              frames: at(17),
              framesFree: at(18),
              framesHeld: at(19),
              hops: at(20),
              paused: at(21) === 1,
            },
          }),
    });
  }
  return loads;
};
