// Owns what policy forbids although 7.2.1 and 7.3.1 would let it pass: clear media where protection is required, a line
// that loses its protection inside a dialog, clear T.38. TS 33.328 7.1 NOTE 2, RFC 4568 7.1.4, RFC 3264 8.3.
import type { SdpDocument, SdpMedia } from "@sallyport/sdp";
import type { ReasonCode } from "../reason.ts";
import type { NegotiationFacts, Side } from "./model.ts";
import { isClearMedia, isClearT38, profileOf } from "./read.ts";
import { protectionOf, type AgreedLine, type OfferedLine } from "./state.ts";
import type { Step } from "./step.ts";

/** What becomes of an offer's clear T.38 line. */
export const passesT38 = ({ policy, emergency }: NegotiationFacts): boolean =>
  emergency === true || (policy.t38 ?? (policy.e2ae === "required" ? "refuse" : "pass")) === "pass";

const allowsDowngrade = ({ policy }: NegotiationFacts): boolean =>
  policy.e2ae !== "required" && policy.downgrade === "allow";

const forbidden = (media: SdpMedia, facts: NegotiationFacts, base: AgreedLine | undefined): ReasonCode | undefined => {
  if (isClearT38(media)) return passesT38(facts) ? undefined : "t38-refused";
  if (!isClearMedia(media)) return undefined;
  // Nobody who may send a key over this hop takes it back in the same dialog, unless policy lets him.
  if (protectionOf(base) !== undefined && !allowsDowngrade(facts)) return "downgrade-refused";
  return facts.policy.e2ae === "required" ? "security-required" : undefined;
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
    if (line.fate !== "passed" || media.port === 0 || facts.emergency === true) return line;
    if (line.security === "e2e") {
      // An SRTP offer that ends in a clear answer is a downgrade as well.
      const guards =
        facts.policy.e2ae === "required" || (protectionOf(base[index]) !== undefined && !allowsDowngrade(facts));
      return guards ? { ...line, guarded: media.protocol } : line;
    }
    const reason = forbidden(media, facts, base[index]);
    if (reason === undefined) return line;
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
