// Owns what becomes of each m-line of an offer that comes from the core, in whatever SIP message. Edits nothing.
// TS 33.328 7.3.1 steps 3 and 4; RFC 4568 5.1.1.
import type { Random } from "@sallyport/kit";
import type { CryptoAttribute, SdpDocument, SdpMedia } from "@sallyport/sdp";
import type { SuiteName } from "@sallyport/srtp";
import type { ProtectionMode, ReasonCode } from "../reason.ts";
import { createOffer } from "../sdes/offer-answer.ts";
import { guardLines } from "./guard.ts";
import type { NegotiationFacts } from "./model.ts";
import { endOf, isBetweenUes, offersMux, profileOf, sameMedium } from "./read.ts";
import { protectionOf, type AgreedLine, type OfferedLine } from "./state.ts";
import { fingerprint, noteKeys, protectedBy, type Step } from "./step.ts";
import { bothAnnounced, plainReason, servesPhone } from "./wish.ts";

/** The suite in use first, with the key and tag in use: a UE that sees the same line keeps its context. */
const repeatOffer = (
  inUse: AgreedLine & { kind: "secured" },
  suites: readonly SuiteName[],
  random: Random,
): readonly CryptoAttribute[] => {
  const tags = [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((tag) => tag !== inUse.towardsUe.tag);
  const others = createOffer(
    [...new Set(suites)].filter((suite) => suite !== inUse.suite),
    random,
  );
  return [
    inUse.towardsUe,
    ...others.map(({ suite, keys, sessionParams }, at) => ({ tag: tags[at] as number, suite, keys, sessionParams })),
  ];
};

const secure = (
  document: SdpDocument,
  index: number,
  facts: NegotiationFacts,
  base: AgreedLine | undefined,
  repeated: OfferedLine | undefined,
  mode: ProtectionMode,
  step: Step,
): OfferedLine => {
  const media = document.media[index] as SdpMedia;
  const sides = profileOf(media.protocol)?.sides ?? { access: media.protocol, core: media.protocol };
  const note = (found: string, changed: readonly string[], at: string, reason: ReasonCode): void => {
    const on = { origin: "core", stream: index + 1, reason, mode } as const;
    step.evidence.push({ clause: "7.3.1", step: at, found, changed, ...on });
  };
  const { reason: good } = protectedBy(mode);
  const refuse = (reason: ReasonCode): OfferedLine => {
    note(
      `${media.media} ${media.protocol}, protection due but not possible`,
      ["line refused with port 0"],
      "3",
      reason,
    );
    return { fate: "off", media: media.media, profiles: sides, reason };
  };
  // 6.2.1.2: no key over signalling that is not confidential, and no silent fall-back to clear.
  if (!facts.confidential) return refuse("signalling-not-confidential");
  if (facts.policy.suites.length === 0) return refuse("no-common-suite");
  const end = endOf(document, index, offersMux(media));
  if (end === undefined) return refuse("malformed-request");
  const candidates =
    repeated?.fate === "secured" && repeated.keys.kind === "we-offer"
      ? repeated.keys.candidates
      : base?.kind === "secured"
        ? repeatOffer(base, facts.policy.suites, step.random)
        : createOffer(facts.policy.suites, step.random);
  for (const line of candidates) noteKeys(step, line);
  const included = base?.kind === "secured" ? [] : ["IMS Access Gateway included in the media path"];
  const due = mode === "e2ae" ? "both indicated support of e2ae-security" : "SDES phone mode";
  note(`${media.media} ${media.protocol}, ${due}`, included, "3", good);
  const keys = candidates.map((line) => `tag ${line.tag} ${line.suite}, key ${fingerprint(line)}`);
  note(
    `${media.media} ${media.protocol}`,
    [`${media.protocol} to ${sides.access}`, ...keys, ...(mode === "e2ae" ? ["added the indication"] : [])],
    "4",
    good,
  );
  return {
    fate: "secured",
    media: media.media,
    mode,
    profiles: sides,
    offerer: end,
    offersMux: base?.kind === "secured" && base.ends.access.rtcpMux,
    keys: { kind: "we-offer", candidates },
  };
};

const decideLine = (
  document: SdpDocument,
  index: number,
  facts: NegotiationFacts,
  base: AgreedLine | undefined,
  repeated: OfferedLine | undefined,
  step: Step,
): OfferedLine => {
  const media = document.media[index] as SdpMedia;
  const profile = profileOf(media.protocol);
  const inForce = sameMedium(base, media);
  if (media.port === 0) {
    const security = profile?.is === "secure" ? "e2e" : "none";
    const mapped = profile !== undefined && (protectionOf(base) !== undefined || base?.kind === "off");
    return mapped
      ? { fate: "off", media: media.media, profiles: profile.sides, reason: "rejected-by-peer" }
      : { fate: "passed", security, media: media.media, reason: "rejected-by-peer" };
  }
  const pass = (security: "e2e" | "none", reason: ReasonCode, found: string): OfferedLine => {
    step.evidence.push({
      clause: "7.3.1",
      step: "3",
      found: `${media.media} ${media.protocol}${found}`,
      changed: [],
      origin: "core",
      stream: index + 1,
      reason,
    });
    return { fate: "passed", security, media: media.media, reason };
  };
  // 7.3.1 NOTE: SRTP offered by the core means e2e, leave it alone.
  if (isBetweenUes(media.protocol)) return pass("e2e", "e2e-offered", "");
  if (profile === undefined) return pass("none", "not-rtp", "");
  // 7.3.1 step 3: "If this is not the case the P-CSCF (IMS-ALG) continues as described for a call without ... security".
  const mode = modeFor(facts, base);
  if (mode === undefined) return pass("none", plainReason(facts), ", not both indicated support");
  // The UE set this line up without protection of its own accord: a hold from the far end does not change that.
  if (inForce?.kind === "passed" && inForce.security === "none" && inForce.reason !== "rejected-by-peer") {
    return pass("none", "not-requested", ", plain from the start");
  }
  if (facts.emergency === true && !facts.confidential && inForce?.kind !== "secured") {
    return pass("none", "signalling-not-confidential", ", emergency call");
  }
  return secure(document, index, facts, inForce, repeated, mode, step);
};

/** How a line towards the UE is to be protected: as it is or was in this dialog, as announced, or as to a phone. */
const modeFor = (facts: NegotiationFacts, base: AgreedLine | undefined): ProtectionMode | undefined => {
  const offersPhone = servesPhone(facts) && facts.policy.sdesPhone === "offer" && facts.confidential;
  return protectionOf(base) ?? (bothAnnounced(facts) ? "e2ae" : offersPhone ? "sdes-phone" : undefined);
};

/**
 * Every m-line of the core's offer, decided one by one. `base` is what is in force; `repeated` are the lines of the same
 * offer when a 2xx says again what an 18x said.
 */
export const decideCoreOffer = (
  document: SdpDocument,
  facts: NegotiationFacts,
  base: readonly AgreedLine[],
  repeated: readonly OfferedLine[],
  step: Step,
): readonly OfferedLine[] => {
  const lines = document.media.map((_, index) =>
    decideLine(document, index, facts, base[index], repeated[index], step),
  );
  return guardLines(document, lines, "core", facts, base, step);
};
