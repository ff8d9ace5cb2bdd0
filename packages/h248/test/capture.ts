// Writes a capture file of UDP datagrams from port 2944 to port 2944, for tshark.

/** A pcap file (link type 101, raw IP) with one IPv4 and UDP datagram a message. */
export const capture = (messages: readonly Uint8Array[]): Buffer => {
  const file = Buffer.alloc(24);
  file.writeUInt32LE(0xa1b2c3d4, 0);
  file.writeUInt16LE(2, 4);
  file.writeUInt16LE(4, 6);
  file.writeUInt32LE(0x4_0000, 16);
  file.writeUInt32LE(101, 20);
  const records = messages.flatMap((message, at) => {
    const packet = datagram(message);
    const head = Buffer.alloc(16);
    head.writeUInt32LE(at, 0);
    head.writeUInt32LE(packet.length, 8);
    head.writeUInt32LE(packet.length, 12);
    return [head, packet];
  });
  return Buffer.concat([file, ...records]);
};

const datagram = (message: Uint8Array): Buffer => {
  const packet = Buffer.alloc(28 + message.length);
  packet.writeUInt16BE(0x4500, 0);
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0x4011, 8);
  packet.set([127, 0, 0, 1, 127, 0, 0, 1], 12);
  packet.writeUInt16BE(2944, 20);
  packet.writeUInt16BE(2944, 22);
  packet.writeUInt16BE(8 + message.length, 24);
  packet.set(message, 28);
  return packet;
};
