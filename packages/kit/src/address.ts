// Owns what an IP address literal says by itself: its family, and whom it names. IPv4 addresses in IPv6 form are judged as IPv4.
import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Of a literal that was checked where it was read: the colon is enough, and asked for often. */
export const isIpv6Literal = (address: string): boolean => address.includes(":");

/** RFC 1122 3.2.1.3 (a), RFC 4291 2.5.2: every address of this machine for who listens, nobody for who sends. */
export const isUnspecified = (address: string): boolean => /^[0:.]+$/.test(address);

/** For IPv6 literals, those in IPv4's form among them. */
const listOf = (...subnets: readonly (readonly [network: string, prefix: number])[]): BlockList => {
  const list = new BlockList();
  for (const [network, prefix] of subnets) list.addSubnet(network, prefix, isIpv6Literal(network) ? "ipv6" : "ipv4");
  return list;
};
const loopback = listOf(["127.0.0.0", 8], ["::1", 128]);
const many = listOf(["0.0.0.0", 8], ["224.0.0.0", 4], ["255.255.255.255", 32], ["ff00::", 8]);

/** RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3: nobody but this machine is reached there. A name is none, whatever it resolves to. */
export const isLoopback = (address: string): boolean =>
  isIpv6Literal(address)
    ? isIPv6(address) && loopback.check(address, "ipv6")
    : address.startsWith("127.") && isIPv4(address);

/** Multicast (RFC 1112, RFC 4291 2.7), broadcast (RFC 919) and 0.0.0.0/8 (RFC 1122 3.2.1.3): not of one host. */
export const isNotUnicast = (address: string): boolean => {
  if (isIpv6Literal(address)) return isIPv6(address) && many.check(address, "ipv6");
  const first = Number.parseInt(address, 10);
  return first === 0 || (first >= 224 && first < 240) || address === "255.255.255.255";
};
