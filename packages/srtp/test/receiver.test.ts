import { describe, expect, it } from "vitest";
import { codeOf, keyFor, packetOf, receiverOf, rtcp, rtp, senderOf, suiteNames } from "./support.ts";

const name = "AES_CM_128_HMAC_SHA1_80";

describe.each(suiteNames)("receiver, %s", (suite) => {
  it("RFC 3711 3.3, 3.4: what was protected comes back, header extension and CSRC included", () => {
    const sender = senderOf(suite);
    const receiver = receiverOf(suite);
    const long = Buffer.from("b2080005000000a0cafebabe0000000100000002bede00011122334400ff0102030405", "hex");
    for (const packet of [rtp(1), rtp(2, ""), rtp(3, Buffer.alloc(1400, 7)), long]) {
      expect(packetOf(receiver.unprotectRtp(packetOf(sender.protectRtp(packet))))).toEqual(packet);
    }
    for (const packet of [rtcp(), rtcp(0xcafebabe, "a longer name"), rtcp().subarray(0, 8)]) {
      expect(packetOf(receiver.unprotectRtcp(packetOf(sender.protectRtcp(packet))))).toEqual(packet);
    }
  });

  it("RFC 3711 3.3 step 5, 4.2: one changed bit anywhere, and the packet is refused; then the true one is taken", () => {
    const sender = senderOf(suite);
    const receiver = receiverOf(suite);
    const sealed = packetOf(sender.protectRtp(rtp(9)));
    const report = packetOf(sender.protectRtcp(rtcp()));
    for (let at = 0; at < sealed.length; at++) {
      const forged = Buffer.from(sealed);
      forged[at] = (forged[at] ?? 0) ^ (1 << (at % 8));
      expect(receiver.unprotectRtp(forged).ok).toBe(false);
    }
    for (let at = 0; at < report.length; at++) {
      const forged = Buffer.from(report);
      forged[at] = (forged[at] ?? 0) ^ (1 << (at % 8));
      expect(receiver.unprotectRtcp(forged).ok).toBe(false);
    }
    expect(receiver.counters).toMatchObject({ rtp: 0, rtcp: 0, sources: 0 });
    expect([codeOf(receiver.unprotectRtp(sealed)), codeOf(receiver.unprotectRtcp(report))]).toEqual(["ok", "ok"]);
    expect([codeOf(receiver.unprotectRtp(sealed)), codeOf(receiver.unprotectRtcp(report))]).toEqual([
      "replay",
      "replay",
    ]);
  });

  it("RFC 3711 3.1: the right key is found by its MKI, one unknown is refused", () => {
    const keyed = (seed: string, mki: number) => ({ ...keyFor(suite, seed), mki: Buffer.from([0, mki]) });
    const receiver = receiverOf(suite, { keys: [keyed("one", 1), keyed("two", 2)] });
    const senders = [keyed("one", 1), keyed("two", 2), keyed("two", 3)].map((key) => senderOf(suite, { key }));
    const results = senders.flatMap((sender, at) => [
      codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(at))))),
      codeOf(receiver.unprotectRtcp(packetOf(sender.protectRtcp(rtcp(at))))),
    ]);
    expect(results).toEqual(["ok", "ok", "ok", "ok", "mki", "mki"]);
    // RFC 3711 3.3.1: keys of one session share an SSRC's index space; an index taken under one is a replay under the other.
    expect(codeOf(receiver.unprotectRtp(packetOf(senderOf(suite, { key: keyed("two", 2) }).protectRtp(rtp(0)))))).toBe(
      "replay",
    );
  });
});

describe("receiver", () => {
  it("RFC 3711 3.3.2: window of 128, at least 64; below it a packet is too old", () => {
    const sender = senderOf(name);
    const sealed = Array.from({ length: 200 }, (_, at) => packetOf(sender.protectRtp(rtp(at))));
    const at = (receiver: ReturnType<typeof receiverOf>, index: number) =>
      codeOf(receiver.unprotectRtp(sealed[index] ?? Buffer.alloc(0)));
    const wide = receiverOf(name);
    expect([199, 72, 71, 72].map((index) => at(wide, index))).toEqual(["ok", "ok", "too-old", "replay"]);
    const least = receiverOf(name, { window: 64 });
    expect([199, 136, 135].map((index) => at(least, index))).toEqual(["ok", "ok", "too-old"]);
    for (const window of [63, 40_000, Number.NaN]) {
      expect(() => receiverOf(name, { window })).toThrow(expect.objectContaining({ code: "SALLY_SRTP_LIMIT" }));
    }
  });

  it("RFC 3711 3.3.1: the ROC is followed over wraps with loss and reordering on both sides of them", () => {
    const sender = senderOf(name);
    const receiver = receiverOf(name);
    const wire: Buffer[] = [];
    for (let index = 65_000; index < 4 * 65536; index += 300)
      wire.push(packetOf(sender.protectRtp(rtp(index % 65536))));
    for (const packet of wire.filter((_, at) => at % 7 !== 0)) expect(codeOf(receiver.unprotectRtp(packet))).toBe("ok");
    expect(receiver.indices().get(0xcafebabe)?.rtp).toBe(65_000 + 300 * (wire.length - 1));
  });

  it("RFC 3711 3.3.1: packets that cross a wrap out of order are each taken once", () => {
    const sender = senderOf(name);
    const wire = [65533, 65534, 65535, 0, 1, 2].map((sequence) => packetOf(sender.protectRtp(rtp(sequence))));
    const receiver = receiverOf(name);
    const order = [0, 3, 1, 5, 2, 4, 3, 0];
    expect(order.map((at) => codeOf(receiver.unprotectRtp(wire[at] ?? Buffer.alloc(0))))).toEqual([
      "ok",
      "ok",
      "ok",
      "ok",
      "ok",
      "ok",
      "replay",
      "replay",
    ]);
  });

  it("invariant 3: a forged jump of the sequence number does not move the ROC", () => {
    const sender = senderOf(name);
    const receiver = receiverOf(name);
    expect(codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(40_000)))))).toBe("ok");
    for (const sequence of [100, 65_535, 0]) {
      const forged = Buffer.concat([rtp(sequence), Buffer.alloc(10)]);
      expect(codeOf(receiver.unprotectRtp(forged))).toBe("authentication");
    }
    expect(receiver.indices().get(0xcafebabe)?.rtp).toBe(40_000);
    expect(codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(40_001)))))).toBe("ok");
  });

  it("invariant 3: contexts are made by verified packets only, and are bounded", () => {
    const receiver = receiverOf(name, { maxSources: 2 });
    for (let ssrc = 0; ssrc < 100; ssrc++) {
      expect(codeOf(receiver.unprotectRtp(Buffer.concat([rtp(1, "x", ssrc), Buffer.alloc(10)])))).toBe(
        "authentication",
      );
    }
    expect(receiver.counters.sources).toBe(0);
    const sender = senderOf(name);
    const codes = [1, 2, 3, 1].map((ssrc, at) =>
      codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(at, "x", ssrc))))),
    );
    expect(codes).toEqual(["ok", "ok", "sources", "ok"]);
    expect(codeOf(receiver.unprotectRtcp(packetOf(sender.protectRtcp(rtcp(9)))))).toBe("sources");
  });

  it("RFC 3711 3.4: SRTCP with an E bit other than agreed is refused", () => {
    const clear = packetOf(senderOf(name, { unencryptedSrtcp: true }).protectRtcp(rtcp()));
    expect(codeOf(receiverOf(name).unprotectRtcp(clear))).toBe("unencrypted");
    const encrypted = packetOf(senderOf(name).protectRtcp(rtcp()));
    expect(codeOf(receiverOf(name, { unencryptedSrtcp: true }).unprotectRtcp(encrypted))).toBe("unencrypted");
  });

  it("RFC 3711 9.2: only verified packets count towards the lifetime of a receive key", () => {
    const sender = senderOf(name);
    const receiver = receiverOf(name, { keys: [{ ...keyFor(name), lifetime: 2n }] });
    expect(codeOf(receiver.unprotectRtp(Buffer.concat([rtp(1), Buffer.alloc(10)])))).toBe("authentication");
    const codes = [1, 2, 3].map((sequence) =>
      codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(sequence))))),
    );
    expect(codes).toEqual(["ok", "ok", "lifetime"]);
  });

  it("RFC 3711 3.3.1: after a re-key the peer's ROC is found whether it went on or began again", () => {
    const old = receiverOf(name);
    const oldSender = senderOf(name);
    for (const sequence of [65_000, 10, 30_000])
      packetOf(old.unprotectRtp(packetOf(oldSender.protectRtp(rtp(sequence)))));
    const key = keyFor(name, "new");
    const predecessor = old.indices();
    const keeps = senderOf(name, {
      key,
      resume: new Map([[0xcafebabe, { rtp: 65536 + 30_000, rtcp: -1, rtpPackets: 3 }]]),
    });
    const resets = senderOf(name, { key });
    for (const sender of [keeps, resets]) {
      const receiver = receiverOf(name, { keys: [key], predecessor });
      const sealed = packetOf(sender.protectRtp(rtp(30_001)));
      expect(codeOf(receiver.unprotectRtp(Buffer.concat([sealed.subarray(0, -1), Buffer.from([0])])))).toBe(
        "authentication",
      );
      expect(codeOf(receiver.unprotectRtp(sealed))).toBe("ok");
      expect(codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(30_002)))))).toBe("ok");
    }
  });

  it("RFC 3711 3.3.1: a ROC is tried as kept, 0 and the neighbours of the kept one, adopted by its tag only, and counted", () => {
    const at = (rtp: number) => new Map([[0xcafebabe, { rtp, rtcp: -1, rtpPackets: 1 }]]);
    const key = keyFor(name, "new");
    /** A peer that is at `highest` where the old key ended at `kept`: does its packet open, and by trial? */
    const found = (kept: number, highest: number) => {
      const receiver = receiverOf(name, { keys: [key], predecessor: at(kept) });
      const sender = senderOf(name, { key, ...(highest < 0 ? {} : { resume: at(highest) }) });
      const sealed = packetOf(sender.protectRtp(rtp((highest + 1) % 65_536)));
      const forged = Buffer.concat([sealed.subarray(0, -1), Buffer.from([(sealed.at(-1) ?? 0) ^ 1])]);
      expect(codeOf(receiver.unprotectRtp(forged))).toBe("authentication");
      expect(receiver.counters.rocTrials).toBe(0);
      const code = codeOf(receiver.unprotectRtp(sealed));
      if (code === "ok") {
        expect(codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp((highest + 2) % 65_536)))))).toBe("ok");
        expect(codeOf(receiver.unprotectRtp(sealed))).toBe("replay");
      }
      return [code, receiver.counters.rocTrials];
    };
    const kept = 5 * 65_536 + 40_000;
    expect(found(kept, kept)).toEqual(["ok", 0]);
    // It began again at 0; it wrapped meanwhile, near and far; it never was where we took it to be.
    expect(found(kept, -1)).toEqual(["ok", 1]);
    expect(found(kept, 6 * 65_536 + 100)).toEqual(["ok", 0]);
    expect(found(kept, 6 * 65_536 + 39_000)).toEqual(["ok", 1]);
    expect(found(kept, 4 * 65_536 + 39_000)).toEqual(["ok", 1]);
    expect(found(kept, 7 * 65_536 + 39_000)).toEqual(["authentication", 0]);
    expect(found(30_000, 65_536 + 20_000)).toEqual(["ok", 1]);
  });

  it("RFC 4771 1: a source whose first packets were lost until its sequence number wrapped is found at ROC 1, by its tag only", () => {
    const resumed = (index: number) => new Map([[0xcafebabe, { rtp: index - 1, rtcp: -1, rtpPackets: 0 }]]);
    for (const reported of [false, true]) {
      const receiver = receiverOf(name);
      if (reported) expect(codeOf(receiver.unprotectRtcp(packetOf(senderOf(name).protectRtcp(rtcp()))))).toBe("ok");
      const sender = senderOf(name, { resume: resumed(65_536 + 3) });
      const [third, fourth] = [3, 4].map((sequence) => packetOf(sender.protectRtp(rtp(sequence))));
      if (third === undefined || fourth === undefined) throw new Error("nothing sealed");
      const forged = Buffer.concat([third.subarray(0, -1), Buffer.from([(third.at(-1) ?? 0) ^ 1])]);
      expect(codeOf(receiver.unprotectRtp(forged))).toBe("authentication");
      expect(receiver.counters).toMatchObject({ rocTrials: 0, sources: reported ? 1 : 0 });
      expect([third, fourth, third].map((packet) => codeOf(receiver.unprotectRtp(packet)))).toEqual([
        "ok",
        "ok",
        "replay",
      ]);
      expect(receiver.counters.rocTrials).toBe(1);
      // One of before the wrap, late.
      expect(codeOf(receiver.unprotectRtp(packetOf(senderOf(name).protectRtp(rtp(65_535)))))).toBe("ok");
      expect(receiver.indices().get(0xcafebabe)?.rtp).toBe(65_536 + 4);
    }
    // Half of the numbers lost in a row is more than any receiver follows (RFC 3711 appendix A).
    const far = senderOf(name, { resume: resumed(65_536 + 32_768) });
    expect(codeOf(receiverOf(name).unprotectRtp(packetOf(far.protectRtp(rtp(32_768)))))).toBe("authentication");
  });

  it("RFC 3711 3.3.1: a key that comes back may have been wrapped meanwhile; what it carried before stays a replay", () => {
    const sender = senderOf(name);
    const first = receiverOf(name);
    const before = packetOf(sender.protectRtp(rtp(50_000)));
    packetOf(first.unprotectRtp(before));
    const resumed = receiverOf(name, { resume: first.indices() });
    expect(codeOf(resumed.unprotectRtp(before))).toBe("replay");
    // 40,000 packets under this key went elsewhere: the sequence number alone says "before".
    const gone = new Map([[0xcafebabe, { rtp: 65_536 + 49_000, rtcp: -1, rtpPackets: 1 }]]);
    const later = packetOf(senderOf(name, { resume: gone }).protectRtp(rtp(49_001)));
    expect(codeOf(resumed.unprotectRtp(later))).toBe("ok");
    expect(resumed.counters.rocTrials).toBe(1);
    expect(codeOf(resumed.unprotectRtp(later))).toBe("replay");
  });

  it("RFC 3711 3.3.2: a receiver that takes up a key again knows what was received", () => {
    const sender = senderOf(name);
    const first = receiverOf(name);
    const [early, late] = [packetOf(sender.protectRtp(rtp(500))), packetOf(sender.protectRtp(rtp(501)))];
    const report = packetOf(sender.protectRtcp(rtcp()));
    packetOf(first.unprotectRtp(early));
    packetOf(first.unprotectRtcp(report));
    const second = receiverOf(name, { resume: first.indices() });
    expect([early, late].map((packet) => codeOf(second.unprotectRtp(packet)))).toEqual(["replay", "ok"]);
    expect(codeOf(second.unprotectRtcp(report))).toBe("replay");
  });

  it("RFC 4568 6.1: keys that could not be told apart are refused", () => {
    const [one, two] = [keyFor(name, "one"), keyFor(name, "two")];
    const mki = (length: number, value: number) => Buffer.alloc(length, value);
    const refused = expect.objectContaining({ code: "SALLY_SRTP_KEYS" });
    expect(() => receiverOf(name, { keys: [] })).toThrow(refused);
    expect(() => receiverOf(name, { keys: [one, two] })).toThrow(refused);
    const many = Array.from({ length: 17 }, (_, at) => ({ ...keyFor(name, `${at}`), mki: mki(1, at) }));
    expect(() => receiverOf(name, { keys: many })).toThrow(refused);
    receiverOf(name, { keys: many.slice(1) }).release();
    expect(() =>
      receiverOf(name, {
        keys: [
          { ...one, mki: mki(1, 1) },
          { ...two, mki: mki(1, 1) },
        ],
      }),
    ).toThrow(refused);
    expect(() =>
      receiverOf(name, {
        keys: [
          { ...one, mki: mki(1, 1) },
          { ...two, mki: mki(2, 2) },
        ],
      }),
    ).toThrow(refused);
    expect(() =>
      receiverOf(name, {
        keys: [
          { ...one, mki: mki(1, 1) },
          { ...keyFor("AEAD_AES_128_GCM"), mki: mki(1, 2) },
        ],
      }),
    ).toThrow(expect.objectContaining({ code: "SALLY_SRTP_KEY_LENGTH" }));
  });

  it("RFC 3711 3.3.1: how far an SSRC came is known over keys under which it was silent, as long as there is room", () => {
    const highest = (index: number) => ({ rtp: index, rtcp: -1, rtpPackets: 0 });
    const known = new Map([
      [1, highest(70_000)],
      [2, highest(90_000)],
      [3, highest(-1)],
    ]);
    const key = keyFor(name, "second");
    const next = receiverOf(name, {
      keys: [key],
      predecessor: known,
      resume: new Map([[2, highest(80_000)]]),
      maxSources: 2,
    });
    const rtpOf = (indices: ReturnType<typeof next.reached>) =>
      [...indices].map(([ssrc, { rtp: index }]) => [ssrc, index]);
    // What it heard itself long ago says less than what was heard since.
    expect(rtpOf(next.reached())).toEqual([
      [1, 70_000],
      [2, 90_000],
    ]);
    const sender = senderOf(name, { key, resume: new Map([[2, highest(90_005)]]) });
    expect(codeOf(next.unprotectRtp(packetOf(sender.protectRtp(rtp(90_006 % 65_536, "x", 2)))))).toBe("ok");
    expect(rtpOf(next.reached())).toEqual([
      [1, 70_000],
      [2, 90_006],
    ]);
    const crowd = new Map(Array.from({ length: 5 }, (_, at) => [10 + at, highest(at)] as const));
    const full = receiverOf(name, {
      keys: [key],
      predecessor: crowd,
      resume: new Map([[2, highest(7)]]),
      maxSources: 2,
    });
    expect(rtpOf(full.reached())).toEqual([[2, 7]]);
  });

  it("invariant 7: after release nothing is opened", () => {
    const receiver = receiverOf(name);
    receiver.release();
    const sender = senderOf(name);
    expect(codeOf(receiver.unprotectRtp(packetOf(sender.protectRtp(rtp(1)))))).toBe("released");
    expect(codeOf(receiver.unprotectRtcp(packetOf(sender.protectRtcp(rtcp()))))).toBe("released");
    expect(receiver.indices().size).toBe(0);
  });
});
