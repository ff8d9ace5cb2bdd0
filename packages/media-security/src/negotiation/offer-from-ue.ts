// Owns what becomes of each m-line of an offer that the UE makes, in whatever SIP message. Edits nothing.
// TS 33.328 7.2.1 steps 1 to 3; RFC 4568 5.1.2. Unclear cases are refused: keys for the access never travel on to the core.
import { attributeValues, hasAttribute, type SdpDocument, type SdpMedia } from "@sallyport/sdp";
import { suites, type Suite, type SuiteName } from "@sallyport/srtp";
import type { ReasonCode } from "../reason.ts";
import { acceptedSuites } from "../registration/policy.ts";
import { acceptOffered, type UsableCrypto } from "../sdes/accept.ts";
import { sameKeys } from "../sdes/offer-answer.ts";
import { guardLines } from "./guard.ts";
import { dropReusedKeys } from "./key-reuse.ts";
import type { NegotiationFacts } from "./model.ts";
import { endOf, isBetweenUes, offersMux, offersSrtpInstead, profileOf, requestsE2ae, sameMedium } from "./read.ts";
import { protectionOf, type AgreedLine, type OfferedLine, type Session } from "./state.ts";
import { fingerprint, meetQuirk, noteKeys, protectedBy, type Step } from "./step.ts";
import { dropTwins } from "./twins.ts";
import { bearsWish, bothAnnounced, plainReason, wishOf, type Wish } from "./wish.ts";

type Off = OfferedLine & { fate: "off" };

const allSuites = Object.keys(suites) as SuiteName[];

/** Same key as in force first: whatever its tag, nothing changes then. Else the UE's order decides (RFC 4568 5.1.2). */
const choose = (usable: readonly UsableCrypto[], base: AgreedLine | undefined): UsableCrypto | undefined => {
  if (base?.kind !== "secured") return usable[0];
  const same = usable.find(({ crypto, suite }) => suite.name === base.suite && sameKeys(crypto, base.fromUe));
  if (same === undefined) return usable[0];
  return { ...same, crypto: { ...same.crypto, keys: base.fromUe.keys } };
};

const refusal = (reason: ReasonCode, media: SdpMedia, index: number, step: Step): Off => {
  const profile = profileOf(media.protocol);
  step.evidence.push({
    clause: "7.2.1",
    step: "2",
    found: `${media.media} ${media.protocol}, protection asked for that cannot be given`,
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
  wish: Wish,
  step: Step,
): OfferedLine => {
  const media = document.media[index] as SdpMedia;
  const refuse = (reason: ReasonCode): Off => refusal(reason, media, index, step);
  const profile = profileOf(media.protocol);
  const values = attributeValues(media.lines, "crypto");
  // The indication on a line that is not SRTP, or without any key, asks for what SDES cannot give.
  if (profile?.is !== "secure" || values.length === 0) return refuse("malformed-request");
  const emergency = facts.emergency === true;
  const { mode } = wish;
  // 7.2.1 step 2: "and the P-CSCF (IMS-ALG) indicated support of e2ae-security during registration".
  if (mode === "e2ae" && !bothAnnounced(facts) && !emergency && base?.kind !== "secured")
    return refuse("not-announced");
  // 6.2.1.2: keys only over confidential signalling.
  if (!facts.confidential && !emergency) return refuse("signalling-not-confidential");
  if (!bearsWish(wish, base, index + 1, step)) return refuse("malformed-request");
  const end = endOf(document, index, offersMux(media));
  if (end === undefined) return refuse("malformed-request");
  const allowed = acceptedSuites(facts.policy);
  const { usable, skipped } = acceptOffered(
    values,
    emergency && allowed.length === 0 ? allSuites : allowed,
    step.quirks,
  );
  for (const { crypto } of usable) noteKeys(step, crypto);
  // RFC 4568 7.1: a key protects one direction; one of ours sent back would encrypt both with one key stream.
  const ours = base?.kind === "secured" ? base.towardsUe.keys : [];
  const sound = usable.filter(({ crypto }) =>
    crypto.keys.every((key) => !ours.some((own) => own.master.equals(key.master))),
  );
  const chosen = choose(sound, base);
  for (const quirk of new Set([...(chosen?.quirks ?? []), ...skipped.flatMap((each) => each.quirk ?? [])])) {
    meetQuirk(step, quirk, index + 1);
  }
  if (chosen === undefined) return refuse("no-common-suite");
  const kept = base?.kind === "secured" && chosen.crypto.keys === base.fromUe.keys;
  const renumbered = base?.kind === "secured" && kept && wish.ownTag && chosen.crypto.tag !== base.fromUe.tag;
  if (renumbered && !meetQuirk(step, "crypto-tag-renumbered", index + 1)) return refuse("malformed-request");
  noteSecured({ media, wish, facts, index, step, inForce: base?.kind === "secured" }, [
    `${usable.length} of ${values.length} usable${skipped.map((each) => `, ${each.position}: ${each.why}`).join("")}`,
    `${media.protocol} to ${profile.sides.core}`,
    `selected tag ${chosen.crypto.tag} ${chosen.suite.name}, key ${fingerprint(chosen.crypto)}${kept ? " as before" : ""}`,
  ]);
  return {
    fate: "secured",
    media: media.media,
    mode,
    profiles: profile.sides,
    offerer: end,
    offersMux: base?.kind === "secured" && base.ends.core.rtcpMux,
    keys: { kind: "ue-offered", chosen: chosen.crypto, suite: chosen.suite.name satisfies Suite["name"] },
  };
};

interface Noted {
  readonly media: SdpMedia;
  readonly wish: Wish;
  readonly facts: NegotiationFacts;
  readonly index: number;
  readonly step: Step;
  readonly inForce: boolean;
}

/** 7.2.1 steps 1 to 3 as they happened. */
const noteSecured = (
  { media, wish, facts, index, step, inForce }: Noted,
  [found = "", ...changed]: readonly string[],
) => {
  const asked = wish.marked === undefined ? "without an indication" : "e2ae-security requested by UE";
  const why =
    wish.mode === "sdes-phone"
      ? `SDES phone mode: ${facts.policy.sdesPhone}`
      : bothAnnounced(facts)
        ? "indication present, support announced at registration"
        : "emergency call";
  const { reason, mode } = protectedBy(wish.mode);
  const stream = index + 1;
  const lines = attributeValues(media.lines, "crypto").length;
  const marked = hasAttribute(media.lines, "3ge2ae");
  step.evidence.push(
    {
      clause: "7.2.1",
      step: "1",
      found: `${media.media} ${media.protocol}, ${lines} crypto attribute${lines === 1 ? "" : "s"}, ${asked}`,
      changed: [],
      origin: "access",
      stream,
      mode,
    },
    {
      clause: "7.2.1",
      step: "2",
      found: why,
      changed: inForce ? [] : ["IMS Access Gateway included in the media path"],
      origin: "access",
      stream,
      mode,
    },
    {
      clause: "7.2.1",
      step: "3",
      found,
      changed: [...changed, `removed every crypto attribute${marked ? " and the indication" : ""}`],
      origin: "access",
      stream,
      reason,
      mode,
    },
  );
};

const decideLine = (
  document: SdpDocument,
  index: number,
  facts: NegotiationFacts,
  session: Session | undefined,
  step: Step,
): OfferedLine => {
  const media = document.media[index] as SdpMedia;
  const profile = profileOf(media.protocol);
  const base = session?.lines[index];
  const inForce = sameMedium(base, media);
  const wish = wishOf(media, facts, inForce, session?.answerer === "core");
  if (media.port === 0) {
    const security = profile?.is === "secure" ? "e2e" : "none";
    const known = profile?.is === "secure" && base?.kind === "off";
    if (requestsE2ae(media.lines) === undefined && protectionOf(base) === undefined && !known) {
      return { fate: "passed", security, media: media.media, reason: "rejected-by-peer" };
    }
    const sides = profile?.sides ?? { access: media.protocol, core: media.protocol };
    return { fate: "off", media: media.media, profiles: sides, reason: "rejected-by-peer" };
  }
  // Whoever does not know RFC 5939 answers what is offered now: plain RTP, unless policy will have none.
  const instead = offersSrtpInstead(document, media);
  if (wish !== undefined && !instead) return secure(document, index, facts, inForce, wish, step);
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
  // TS 24.229 7.5.2: media level only. Above all lines it asks for nothing that could be given, and is no wish for e2e.
  const keyed = profile?.is === "secure" && attributeValues(media.lines, "crypto").length > 0;
  if (keyed && requestsE2ae(document.session) !== undefined) return refusal("malformed-request", media, index, step);
  const asked = instead ? "SRTP as a potential configuration only" : 'without "e2ae-security requested by UE"';
  const line = `${media.media} ${media.protocol} ${asked}`;
  // 7.2.1 step 2: "If the indication is not present the P-CSCF (IMS-ALG) proceeds as described in clauses 7.2.2 and 7.2.3".
  if (isBetweenUes(media.protocol)) return note("e2e", "e2e-offered", line);
  return note("none", profile === undefined ? "not-rtp" : plainReason(facts), line);
};

/** Every m-line of the UE's offer, decided one by one; `session` is what is in force. */
export const decideUeOffer = (
  document: SdpDocument,
  facts: NegotiationFacts,
  session: Session | undefined,
  step: Step,
): readonly OfferedLine[] => {
  const base = session?.lines ?? [];
  const lines = document.media.map((_, index) => decideLine(document, index, facts, session, step));
  const own = dropReusedKeys(document, dropTwins(document, lines, base, step), base, step);
  return guardLines(document, own, "access", facts, base, step);
};
