// Packets as they may come from anywhere: the corpus under test/corpus, bent by a seeded generator. Nothing throws, nothing
// verifies that was not sealed, nothing is remembered of what was refused. New findings become files of the corpus.
import { readFileSync, readdirSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { classifyPacket, parseRtpHeader, rtpHeaderLength } from "../src/index.ts";
import { codeOf, packetOf, receiverOf, rtcp, rtp, senderOf, suiteNames } from "./support.ts";

const folder = new URL("corpus/", import.meta.url);
const corpus = readdirSync(folder).map((name) => ({
  name,
  octets: Buffer.from(
    readFileSync(new URL(name, folder), "utf8")
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .join(""),
    "hex",
  ),
}));

const edit = fc.record({
  at: fc.nat({ max: 120 }),
  cut: fc.nat({ max: 6 }),
  put: fc.oneof(fc.uint8Array({ maxLength: 6 }), fc.constantFrom(Uint8Array.of(0xff, 0xff), Uint8Array.of(0x80, 0xc8))),
});

const bend = (octets: Buffer, edits: readonly { at: number; cut: number; put: Uint8Array }[]): Buffer => {
  let bent = octets;
  for (const { at, cut, put } of edits) {
    const place = Math.min(at, bent.length);
    bent = Buffer.concat([bent.subarray(0, place), put, bent.subarray(place + cut)]);
  }
  return bent;
};

const bent = fc
  .tuple(fc.constantFrom(...corpus.map(({ octets }) => octets)), fc.array(edit, { maxLength: 4 }))
  .map(([octets, edits]) => bend(octets, edits));

describe("packets from anywhere", () => {
  it.each(corpus)("RFC 7983 7, RFC 5761 4: $name is what its name says", ({ name, octets }) => {
    const kind = classifyPacket(octets);
    const expected = /^(rtp|rtcp|stun|dtls)-/.exec(name)?.[1] ?? "unknown";
    expect(kind).toBe(expected);
    if (kind === "rtp") expect(parseRtpHeader(octets).ok).toBe(true);
  });

  it("RFC 7983 7: whatever comes has one kind, by its first two octets and its length; header lengths stay inside the packet", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bent,
          fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets)),
        ),
        (octets) => {
          const kind = classifyPacket(octets);
          const first = octets[0] ?? 0;
          if (kind === "rtp" || kind === "rtcp") {
            expect(first >> 6).toBe(2);
            expect((octets[1] ?? 0) >= 192 && (octets[1] ?? 0) <= 223).toBe(kind === "rtcp");
          } else if (kind === "stun") expect(first).toBeLessThanOrEqual(3);
          else if (kind === "dtls") expect(first >= 20 && first <= 63).toBe(true);
          const length = rtpHeaderLength(octets, octets.length);
          expect(length === -1 || (length >= 12 && length <= octets.length)).toBe(true);
          const header = parseRtpHeader(octets);
          if (header.ok) expect(header.headerLength + header.payloadLength).toBe(octets.length);
          else expect(length).toBe(-1);
        },
      ),
      { seed: 7983, numRuns: 3000 },
    );
  });

  it.each(suiteNames)("invariant 3: %s verifies nothing that was not sealed, and remembers nothing of it", (suite) => {
    fc.assert(
      fc.property(fc.array(bent, { minLength: 1, maxLength: 12 }), (packets) => {
        const sender = senderOf(suite);
        const receiver = receiverOf(suite, { maxSources: 4 });
        for (const packet of packets) {
          expect(codeOf(receiver.unprotectRtp(packet))).not.toBe("ok");
          expect(codeOf(receiver.unprotectRtcp(packet))).not.toBe("ok");
        }
        expect(receiver.counters.sources).toBe(0);
        expect(packetOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(1)))))).toEqual(rtp(1));
        expect(packetOf(receiver.unprotectRtcp(packetOf(sender.protectRtcp(rtcp()))))).toEqual(rtcp());
      }),
      { seed: 3711, numRuns: 40 },
    );
  });

  it.each(suiteNames)(
    "RFC 3711 3.3 step 5: %s: a sealed packet that was bent is refused, unless it is itself",
    (suite) => {
      const source = fc.constantFrom(...corpus.filter(({ name }) => /^(rtp|rtcp)-/.test(name)));
      fc.assert(
        fc.property(source, fc.array(edit, { minLength: 1, maxLength: 3 }), ({ name, octets }, edits) => {
          const control = name.startsWith("rtcp");
          const sender = senderOf(suite);
          const sealed = packetOf(control ? sender.protectRtcp(octets) : sender.protectRtp(octets));
          const receiver = receiverOf(suite);
          const changed = bend(sealed, edits);
          const open = (packet: Buffer) => (control ? receiver.unprotectRtcp(packet) : receiver.unprotectRtp(packet));
          if (!changed.equals(sealed)) expect(codeOf(open(changed))).not.toBe("ok");
          expect(packetOf(open(sealed))).toEqual(octets);
        }),
        { seed: 42, numRuns: 60 },
      );
    },
  );

  it("RFC 3711 3.3: a sender seals what has a header that fits, refuses the rest, and what it seals opens to what it was given", () => {
    fc.assert(
      fc.property(bent, (octets) => {
        const sender = senderOf("AES_CM_128_HMAC_SHA1_80");
        const receiver = receiverOf("AES_CM_128_HMAC_SHA1_80");
        const media = sender.protectRtp(octets);
        expect(media.ok).toBe(rtpHeaderLength(octets, octets.length) >= 0);
        if (media.ok) expect(packetOf(receiver.unprotectRtp(media.packet))).toEqual(octets);
        const control = sender.protectRtcp(octets);
        expect(control.ok).toBe(octets.length >= 8 && (octets[0] ?? 0) >> 6 === 2);
        if (control.ok) expect(packetOf(receiver.unprotectRtcp(control.packet))).toEqual(octets);
      }),
      { seed: 33, numRuns: 1500 },
    );
  });
});
