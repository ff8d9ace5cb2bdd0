// Owns the form of a change in the memory shared with the engine; the places are those of native/engine/record.hpp.
// Values were checked before. Master keys stand there until the engine has read them, and are zeroised then.
import { suites, type SuiteName } from "@sallyport/srtp";
import type { LatchRule, LegChange, LegPlan, PlaneKey, PlaneMode, Protection } from "../plane.ts";

const places = {
  mode: 4,
  mux: 5,
  latch: 6,
  dscp: 7,
  inactivityMs: 8,
  local: 16,
  localPort: 80,
  remote: 88,
  remoteRtpPort: 152,
  remoteRtcpPort: 154,
  filter: 160,
  filterPorts: 224,
  filtered: 232,
  hasAddress: 233,
  hasPorts: 234,
  hasRtcpPorts: 235,
  prefix: 236,
  policed: 237,
  rates: 240,
  protection: 272,
  suite: 273,
  receiveKeys: 274,
  keys: 280,
  remoteRtcp: 3544,
} as const;
const keySize = 192;
const textSize = 64;
const mostReceiveKeys = 16;
/** What the record's octet can say; beyond `mostReceiveKeys` the engine refuses the number. */
const mostSaid = 255;

const bits = {
  mode: 1,
  rtcp: 2,
  protection: 4,
  remote: 8,
  latch: 16,
  inactivityMs: 32,
  sourceFilter: 64,
  policing: 128,
  dscp: 256,
} as const satisfies Record<keyof LegChange, number>;
const allFields = 511;

const modes: Readonly<Record<PlaneMode, number>> = {
  inactive: 0,
  "send-only": 1,
  "receive-only": 2,
  "send-receive": 3,
};
const protections: Readonly<Record<Protection["kind"], number>> = {
  clear: 0,
  srtp: 1,
  "awaiting-keys": 2,
  transparent: 3,
};
const latches: Readonly<Record<LatchRule, number>> = { off: 0, latch: 1, relatch: 2 };
const suiteNumbers = Object.fromEntries(Object.keys(suites).map((name, at) => [name, at])) as Record<SuiteName, number>;
const wide = 65_535;

export class ChangeRecord {
  readonly #octets: Buffer;
  readonly #shorts: Uint16Array;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;
  readonly #longs: BigUint64Array;

  constructor(scratch: ArrayBuffer) {
    this.#octets = Buffer.from(scratch);
    this.#shorts = new Uint16Array(scratch);
    this.#words = new Uint32Array(scratch);
    this.#doubles = new Float64Array(scratch);
    this.#longs = new BigUint64Array(scratch);
  }

  /** A whole plan: what is left out is none. */
  writePlan(plan: LegPlan): void {
    this.#write(plan, true);
    this.#words[0] = allFields;
  }

  writeChange(change: LegChange): void {
    this.#words[0] = this.#write(change, false);
  }

  writeLocal(address: string, port: number): void {
    this.#text(places.local, address);
    this.#shorts[places.localPort / 2] = port;
  }

  /** Gives the bits of what was written: all there is of a whole plan. Mode, RTCP, latch and protection have no "none": undefined is not given. */
  #write(change: LegChange, whole: boolean): number {
    const octets = this.#octets;
    let written = 0;
    if (change.mode !== undefined) {
      written |= bits.mode;
      octets[places.mode] = modes[change.mode];
    }
    if (change.rtcp !== undefined) {
      written |= bits.rtcp;
      octets[places.mux] = change.rtcp === "mux" ? 1 : 0;
    }
    if (change.latch !== undefined) {
      written |= bits.latch;
      octets[places.latch] = latches[change.latch];
    }
    if (change.protection !== undefined) {
      written |= bits.protection;
      this.#protection(change.protection);
    }
    if (whole || "dscp" in change) {
      written |= bits.dscp;
      octets[places.dscp] = change.dscp ?? 0;
    }
    if (whole || "inactivityMs" in change) {
      written |= bits.inactivityMs;
      this.#doubles[places.inactivityMs / 8] = change.inactivityMs ?? 0;
    }
    if (whole || "remote" in change) {
      written |= bits.remote;
      const { remote } = change;
      this.#text(places.remote, remote?.address ?? "");
      this.#text(places.remoteRtcp, remote?.rtcpAddress ?? "");
      this.#shorts[places.remoteRtpPort / 2] = remote?.rtpPort ?? 0;
      this.#shorts[places.remoteRtcpPort / 2] = remote?.rtcpPort ?? 0;
    }
    if (whole || "sourceFilter" in change) {
      written |= bits.sourceFilter;
      this.#filter(change.sourceFilter);
    }
    if (whole || "policing" in change) {
      written |= bits.policing;
      this.#policing(change.policing);
    }
    return written;
  }

  #filter(filter: LegChange["sourceFilter"]): void {
    const octets = this.#octets;
    octets[places.filtered] = filter === undefined ? 0 : 1;
    const { address, ports, rtcpPorts } = filter ?? {};
    octets[places.hasAddress] = address === undefined ? 0 : 1;
    octets[places.hasPorts] = ports === undefined ? 0 : 1;
    octets[places.hasRtcpPorts] = rtcpPorts === undefined ? 0 : 1;
    octets[places.prefix] = address?.prefix ?? 0;
    this.#text(places.filter, address?.literal ?? "");
    const bounds = [ports?.first ?? 0, ports?.last ?? wide, rtcpPorts?.first ?? 0, rtcpPorts?.last ?? wide];
    this.#shorts.set(bounds, places.filterPorts / 2);
  }

  #policing(policing: LegChange["policing"]): void {
    const { peak, sustained } = policing ?? {};
    this.#octets[places.policed] = policing === undefined ? 0 : 1;
    // A rate of 0 is no bucket.
    this.#doubles.set(
      [sustained?.octetsPerS ?? 0, sustained?.burstOctets ?? 0, peak?.octetsPerS ?? 0, peak?.toleranceMs ?? 0],
      places.rates / 8,
    );
  }

  #protection(protection: Protection): void {
    this.#octets[places.protection] = protections[protection.kind];
    if (protection.kind !== "srtp") return;
    this.#octets[places.suite] = suiteNumbers[protection.suite];
    this.#octets[places.receiveKeys] = Math.min(protection.receive.length, mostSaid);
    this.#key(0, protection.send);
    for (let at = 0; at < protection.receive.length && at < mostReceiveKeys; at++) {
      const key = protection.receive[at];
      if (key !== undefined) this.#key(at + 1, key);
    }
  }

  #key(at: number, key: PlaneKey): void {
    const start = places.keys + at * keySize;
    const mki = key.mki ?? new Uint8Array(0);
    this.#shorts[start / 2] = Math.min(key.master.length, wide);
    this.#shorts[start / 2 + 1] = Math.min(mki.length, wide);
    this.#longs[start / 8 + 1] = key.lifetime ?? 0n;
    key.master.use((octets) => octets.copy(this.#octets, start + 16, 0, 46));
    this.#octets.set(mki.subarray(0, 128), start + 64);
  }

  #text(at: number, text: string): void {
    const octets = this.#octets;
    const length = Math.min(text.length, textSize - 1);
    for (let index = 0; index < length; index++) octets[at + index] = text.charCodeAt(index);
    octets[at + length] = 0;
  }
}
