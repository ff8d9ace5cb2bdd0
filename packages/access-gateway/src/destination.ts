// Owns the question where a gateway may send media at all: what stands in a Remote was said by a UE, and must not make the
// gateway speak to itself or to everybody, nor to where no socket of its family sends. Pure.
import { BlockList } from "node:net";
import { isIpv6Literal, isLoopback, isNotUnicast, isUnspecified } from "@sallyport/kit";

const mapped = new BlockList();
mapped.addSubnet("::ffff:0:0", 96, "ipv6");

/** RFC 4291 2.5.5.2: IPv4 in IPv6's form goes by no IPv6 socket. RFC 4007 11: a zone means something to its own host only. */
const isUnsendable = (address: string): boolean =>
  isIpv6Literal(address) && (address.includes("%") || mapped.check(address, "ipv6"));

/** `home` is where it would be sent from. */
export const destinationOf = (address: string, home: string): "usable" | "nobody" | "refused" => {
  // RFC 3264 8.4.
  if (isUnspecified(address)) return "nobody";
  const refused = isNotUnicast(address) || isUnsendable(address) || (isLoopback(address) && !isLoopback(home));
  return refused ? "refused" : "usable";
};
