// Owns what is refused before the engine sees it: values that are no address, port, rule or code point, and what its record has no
// words for.
import { srtpErrors, suites } from "@sallyport/srtp";
import { mediaPlaneErrors } from "../errors.ts";
import type { LegChange, PlaneKey, Protection } from "../plane.ts";
import { checkPolicing, checkSourceFilter } from "../portable/rules.ts";
import { checkRemote } from "../remote.ts";

/** In the record an MKI without octets is none, and a lifetime of 0, or of 2^64, none too: the core cannot refuse them. */
const checkKeys = (protection: Protection): void => {
  if (protection.kind !== "srtp") return;
  const { srtpLifetime } = suites[protection.suite];
  checkKey(protection.send, srtpLifetime);
  for (const key of protection.receive) checkKey(key, srtpLifetime);
};

const checkKey = ({ lifetime, mki }: PlaneKey, most: bigint): void => {
  if (mki?.length === 0) throw srtpErrors("SALLY_SRTP_KEYS", "The MKI has 0 octets.");
  if (lifetime !== undefined && (lifetime < 1n || lifetime > most))
    throw srtpErrors("SALLY_SRTP_LIFETIME", `It says ${lifetime} packets.`);
};

/** @throws SALLY_PLANE_REMOTE, SALLY_PLANE_RULE, SALLY_PLANE_DSCP, SALLY_SRTP_KEYS, SALLY_SRTP_LIFETIME. */
export const checkChange = (change: LegChange): void => {
  if (change.remote !== undefined) checkRemote(change.remote);
  if (change.sourceFilter !== undefined) checkSourceFilter(change.sourceFilter);
  if (change.policing !== undefined) checkPolicing(change.policing);
  if (change.protection !== undefined) checkKeys(change.protection);
  const { dscp = 0 } = change;
  if (!Number.isInteger(dscp) || dscp < 0 || dscp > 63) throw mediaPlaneErrors("SALLY_PLANE_DSCP", `It is ${dscp}.`);
};
