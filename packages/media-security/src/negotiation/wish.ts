// Owns whether and how a line is to be protected up to the gateway: as e2ae, for a phone that knows SDES only, or not.
// TS 33.328 7.1, 7.2.1 step 2, 7.2.2; the quirks in the way a UE asks for it.
import { attributeValues, type SdpMedia } from "@sallyport/sdp";
import type { QuirkId } from "../quirks/table.ts";
import type { ProtectionMode, ReasonCode } from "../reason.ts";
import type { NegotiationFacts } from "./model.ts";
import { isUncarried, profileOf, requestsE2ae } from "./read.ts";
import type { AgreedLine } from "./state.ts";
import { meetQuirk, type Step } from "./step.ts";

export const bothAnnounced = ({ registration }: NegotiationFacts): boolean =>
  registration.ueE2ae && registration.networkE2ae;

/** The SDES phone mode is for whom e2ae was not agreed: keys end at the gateway, no indication is asked or given. */
export const servesPhone = (facts: NegotiationFacts): boolean =>
  (facts.policy.sdesPhone ?? "off") !== "off" && !bothAnnounced(facts);

/** Why a plain line stays plain: the same order of reasons as at registration (7.1). */
export const plainReason = ({ registration, policy, confidential }: NegotiationFacts): ReasonCode => {
  if (policy.e2ae === "off") return "network-policy";
  if (!confidential) return "signalling-not-confidential";
  if (!registration.ueE2ae) return "ue-not-capable";
  return registration.networkE2ae ? "not-requested" : "network-policy";
};

export interface Wish {
  readonly marked: { readonly odd: boolean } | undefined;
  readonly mode: ProtectionMode;
  /** The tag in use is one the UE chose itself in an offer; after a swap of roles it is ours. */
  readonly ownTag: boolean;
}

/** Quirks of the UE's way to ask; whether all are borne. */
export const bearsWish = (wish: Wish, base: AgreedLine | undefined, at: number, step: Step): boolean => {
  const met: QuirkId[] = [];
  if (wish.marked?.odd === true) met.push("indication-spelling");
  if (wish.marked !== undefined && wish.mode === "sdes-phone") met.push("indication-unannounced");
  if (wish.marked === undefined && wish.mode === "e2ae" && base?.kind === "secured")
    met.push("indication-not-repeated");
  return met.map((quirk) => meetQuirk(step, quirk, at)).every(Boolean);
};

/** Whether and how the gateway is to protect this line. */
export const wishOf = (
  media: SdpMedia,
  facts: NegotiationFacts,
  inForce: AgreedLine | undefined,
  ownTag: boolean,
): Wish | undefined => {
  const marked = requestsE2ae(media.lines);
  const phone = servesPhone(facts);
  const secured = profileOf(media.protocol)?.is === "secure";
  const keyed = (secured || isUncarried(media.protocol)) && attributeValues(media.lines, "crypto").length > 0;
  // A line that is protected keeps its keys from the core, whether or not the UE repeats its indication.
  if (secured && inForce?.kind === "secured") return { marked, mode: inForce.mode, ownTag };
  const served = phone && keyed && facts.emergency !== true;
  if (marked !== undefined) return { marked, mode: served ? "sdes-phone" : "e2ae", ownTag };
  // A UE that announced e2ae and does not ask for it wants e2e (7.2.1 step 2); one that knows no e2ae cannot ask.
  return phone && keyed && !facts.registration.ueE2ae ? { marked, mode: "sdes-phone", ownTag } : undefined;
};
