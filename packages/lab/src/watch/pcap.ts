// Writes what the recorder saw as a capture file (classic pcap, raw IPv4), each message as one UDP datagram, for tshark and its like.

export interface CapturedDatagram {
  readonly at: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly octets: Uint8Array;
}

const linkTypeRawIp = 101;
const ipHeader = 20;
const udpHeader = 8;
const loopback = [127, 0, 0, 1];

const ipChecksum = (header: Buffer): number => {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

const frame = ({ at, sourcePort, destinationPort, octets }: CapturedDatagram): Buffer => {
  const length = ipHeader + udpHeader + octets.length;
  const record = Buffer.alloc(16);
  record.writeUInt32LE(Math.floor(at / 1000), 0);
  record.writeUInt32LE(Math.floor((at % 1000) * 1000), 4);
  record.writeUInt32LE(length, 8);
  record.writeUInt32LE(length, 12);
  const ip = Buffer.from([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, ...loopback, ...loopback]);
  ip.writeUInt16BE(length, 2);
  ip.writeUInt16BE(ipChecksum(ip), 10);
  const udp = Buffer.alloc(udpHeader);
  udp.writeUInt16BE(sourcePort, 0);
  udp.writeUInt16BE(destinationPort, 2);
  udp.writeUInt16BE(udpHeader + octets.length, 4);
  return Buffer.concat([record, ip, udp, octets]);
};

/** The octets of a capture file. A datagram larger than UDP allows is refused with a RangeError. */
export const pcapOf = (datagrams: readonly CapturedDatagram[]): Buffer => {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(linkTypeRawIp, 20);
  return Buffer.concat([header, ...datagrams.map(frame)]);
};
