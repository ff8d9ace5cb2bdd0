// Owns what policy forbids although 7.2.1 and 7.3.1 would let it pass: clear media where protection is required, a line
// that loses its protection inside a dialog, clear T.38. TS 33.328 7.1 NOTE 2, RFC 4568 7.1.4, RFC 3264 8.3.
import type { SdpDocument, SdpMedia } from "@sallyport/sdp";
import type { ReasonCode } from "../reason.ts";
import type { NegotiationFacts, Side } from "./model.ts";
import { isClearMedia, isClearT38, offersCapability, profileOf } from "./read.ts";
import { protectionOf, type AgreedLine, type OfferedLine } from "./state.ts";
import type { Step } from "./step.ts";

/** What becomes of an offer's clear T.38 line. */
const passesT38 = ({ policy, emergency }: NegotiationFacts): boolean =>
  emergency === true || (policy.t38 ?? (policy.e2ae === "required" ? "refuse" : "pass")) === "pass";

type Passed = OfferedLine & { readonly fate: "passed" };

const allowsDowngrade = ({ policy }: NegotiationFacts): boolean =>
  policy.e2ae !== "required" && policy.downgrade === "allow";

const forbidden = (media: SdpMedia, facts: NegotiationFacts, base: AgreedLine | undefined): ReasonCode | undefined => {
  if (isClearT38(media)) return passesT38(facts) ? undefined : "t38-refused";
  if (!isClearMedia(media)) return undefined;
  // Nobody who may send a key over this hop takes it back in the same dialog, unless policy lets him.
  if (protectionOf(base) !== undefined && !allowsDowngrade(facts)) return "downgrade-refused";
  return facts.policy.e2ae === "required" ? "security-required" : undefined;
};

const passedAs = (line: Passed, media: SdpMedia, facts: NegotiationFacts, base: AgreedLine | undefined): Passed => {
  const bared =
    facts.policy.bestEffortCrypto !== "pass" && line.security === "none" && media.lines.some(offersCapability);
  // An offer of SRTP, or of no RTP at all, that ends in a clear answer is a downgrade as well.
  const due = facts.policy.e2ae === "required" || (protectionOf(base) !== undefined && !allowsDowngrade(facts));
  const guarded = due && facts.emergency !== true;
  return { ...line, ...(bared ? { bared } : {}), ...(guarded ? { guarded: media.protocol } : {}) };
};

/** Lines of an offer after policy has had its say; an emergency call is never refused for lack of media security. */
export const guardLines = (
  document: SdpDocument,
  lines: readonly OfferedLine[],
  from: Side,
  facts: NegotiationFacts,
  base: readonly AgreedLine[],
  step: Step,
): readonly OfferedLine[] =>
  lines.map((line, index) => {
    const media = document.media[index] as SdpMedia;
    if (line.fate !== "passed" || media.port === 0) return line;
    const exempt = line.security === "e2e" || facts.emergency === true;
    const reason = exempt ? undefined : forbidden(media, facts, base[index]);
    if (reason === undefined) return passedAs(line, media, facts, base[index]);
    step.evidence.push({
      clause: from === "access" ? "7.2.1" : "7.3.1",
      step: from === "access" ? "2" : "3",
      found: `${media.media} ${media.protocol} in the clear (${line.reason})`,
      changed: [reason === "downgrade-refused" ? "offer refused, what is in force stays" : "line refused"],
      origin: from,
      stream: index + 1,
      reason,
    });
    const core = profileOf(media.protocol)?.sides.core ?? media.protocol;
    return { fate: "off", media: media.media, profiles: { access: media.protocol, core }, reason };
  });
