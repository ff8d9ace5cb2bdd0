// Owns whether a line that is to pass end to end would carry a key of the access. RFC 4568 7.1: a key is for one stream;
// sent on through the core it would lay open what the access has carried. TS 33.328 7.2.1 steps 2 and 3.
import { attributeValues, type SdpDocument, type SdpMedia } from "@sallyport/sdp";
import { acceptOffered } from "../sdes/accept.ts";
import { sameKeys } from "../sdes/offer-answer.ts";
import { holdsKey, keysIn } from "./key-text.ts";
import type { AgreedLine, OfferedLine } from "./state.ts";
import { noteKeys, type Step } from "./step.ts";

/** A key that protects a stream up to the gateway by what is in force. */
export const repeatsKey = (media: SdpMedia, inForce: readonly AgreedLine[], step: Step): boolean => {
  const values = attributeValues(media.lines, "crypto");
  if (values.length === 0) return false;
  return inForce.some(
    (line) =>
      line.kind === "secured" &&
      acceptOffered(values, [line.suite]).usable.some(({ crypto }) => sameKeys(noteKeys(step, crypto), line.fromUe)),
  );
};

/** The UE's offer without lines that carry end to end what is a key of the access, in this offer or in force. */
export const dropReusedKeys = (
  document: SdpDocument,
  lines: readonly OfferedLine[],
  inForce: readonly AgreedLine[],
  step: Step,
): readonly OfferedLine[] => {
  const passes = (line: OfferedLine | undefined): boolean => line?.fate === "passed";
  if (!lines.some((line) => line.fate === "passed" && line.security === "e2e")) return lines;
  const keys = keysIn(document.media.filter((_, index) => !passes(lines[index])));
  return lines.map((line, index) => {
    const media = document.media[index] as SdpMedia;
    if (line.fate !== "passed" || line.security !== "e2e") return line;
    if (!media.lines.some((each) => holdsKey(each, keys)) && !repeatsKey(media, inForce, step)) return line;
    step.evidence.push({
      clause: "7.2.1",
      step: "3",
      found: `${media.media} ${media.protocol} with a key of a stream that is protected up to the gateway`,
      changed: ["line refused with port 0, its keys dropped"],
      origin: "access",
      stream: index + 1,
      reason: "malformed-request",
    });
    const profiles = { access: media.protocol, core: media.protocol };
    return { fate: "off", media: media.media, profiles, reason: "malformed-request" };
  });
};
