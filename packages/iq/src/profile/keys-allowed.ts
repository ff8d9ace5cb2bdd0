// Owns the rule when a media key may cross Iq (TS 33.328 6.2.1.3 and its note; invariant 6).
import { isLoopback } from "@sallyport/kit";

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
