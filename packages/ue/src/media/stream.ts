// Owns one audio stream of a call: its two sockets, its contexts, what is sent and what is kept of what comes.
// Must not know SIP or SDP. RFC 3550, RFC 3711, RFC 5761 4; every refused packet is counted and changes nothing.
import type { Clock, Endpoint, Log, OpenDatagram, Random } from "@sallyport/kit";
import { classifyPacket, parseRtpHeader } from "@sallyport/srtp";
import type { AgreedKeys } from "../call/security.ts";
import { ueErrors } from "../errors.ts";
import { createControl, type ControlView } from "./control.ts";
import type { Law } from "./g711.ts";
import { createPacer } from "./pacer.ts";
import { openPortPair } from "./ports.ts";
import { createProtection } from "./protection.ts";
import { createReception, type Reception, type ReceptionView } from "./reception.ts";
import { createRecording, type Recording } from "./recording.ts";
import { createTalker, frameMs } from "./talker.ts";
import { createDigitReceiver, type ReceivedDigit } from "./telephone-event.ts";
import { payloadOf, type Sound } from "./wav.ts";

/** What offer and answer agreed on for the stream. */
interface StreamPlan {
  readonly remote: { readonly address: string; readonly rtpPort: number; readonly rtcpPort: number };
  readonly mux: boolean;
  readonly speech: { readonly payloadType: number; readonly law: Law };
  /** Payload type to send telephone-event with, where agreed. */
  readonly event?: number;
  /** What we accept, by payload type. */
  readonly accepts: ReadonlyMap<number, Law | "event">;
  /** Undefined: clear media. */
  readonly keys?: AgreedKeys;
  readonly send: boolean;
  readonly receive: boolean;
}

export interface StreamCounters {
  readonly rtpSent: number;
  readonly rtpReceived: number;
  /** Packets that could not be authenticated, came twice, or were no SRTP on a secured stream. */
  readonly authenticationFailures: number;
  readonly replays: number;
  /** Everything else that was dropped: foreign source, unknown payload type, malformed, before an agreement. */
  readonly otherDropped: number;
  /** Packets of ours that the sending context refused. */
  readonly notSent: number;
}

export interface StreamView {
  readonly counters: StreamCounters;
  readonly control: ControlView;
  /** Per source, the latest last. */
  readonly sources: readonly (ReceptionView & { readonly ssrc: number })[];
  readonly digits: readonly ReceivedDigit[];
}

export interface AudioStream {
  readonly local: { readonly address: string; readonly rtpPort: number; readonly rtcpPort: number };
  readonly ssrc: number;
  /** Puts an agreement in force; unchanged keys keep their contexts. */
  agree(plan: StreamPlan): void;
  /** Resolves when the last frame has left. Rejects SALLY_UE_CALL_ENDED when the stream closes before. */
  play(sound: Sound): Promise<void>;
  /** Sends digits as telephone-event. Rejects SALLY_UE_MEDIA when it was not agreed. */
  press(digits: string): Promise<void>;
  readonly received: Recording;
  readonly sent: Recording;
  readonly view: StreamView;
  close(): Promise<void>;
}

export interface AudioStreamOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatagram: OpenDatagram;
  readonly address: string;
  readonly ports: { readonly first: number; readonly last: number } | undefined;
  readonly rtcpIntervalMs: number;
  readonly maxRecordedOctets: number;
  readonly cname: string;
  onDigit(digit: string): void;
}

const maxSources = 16;

/** @throws SALLY_UE_PORTS */
export const openAudioStream = async (options: AudioStreamOptions): Promise<AudioStream> => {
  const { clock, random, log } = options;
  const protection = createProtection();
  const talker = createTalker(random);
  const digits = createDigitReceiver();
  const receptions = new Map<number, Reception>();
  const received = createRecording(options.maxRecordedOctets);
  const sent = createRecording(options.maxRecordedOctets);
  const counters = {
    rtpSent: 0,
    rtpReceived: 0,
    authenticationFailures: 0,
    replays: 0,
    otherDropped: 0,
    notSent: 0,
  };
  const waiting = new Set<() => void>();
  let plan: StreamPlan | undefined;
  let closed = false;

  const drop = (why: keyof typeof counters): void => {
    counters[why] += 1;
  };

  const onPacket = (octets: Buffer, from: Endpoint, socket: "rtp" | "rtcp"): void => {
    if (closed) return;
    const kind = classifyPacket(octets);
    // RFC 5761 4: both kinds on the RTP port only where that was agreed.
    const expected = socket === "rtcp" ? kind === "rtcp" : kind === "rtp" || (kind === "rtcp" && plan?.mux === true);
    if (plan === undefined || !expected || (kind !== "rtp" && kind !== "rtcp")) return drop("otherDropped");
    // Clear media proves nothing about its sender: at least it has to come from where the other side said it is.
    if (!protection.secured && from.address !== plan.remote.address) return drop("otherDropped");
    const packet = protection.unprotect(kind, octets);
    if (typeof packet === "string") {
      if (packet === "replay" || packet === "too-old") return drop("replays");
      return drop(packet === "sources" || packet === "lifetime" ? "otherDropped" : "authenticationFailures");
    }
    if (kind === "rtcp") return control.take(packet);
    onRtp(packet, plan);
  };

  const onRtp = (packet: Buffer, agreed: StreamPlan): void => {
    const header = parseRtpHeader(packet);
    if (!header.ok || !agreed.receive) return drop("otherDropped");
    const law = agreed.accepts.get(header.payloadType);
    if (law === undefined) return drop("otherDropped");
    let reception = receptions.get(header.ssrc);
    if (reception === undefined) {
      if (receptions.size === maxSources) return drop("otherDropped");
      reception = createReception(header.sequence);
      receptions.set(header.ssrc, reception);
    }
    const padding = header.padding ? (packet[packet.length - 1] as number) : 0;
    const payload = packet.subarray(header.headerLength, Math.max(header.headerLength, packet.length - padding));
    const sequence = reception.note(header.sequence, header.timestamp, clock.now() * 8);
    if (sequence === undefined) return drop("otherDropped");
    counters.rtpReceived += 1;
    const { ssrc, timestamp } = header;
    if (law !== "event") return void received.add({ ssrc, sequence, timestamp, law, payload });
    if (digits.take(ssrc, timestamp, payload)) options.onDigit(digits.received.at(-1)?.digit ?? "");
  };

  const onError = (error: Error): void => log.debug("media socket error", { error: error.message });
  const pair = await openPortPair(options.openDatagram, random, options.address, options.ports, {
    rtp: { onMessage: (octets, from) => onPacket(octets, from, "rtp"), onError },
    rtcp: { onMessage: (octets, from) => onPacket(octets, from, "rtcp"), onError },
  });

  const transmit = (kind: "rtp" | "rtcp", packet: Buffer): boolean => {
    if (plan === undefined || closed) return false;
    const sealed = protection.protect(kind, packet);
    if (sealed === undefined) {
      counters.notSent += 1;
      return false;
    }
    const { address, rtpPort, rtcpPort } = plan.remote;
    if (kind === "rtp" || plan.mux) pair.rtp.send(sealed, { address, port: rtpPort });
    else pair.rtcp.send(sealed, { address, port: rtcpPort });
    return true;
  };

  const pacer = createPacer(clock, frameMs, (slot) => {
    for (const { packet, payload, kind } of talker.next(slot)) {
      if (plan?.send !== true || !transmit("rtp", packet)) continue;
      counters.rtpSent += 1;
      if (kind === "digit") continue;
      const law = plan.speech.law;
      sent.add({ ssrc: talker.ssrc, sequence: counters.rtpSent, timestamp: packet.readUInt32BE(4), law, payload });
    }
    return talker.busy;
  });

  const control = createControl({
    clock,
    random,
    talker,
    cname: options.cname,
    intervalMs: options.rtcpIntervalMs,
    rtpNow: () => talker.timestampOf(pacer.position),
    receptions: () => receptions,
    send: (packet) => transmit("rtcp", packet),
  });

  /** Queues something and waits for its end, or for the stream's. */
  const queued = (queue: (done: () => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(ueErrors("SALLY_UE_CALL_ENDED", "Nothing can be sent any more."));
      const abandon = (): void => reject(ueErrors("SALLY_UE_CALL_ENDED", "It ended before everything was sent."));
      waiting.add(abandon);
      queue(() => {
        waiting.delete(abandon);
        resolve();
      });
      pacer.wake();
      return undefined;
    });

  return {
    local: { address: pair.rtp.local.address, rtpPort: pair.rtp.local.port, rtcpPort: pair.rtcp.local.port },
    ssrc: talker.ssrc,
    agree: (next) => {
      protection.agree(next.keys);
      plan = next;
      control.start();
    },
    play: (sound) =>
      queued((done) => {
        const { law, payloadType } = plan?.speech ?? { law: "PCMA" as const, payloadType: 8 };
        talker.speak(law, payloadType, payloadOf(sound, law), done);
      }),
    press: async (text) => {
      const payloadType = plan?.event;
      if (payloadType === undefined) throw ueErrors("SALLY_UE_MEDIA", "telephone-event was not agreed.");
      for (const digit of text) {
        await queued((done) => {
          if (!talker.press(digit, payloadType, done)) done();
        });
      }
    },
    received,
    sent,
    get view() {
      return {
        counters: { ...counters },
        control: control.view,
        sources: Array.from(receptions, ([ssrc, reception]) => ({ ssrc, ...reception.view })),
        digits: digits.received.slice(),
      };
    },
    close: async () => {
      if (closed) return;
      control.stop();
      closed = true;
      pacer.stop();
      talker.clear();
      protection.release();
      for (const abandon of waiting) abandon();
      waiting.clear();
      await Promise.all([pair.rtp.close(), pair.rtcp.close()]);
    },
  };
};
