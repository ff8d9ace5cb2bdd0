// Owns what is decided about a datagram before anything in it is looked at: where it may come from and how much may come.
// H.248.43 (`gm`), H.248.53 (`tman`). Pure but for its buckets; time is passed in.
import { BlockList, isIP } from "node:net";
import type { Endpoint } from "@sallyport/kit";
import { mediaPlaneErrors } from "../errors.ts";
import type { Policing, SourceFilter } from "../plane.ts";

const refuse = (what: string): never => {
  throw mediaPlaneErrors("SALLY_PLANE_RULE", what);
};

type Ports = NonNullable<SourceFilter["ports"]>;

const checkPorts = (ports: Ports | undefined): void => {
  if (ports === undefined) return;
  const { first, last } = ports;
  const fit = Number.isInteger(first) && Number.isInteger(last) && first >= 0 && last <= 65_535 && first <= last;
  if (!fit) refuse(`Source ports ${first} to ${last}.`);
};

/** @throws SALLY_PLANE_RULE. */
export const checkSourceFilter = (filter: SourceFilter | undefined): void => {
  const { address, ports, rtcpPorts } = filter ?? {};
  checkPorts(ports);
  checkPorts(rtcpPorts);
  if (address === undefined) return;
  const { literal, prefix } = address;
  const longest = { 4: 32, 6: 128 }[isIP(literal)] ?? -1;
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > longest) refuse(`Source address ${literal}/${prefix}.`);
};

const positive = (value: number): boolean => Number.isFinite(value) && value > 0;

/** @throws SALLY_PLANE_RULE. */
export const checkPolicing = (policing: Policing | undefined): void => {
  const { peak, sustained } = policing ?? {};
  if (sustained !== undefined && !(positive(sustained.octetsPerS) && positive(sustained.burstOctets))) {
    refuse(`Sustained rate ${sustained.octetsPerS}, burst ${sustained.burstOctets}.`);
  }
  if (
    peak !== undefined &&
    !(positive(peak.octetsPerS) && Number.isFinite(peak.toleranceMs) && peak.toleranceMs >= 0)
  ) {
    refuse(`Peak rate ${peak.octetsPerS}, tolerance ${peak.toleranceMs} ms.`);
  }
};

/** One filter at work. The last address asked about is remembered: a leg hears one source nearly always. */
export class SourceGate {
  readonly #filter: SourceFilter;
  readonly #list = new BlockList();
  #lastAddress = "";
  #lastAllowed = false;

  /** The filter has been checked. */
  constructor(filter: SourceFilter) {
    this.#filter = filter;
    const { address } = filter;
    if (address === undefined) return;
    this.#list.addSubnet(address.literal, address.prefix, isIP(address.literal) === 6 ? "ipv6" : "ipv4");
  }

  allows(flow: "rtp" | "rtcp", from: Endpoint): boolean {
    const ports = flow === "rtcp" ? (this.#filter.rtcpPorts ?? this.#filter.ports) : this.#filter.ports;
    if (ports !== undefined && (from.port < ports.first || from.port > ports.last)) return false;
    if (this.#filter.address === undefined) return true;
    if (from.address !== this.#lastAddress) {
      const [bare = ""] = from.address.split("%", 1);
      this.#lastAllowed = this.#list.check(bare, isIP(bare) === 6 ? "ipv6" : "ipv4");
      this.#lastAddress = from.address;
    }
    return this.#lastAllowed;
  }
}

// A peak rate must let a whole datagram through, however small its tolerance.
const leastPeak = 1500;

interface Bucket {
  readonly octetsPerMs: number;
  readonly size: number;
  octets: number;
}

const bucket = (octetsPerS: number, size: number): Bucket => ({ octetsPerMs: octetsPerS / 1000, size, octets: size });

/** The two token buckets of a leg, full at first. */
export class Police {
  readonly #buckets: readonly Bucket[];
  #at: number;

  /** The rule has been checked. */
  constructor({ peak, sustained }: Policing, now: number) {
    const buckets: Bucket[] = [];
    if (sustained !== undefined) buckets.push(bucket(sustained.octetsPerS, sustained.burstOctets));
    if (peak !== undefined) {
      buckets.push(bucket(peak.octetsPerS, Math.max(leastPeak, (peak.octetsPerS * peak.toleranceMs) / 1000)));
    }
    this.#buckets = buckets;
    this.#at = now;
  }

  /** What does not conform costs nothing: the next one finds what is left. */
  conforms(octets: number, now: number): boolean {
    const passed = Math.max(0, now - this.#at);
    this.#at = now;
    let conforms = true;
    for (const one of this.#buckets) {
      one.octets = Math.min(one.size, one.octets + passed * one.octetsPerMs);
      if (one.octets < octets) conforms = false;
    }
    if (conforms) for (const one of this.#buckets) one.octets -= octets;
    return conforms;
  }
}

export const samePolicing = (a: Policing | undefined, b: Policing | undefined): boolean =>
  a?.sustained?.octetsPerS === b?.sustained?.octetsPerS &&
  a?.sustained?.burstOctets === b?.sustained?.burstOctets &&
  a?.peak?.octetsPerS === b?.peak?.octetsPerS &&
  a?.peak?.toleranceMs === b?.peak?.toleranceMs;
