// Owns the SRTP contexts of one leg over all its key changes: what is in force, what overlaps, and which indices were
// used under keys that are gone, should one come back (invariants 4 and 5). Knows no socket and no address.
import type { Clock, Timer } from "@sallyport/kit";
import {
  createSrtpReceiver,
  createSrtpSender,
  suites,
  type SrtpFailure,
  type HighestIndices,
  type SrtpIndices,
  type SrtpReceiver,
  type SrtpResult,
  type SrtpSender,
} from "@sallyport/srtp";
import { mediaPlaneErrors } from "../errors.ts";
import type { PlaneKey, Protection } from "../plane.ts";
import { keyIdentity, type SendKeys } from "./send-keys.ts";

type Keyed = Extract<Protection, { kind: "srtp" }>;

interface Sending {
  readonly terms: string;
  readonly identity: string;
  readonly sender: SrtpSender;
}

interface Receiving {
  readonly terms: string;
  readonly identities: readonly string[];
  readonly receiver: SrtpReceiver;
}

// A core source that starts again now and then is carried forward; two that share an SSRC would jump with every packet.
const jumpsAllowed = 8;
const jumpsPerMs = 10_000;
const overlapMs = 3000;
const maxSources = 64;
const maxRetired = 256;

/** Which failures of the new key say "perhaps it was sent under the old one". */
const perhapsOld: ReadonlySet<SrtpFailure> = new Set(["authentication", "mki", "replay", "too-old", "short"]);

const terms = (keys: Keyed, key: PlaneKey): string =>
  [keys.suite, keyIdentity(key.master), Buffer.from(key.mki ?? []).toString("hex"), key.lifetime ?? ""].join(" ");

const shareKey = (some: readonly string[], others: readonly string[]): boolean =>
  some.some((identity) => others.includes(identity));

export class LegContexts {
  readonly #clock: Clock;
  readonly #leg: number;
  readonly #sendKeys: SendKeys;
  readonly #usedToSend = new Map<string, SrtpIndices>();
  readonly #usedToReceive = new Map<string, SrtpIndices>();
  #sending: Sending | undefined;
  #receiving: Receiving | undefined;
  #earlier: Receiving | undefined;
  #overlap: Timer | undefined;
  readonly #onExpiring: (direction: "in" | "out") => void;
  /** When sources were carried forward, the last few, oldest first. */
  readonly #jumps: number[] = [];
  #carriedForward = 0;
  /** Of receivers that are gone. */
  #rocTrials = 0;
  #changes = 0;
  #hasSent = false;
  /** Octets below which a packet cannot be SRTP of the suite in force. */
  #shortest = 0;

  constructor(clock: Clock, leg: number, sendKeys: SendKeys, onExpiring: (direction: "in" | "out") => void) {
    this.#clock = clock;
    this.#onExpiring = onExpiring;
    this.#leg = leg;
    this.#sendKeys = sendKeys;
  }

  get changes(): number {
    return this.#changes;
  }

  /** Times that a source which had started again was carried forward. */
  get carriedForward(): number {
    return this.#carriedForward;
  }

  get rocTrials(): number {
    const live =
      (this.#receiving?.receiver.counters.rocTrials ?? 0) + (this.#earlier?.receiver.counters.rocTrials ?? 0);
    return this.#rocTrials + live;
  }

  get sources(): number {
    return this.#receiving?.receiver.counters.sources ?? 0;
  }

  get shortest(): number {
    return this.#shortest;
  }

  /** @throws SALLY_PLANE_KEY_IN_USE, SALLY_PLANE_REKEYS, SALLY_SRTP_*; nothing has changed then. */
  apply(protection: Protection): void {
    if (protection.kind !== "srtp") {
      this.#retireSending();
      this.#retireReceiving();
      this.#endOverlap();
      return;
    }
    const received = protection.receive.map((key) => keyIdentity(key.master));
    // RFC 4568 6.1: never one key for both directions, they would share key stream.
    if (received.includes(keyIdentity(protection.send.master))) {
      throw mediaPlaneErrors("SALLY_PLANE_KEY_IN_USE", "It is this leg's own receive key.");
    }
    const sending = this.#newSending(protection);
    let receiving: Receiving | undefined;
    try {
      receiving = this.#newReceiving(protection, received);
    } catch (error) {
      sending?.sender.release();
      throw error;
    }
    const suite = suites[protection.suite];
    this.#shortest = 12 + suite.srtpTagLength + (protection.receive[0]?.mki?.length ?? 0);
    if (sending !== undefined) {
      this.#retireSending();
      if (this.#hasSent) this.#changes += 1;
      this.#hasSent = true;
      this.#sending = sending;
      this.#sendKeys.own(sending.identity, this.#leg);
    }
    if (receiving !== undefined) this.#install(receiving);
  }

  unprotect(kind: "rtp" | "rtcp", packet: Buffer): SrtpResult | undefined {
    const now = this.#receiving?.receiver;
    if (now === undefined) return undefined;
    const result = kind === "rtp" ? now.unprotectRtp(packet) : now.unprotectRtcp(packet);
    const earlier = this.#earlier?.receiver;
    if (result.ok || earlier === undefined || !perhapsOld.has(result.code)) return result;
    // No MKI tells which key a packet was sent under: the tag does.
    const before = kind === "rtp" ? earlier.unprotectRtp(packet) : earlier.unprotectRtcp(packet);
    return before.ok ? before : result;
  }

  protect(kind: "rtp" | "rtcp", packet: Buffer): SrtpResult | undefined {
    const sender = this.#sending?.sender;
    if (sender === undefined) return undefined;
    return kind === "rtp" ? sender.protectRtp(packet) : sender.protectRtcp(packet);
  }

  close(): void {
    this.#retireSending();
    this.#retireReceiving();
    this.#endOverlap();
    this.#sendKeys.retire(this.#usedToSend.keys());
    this.#usedToSend.clear();
    this.#usedToReceive.clear();
  }

  #newSending(keys: Keyed): Sending | undefined {
    const asked = terms(keys, keys.send);
    if (this.#sending?.terms === asked) return undefined;
    const identity = keyIdentity(keys.send.master);
    this.#sendKeys.check(identity, this.#leg);
    if (this.#usedToSend.size >= maxRetired && !this.#usedToSend.has(identity)) {
      throw mediaPlaneErrors("SALLY_PLANE_REKEYS", `There were ${this.#usedToSend.size}.`);
    }
    const resume =
      this.#sending?.identity === identity ? this.#sending.sender.indices() : this.#usedToSend.get(identity);
    const sender = createSrtpSender({
      suite: suites[keys.suite],
      key: keys.send,
      maxSources,
      onExpiring: () => this.#onExpiring("out"),
      mayCarryForward: () => this.#mayCarryForward(),
      ...(resume === undefined ? {} : { resume }),
    });
    return { terms: asked, identity, sender };
  }

  #newReceiving(keys: Keyed, identities: readonly string[]): Receiving | undefined {
    const asked = keys.receive.map((key) => terms(keys, key)).join("; ");
    if (this.#receiving?.terms === asked) return undefined;
    if (this.#earlier?.terms === asked) return this.#earlier;
    const forgotten = identities.filter((identity) => !this.#usedToReceive.has(identity));
    if (this.#usedToReceive.size + forgotten.length > maxRetired) {
      throw mediaPlaneErrors("SALLY_PLANE_REKEYS", `There were ${this.#usedToReceive.size}.`);
    }
    const receiver = createSrtpReceiver({
      suite: suites[keys.suite],
      keys: keys.receive,
      maxSources,
      onExpiring: () => this.#onExpiring("in"),
      resume: this.#verifiedUnder(identities),
      ...(this.#receiving === undefined ? {} : { predecessor: this.#receiving.receiver.reached() }),
    });
    return { terms: asked, identities, receiver };
  }

  /** The highest indices verified under any of these keys, now or before: a key that comes back lets nothing be replayed. */
  #verifiedUnder(identities: readonly string[]): SrtpIndices {
    const all: (SrtpIndices | undefined)[] = identities.map((identity) => this.#usedToReceive.get(identity));
    for (const live of [this.#receiving, this.#earlier]) {
      if (live !== undefined && shareKey(live.identities, identities)) all.push(live.receiver.indices());
    }
    const highest = new Map<number, HighestIndices>();
    for (const some of all) {
      for (const [ssrc, indices] of some ?? []) {
        const before = highest.get(ssrc);
        highest.set(ssrc, {
          rtp: Math.max(indices.rtp, before?.rtp ?? -1),
          rtcp: Math.max(indices.rtcp, before?.rtcp ?? -1),
          rtpPackets: Math.max(indices.rtpPackets, before?.rtpPackets ?? 0),
        });
      }
    }
    return highest;
  }

  #install(receiving: Receiving): void {
    const replaced = this.#receiving;
    if (receiving === this.#earlier) this.#earlier = undefined;
    this.#endOverlap();
    this.#receiving = receiving;
    if (replaced === undefined) return;
    this.#changes += 1;
    // One key in two receivers (another MKI or suite) would be two replay lists: then there is no overlap.
    if (shareKey(replaced.identities, receiving.identities)) return this.#retire(replaced);
    this.#earlier = replaced;
    this.#overlap = this.#clock.after(overlapMs, () => this.#endOverlap());
  }

  #endOverlap(): void {
    this.#overlap?.cancel();
    this.#overlap = undefined;
    if (this.#earlier !== undefined) this.#retire(this.#earlier);
    this.#earlier = undefined;
  }

  #retireReceiving(): void {
    if (this.#receiving !== undefined) this.#retire(this.#receiving);
    this.#receiving = undefined;
  }

  #retire(receiving: Receiving): void {
    const indices = receiving.receiver.indices();
    for (const identity of receiving.identities) this.#usedToReceive.set(identity, indices);
    this.#rocTrials += receiving.receiver.counters.rocTrials;
    receiving.receiver.release();
  }

  #mayCarryForward(): boolean {
    const now = this.#clock.now();
    const oldest = this.#jumps.length < jumpsAllowed ? undefined : this.#jumps[0];
    if (oldest !== undefined && now - oldest < jumpsPerMs) return false;
    this.#jumps.push(now);
    if (this.#jumps.length > jumpsAllowed) this.#jumps.shift();
    this.#carriedForward += 1;
    return true;
  }

  #retireSending(): void {
    if (this.#sending === undefined) return;
    const { identity, sender } = this.#sending;
    const indices = sender.indices();
    // A key that protected nothing is as good as new.
    if (indices.size > 0) this.#usedToSend.set(identity, indices);
    else if (!this.#usedToSend.has(identity)) this.#sendKeys.forget(identity);
    sender.release();
    this.#sending = undefined;
  }
}
