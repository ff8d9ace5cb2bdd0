// Owns the order in which DNS records are tried. Pure but for `random`. RFC 3263 4.1 (NAPTR), RFC 2782 (SRV), RFC 3403 4.1.
// Must not know who asks the DNS, nor how.
import type { Random } from "@sallyport/kit";
import type { SipProtocol } from "../transport/flow.ts";

export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly replacement: string;
}

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** `.` says that the service is not there (RFC 2782). */
  readonly name: string;
}

/** Records looked at of one answer. */
const maxRecords = 16;

const services: ReadonlyMap<string, SipProtocol> = new Map([
  ["sip+d2u", "udp"],
  ["sip+d2t", "tcp"],
  ["sips+d2t", "tls"],
]);

/** RFC 3263 4.1: the SRV names to ask, by the NAPTR records of services we can speak, best first. */
export const orderNaptr = (
  records: readonly NaptrRecord[],
  can: (protocol: SipProtocol) => boolean,
): readonly { readonly protocol: SipProtocol; readonly name: string }[] =>
  records
    .slice(0, maxRecords)
    .toSorted((a, b) => a.order - b.order || a.preference - b.preference)
    .flatMap(({ flags, service, replacement }) => {
      const protocol = flags.toLowerCase() === "s" ? services.get(service.toLowerCase()) : undefined;
      return protocol !== undefined && can(protocol) && replacement !== "" ? [{ protocol, name: replacement }] : [];
    });

/** A number from 0 to `below` - 1. */
const pick = (random: Random, below: number): number => {
  const octets = random.bytes(4);
  return Buffer.from(octets).readUInt32BE(0) % below;
};

/** RFC 2782: lowest priority first; within one, by chance in proportion to the weights, those without weight last. */
export const orderSrv = (records: readonly SrvRecord[], random: Random): readonly SrvRecord[] => {
  const ordered: SrvRecord[] = [];
  const left = records.slice(0, maxRecords).filter(({ name }) => name !== "" && name !== ".");
  while (left.length > 0) {
    const priority = Math.min(...left.map((record) => record.priority));
    const group = left.filter((record) => record.priority === priority).toSorted((a, b) => a.weight - b.weight);
    const total = group.reduce((sum, { weight }) => sum + weight, 0);
    let rest = pick(random, total + 1);
    const chosen = group.find(({ weight }) => (rest -= weight) <= 0) ?? group[0];
    if (chosen === undefined) break;
    ordered.push(chosen);
    left.splice(left.indexOf(chosen), 1);
  }
  return ordered;
};
