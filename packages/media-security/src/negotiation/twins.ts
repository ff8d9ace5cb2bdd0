// Owns the case of one medium offered twice, as SRTP and as plain RTP, for the receiver to choose.
// RFC 4568 7.3 leaves it to grouping; mapped to the core both would be AVP, so the secured line stays alone.
import { attributeName, type SdpDocument, type SdpMedia } from "@sallyport/sdp";
import { profileOf } from "./read.ts";
import type { AgreedLine, OfferedLine } from "./state.ts";
import type { Step } from "./step.ts";

/** What a line says beside its keys: two streams of one kind (main and slides, two languages) differ in it. */
const rest = (media: SdpMedia): string =>
  media.lines
    .slice(1)
    .filter((line) => !["crypto", "3ge2ae"].includes(attributeName(line) ?? ""))
    .map((line) => line.raw.trim())
    .join();

const isTwin = (media: SdpMedia, its: SdpMedia): boolean =>
  its.media === media.media &&
  its.formats.join(" ") === media.formats.join(" ") &&
  (its.port === media.port || rest(its) === rest(media));

/** SAVP and AVP offered side by side for one medium: mapped, both would be AVP. The secured one stays. */
export const dropTwins = (
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
      return other.fate === "secured" && isTwin(media, its) && !paired.has(at);
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
