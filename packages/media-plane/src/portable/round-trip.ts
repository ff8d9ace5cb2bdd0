// Owns the round trip between this leg and what it talks to, seen from the RTCP that passes: which sender reports left, and
// which reports came back for them (RFC 3550 6.4.1). Reads packets in clear; decides nothing.

const remembered = 8;
const senderReport = 200;
const receiverReport = 201;
const blockLength = 24;

/** Calls `visit` with each sender or receiver report of a compound; stops at lengths that do not fit. */
const eachReport = (packet: Buffer, visit: (type: number, at: number, end: number) => void): void => {
  let at = 0;
  while (at + 8 <= packet.length) {
    const end = at + 4 + 4 * packet.readUInt16BE(at + 2);
    if (end > packet.length) return;
    const type = packet[at + 1] ?? 0;
    if (type === senderReport || type === receiverReport) visit(type, at, end);
    at = end;
  }
};

export class RoundTrip {
  /** Middle 32 bits of the NTP timestamps of reports sent, and when; used as a ring. */
  readonly #sent: { stamp: number; at: number }[] = [];
  #next = 0;
  #ms = 0;

  /** Milliseconds, 0 before the first. */
  get ms(): number {
    return this.#ms;
  }

  /** RTCP that leaves, before it is protected. */
  left(packet: Buffer, now: number): void {
    eachReport(packet, (type, at, end) => {
      if (type !== senderReport || at + 28 > end) return;
      this.#sent[this.#next] = { stamp: packet.readUInt32BE(at + 10), at: now };
      this.#next = (this.#next + 1) % remembered;
    });
  }

  /** RTCP that was accepted, in clear. */
  came(packet: Buffer, now: number): void {
    if (this.#sent.length === 0) return;
    eachReport(packet, (type, at, end) => {
      const blocks = (packet[at] ?? 0) & 0x1f;
      let block = at + (type === senderReport ? 28 : 8);
      for (let index = 0; index < blocks && block + blockLength <= end; index++, block += blockLength) {
        this.#measure(packet.readUInt32BE(block + 16), packet.readUInt32BE(block + 20), now);
      }
    });
  }

  #measure(last: number, delay: number, now: number): void {
    // LSR 0: it has heard no report yet.
    if (last === 0) return;
    const sent = this.#sent.find(({ stamp }) => stamp === last);
    if (sent === undefined) return;
    const ms = Math.round(now - sent.at - (delay * 1000) / 65_536);
    // Clocks that are not quite alike can make a short way negative.
    this.#ms = Math.max(1, ms);
  }
}
