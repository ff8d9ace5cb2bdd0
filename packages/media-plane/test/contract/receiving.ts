// Invariants 3 and 5 for what a UE sends: SSRCs that come and go, losses at the wrap, duplicates, late packets, and keys that change
// under them from both sides. What is fresh is accepted, and nothing twice.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSrtpReceiver, createSrtpSender, suites, type SrtpReceiver, type SrtpSender } from "@sallyport/srtp";
import { freshKey, freshKeys, protectionOf, rtp, type Keys, type World } from "../fixture.ts";
import { tick, type Harness } from "./harness.ts";

const ssrcs = [1, 2, 3] as const;
type Ssrc = (typeof ssrcs)[number];

/** What the UE does about its ROC as keys change (RFC 3711 3.3.1 keeps it, many start again). */
type Rollover = "kept" | "zero";

type Step =
  | { readonly kind: "send"; readonly ssrc: Ssrc; readonly run: number; readonly lost: number; readonly late: boolean }
  | { readonly kind: "release"; readonly which: number }
  | { readonly kind: "again"; readonly which: number }
  | { readonly kind: "key"; readonly rollover: Rollover; readonly side: "both" | "receive" | "send" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      ssrc: fc.constantFrom(1 as const, 1 as const, 1 as const, 2 as const, 3 as const),
      run: fc.integer({ min: 1, max: 4 }),
      lost: fc.oneof(
        fc.constant(0),
        fc.constant(0),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 28_000 }),
      ),
      late: fc.nat(5).map((die) => die === 0),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("release" as const, "again" as const), which: fc.nat(1000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("key" as const),
      rollover: fc.constantFrom("kept" as const, "zero" as const),
      side: fc.constantFrom("both" as const, "receive" as const, "send" as const),
    }),
  },
);

interface Sealed {
  readonly octets: Buffer;
  readonly ssrc: Ssrc;
  readonly index: number;
  /** Which of the UE's keys. */
  readonly key: number;
}

/** A UE that knows its indices, and what of it was accepted. */
class Ue {
  readonly #world: World;
  readonly #next = new Map<Ssrc, number>(ssrcs.map((ssrc) => [ssrc, ssrc === 2 ? 7 : 65_525 + ssrc]));
  /** Highest index that was accepted, by SSRC: under any key, and under each. */
  readonly #reached = new Map<Ssrc, number>();
  readonly #highest = new Map<string, number>();
  /** Whose ROC went back to 0 and was not heard since. */
  readonly #restarted = new Set<Ssrc>();
  readonly #accepted = new Set<Sealed>();
  readonly #past: Sealed[] = [];
  readonly #held: Sealed[] = [];
  #keys: Keys;
  #key = 0;
  #sender: SrtpSender;
  #receiver: SrtpReceiver;
  #answers = 0;

  constructor(world: World) {
    this.#world = world;
    this.#keys = world.keys;
    this.#sender = this.#newSender();
    this.#receiver = this.#newReceiver();
  }

  async step(step: Step): Promise<void> {
    if (step.kind === "key") return this.#change(step.rollover, step.side);
    if (step.kind === "again") return this.#deliver(this.#past[step.which % Math.max(1, this.#past.length)]);
    if (step.kind === "release")
      return this.#deliver(this.#held.splice(step.which % Math.max(1, this.#held.length), 1)[0]);
    return this.#send(step);
  }

  async #send({ late, lost, run, ssrc }: Extract<Step, { kind: "send" }>): Promise<void> {
    // As much as a receiver can follow: less than half of the sequence numbers.
    const next = this.#next.get(ssrc) ?? 0;
    const most = (this.#reached.get(ssrc) ?? next) + 30_000 - next;
    this.#next.set(ssrc, next + Math.max(0, Math.min(lost, most)));
    for (let count = 0; count < run; count++) {
      const one = this.#seal(ssrc);
      if (late) this.#held.push(one);
      else await this.#deliver(one);
    }
    return this.#answer();
  }

  #seal(ssrc: Ssrc): Sealed {
    const index = this.#next.get(ssrc) ?? 0;
    this.#next.set(ssrc, index + 1);
    const sealed = this.#sender.protectRtp(rtp(index, `${this.#key} ${index}`, ssrc));
    if (!sealed.ok || sealed.index !== index) throw new Error("the test's own sender does not go where it should");
    const one = { octets: sealed.packet, ssrc, index, key: this.#key };
    this.#past.push(one);
    return one;
  }

  async #deliver(one: Sealed | undefined): Promise<void> {
    if (one === undefined) return;
    const { leg } = this.#world.access;
    const judged = () => {
      const { authenticationFailures, replays, rtpIn } = this.#world.plane.counters(leg);
      return { in: rtpIn, all: rtpIn + authenticationFailures + replays };
    };
    const before = judged();
    this.#world.ue.send("rtp", one.octets, this.#world.port("access", "rtp"));
    while (judged().all === before.all) await tick();
    const taken = judged().in > before.in;
    if (taken) {
      expect((await this.#world.core.next("rtp")).subarray(12).toString()).toBe(`${one.key} ${one.index}`);
      expect(this.#accepted.has(one), "accepted twice").toBe(false);
    } else {
      expect(this.#mustPass(one), `SSRC ${one.ssrc}, index ${one.index}, key ${one.key} was refused`).toBe(false);
    }
    if (!taken) return;
    this.#accepted.add(one);
    const name = `${one.key} ${one.ssrc}`;
    this.#highest.set(name, Math.max(one.index, this.#highest.get(name) ?? -1));
    const earlier = this.#restarted.delete(one.ssrc) ? -1 : (this.#reached.get(one.ssrc) ?? -1);
    this.#reached.set(one.ssrc, Math.max(one.index, earlier));
  }

  /** Fresh, under a key that is in force or was just before, and no later than the window allows. */
  #mustPass(one: Sealed): boolean {
    if (this.#accepted.has(one) || one.key < this.#key - 1) return false;
    const highest = this.#highest.get(`${one.key} ${one.ssrc}`);
    if (highest !== undefined) return one.index > highest - 100;
    // Nothing of the SSRC was ever heard: its ROC can only be 0. Else it is the one heard of last, 0, or one beside.
    const reached = this.#restarted.has(one.ssrc) ? undefined : this.#reached.get(one.ssrc);
    const near = reached !== undefined && Math.abs(one.index - reached) < 32_768;
    return one.key === this.#key && (near || one.index < 65_536);
  }

  #change(rollover: Rollover, side: "both" | "receive" | "send"): void {
    const { fromUe, suite, towardsUe } = this.#keys;
    const keys = {
      suite,
      fromUe: side === "send" ? fromUe : freshKey(suite),
      towardsUe: side === "receive" ? towardsUe : freshKey(suite),
    };
    this.#keys = keys;
    this.#world.plane.update(this.#world.access.leg, { protection: protectionOf(keys) });
    if (side !== "receive") this.#receiver = this.#newReceiver();
    if (side === "send") return;
    this.#key += 1;
    if (rollover === "zero") {
      for (const [ssrc, next] of this.#next) this.#next.set(ssrc, next % 65_536);
      for (const [ssrc, reached] of this.#reached) {
        this.#reached.set(ssrc, reached % 65_536);
        this.#restarted.add(ssrc);
      }
    }
    this.#sender = this.#newSender();
  }

  /** What comes from the core is sealed under the key of that moment, once. */
  async #answer(): Promise<void> {
    this.#answers += 1;
    const plain = rtp(this.#answers, "answer", 9);
    expect(this.#receiver.unprotectRtp(await this.#world.fromCore("rtp", plain))).toMatchObject({ packet: plain });
  }

  #newSender(): SrtpSender {
    const resume = new Map(
      Array.from(this.#next, ([ssrc, next]) => [ssrc, { rtp: next - 1, rtcp: -1, rtpPackets: 0 }] as const),
    );
    return createSrtpSender({ suite: suites[this.#keys.suite], key: this.#keys.fromUe, resume });
  }

  #newReceiver(): SrtpReceiver {
    return createSrtpReceiver({ suite: suites[this.#keys.suite], keys: [this.#keys.towardsUe] });
  }
}

export const receivingContract = ({ end, open }: Harness): void => {
  describe("invariants 3 and 5: sources and keys of a UE", () => {
    it("invariant 5, RFC 3711 3.3.1: over losses, wraps, late packets, duplicates and re-keys what is fresh passes, and nothing twice", async () => {
      const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (script) => {
        const world = await open();
        const ue = new Ue(world);
        for (const one of script) await ue.step(one);
        await end(world);
      });
      await fc.assert(property, { seed: 3711, numRuns: 25 });
    });

    it("RFC 3711 3.3.1: an SSRC that was silent while keys changed twice, its ROC at 1, is heard again", async () => {
      const world = await open();
      for (const sequence of [65_534, 65_535, 65_536]) await world.fromUe("rtp", rtp(sequence, "x", 1));
      const { leg } = world.access;
      for (let change = 0; change < 3; change++) {
        const keys = freshKeys();
        world.plane.update(leg, { protection: protectionOf(keys) });
        const resume = new Map([[1, { rtp: 65_536, rtcp: -1, rtpPackets: 0 }]]);
        const sender = createSrtpSender({ suite: suites[keys.suite], key: keys.fromUe, resume });
        // Somebody else speaks under the first two keys.
        const plain = change < 2 ? rtp(change, "y", 2) : rtp(65_537, "x", 1);
        const sealed = sender.protectRtp(plain);
        if (!sealed.ok) throw new Error(sealed.code);
        world.ue.send("rtp", sealed.packet, world.port("access", "rtp"));
        expect(await world.core.next("rtp")).toEqual(plain);
      }
      expect(world.plane.counters(leg)).toMatchObject({ rtpIn: 6, authenticationFailures: 0 });
    });
  });
};
