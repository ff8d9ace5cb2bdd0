// Owns end-to-end media security through this gateway: SDES or KMS keyed by the ends themselves, forwarded byte for byte
// (invariant 9). TS 33.328 5.3 and 6.1: where RTP/SAVP stands on both sides and nobody gave the gateway a key, it has none to have.
import { isSecureProtocol } from "@sallyport/iq";
import type { MediaPlane } from "@sallyport/media-plane";
import type { LiveStream } from "./termination.ts";

const keyless = ({ state }: LiveStream): boolean =>
  isSecureProtocol(state.local.protocol) && state.cryptos.local === undefined && state.cryptos.remote === undefined;

const protect = (plane: MediaPlane, stream: LiveStream, kind: "transparent" | "awaiting-keys"): void => {
  if (stream.plan.protection.kind === kind) return;
  plane.update(stream.leg, { protection: { kind } });
  stream.plan = { ...stream.plan, protection: { kind } };
};

/** After every change of either stream: both pass untouched, or each does what its own description says. */
export const passThrough = (plane: MediaPlane, access: LiveStream, core: LiveStream): void => {
  const passes = keyless(access) && keyless(core);
  for (const stream of [access, core]) {
    if (passes) protect(plane, stream, "transparent");
    // Without keys, and without the other side passing too: nothing goes through.
    else if (keyless(stream)) protect(plane, stream, "awaiting-keys");
  }
};
