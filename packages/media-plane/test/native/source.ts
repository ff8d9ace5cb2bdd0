// Test fixture: one RTP source of a script: its packets in clear with losses, wraps, restarts and reports, and the same
// sealed under any key at any rollover count.
import { createSrtpSender, suites, type SrtpSender, type SuiteName } from "@sallyport/srtp";
import type { PlaneKey } from "../../src/index.ts";
import type { Dice } from "./dice.ts";

export interface SealingKey {
  readonly suite: SuiteName;
  readonly key: PlaneKey;
}

export interface Source {
  /** The next RTP packet, in clear. */
  media(): Buffer;
  /** The next RTCP packet, in clear. */
  report(heard: readonly number[]): Buffer;
  /** The middle of the NTP timestamp of the last sender report. */
  readonly stamp: number;
  /** Seals what `media` or `report` gave last. */
  seal(kind: "rtp" | "rtcp", packet: Buffer, under: SealingKey): Buffer;
  /** The rollover count goes on from another value, as after a change of keys: 0, or one beside. */
  turnOver(rollover: number): void;
  readonly rollover: number;
  /** The sequence numbers go on somewhere else. */
  jump(to: number): void;
}

const payloadTypes = [0, 8, 9, 18, 31, 96, 97, 111] as const;

export const sourceOf = (dice: Dice, ssrc: number): Source => {
  const payloadType = dice.pick(payloadTypes);
  // RFC 3711 3.3.1: most start low, some near the wrap.
  let sequence = dice.onceIn(3) ? 65_520 + dice.below(16) : dice.below(33_000);
  let rollover = 0;
  let timestamp = dice.below(2 ** 32);
  let stamp = 0;
  let lastIndex = 0;
  let reports = 0;
  const senders = new Map<PlaneKey, { readonly sender: SrtpSender; rtp: number; rtcp: number }>();

  const advance = (): void => {
    const step = dice.onceIn(12) ? 1 + dice.below(dice.onceIn(6) ? 9000 : 40) : 1;
    sequence += step;
    if (sequence > 65_535) {
      sequence -= 65_536;
      rollover += 1;
    }
    timestamp = (timestamp + 160 * step + (dice.onceIn(9) ? dice.below(300) : 0)) >>> 0;
  };

  const senderUnder = ({ suite, key }: SealingKey, index: number, report: number): SrtpSender => {
    const known = senders.get(key);
    if (known !== undefined) {
      if (known.rtp <= index && index - known.rtp < 30_000 && known.rtcp <= report) {
        known.rtp = index;
        known.rtcp = report;
        return known.sender;
      }
      known.sender.release();
    }
    const { lifetime: _, ...endless } = key;
    // Goes on exactly below what is to be sealed: this end keeps no rule but the form.
    const resume = new Map([[ssrc, { rtp: index - 1, rtcp: report - 1, rtpPackets: 0 }]]);
    const sender = createSrtpSender({ suite: suites[suite], key: endless, resume });
    senders.set(key, { sender, rtp: index, rtcp: report });
    return sender;
  };

  return {
    media: () => {
      advance();
      const csrcs = dice.onceIn(15) ? dice.below(4) : 0;
      const extension = dice.onceIn(15)
        ? Buffer.concat([Buffer.from([0xbe, 0xde, 0, 1]), dice.octets(4)])
        : Buffer.alloc(0);
      const header = Buffer.alloc(12 + 4 * csrcs);
      header[0] = 0x80 | csrcs | (extension.length > 0 ? 0x10 : 0);
      header[1] = payloadType | (dice.onceIn(30) ? 0x80 : 0);
      header.writeUInt16BE(sequence, 2);
      header.writeUInt32BE(timestamp, 4);
      header.writeUInt32BE(ssrc, 8);
      const length = dice.onceIn(10) ? dice.below(300) : 40 + dice.below(3);
      const payload = dice.onceIn(4) ? Buffer.alloc(length, 0xd5) : dice.octets(length);
      lastIndex = rollover * 65_536 + sequence;
      return Buffer.concat([header, extension, payload]);
    },
    report: (heard) => {
      reports += 1 + (dice.onceIn(8) ? dice.below(200) : 0);
      if (dice.onceIn(20)) {
        const app = Buffer.alloc(12);
        app.set([0x80, 204, 0, 2]);
        app.writeUInt32BE(ssrc, 4);
        return app;
      }
      const blocks = heard.slice(0, dice.below(3)).map((last) => {
        const block = dice.octets(24);
        block.writeUInt32BE(last, 16);
        block.writeUInt32BE(dice.below(40_000), 20);
        return block;
      });
      const isSender = dice.onceIn(2);
      const head = Buffer.alloc(isSender ? 28 : 8);
      head.set([0x80 | blocks.length, isSender ? 200 : 201]);
      head.writeUInt16BE((head.length + 24 * blocks.length) / 4 - 1, 2);
      head.writeUInt32BE(ssrc, 4);
      if (isSender) {
        dice.octets(20).copy(head, 8);
        stamp = head.readUInt32BE(10);
      }
      const description = Buffer.from([0x81, 202, 0, 2, 1, 2, 3, 4, 0, 0, 0, 0]);
      return Buffer.concat([head, ...blocks, ...(dice.onceIn(2) ? [description] : [])]);
    },
    seal: (kind, packet, under) => {
      const sender = senderUnder(under, lastIndex, reports);
      const result = kind === "rtp" ? sender.protectRtp(packet) : sender.protectRtcp(packet);
      // A copy of what was sealed already: in clear it goes as well.
      return result.ok ? result.packet : packet;
    },
    turnOver: (to) => {
      rollover = to;
    },
    get rollover() {
      return rollover;
    },
    get stamp() {
      return stamp;
    },
    jump: (to) => {
      sequence = to;
    },
  };
};
