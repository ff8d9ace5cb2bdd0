// Test fixture: an Ethernet frame with a UDP datagram for the plane, its checksums right (RFC 768, RFC 791, RFC 1071).
import { ground } from "../ground.ts";

/** Hardware addresses, then source address and port, and the plane's port. */
export const frameOf = (
  to: string,
  from: string,
  source: string,
  sourcePort: number,
  port: number,
  payload: Buffer,
): Buffer => {
  const mac = (text: string): Buffer => Buffer.from(text.replaceAll(":", ""), "hex");
  const octets = (text: string): number[] => text.split(".").map(Number);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(sourcePort, 0);
  udp.writeUInt16BE(port, 2);
  udp.writeUInt16BE(8 + payload.length, 4);
  const header = Buffer.alloc(20);
  header.set([0x45, 0, 0, 28 + payload.length, 0, 0, 0x40, 0, 64, 17, 0, 0, ...octets(source), ...octets(ground.host)]);
  const sum = (parts: Buffer): number => {
    let total = 0;
    for (let at = 0; at < parts.length; at += 2) total += parts.readUInt16BE(at);
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    return ~total & 0xffff;
  };
  header.writeUInt16BE(sum(header), 10);
  const pseudo = Buffer.concat([header.subarray(12), Buffer.from([0, 17, 0, 8 + payload.length]), udp, payload]);
  udp.writeUInt16BE(sum(pseudo.length % 2 === 0 ? pseudo : Buffer.concat([pseudo, Buffer.alloc(1)])), 6);
  return Buffer.concat([mac(to), mac(from), Buffer.from([8, 0]), header, udp, payload]);
};
