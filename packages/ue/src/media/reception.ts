// Owns what a receiver knows of one source: order, loss, jitter. Knows no socket and no codec.
// RFC 3550 6.4.1, A.1 (sequence numbers), A.3 (loss), A.8 (jitter).

const maxDropout = 3000;
const maxMisorder = 100;

/** The reception quality of one SSRC, as a report block says it. */
export interface ReceptionView {
  readonly packets: number;
  /** Expected minus received; negative when packets came twice. */
  readonly lost: number;
  /** Highest sequence number, cycles in the upper half. */
  readonly extendedHighest: number;
  /** Timestamp units. */
  readonly jitter: number;
}

export interface Reception {
  /**
   * Takes note of a packet. `arrival` is in timestamp units of the codec's clock.
   * Returns the extended sequence number, or undefined for one too far off to belong (RFC 3550 A.1).
   */
  note(sequence: number, timestamp: number, arrival: number): number | undefined;
  readonly view: ReceptionView;
  /** Fraction lost since the last call, in 1/256 (RFC 3550 A.3). */
  takeFraction(): number;
}

export const createReception = (firstSequence: number): Reception => {
  let base = firstSequence;
  let highest = firstSequence;
  let cycles = 0;
  let packets = 0;
  let suspicious = -1;
  let jitter = 0;
  let transit: number | undefined;
  let expectedBefore = 0;
  let packetsBefore = 0;

  const restart = (sequence: number): void => {
    base = sequence;
    highest = sequence;
    cycles = 0;
    packets = 0;
    expectedBefore = 0;
    packetsBefore = 0;
    suspicious = -1;
    transit = undefined;
  };
  const expected = (): number => cycles + highest - base + 1;

  return {
    note: (sequence, timestamp, arrival) => {
      const ahead = (sequence - highest) & 0xffff;
      let extended: number;
      if (packets === 0) {
        restart(sequence);
        extended = sequence;
      } else if (ahead < maxDropout) {
        if (sequence < highest) cycles += 0x10000;
        highest = sequence;
        extended = cycles + sequence;
      } else if (ahead <= 0x10000 - maxMisorder) {
        // A.1: a big jump is believed when the next packet follows it: the sender started again.
        if (sequence !== suspicious) {
          suspicious = (sequence + 1) & 0xffff;
          return undefined;
        }
        restart(sequence);
        extended = sequence;
      } else extended = sequence > highest ? cycles - 0x10000 + sequence : cycles + sequence;
      packets += 1;
      // A.8: differences are taken modulo 2^32, as timestamps are.
      const now = (arrival - timestamp) | 0;
      if (transit !== undefined) jitter += (Math.abs((now - transit) | 0) - jitter) / 16;
      transit = now;
      return extended;
    },
    get view() {
      const lost = packets === 0 ? 0 : expected() - packets;
      return { packets, lost, extendedHighest: cycles + highest, jitter: Math.floor(jitter) };
    },
    takeFraction: () => {
      const expectedNow = packets === 0 ? 0 : expected();
      const due = expectedNow - expectedBefore;
      const lost = due - (packets - packetsBefore);
      expectedBefore = expectedNow;
      packetsBefore = packets;
      return due <= 0 || lost <= 0 ? 0 : Math.min(255, Math.floor((lost * 256) / due));
    },
  };
};
