// Owns the question where a gateway may send media at all: what stands in a Remote was said by a UE, and must not make the
// gateway speak to itself or to everybody. Pure; IPv4 addresses in IPv6 form are judged as IPv4.
import { BlockList } from "node:net";
import { isIpv6Literal, isUnspecified } from "./address-family.ts";

/** IPv6 addresses, and IPv4 ones in their form. */
const listOf = (...subnets: readonly (readonly [network: string, prefix: number])[]): BlockList => {
  const list = new BlockList();
  for (const [network, prefix] of subnets) list.addSubnet(network, prefix, isIpv6Literal(network) ? "ipv6" : "ipv4");
  return list;
};
const manyIpv6 = listOf(["224.0.0.0", 4], ["255.255.255.255", 32], ["0.0.0.0", 8], ["ff00::", 8]);
const loopbackIpv6 = listOf(["127.0.0.0", 8], ["::1", 128]);

/** Of an IPv4 literal: nearly all are, and it is all that has to be known of them. */
const firstNumber = (address: string): number => Number.parseInt(address, 10);

/** RFC 1112, RFC 919, RFC 4291 2.7. */
const isMany = (address: string): boolean => {
  if (isIpv6Literal(address)) return manyIpv6.check(address, "ipv6");
  const first = firstNumber(address);
  return first === 0 || (first >= 224 && first < 240) || address === "255.255.255.255";
};

/** RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3: services of this machine listen there. */
const isLoopback = (address: string): boolean =>
  isIpv6Literal(address) ? loopbackIpv6.check(address, "ipv6") : firstNumber(address) === 127;

/** `home` is where it would be sent from. */
export const destinationOf = (address: string, home: string): "usable" | "nobody" | "refused" => {
  // RFC 3264 8.4.
  if (isUnspecified(address)) return "nobody";
  return isMany(address) || (isLoopback(address) && !isLoopback(home)) ? "refused" : "usable";
};
