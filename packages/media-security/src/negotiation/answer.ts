// Owns what an answer makes of each decided line: keys chosen and made, or the line given up. Edits nothing.
// TS 33.328 7.2.1 steps 5 to 8, 7.3.1 steps 5 to 7; RFC 4568 5.1.2, 5.1.3; RFC 3264 6.
import { attributeValues, hasAttribute, type SdpDocument, type SdpMedia } from "@sallyport/sdp";
import { findSuite } from "@sallyport/srtp";
import { checkAnswer, createAnswer, sameKeys } from "../sdes/offer-answer.ts";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { ReasonCode } from "../reason.ts";
import { repeatsKey } from "./key-reuse.ts";
import type { Side } from "./model.ts";
import { endOf, offersMux, profileOf, sameMedium } from "./read.ts";
import {
  protectionOf,
  type AgreedLine,
  type Exchange,
  type OfferedLine,
  type PartyEnd,
  type Session,
} from "./state.ts";
import { fingerprint, meetQuirk, noteKeys, protectedBy, type Step } from "./step.ts";

type Secured = OfferedLine & { readonly fate: "secured" };

/** What bears on one line: what is in force, and what the same dialog answered before. */
interface Before {
  readonly base: AgreedLine | undefined;
  readonly earlier: AgreedLine | undefined;
  /** All lines in force. */
  readonly lines: readonly AgreedLine[];
}

const off = (line: Secured, reason: "answer-invalid" | "rejected-by-peer"): AgreedLine => ({
  kind: "off",
  media: line.media,
  profiles: line.profiles,
  reason,
});

/** An answer that ends the protection of a line before it began. */
const noteOff = (
  { mode }: Secured,
  answerer: Side,
  found: string,
  reason: "answer-invalid" | "rejected-by-peer",
  index: number,
  step: Step,
): void => {
  const clause = answerer === "core" ? "7.2.1" : "7.3.1";
  step.evidence.push({
    clause,
    step: "5",
    found,
    changed: ["line given up"],
    origin: answerer,
    stream: index + 1,
    reason,
    mode,
  });
};

/** Our key towards the UE: the one of this dialog, or the one in force, as long as the suite stays; else a fresh K12. */
const towardsUe = (chosen: CryptoAttribute, before: Before, step: Step): CryptoAttribute => {
  const suite = findSuite(chosen.suite)?.name;
  for (const line of [before.earlier, before.base]) {
    if (line?.kind === "secured" && line.suite === suite) {
      return { tag: chosen.tag, suite: chosen.suite, keys: line.towardsUe.keys, sessionParams: [] };
    }
  }
  return noteKeys(step, createAnswer(chosen, step.random));
};

/** 7.2.1 steps 5 to 7: the core answered the UE's offer. */
const coreAnswered = (line: Secured, media: SdpMedia, end: PartyEnd, before: Before, index: number, step: Step) => {
  if (line.keys.kind !== "ue-offered" || profileOf(media.protocol)?.is !== "clear") {
    noteOff(line, "core", `answer ${media.media} ${media.protocol} to an RTP offer`, "answer-invalid", index, step);
    return off(line, "answer-invalid");
  }
  const { chosen, suite } = line.keys;
  const ours = towardsUe(chosen, before, step);
  step.evidence.push({
    clause: "7.2.1",
    step: "7",
    found: `answer ${media.media} ${media.protocol}`,
    changed: [`key from the UE ${fingerprint(chosen)}`, `key towards the UE ${fingerprint(ours)}`, suite],
    origin: "edge",
    stream: index + 1,
    mode: line.mode,
  });
  return {
    kind: "secured",
    media: line.media,
    mode: line.mode,
    profiles: line.profiles,
    suite,
    fromUe: chosen,
    towardsUe: ours,
    ends: { access: line.offerer, core: end },
  } satisfies AgreedLine;
};

/** 7.3.1 steps 5 and 6: the UE answered our offer. */
const ueAnswered = (line: Secured, media: SdpMedia, end: PartyEnd, before: Before, index: number, step: Step) => {
  const stream = index + 1;
  const note = (found: string, changed: readonly string[], reason: ReasonCode): void => {
    step.evidence.push({
      clause: "7.3.1",
      step: "5",
      found,
      changed,
      origin: "access",
      stream,
      reason,
      mode: line.mode,
    });
  };
  if (line.keys.kind !== "we-offer" || profileOf(media.protocol)?.is !== "secure") {
    note(`answer ${media.media} ${media.protocol} to an SRTP offer`, ["line given up"], "answer-invalid");
    return off(line, "answer-invalid");
  }
  const marked = hasAttribute(media.lines, "3ge2ae");
  if (marked && !meetQuirk(step, "indication-in-answer", stream)) return off(line, "answer-invalid");
  const checked = checkAnswer(line.keys.candidates, attributeValues(media.lines, "crypto"), step.quirks);
  for (const quirk of checked.ok ? checked.quirks : [checked.quirk]) {
    if (quirk !== undefined) meetQuirk(step, quirk, stream);
  }
  if (!checked.ok) {
    note(`answer ${media.protocol}, crypto attribute unusable: ${checked.why}`, ["line given up"], "answer-invalid");
    return off(line, "answer-invalid");
  }
  noteKeys(step, checked.theirs);
  const known = [before.earlier, before.base].find(
    (each) => each?.kind === "secured" && each.suite === checked.suite.name && sameKeys(each.fromUe, checked.theirs),
  );
  // Same key: the context stays, whatever else the UE wrote.
  const fromUe = known?.kind === "secured" ? { ...checked.theirs, keys: known.fromUe.keys } : checked.theirs;
  note(
    `answer ${media.protocol}, tag ${fromUe.tag} ${checked.suite.name}`,
    [`key ${fingerprint(fromUe)}`, ...(marked ? ["removed a=3ge2ae"] : [])],
    protectedBy(line.mode).reason,
  );
  step.evidence.push({
    clause: "7.3.1",
    step: "6",
    found: `${checked.suite.name} agreed`,
    changed: [`key from the UE ${fingerprint(fromUe)}`, `key towards the UE ${fingerprint(checked.ours)}`],
    origin: "edge",
    stream: index + 1,
    mode: line.mode,
  });
  return {
    kind: "secured",
    media: line.media,
    mode: line.mode,
    profiles: line.profiles,
    suite: checked.suite.name,
    fromUe,
    towardsUe: checked.ours,
    ends: { access: end, core: line.offerer },
  } satisfies AgreedLine;
};

const agree = (
  line: OfferedLine,
  document: SdpDocument,
  index: number,
  answerer: Side,
  before: Before,
  step: Step,
): AgreedLine => {
  const media = document.media[index] as SdpMedia;
  if (line.fate === "off") return { kind: "off", media: line.media, profiles: line.profiles, reason: line.reason };
  if (line.fate === "passed") {
    // Answered in clear RTP, which was not offered (RFC 3264 6 forbids it): where protection is due it is not let through.
    if (line.guarded !== undefined && media.port !== 0 && profileOf(media.protocol)?.is === "clear") {
      const profiles = { access: line.guarded, core: line.guarded };
      return { kind: "off", media: line.media, profiles, reason: "answer-invalid" };
    }
    if (answerer === "access" && line.security === "e2e" && repeatsKey(media, before.lines, step)) {
      const profiles = { access: media.protocol, core: media.protocol };
      return { kind: "off", media: line.media, profiles, reason: "answer-invalid" };
    }
    const reason = media.port === 0 ? "rejected-by-peer" : line.reason;
    const bared = line.bared === true ? { bared: true as const } : {};
    return { kind: "passed", security: line.security, media: line.media, reason, ...bared };
  }
  if (media.port === 0) {
    noteOff(line, answerer, `answer ${media.media} with port 0`, "rejected-by-peer", index, step);
    return off(line, "rejected-by-peer");
  }
  // RFC 3264 6: "The media type ... MUST be the same".
  if (media.media.toLowerCase() !== line.media.toLowerCase()) return off(line, "answer-invalid");
  const end = endOf(document, index, line.offersMux && offersMux(media));
  if (end === undefined) return off(line, "answer-invalid");
  return answerer === "core"
    ? coreAnswered(line, media, end, before, index, step)
    : ueAnswered(line, media, end, before, index, step);
};

/** A line that loses its protection remembers it: coming back in the clear would be a downgrade all the same. */
const remember = (line: AgreedLine, base: AgreedLine | undefined): AgreedLine => {
  const former = protectionOf(base);
  return line.kind === "secured" || former === undefined ? line : { ...line, former };
};

/**
 * The session an answer makes; undefined when it cannot be used at all: another number of m-lines than offered, or no
 * line left after those it spoiled (TS 33.328 7.3.1 steps 5 to 7 ask for SRTP; there is no fall-back to clear).
 */
export const decideAnswer = (
  exchange: Exchange,
  base: Session | undefined,
  answer: { readonly document: SdpDocument; readonly answerer: Side; readonly branch: string },
  step: Step,
): Session | undefined => {
  const { document, answerer, branch } = answer;
  const ours = exchange.lines.some((line) => line.fate !== "passed");
  if (document.media.length !== exchange.lines.length && ours) return undefined;
  const earlier = exchange.answers.find((session) => session.branch === branch);
  const beforeOf = (index: number): Before => ({
    base: sameMedium(base?.lines[index], document.media[index] as SdpMedia),
    earlier: earlier?.lines[index],
    lines: base?.lines ?? [],
  });
  const lines = exchange.lines.flatMap((line, index) =>
    document.media[index] === undefined
      ? []
      : [remember(agree(line, document, index, answerer, beforeOf(index), step), base?.lines[index])],
  );
  const spoiled = lines.some((line) => line.kind === "off" && line.reason === "answer-invalid");
  const alive = lines.some(
    (line) => line.kind === "secured" || (line.kind === "passed" && line.reason !== "rejected-by-peer"),
  );
  return spoiled && !alive ? undefined : { branch, answerer, lines, renewed: false };
};
