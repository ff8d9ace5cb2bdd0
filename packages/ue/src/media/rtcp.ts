// Owns RTCP compound packets: sender and receiver reports, CNAME, BYE. Knows no key and no socket.
// RFC 3550 6.1 (compound), 6.4.1 SR, 6.4.2 RR, 6.5.1 CNAME, 6.6 BYE, A.2 (validity of what comes in).

export interface ReportBlock {
  readonly ssrc: number;
  /** 1/256. */
  readonly fractionLost: number;
  readonly cumulativeLost: number;
  readonly extendedHighest: number;
  readonly jitter: number;
  /** Middle 32 bits of the NTP timestamp of the last SR, 0 when none came. */
  readonly lastSr: number;
  /** 1/65536 s since that SR. */
  readonly delaySinceLastSr: number;
}

interface SenderInfo {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly rtpTimestamp: number;
  readonly packets: number;
  readonly octets: number;
}

export interface Report {
  readonly ssrc: number;
  readonly sender?: SenderInfo;
  readonly blocks: readonly ReportBlock[];
  readonly cname: string;
  readonly bye?: boolean;
}

const ntpEpoch = 2_208_988_800;

/** Seconds since 1900 and their 2^32nds (RFC 3550 4). */
const ntp = (at: number): { readonly seconds: number; readonly fraction: number } => {
  const seconds = Math.floor(at / 1000);
  return { seconds: (seconds + ntpEpoch) >>> 0, fraction: Math.floor(((at - 1000 * seconds) / 1000) * 2 ** 32) >>> 0 };
};

/** The middle 32 bits of the NTP timestamp of a moment. */
export const ntpMiddle = (at: number): number => {
  const { seconds, fraction } = ntp(at);
  return (((seconds & 0xffff) << 16) | (fraction >>> 16)) >>> 0;
};

const header = (packet: Buffer, count: number, type: number): Buffer => {
  packet[0] = 0x80 | count;
  packet[1] = type;
  packet.writeUInt16BE(packet.length / 4 - 1, 2);
  return packet;
};

/** A compound packet: SR or RR, SDES with CNAME, BYE when leaving. At most 31 blocks are written. */
export const writeReport = (report: Report): Buffer => {
  const blocks = report.blocks.slice(0, 31);
  const fixed = report.sender === undefined ? 8 : 28;
  const first = Buffer.alloc(fixed + 24 * blocks.length);
  first.writeUInt32BE(report.ssrc, 4);
  if (report.sender !== undefined) {
    const { seconds, fraction } = ntp(report.sender.at);
    first.writeUInt32BE(seconds, 8);
    first.writeUInt32BE(fraction, 12);
    first.writeUInt32BE(report.sender.rtpTimestamp >>> 0, 16);
    first.writeUInt32BE(report.sender.packets >>> 0, 20);
    first.writeUInt32BE(report.sender.octets >>> 0, 24);
  }
  for (const [at, block] of blocks.entries()) {
    const place = fixed + 24 * at;
    first.writeUInt32BE(block.ssrc, place);
    first[place + 4] = block.fractionLost;
    // 24 bits with a sign: RFC 3550 6.4.1 clamps instead of wrapping.
    first.writeIntBE(Math.max(-0x80_0000, Math.min(0x7f_ffff, block.cumulativeLost)), place + 5, 3);
    first.writeUInt32BE(block.extendedHighest >>> 0, place + 8);
    first.writeUInt32BE(block.jitter >>> 0, place + 12);
    first.writeUInt32BE(block.lastSr, place + 16);
    first.writeUInt32BE(block.delaySinceLastSr >>> 0, place + 20);
  }
  const name = Buffer.from(report.cname, "utf8").subarray(0, 255);
  // The item list ends with a null octet, and the chunk is padded with more of them to 32 bits.
  const sdes = Buffer.alloc(4 + Math.ceil((4 + 2 + name.length + 1) / 4) * 4);
  sdes.writeUInt32BE(report.ssrc, 4);
  sdes[8] = 1;
  sdes[9] = name.length;
  name.copy(sdes, 10);
  const parts = [header(first, blocks.length, report.sender === undefined ? 201 : 200), header(sdes, 1, 202)];
  if (report.bye === true) {
    const bye = Buffer.alloc(8);
    bye.writeUInt32BE(report.ssrc, 4);
    parts.push(header(bye, 1, 203));
  }
  return Buffer.concat(parts);
};

export interface ReceivedReport {
  /** Who reports. */
  readonly ssrc: number;
  /** Middle 32 bits of the SR's NTP timestamp; undefined when there was no SR. */
  readonly lastSr?: number;
  readonly sender?: { readonly rtpTimestamp: number; readonly packets: number; readonly octets: number };
  readonly blocks: readonly ReportBlock[];
  readonly cname?: string;
  /** SSRCs that leave. */
  readonly bye: readonly number[];
}

/** Reads a compound packet; undefined when it fails the checks of RFC 3550 A.2. At most 32 packets are looked at. */
export const parseReport = (octets: Buffer): ReceivedReport | undefined => {
  if (octets.length < 8 || octets.length % 4 !== 0) return undefined;
  const first = octets[1];
  if ((first !== 200 && first !== 201) || ((octets[0] as number) & 0x20) !== 0) return undefined;
  let report: ReceivedReport = { ssrc: octets.readUInt32BE(4), blocks: [], bye: [] };
  let at = 0;
  for (let count = 0; at < octets.length; count += 1) {
    const start = octets[at] as number;
    const length = at + 4 <= octets.length ? 4 * (octets.readUInt16BE(at + 2) + 1) : 0;
    if (start >> 6 !== 2 || length === 0 || at + length > octets.length || count === 32) return undefined;
    const read = readPacket(octets.subarray(at, at + length), start & 0x1f, report);
    if (read === undefined) return undefined;
    report = read;
    at += length;
  }
  return report;
};

const readPacket = (packet: Buffer, count: number, report: ReceivedReport): ReceivedReport | undefined => {
  switch (packet[1]) {
    case 200: {
      if (packet.length < 28) return undefined;
      const blocks = readBlocks(packet, 28, count);
      const lastSr = (((packet.readUInt32BE(8) & 0xffff) << 16) | (packet.readUInt32BE(12) >>> 16)) >>> 0;
      const sender = {
        rtpTimestamp: packet.readUInt32BE(16),
        packets: packet.readUInt32BE(20),
        octets: packet.readUInt32BE(24),
      };
      return blocks === undefined ? undefined : { ...report, lastSr, sender, blocks: report.blocks.concat(blocks) };
    }
    case 201: {
      const blocks = readBlocks(packet, 8, count);
      return blocks === undefined ? undefined : { ...report, blocks: report.blocks.concat(blocks) };
    }
    case 202: {
      const length = packet[9];
      if (count === 0 || packet.length < 12 || packet[8] !== 1 || length === undefined) return report;
      return 10 + length > packet.length ? undefined : { ...report, cname: packet.toString("utf8", 10, 10 + length) };
    }
    case 203: {
      if (4 + 4 * count > packet.length) return undefined;
      const bye = Array.from({ length: count }, (_, each) => packet.readUInt32BE(4 + 4 * each));
      return { ...report, bye: report.bye.concat(bye) };
    }
    default:
      return report;
  }
};

const readBlocks = (packet: Buffer, from: number, count: number): readonly ReportBlock[] | undefined => {
  if (from + 24 * count > packet.length) return undefined;
  return Array.from({ length: count }, (_, each) => {
    const at = from + 24 * each;
    return {
      ssrc: packet.readUInt32BE(at),
      fractionLost: packet[at + 4] as number,
      cumulativeLost: packet.readIntBE(at + 5, 3),
      extendedHighest: packet.readUInt32BE(at + 8),
      jitter: packet.readUInt32BE(at + 12),
      lastSr: packet.readUInt32BE(at + 16),
      delaySinceLastSr: packet.readUInt32BE(at + 20),
    };
  });
};
