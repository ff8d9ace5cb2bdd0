// Owns what was heard and said in a call, as payload octets: in order, once each, bounded. Knows no packet header.
import { decodeG711, silenceOf, type Law } from "./g711.ts";
import type { Sound } from "./wav.ts";

export interface RecordedFrame {
  readonly ssrc: number;
  /** RFC 3550 A.1 extended sequence number. */
  readonly sequence: number;
  readonly timestamp: number;
  readonly law: Law;
  readonly payload: Buffer;
}

export interface Recording {
  /** Takes a copy. False when the frame is known already or the bound is reached. */
  add(frame: RecordedFrame): boolean;
  /** Frames in the order they were sent, source by source. */
  frames(): readonly RecordedFrame[];
  /** Their payloads, one after the other. */
  octets(): Buffer;
  /** As sound: what is missing becomes silence. All in the law of the first frame, or linear when laws were mixed. */
  sound(): Sound;
  /** The bound was reached, so later frames are not here. */
  readonly full: boolean;
}

/** Gaps longer than this (8000 Hz) are shortened to it, so that a stray timestamp cannot ask for memory. */
const maxGap = 8000 * 60;

export const createRecording = (maxOctets: number): Recording => {
  const bySource = new Map<number, Map<number, RecordedFrame>>();
  let held = 0;
  let full = false;

  const frames = (): readonly RecordedFrame[] =>
    Array.from(bySource.values()).flatMap((known) =>
      Array.from(known.values()).sort((a, b) => a.sequence - b.sequence),
    );

  return {
    add: (frame) => {
      const known = bySource.get(frame.ssrc) ?? new Map<number, RecordedFrame>();
      if (known.has(frame.sequence)) return false;
      if (held + frame.payload.length > maxOctets) {
        full = true;
        return false;
      }
      held += frame.payload.length;
      known.set(frame.sequence, { ...frame, payload: Buffer.from(frame.payload) });
      bySource.set(frame.ssrc, known);
      return true;
    },
    frames,
    octets: () => Buffer.concat(frames().map(({ payload }) => payload)),
    sound: () => {
      const all = frames();
      const law = all[0]?.law ?? "PCMA";
      const mixed = all.some((frame) => frame.law !== law);
      const parts: Buffer[] = [];
      let room = maxOctets;
      for (const [at, frame] of all.entries()) {
        const previous = all[at - 1];
        const gap = previous?.ssrc === frame.ssrc ? (frame.timestamp - previous.timestamp) | 0 : 0;
        const missing = Math.min(Math.max(0, gap - (previous?.payload.length ?? 0)), maxGap, room);
        room -= missing;
        if (missing > 0) parts.push(Buffer.alloc(missing, silenceOf(law)));
        parts.push(frame.payload);
      }
      if (!mixed) return { kind: "companded", law, octets: Buffer.concat(parts) };
      const samples = all.map((frame) => decodeG711(frame.law, frame.payload));
      const linear = new Int16Array(samples.reduce((sum, each) => sum + each.length, 0));
      let to = 0;
      for (const each of samples) {
        linear.set(each, to);
        to += each.length;
      }
      return { kind: "linear", samples: linear };
    },
    get full() {
      return full;
    },
  };
};
