// Owns when RTCP is sent and what it says about us and about what we heard. Knows no socket and no key.
// RFC 3550 6.2 and 6.3 (interval, randomised, the first one halved), 6.4 (SR when we sent since the last report).
import type { Clock, Random, Timer } from "@sallyport/kit";
import type { Reception } from "./reception.ts";
import { ntpMiddle, parseReport, writeReport, type ReportBlock } from "./rtcp.ts";
import type { Talker } from "./talker.ts";

/** What the other side's reports said. */
export interface ControlView {
  readonly sent: number;
  readonly received: number;
  readonly malformed: number;
  readonly senderReports: number;
  /** Their last block about us. */
  readonly remote?: { readonly fractionLost: number; readonly lost: number; readonly jitter: number };
  readonly roundTripMs?: number;
  readonly cname?: string;
  readonly bye: boolean;
}

export interface Control {
  /** Begins reporting; harmless when it did. */
  start(): void;
  take(packet: Buffer): void;
  readonly view: ControlView;
  /** Sends a last report with BYE, and no more. */
  stop(): void;
}

export interface ControlOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly talker: Talker;
  readonly cname: string;
  readonly intervalMs: number;
  /** RTP timestamp of this moment on the sender's clock. */
  rtpNow(): number;
  receptions(): ReadonlyMap<number, Reception>;
  /** False when it could not be sent. */
  send(packet: Buffer): boolean;
}

export const createControl = (options: ControlOptions): Control => {
  const { clock, random, talker } = options;
  const lastReports = new Map<number, { readonly middle: number; readonly at: number }>();
  let timer: Timer | undefined;
  let started = false;
  let stopped = false;
  let packetsReported = 0;
  let view: ControlView = { sent: 0, received: 0, malformed: 0, senderReports: 0, bye: false };

  const blocks = (): readonly ReportBlock[] =>
    Array.from(options.receptions(), ([ssrc, reception]) => {
      const { lost, extendedHighest, jitter } = reception.view;
      const last = lastReports.get(ssrc);
      return {
        ssrc,
        fractionLost: reception.takeFraction(),
        cumulativeLost: lost,
        extendedHighest,
        jitter,
        lastSr: last?.middle ?? 0,
        delaySinceLastSr: last === undefined ? 0 : Math.round((clock.now() - last.at) * 65.536),
      };
    });

  const report = (bye: boolean): void => {
    const { packets, octets } = talker;
    const active = packets > packetsReported;
    const packet = writeReport({
      ssrc: talker.ssrc,
      ...(active ? { sender: { at: clock.now(), rtpTimestamp: options.rtpNow(), packets, octets } } : {}),
      blocks: blocks(),
      cname: options.cname,
      bye,
    });
    if (!options.send(packet)) return;
    packetsReported = packets;
    view = { ...view, sent: view.sent + 1 };
  };

  const arm = (factor: number): void => {
    // 6.3.1: uniformly between half and one and a half of the interval, so that reports do not fall into step.
    const share = 0.5 + random.bytes(2).readUInt16BE(0) / 65_536;
    timer = clock.after(options.intervalMs * factor * share, () => {
      report(false);
      arm(1);
    });
  };

  return {
    start: () => {
      if (started || stopped) return;
      started = true;
      arm(0.5);
    },
    take: (packet) => {
      const read = parseReport(packet);
      if (read === undefined) {
        view = { ...view, malformed: view.malformed + 1 };
        return;
      }
      const now = clock.now();
      if (read.lastSr !== undefined && options.receptions().has(read.ssrc)) {
        lastReports.set(read.ssrc, { middle: read.lastSr, at: now });
      }
      const about = read.blocks.find((block) => block.ssrc === talker.ssrc);
      // 6.4.1: round trip = arrival - LSR - DLSR, modulo 2^32.
      const trip =
        about === undefined || about.lastSr === 0
          ? undefined
          : (ntpMiddle(now) - about.lastSr - about.delaySinceLastSr) | 0;
      view = {
        ...view,
        received: view.received + 1,
        senderReports: view.senderReports + (read.lastSr === undefined ? 0 : 1),
        bye: view.bye || read.bye.length > 0,
        ...(about === undefined
          ? {}
          : { remote: { fractionLost: about.fractionLost, lost: about.cumulativeLost, jitter: about.jitter } }),
        ...(trip === undefined ? {} : { roundTripMs: Math.max(0, trip / 65.536) }),
        ...(read.cname === undefined ? {} : { cname: read.cname }),
      };
    },
    get view() {
      return view;
    },
    stop: () => {
      if (stopped) return;
      stopped = true;
      timer?.cancel();
      if (started) report(true);
    },
  };
};
