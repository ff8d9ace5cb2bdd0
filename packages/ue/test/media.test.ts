import { createHash } from "node:crypto";
import { VirtualClock, seededRandom } from "@sallyport/kit";
import { parseRtpHeader } from "@sallyport/srtp";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeG711, encodeG711, parseWav, payloadOf, silenceOf, writeWav } from "../src/index.ts";
import { createPacer } from "../src/media/pacer.ts";
import { createReception } from "../src/media/reception.ts";
import { createRecording } from "../src/media/recording.ts";
import { ntpMiddle, parseReport, writeReport } from "../src/media/rtcp.ts";
import { createTalker } from "../src/media/talker.ts";
import { createDigitReceiver, digitOf, eventOf, writeEvent } from "../src/media/telephone-event.ts";

const everyOctet = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));

describe("G.711", () => {
  it("ITU-T G.711: known steps of both laws", () => {
    expect(Array.from(decodeG711("PCMA", Buffer.from([0xd5, 0x55, 0xaa, 0x2a, 0x80, 0x00])))).toEqual([
      8, -8, 32256, -32256, 5504, -5504,
    ]);
    expect(Array.from(decodeG711("PCMU", Buffer.from([0xff, 0x7f, 0x80, 0x00, 0xf0, 0x70])))).toEqual([
      0, 0, 32124, -32124, 120, -120,
    ]);
    expect([silenceOf("PCMA"), silenceOf("PCMU")]).toEqual([0xd5, 0xff]);
  });

  it("ITU-T G.711: every octet decodes and encodes back to itself; mu-law's negative zero alone becomes zero", () => {
    expect(encodeG711("PCMA", decodeG711("PCMA", everyOctet)).equals(everyOctet)).toBe(true);
    const back = encodeG711("PCMU", decodeG711("PCMU", everyOctet));
    const differing = Array.from(everyOctet).filter((octet) => back[octet] !== octet);
    expect(differing).toEqual([0x7f]);
  });

  it("ITU-T G.711: every sample comes back within the step of its segment", () => {
    for (const law of ["PCMA", "PCMU"] as const) {
      const samples = Int16Array.from({ length: 65_536 }, (_, at) => at - 32_768);
      const back = decodeG711(law, encodeG711(law, samples));
      const worst = samples.reduce((most, sample, at) => {
        const error = Math.abs((back[at] ?? 0) - sample);
        // A step is at most 1/16 of the value's power of two; small values have a step of 16 (A) or 8 (mu).
        const allowed = Math.max(law === "PCMA" ? 8 : 4, (Math.abs(sample) + 132) / 16 / 2 + 8);
        return Math.max(most, error / (Math.abs(sample) > 32_000 ? 1024 : allowed));
      }, 0);
      expect(worst).toBeLessThanOrEqual(1.2);
    }
  });
});

describe("WAV", () => {
  const samples = Int16Array.from({ length: 321 }, (_, at) => Math.round(12_000 * Math.sin(at / 9)));

  it("writes and reads linear, A-law and mu-law; octets of the same law pass unchanged", () => {
    const linear = parseWav(writeWav({ kind: "linear", samples }));
    expect(linear.ok && linear.sound.kind === "linear" && Array.from(linear.sound.samples)).toEqual(
      Array.from(samples),
    );
    for (const law of ["PCMA", "PCMU"] as const) {
      const read = parseWav(writeWav({ kind: "companded", law, octets: everyOctet }));
      if (!read.ok) throw new Error(read.code);
      expect(payloadOf(read.sound, law).equals(everyOctet)).toBe(true);
      const other = law === "PCMA" ? "PCMU" : "PCMA";
      expect(payloadOf(read.sound, other)).toEqual(encodeG711(other, decodeG711(law, everyOctet)));
    }
  });

  it("skips foreign chunks, takes an unknown data size, and refuses what it cannot play", () => {
    const wav = writeWav({ kind: "linear", samples });
    const list = Buffer.concat([Buffer.from("LIST"), Buffer.from([3, 0, 0, 0]), Buffer.from("abc\0")]);
    expect(parseWav(Buffer.concat([wav.subarray(0, 12), list, wav.subarray(12)])).ok).toBe(true);
    const streamed = Buffer.from(wav);
    streamed.writeUInt32LE(0xffff_ffff, 40);
    expect(parseWav(streamed).ok).toBe(true);
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(wav);
      copy.writeUInt16LE(value, at);
      return copy;
    };
    expect(parseWav(changed(22, 2))).toMatchObject({ ok: false, code: "channels" });
    expect(parseWav(changed(24, 16_000))).toMatchObject({ ok: false, code: "rate" });
    expect(parseWav(changed(20, 3))).toMatchObject({ ok: false, code: "encoding" });
    expect(parseWav(wav.subarray(0, 100))).toMatchObject({ ok: false, code: "truncated" });
    expect(parseWav(wav.subarray(0, 36))).toMatchObject({ ok: false, code: "no-data" });
    expect(parseWav(Buffer.from("RIFX"))).toMatchObject({ ok: false, code: "not-wav" });
  });

  it("any octets: never throws", () => {
    const wav = writeWav({ kind: "companded", law: "PCMA", octets: Buffer.alloc(20) });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(wav.length), (octets, at) => {
        const mangled = Buffer.concat([wav.subarray(0, at), octets, wav.subarray(at)]);
        return typeof parseWav(mangled).ok === "boolean";
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe("reception", () => {
  it("RFC 3550 A.1, A.3: counts loss over the wrap of the sequence number, and the fraction since the last report", () => {
    const reception = createReception(65_530);
    for (const step of [0, 1, 2, 3, 4, 5, 6, 8, 9]) reception.note((65_530 + step) & 0xffff, step * 160, step * 160);
    expect(reception.view).toMatchObject({ packets: 9, lost: 1, extendedHighest: 0x10000 + 3 });
    expect(reception.takeFraction()).toBe(Math.floor(256 / 10));
    for (const step of [10, 11, 12, 13]) reception.note((65_530 + step) & 0xffff, step * 160, step * 160);
    expect(reception.takeFraction()).toBe(0);
  });

  it("RFC 3550 A.1: a late packet keeps its place; a jump counts only when the next packet follows it", () => {
    const reception = createReception(0);
    for (const sequence of [0, 1, 65_535 - 65_533 + 1]) reception.note(sequence, 0, 0);
    expect(reception.note(2, 0, 0)).toBe(2);
    expect(reception.note(40_000, 0, 0)).toBeUndefined();
    expect(reception.note(4, 0, 0)).toBe(4);
    expect(reception.note(50_000, 0, 0)).toBeUndefined();
    expect(reception.note(50_001, 0, 0)).toBe(50_001);
    expect(reception.view).toMatchObject({ packets: 1, lost: 0 });
  });

  it("RFC 3550 A.1: a packet from before the wrap is ordered before it", () => {
    const reception = createReception(65_534);
    expect([65_534, 0, 65_535, 1].map((sequence) => reception.note(sequence, 0, 0))).toEqual([
      65_534, 65_536, 65_535, 65_537,
    ]);
  });

  it("RFC 3550 A.8: jitter is the smoothed difference of transit times, over the wrap of the timestamp too", () => {
    const even = createReception(0);
    const uneven = createReception(0);
    for (let at = 0; at < 200; at += 1) {
      const timestamp = (0xffff_f000 + 160 * at) >>> 0;
      even.note(at, timestamp, 160 * at);
      uneven.note(at, timestamp, 160 * at + (at % 2) * 80);
    }
    expect(even.view.jitter).toBe(0);
    expect(uneven.view.jitter).toBeGreaterThan(75);
    expect(uneven.view.jitter).toBeLessThanOrEqual(80);
  });
});

describe("RTCP", () => {
  const block = {
    ssrc: 7,
    fractionLost: 25,
    cumulativeLost: -3,
    extendedHighest: 0x10004,
    jitter: 80,
    lastSr: 0xdeadbeef,
    delaySinceLastSr: 65_536,
  };

  it("RFC 3550 6.1, 6.4.1, 6.5.1, 6.6: SR, CNAME and BYE in one compound packet, read back the same", () => {
    const at = Date.UTC(2024, 0, 1) + 250;
    const sender = { at, rtpTimestamp: 0xffff_ffff, packets: 5, octets: 800 };
    const packet = writeReport({ ssrc: 9, sender, blocks: [block], cname: "alice@example", bye: true });
    expect(packet.length % 4).toBe(0);
    expect([packet[1], packet[53], packet[packet.length - 7]]).toEqual([200, 202, 203]);
    // NTP: 1900 was 2208988800 s before 1970; a quarter of a second is 0x40000000.
    expect(packet.readUInt32BE(8)).toBe(Math.floor(at / 1000) + 2_208_988_800);
    expect(packet.readUInt32BE(12)).toBe(0x4000_0000);
    expect(parseReport(packet)).toEqual({
      ssrc: 9,
      lastSr: ntpMiddle(at),
      sender: { rtpTimestamp: 0xffff_ffff, packets: 5, octets: 800 },
      blocks: [block],
      cname: "alice@example",
      bye: [9],
    });
  });

  it("RFC 3550 6.4.2: a receiver report when nothing was sent; loss is clamped to 24 bits", () => {
    const packet = writeReport({ ssrc: 9, blocks: [{ ...block, cumulativeLost: 2 ** 30 }], cname: "x" });
    expect(packet[1]).toBe(201);
    expect(parseReport(packet)?.blocks[0]?.cumulativeLost).toBe(0x7f_ffff);
    expect(parseReport(packet)?.lastSr).toBeUndefined();
  });

  it("RFC 3550 A.2: what is no compound packet is refused; any octets never throw", () => {
    const good = writeReport({ ssrc: 9, blocks: [block], cname: "x" });
    for (const [at, octet] of [
      [0, 0x41],
      [0, 0xa1],
      [1, 202],
      [2, 0xff],
      [0, 0x9f],
    ] as const) {
      const bad = Buffer.from(good);
      bad[at] = octet;
      expect(parseReport(bad)).toBeUndefined();
    }
    expect(parseReport(good.subarray(0, good.length - 1))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(7), (octets, at) => {
        const mangled = Buffer.concat([good.subarray(0, 4 * at), Buffer.from(octets)]);
        const read = parseReport(mangled);
        return read === undefined || read.blocks.length <= 31 * 32;
      }),
      { numRuns: 1000, seed: 2 },
    );
  });
});

describe("telephone-event", () => {
  it("RFC 4733 2.3, 3.2: sixteen digits, four octets", () => {
    expect(Array.from({ length: 16 }, (_, event) => digitOf(event)).join("")).toBe("0123456789*#ABCD");
    expect(["0", "*", "#", "d", "x", "", "12"].map(eventOf)).toEqual([0, 10, 11, 15, undefined, undefined, undefined]);
    expect(writeEvent(11, true, 800).toString("hex")).toBe("0b8a0320");
  });

  it("RFC 4733 2.5.2.2: one digit per timestamp, whatever of its packets comes, in whatever order", () => {
    const receiver = createDigitReceiver();
    expect(receiver.take(1, 1000, writeEvent(5, true, 800))).toBe(true);
    expect(receiver.take(1, 1000, writeEvent(5, false, 160))).toBe(false);
    expect(receiver.take(1, 3000, writeEvent(5, false, 160))).toBe(true);
    expect(receiver.take(1, 1000, writeEvent(5, true, 800))).toBe(false);
    expect(receiver.take(1, 5000, Buffer.from([77, 0, 0, 0]))).toBe(false);
    expect(receiver.take(1, 5000, Buffer.from([1]))).toBe(false);
    expect(receiver.received).toEqual([
      { digit: "5", timestamp: 1000, durationMs: 100 },
      { digit: "5", timestamp: 3000, durationMs: 20 },
    ]);
  });
});

describe("talker", () => {
  const headersOf = (packets: readonly { readonly packet: Buffer }[]) =>
    packets.map(({ packet }) => {
      const header = parseRtpHeader(packet);
      if (!header.ok) throw new Error(header.code);
      return header;
    });

  it("RFC 3551 4.1: 160 samples a packet, one timestamp step each, the marker only where a talkspurt begins", () => {
    const talker = createTalker(seededRandom(1));
    let done = 0;
    talker.speak("PCMA", 8, everyOctet.subarray(0, 200), () => (done += 1));
    talker.speak("PCMA", 8, everyOctet.subarray(0, 160), () => (done += 1));
    const first = [0, 1, 2, 3].flatMap((slot) => talker.next(slot));
    talker.speak("PCMA", 8, everyOctet.subarray(0, 160), () => (done += 1));
    const all = headersOf([...first, ...talker.next(9)]);
    expect(done).toBe(3);
    expect(all.map(({ marker }) => marker)).toEqual([true, false, false, true]);
    expect(all.map(({ timestamp }) => (timestamp - (all[0]?.timestamp ?? 0)) / 160)).toEqual([0, 1, 2, 9]);
    expect(all.map(({ sequence }) => sequence - (all[0]?.sequence ?? 0))).toEqual([0, 1, 2, 3]);
    expect(first[1]?.payload.subarray(40).equals(Buffer.alloc(120, 0xd5))).toBe(true);
    // RFC 4568 6.4: the first sequence number is in the lower half.
    expect(all[0]?.sequence).toBeLessThan(0x8000);
  });

  it("RFC 4733 2.5.1: one timestamp per digit, growing duration, the end three times, then a pause", () => {
    const talker = createTalker(seededRandom(2));
    let done = false;
    expect(talker.press("7", 101, () => (done = true))).toBe(true);
    expect(talker.press("x", 101, () => undefined)).toBe(false);
    const slots = Array.from({ length: 8 }, (_, slot) => talker.next(slot));
    expect(slots.map((packets) => packets.length)).toEqual([1, 1, 1, 1, 3, 0, 0, 0]);
    const packets = slots.flat();
    const headers = headersOf(packets);
    expect(new Set(headers.map(({ timestamp }) => timestamp)).size).toBe(1);
    expect(headers.map(({ marker }) => marker)).toEqual([true, false, false, false, false, false, false]);
    expect(packets.map(({ payload }) => payload.toString("hex"))).toEqual([
      "070a00a0",
      "070a0140",
      "070a01e0",
      "070a0280",
      "078a0320",
      "078a0320",
      "078a0320",
    ]);
    expect(done).toBe(true);
    expect(talker.busy).toBe(false);
  });
});

describe("pacer", () => {
  it("beats once per slot without drift, however late each timer is", () => {
    const clock = new VirtualClock(5000);
    const late = {
      now: () => clock.now(),
      after: (ms: number, run: () => void) => clock.after(ms + 7, run),
    };
    const slots: number[] = [];
    let latest = 0;
    const pacer = createPacer(late, 20, (slot) => {
      slots.push(slot);
      latest = Math.max(latest, clock.now() - 5000 - 20 * slot);
      return slots.length < 500;
    });
    pacer.wake();
    pacer.wake();
    clock.advance(20_000);
    expect(slots).toEqual(Array.from({ length: 500 }, (_, at) => at));
    // Five hundred late timers, and no beat later than one of them.
    expect(latest).toBe(7);
    expect(clock.waiting).toBe(0);
  });

  it("catches up a short stop, skips a long one, and leaves no timer behind", () => {
    const clock = new VirtualClock(0);
    let blocked = 0;
    const slow = { now: () => clock.now() + blocked, after: (ms: number, run: () => void) => clock.after(ms, run) };
    const slots: number[] = [];
    const pacer = createPacer(slow, 20, (slot) => {
      slots.push(slot);
      return true;
    });
    pacer.wake();
    clock.advance(0);
    blocked = 100;
    clock.advance(20);
    expect(slots).toEqual([0, 1, 2, 3, 4, 5, 6]);
    blocked = 100_000;
    clock.advance(20);
    expect(slots.length).toBe(8);
    pacer.stop();
    expect(clock.waiting).toBe(0);
  });
});

describe("recording", () => {
  const frame = (sequence: number, timestamp: number, octet: number) => ({
    ssrc: 1,
    sequence,
    timestamp,
    law: "PCMA" as const,
    payload: Buffer.alloc(160, octet),
  });

  it("puts frames in order, once each, silence where some are missing, and stops at its bound", () => {
    const recording = createRecording(800);
    expect(recording.add(frame(12, 320, 3))).toBe(true);
    expect(recording.add(frame(10, 0, 1))).toBe(true);
    expect(recording.add(frame(10, 0, 9))).toBe(false);
    expect(createHash("sha256").update(recording.octets()).digest("hex")).toBe(
      createHash("sha256")
        .update(Buffer.concat([Buffer.alloc(160, 1), Buffer.alloc(160, 3)]))
        .digest("hex"),
    );
    const sound = recording.sound();
    expect(sound.kind === "companded" && sound.octets.subarray(160, 320).every((octet) => octet === 0xd5)).toBe(true);
    for (const sequence of [13, 14, 15]) expect(recording.add(frame(sequence, 160 * sequence, 1))).toBe(true);
    expect(recording.add(frame(16, 0, 1))).toBe(false);
    expect(recording.full).toBe(true);
  });
});
