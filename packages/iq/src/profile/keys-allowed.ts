// Owns the rule when a media key may cross Iq (TS 33.328 6.2.1.3 and its note; invariant 6).
import { BlockList, isIPv6 } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

const isLoopback = (address: string): boolean => loopback.check(address, isIPv6(address) ? "ipv6" : "ipv4");

export interface Crossing {
  /** TLS with both certificates verified. */
  readonly protected: boolean;
  readonly local: { readonly address: string };
  readonly remote: { readonly address: string };
}

/** Over TLS with both certificates; where the operator vouches for what is below; or in the lab on loopback. */
export const keysAllowed = (
  peer: Crossing,
  declared: { readonly protectedBelow?: boolean | undefined; readonly lab?: boolean | undefined },
): boolean =>
  peer.protected || declared.protectedBelow === true || (declared.lab === true && isLoopback(peer.remote.address));
