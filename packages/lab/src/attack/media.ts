// Attacks a protected media stream as somebody on the path could: flipped bits, replays, and packets under another key.
import type { Endpoint, Random } from "@sallyport/kit";
import { Secret } from "@sallyport/kit";
import { createSrtpSender, parseRtpHeader, type Suite } from "@sallyport/srtp";

export interface MediaAttack {
  readonly kind: "bit-flipped" | "replayed" | "wrong-key";
  readonly octets: Buffer;
}

/** How far ahead of the stream forged sequence numbers lie, so that no replay list hides what the tag must catch. */
const ahead = 100;

const flipped = (packet: Buffer, index: number): Buffer => {
  const copy = Buffer.from(packet);
  // A sequence number not yet seen, and one bit of everything behind the header in turn.
  copy.writeUInt16BE((copy.readUInt16BE(2) + ahead + index) & 0xffff, 2);
  const at = 12 + (index % (copy.length - 12));
  copy[at] = (copy[at] ?? 0) ^ (1 << (index % 8));
  return copy;
};

/** `each` packets of each kind, made from packets that were captured. Sequence numbers assume a stream that runs on. */
export const mediaAttacks = (
  captured: readonly Buffer[],
  suite: Suite,
  each: number,
  random: Random,
): readonly MediaAttack[] => {
  const recent = captured.slice(-each);
  const latest = recent.at(-1);
  const header = latest === undefined ? undefined : parseRtpHeader(latest);
  if (latest === undefined || header === undefined || !header.ok || recent.length < each) return [];
  const stranger = createSrtpSender({ suite, key: { master: Secret.take(random.bytes(suite.masterLength)) } });
  const forged = Array.from({ length: each }, (_, index) => {
    const plain = Buffer.alloc(header.headerLength + 160, 0xd5);
    latest.copy(plain, 0, 0, header.headerLength);
    plain.writeUInt16BE((header.sequence + ahead + index) & 0xffff, 2);
    const made = stranger.protectRtp(plain);
    return made.ok ? [{ kind: "wrong-key", octets: made.packet } as const] : [];
  }).flat();
  stranger.release();
  return [
    ...recent.map((packet, index) => ({ kind: "bit-flipped", octets: flipped(packet, index) }) as const),
    ...recent.map((packet) => ({ kind: "replayed", octets: packet }) as const),
    ...forged,
  ];
};

/** Sends the attacks one after the other through `send`, towards the gateway's access port. */
export const launch = (
  attacks: readonly MediaAttack[],
  send: (octets: Buffer, to: Endpoint) => void,
  target: Endpoint,
): void => {
  for (const { octets } of attacks) send(octets, target);
};
