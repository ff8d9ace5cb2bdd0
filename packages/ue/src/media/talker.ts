// Owns what leaves in which 20 ms slot: speech frames and telephone-events, sequence numbers, timestamps, marker.
// Pure but for its own counters; knows no clock, no socket, no key. RFC 3550 5.1, RFC 3551 4.1, RFC 4733 2.5.1.
import type { Random } from "@sallyport/kit";
import { silenceOf, type Law } from "./g711.ts";
import { eventOf, writeEvent } from "./telephone-event.ts";

export const frameMs = 20;
const frameSamples = 160;

/** How long a digit sounds and pauses, in frames. RFC 4733 2.5.1.4: its end is said three times. */
const digitFrames = 5;
const pauseFrames = 3;
const endRepeats = 3;

type Item =
  | { readonly kind: "speech"; readonly law: Law; readonly payloadType: number; readonly octets: Buffer; at: number }
  | { readonly kind: "digit"; readonly event: number; readonly payloadType: number; at: number };

interface TalkerPacket {
  readonly packet: Buffer;
  readonly payload: Buffer;
  readonly kind: "speech" | "digit";
}

export interface Talker {
  readonly ssrc: number;
  /** True while something waits to be sent. */
  readonly busy: boolean;
  /** Queues speech; the last frame is filled up with silence. `done` runs after its last frame. */
  speak(law: Law, payloadType: number, octets: Buffer, done: () => void): void;
  /** Queues a digit. False when it is none of 0-9 * # A-D. */
  press(digit: string, payloadType: number, done: () => void): boolean;
  /** The packets of one slot; `slot` counts 20 ms steps and never goes back. */
  next(slot: number): readonly TalkerPacket[];
  /** Forgets what waits; their `done` never runs. */
  clear(): void;
  /** RTP timestamp of a slot, or of a moment within one. */
  timestampOf(slot: number): number;
  readonly packets: number;
  readonly octets: number;
}

export const createTalker = (random: Random): Talker => {
  const start = random.bytes(10);
  const ssrc = start.readUInt32BE(0);
  const origin = start.readUInt32BE(4);
  // RFC 4568 6.4: beginning in the lower half keeps the receiver from missing the first wrap.
  let sequence = start.readUInt16BE(8) & 0x7fff;
  const queue: { readonly item: Item; readonly done: () => void }[] = [];
  let lastSpeechSlot = -2;
  let eventTimestamp = 0;
  let packets = 0;
  let octets = 0;

  const timestampOf = (slot: number): number => (origin + Math.floor(slot * frameSamples)) >>> 0;
  const packetOf = (payloadType: number, marker: boolean, timestamp: number, payload: Buffer): Buffer => {
    const packet = Buffer.alloc(12 + payload.length);
    packet[0] = 0x80;
    packet[1] = (marker ? 0x80 : 0) | payloadType;
    packet.writeUInt16BE(sequence, 2);
    packet.writeUInt32BE(timestamp, 4);
    packet.writeUInt32BE(ssrc, 8);
    payload.copy(packet, 12);
    sequence = (sequence + 1) & 0xffff;
    packets += 1;
    octets += payload.length;
    return packet;
  };

  const speech = (item: Item & { kind: "speech" }, slot: number): TalkerPacket => {
    let payload = item.octets.subarray(item.at, item.at + frameSamples);
    if (payload.length < frameSamples) {
      payload = Buffer.concat([payload, Buffer.alloc(frameSamples - payload.length, silenceOf(item.law))]);
    }
    item.at += frameSamples;
    // RFC 3551 4.1: the marker says that a talkspurt begins after a silence in which nothing was sent.
    const marker = slot !== lastSpeechSlot + 1;
    lastSpeechSlot = slot;
    return { kind: "speech", payload, packet: packetOf(item.payloadType, marker, timestampOf(slot), payload) };
  };

  const digit = (item: Item & { kind: "digit" }, slot: number): readonly TalkerPacket[] => {
    const first = item.at === 0;
    if (first) eventTimestamp = timestampOf(slot);
    item.at += 1;
    if (item.at > digitFrames) return [];
    const end = item.at === digitFrames;
    return Array.from({ length: end ? endRepeats : 1 }, () => {
      const payload = writeEvent(item.event, end, item.at * frameSamples);
      return { kind: "digit" as const, payload, packet: packetOf(item.payloadType, first, eventTimestamp, payload) };
    });
  };

  return {
    ssrc,
    get busy() {
      return queue.length > 0;
    },
    speak: (law, payloadType, speechOctets, done) => {
      if (speechOctets.length === 0) return done();
      queue.push({ item: { kind: "speech", law, payloadType, octets: speechOctets, at: 0 }, done });
    },
    press: (character, payloadType, done) => {
      const event = eventOf(character);
      if (event === undefined) return false;
      queue.push({ item: { kind: "digit", event, payloadType, at: 0 }, done });
      return true;
    },
    next: (slot) => {
      const [head] = queue;
      if (head === undefined) return [];
      const { item } = head;
      const out = item.kind === "speech" ? [speech(item, slot)] : digit(item, slot);
      const over = item.kind === "speech" ? item.at >= item.octets.length : item.at === digitFrames + pauseFrames;
      if (over) {
        queue.shift();
        head.done();
      }
      return out;
    },
    clear: () => void queue.splice(0),
    timestampOf,
    get packets() {
      return packets;
    },
    get octets() {
      return octets;
    },
  };
};
