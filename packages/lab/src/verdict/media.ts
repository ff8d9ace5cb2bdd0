// Judges the media of a call from the packets that were tapped and from what each UE played and recorded.
import { parseRtpHeader, classifyPacket } from "@sallyport/srtp";
import type { RecordedFrame } from "@sallyport/ue";
import type { TappedPacket } from "../watch/taps.ts";

/** Whether the octets heard are the octets said: all of them, in order, nothing else. */
export const heardWhole = (said: Buffer, heard: Buffer, voice: Buffer): boolean =>
  said.length > 0 && said.equals(heard) && heard.includes(voice);

const isMedia = ({ octets }: TappedPacket): boolean => classifyPacket(octets) === "rtp";

/** How many RTP packets on a tap show a frame of these voices in clear. */
export const clearFrames = (packets: readonly TappedPacket[], voices: readonly Buffer[]): number =>
  packets.filter((packet) => {
    if (!isMedia(packet)) return false;
    const header = parseRtpHeader(packet.octets);
    if (!header.ok) return false;
    // A run of speech long enough not to occur by chance; silence is the same octet over and over and proves nothing.
    const run = packet.octets.subarray(header.headerLength, header.headerLength + 64);
    return run.length === 64 && new Set(run).size > 4 && voices.some((voice) => voice.includes(run));
  }).length;

export interface PlainComparison {
  /** Packets the UE sent. */
  readonly sent: number;
  /** Those that crossed the core as plain RTP: same header, same payload, octet for octet. */
  readonly equal: number;
  /** RTP packets that arrived there and are none of those. */
  readonly foreign: number;
}

const keyed = (
  packets: readonly TappedPacket[],
  wanted: (packet: TappedPacket) => boolean,
): ReadonlyMap<string, Buffer> => {
  const found = new Map<string, Buffer>();
  for (const packet of packets) {
    if (!wanted(packet) || !isMedia(packet)) continue;
    const header = parseRtpHeader(packet.octets);
    if (header.ok) found.set(`${header.ssrc}/${header.timestamp}`, packet.octets);
  }
  return found;
};

/**
 * Compares, whole packet by whole packet, what a UE sent with what arrived at a port on the core side. The header of an
 * SRTP packet is in clear, so the plain packet is known: that header, and the payload the UE says it spoke.
 */
export const comparePlain = (
  frames: readonly RecordedFrame[],
  accessSide: readonly TappedPacket[],
  coreSide: readonly TappedPacket[],
  corePort: number,
): PlainComparison => {
  const sealed = keyed(accessSide, ({ direction }) => direction === "out");
  const expected = frames.flatMap(({ ssrc, timestamp, payload }) => {
    const srtp = sealed.get(`${ssrc}/${timestamp}`);
    const header = srtp === undefined ? undefined : parseRtpHeader(srtp);
    return srtp !== undefined && header?.ok === true
      ? [Buffer.concat([srtp.subarray(0, header.headerLength), payload]).toString("latin1")]
      : [];
  });
  const arrived = coreSide
    .filter((packet) => packet.direction === "in" && packet.local.port === corePort && isMedia(packet))
    .map(({ octets }) => octets.toString("latin1"));
  const [wanted, found] = [new Set(expected), new Set(arrived)];
  return {
    sent: frames.length,
    equal: expected.filter((packet) => found.has(packet)).length,
    foreign: arrived.filter((packet) => !wanted.has(packet)).length,
  };
};
