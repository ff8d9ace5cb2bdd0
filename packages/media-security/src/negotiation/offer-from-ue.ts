// Owns what becomes of each m-line of an offer that the UE makes, in whatever SIP message. Edits nothing.
// TS 33.328 7.2.1 steps 1 to 3; RFC 4568 5.1.2. Unclear cases are refused: keys for the access never travel on to the core.
import { attributeValues, type SdpDocument, type SdpMedia } from "@sallyport/sdp";
import { suites, type Suite, type SuiteName } from "@sallyport/srtp";
import type { ReasonCode } from "../reason.ts";
import { acceptOffered, type UsableCrypto } from "../sdes/accept.ts";
import { sameKeys } from "../sdes/offer-answer.ts";
import type { NegotiationFacts } from "./model.ts";
import { endOf, isDtls, offersMux, profileOf, requestsE2ae } from "./read.ts";
import type { AgreedLine, OfferedLine } from "./state.ts";
import { fingerprint, noteKeys, type Step } from "./step.ts";

type Off = OfferedLine & { fate: "off" };

export const bothAnnounced = ({ registration }: NegotiationFacts): boolean =>
  registration.ueE2ae && registration.networkE2ae;

/** Why a plain line stays plain: the same order of reasons as at registration (7.1). */
export const plainReason = ({ registration, policy, confidential }: NegotiationFacts): ReasonCode => {
  if (policy.e2ae === "off") return "network-policy";
  if (!confidential) return "signalling-not-confidential";
  if (!registration.ueE2ae) return "ue-not-capable";
  return registration.networkE2ae ? "not-requested" : "network-policy";
};

const allSuites = Object.keys(suites) as SuiteName[];

/** Same key as in force first: whatever its tag, nothing changes then. Else the UE's order decides (RFC 4568 5.1.2). */
const choose = (usable: readonly UsableCrypto[], base: AgreedLine | undefined): UsableCrypto | undefined => {
  if (base?.kind !== "secured") return usable[0];
  const same = usable.find(({ crypto, suite }) => suite.name === base.suite && sameKeys(crypto, base.fromUe));
  if (same === undefined) return usable[0];
  return { suite: same.suite, crypto: { ...same.crypto, keys: base.fromUe.keys } };
};

const refusal = (reason: ReasonCode, media: SdpMedia, index: number, step: Step): Off => {
  const profile = profileOf(media.protocol);
  step.evidence.push({
    clause: "7.2.1",
    step: "2",
    found: `${media.media} ${media.protocol} with "e2ae-security requested by UE", which cannot be served`,
    changed: ["line refused with port 0, its keys dropped"],
    origin: "access",
    stream: index + 1,
    reason,
  });
  const core = profile?.sides.core ?? media.protocol;
  return { fate: "off", media: media.media, profiles: { access: media.protocol, core }, reason };
};

const secure = (
  document: SdpDocument,
  index: number,
  facts: NegotiationFacts,
  base: AgreedLine | undefined,
  step: Step,
): OfferedLine => {
  const media = document.media[index] as SdpMedia;
  const refuse = (reason: ReasonCode): Off => refusal(reason, media, index, step);
  const profile = profileOf(media.protocol);
  const values = attributeValues(media.lines, "crypto");
  // The indication on a line that is not SRTP, or without any key, asks for what SDES cannot give.
  if (profile?.is !== "secure" || values.length === 0) return refuse("malformed-request");
  const emergency = facts.emergency === true;
  // 7.2.1 step 2: "and the P-CSCF (IMS-ALG) indicated support of e2ae-security during registration".
  if (!bothAnnounced(facts) && !emergency) return refuse("not-announced");
  // 6.2.1.2: keys only over confidential signalling.
  if (!facts.confidential && !emergency) return refuse("signalling-not-confidential");
  const end = endOf(document, index, offersMux(media));
  if (end === undefined) return refuse("malformed-request");
  const accept = emergency && facts.policy.suites.length === 0 ? allSuites : facts.policy.suites;
  const { usable, skipped } = acceptOffered(values, accept);
  for (const { crypto } of usable) noteKeys(step, crypto);
  // RFC 4568 7.1: a key protects one direction; one of ours sent back would encrypt both with one key stream.
  const ours = base?.kind === "secured" ? base.towardsUe.keys : [];
  const sound = usable.filter(({ crypto }) =>
    crypto.keys.every((key) => !ours.some((own) => own.master.equals(key.master))),
  );
  const chosen = choose(sound, base);
  if (chosen === undefined) return refuse("no-common-suite");
  const kept = base?.kind === "secured" && chosen.crypto.keys === base.fromUe.keys;
  step.evidence.push(
    {
      clause: "7.2.1",
      step: "1",
      found: `${media.media} ${media.protocol}, ${values.length} crypto attributes, e2ae-security requested by UE`,
      changed: [],
      origin: "access",
      stream: index + 1,
    },
    {
      clause: "7.2.1",
      step: "2",
      found: bothAnnounced(facts) ? "indication present, support announced at registration" : "emergency call",
      changed: base?.kind === "secured" ? [] : ["IMS Access Gateway included in the media path"],
      origin: "access",
      stream: index + 1,
    },
    {
      clause: "7.2.1",
      step: "3",
      found: `${usable.length} of ${values.length} usable${skipped.map((each) => `, ${each.position}: ${each.why}`).join("")}`,
      changed: [
        `${media.protocol} to ${profile.sides.core}`,
        `selected tag ${chosen.crypto.tag} ${chosen.suite.name}, key ${fingerprint(chosen.crypto)}${kept ? " as before" : ""}`,
        "removed every crypto attribute and the indication",
      ],
      origin: "access",
      stream: index + 1,
      reason: "secured",
    },
  );
  return {
    fate: "secured",
    media: media.media,
    profiles: profile.sides,
    offerer: end,
    offersMux: base?.kind === "secured" && base.ends.core.rtcpMux,
    keys: { kind: "ue-offered", chosen: chosen.crypto, suite: chosen.suite.name satisfies Suite["name"] },
  };
};

const decideLine = (
  document: SdpDocument,
  index: number,
  facts: NegotiationFacts,
  base: AgreedLine | undefined,
  step: Step,
): OfferedLine => {
  const media = document.media[index] as SdpMedia;
  const profile = profileOf(media.protocol);
  const marked = requestsE2ae(media);
  // A line that is or was e2ae keeps its keys from the core, whether or not the UE repeats its indication.
  const known = profile?.is === "secure" && (base?.kind === "secured" || base?.kind === "off");
  if (media.port === 0) {
    const security = profile?.is === "secure" ? "e2e" : "none";
    if (!marked && base?.kind !== "secured" && !known) {
      return { fate: "passed", security, media: media.media, reason: "rejected-by-peer" };
    }
    const sides = profile?.sides ?? { access: media.protocol, core: media.protocol };
    return { fate: "off", media: media.media, profiles: sides, reason: "rejected-by-peer" };
  }
  if (marked || (known && base?.kind === "secured")) return secure(document, index, facts, base, step);
  const note = (security: "e2e" | "none", reason: ReasonCode, found: string): OfferedLine => {
    step.evidence.push({
      clause: "7.2.1",
      step: "2",
      found,
      changed: [],
      origin: "access",
      stream: index + 1,
      reason,
    });
    return { fate: "passed", security, media: media.media, reason };
  };
  const line = `${media.media} ${media.protocol} without "e2ae-security requested by UE"`;
  // 7.2.1 step 2: "If the indication is not present the P-CSCF (IMS-ALG) proceeds as described in clauses 7.2.2 and 7.2.3".
  if (profile?.is === "secure" || isDtls(media.protocol)) return note("e2e", "e2e-offered", line);
  return note("none", profile === undefined ? "not-rtp" : plainReason(facts), line);
};

/** SAVP and AVP offered side by side for one medium: mapped, both would be AVP. The secured one stays. */
const dropTwins = (
  document: SdpDocument,
  lines: readonly OfferedLine[],
  base: readonly AgreedLine[],
  step: Step,
): readonly OfferedLine[] => {
  const paired = new Set<number>();
  return lines.map((line, index) => {
    const media = document.media[index] as SdpMedia;
    const plain = line.fate === "passed" && line.security === "none" && media.port !== 0 && profileOf(media.protocol);
    // A plain line that already runs beside a secured one is a medium of its own.
    if (plain === false || plain === undefined || base[index]?.kind === "passed") return line;
    const twin = lines.findIndex((other, at) => {
      const its = document.media[at] as SdpMedia;
      const alike = its.media === media.media && its.formats.join(" ") === media.formats.join(" ");
      return other.fate === "secured" && alike && !paired.has(at);
    });
    if (twin === -1) return line;
    paired.add(twin);
    step.evidence.push({
      clause: "7.2.1",
      step: "3",
      found: `plain twin of stream ${twin + 1}`,
      changed: ["offered with port 0"],
      origin: "access",
      stream: index + 1,
      reason: "duplicate-line",
    });
    const profiles = { access: media.protocol, core: media.protocol };
    return { fate: "off", media: media.media, profiles, reason: "duplicate-line" };
  });
};

/** Every m-line of the UE's offer, decided one by one; `base` is what is in force. */
export const decideUeOffer = (
  document: SdpDocument,
  facts: NegotiationFacts,
  base: readonly AgreedLine[],
  step: Step,
): readonly OfferedLine[] => {
  const lines = document.media.map((_, index) => decideLine(document, index, facts, base[index], step));
  return dropTwins(document, lines, base, step);
};
