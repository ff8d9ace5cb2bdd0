// Owns the question where a gateway may send media at all: what stands in a Remote was said by a UE, and must not make the
// gateway speak to itself or to everybody. Pure.
import { isLoopback, isNotUnicast, isUnspecified } from "@sallyport/kit";

/** `home` is where it would be sent from. */
export const destinationOf = (address: string, home: string): "usable" | "nobody" | "refused" => {
  // RFC 3264 8.4.
  if (isUnspecified(address)) return "nobody";
  return isNotUnicast(address) || (isLoopback(address) && !isLoopback(home)) ? "refused" : "usable";
};
