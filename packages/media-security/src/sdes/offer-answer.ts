// Owns the SDES offer/answer rules for both ends of a hop: the edge and the UE. Knows no SDP document and no indication.
// RFC 4568 5.1.1 to 5.1.3, 6.1, 7.1.
import { Secret, type Random } from "@sallyport/kit";
import { parseCrypto, releaseCrypto, type CryptoAttribute } from "@sallyport/sdp";
import { findSuite, suites as suiteTable, type Suite, type SuiteName } from "@sallyport/srtp";
import { mediaSecurityErrors } from "../errors.ts";
import { quirkMode, type QuirkModes } from "../quirks/modes.ts";
import type { QuirkId } from "../quirks/table.ts";
import { acceptOffered, keyFault, spellingQuirks, type CryptoRefusal, type SkippedCrypto } from "./accept.ts";

const freshKey = (suite: Suite, random: Random): Secret => Secret.take(random.bytes(suite.masterLength));

/** One line per suite in the order given, tags from 1, each with its own fresh key (RFC 4568 5.1.1). */
export const createOffer = (suites: readonly SuiteName[], random: Random): readonly CryptoAttribute[] =>
  suites.map((name, position) => ({
    tag: position + 1,
    suite: name,
    keys: [{ master: freshKey(suiteTable[name], random) }],
    sessionParams: [],
  }));

export type SelectResult =
  | {
      readonly ok: true;
      readonly crypto: CryptoAttribute;
      readonly suite: Suite;
      readonly skipped: readonly SkippedCrypto[];
      readonly quirks: readonly QuirkId[];
    }
  | { readonly ok: false; readonly skipped: readonly SkippedCrypto[] };

/**
 * Chooses the first usable line of an offer (RFC 4568 5.1.2: the offerer's order decides). `offered` are the values
 * after `a=crypto:`. Keys of the lines not chosen are zeroised; the chosen one is the caller's to release.
 */
export const selectCrypto = (
  offered: readonly string[],
  accept: readonly SuiteName[],
  modes?: QuirkModes,
): SelectResult => {
  const { usable, skipped } = acceptOffered(offered, accept, modes);
  const [first, ...others] = usable;
  for (const other of others) releaseCrypto(other.crypto);
  return first === undefined ? { ok: false, skipped } : { ok: true, ...first, skipped };
};

/**
 * The answer to a chosen line: its tag and its suite as written, our own fresh key, no session parameter.
 * @throws SALLY_MEDIASEC_SUITE for a suite that is not implemented.
 */
export const createAnswer = (chosen: CryptoAttribute, random: Random): CryptoAttribute => {
  const suite = findSuite(chosen.suite);
  if (suite === undefined) throw mediaSecurityErrors("SALLY_MEDIASEC_SUITE", `It is called ${chosen.suite}.`);
  return {
    tag: chosen.tag,
    suite: chosen.suite,
    keys: [{ master: freshKey(suite, random) }],
    sessionParams: [],
  };
};

/** Why an answer cannot be used; `missing` and `several`: not exactly one line; `tag`, `suite`: never offered. */
export type AnswerFault = CryptoRefusal | "missing" | "several" | "wrong-tag" | "wrong-suite";

export type CheckResult =
  | {
      readonly ok: true;
      /** The offered line that the answer chose: we send with its key. */
      readonly ours: CryptoAttribute;
      /** The answerer's line: we receive with its key. */
      readonly theirs: CryptoAttribute;
      readonly suite: Suite;
      readonly quirks: readonly QuirkId[];
    }
  | { readonly ok: false; readonly why: AnswerFault; readonly quirk?: QuirkId };

const sharesKey = (a: CryptoAttribute, b: CryptoAttribute): boolean =>
  a.keys.some((key) => b.keys.some((other) => key.master.equals(other.master)));

/** The offered line an answer means: by its tag, or by its suite alone where that is unambiguous (a quirk). */
const meantLine = (offered: readonly CryptoAttribute[], theirs: CryptoAttribute) => {
  const suite = findSuite(theirs.suite)?.name;
  const byTag = offered.find((line) => line.tag === theirs.tag);
  if (byTag !== undefined && findSuite(byTag.suite)?.name === suite) return { ours: byTag, quirks: [] };
  const bySuite = offered.filter((line) => suite !== undefined && findSuite(line.suite)?.name === suite);
  const why: AnswerFault = byTag === undefined ? "wrong-tag" : "wrong-suite";
  return bySuite.length === 1 ? { ours: bySuite[0], quirks: ["answer-tag-renumbered" as const], why } : { why };
};

/**
 * Checks the answer to our offer (RFC 4568 5.1.3): exactly one line, with tag and suite of an offered one, a key of the
 * right length that is not one of ours, and no session parameter that takes protection away (we offered none).
 */
export const checkAnswer = (
  offered: readonly CryptoAttribute[],
  answered: readonly string[],
  modes?: QuirkModes,
): CheckResult => {
  const [value] = answered;
  if (value === undefined) return { ok: false, why: "missing" };
  if (answered.length > 1) return { ok: false, why: "several" };
  const parsed = parseCrypto(value);
  if (!parsed.ok) return { ok: false, why: parsed.code };
  const theirs = parsed.crypto;
  const refuse = (why: AnswerFault, quirk?: QuirkId): CheckResult => {
    releaseCrypto(theirs);
    return { ok: false, why, ...(quirk === undefined ? {} : { quirk }) };
  };
  const meant = meantLine(offered, theirs);
  const suite = meant.ours === undefined ? undefined : findSuite(meant.ours.suite);
  if (meant.ours === undefined || suite === undefined) return refuse(meant.why ?? "wrong-tag");
  const fault = keyFault(theirs, suite);
  if (fault !== undefined) return refuse(fault);
  // RFC 4568 5.1.2, 7.1: a key protects one direction. An echoed key would give both directions one key stream.
  if (offered.some((line) => sharesKey(line, theirs))) return refuse("key-reflected");
  const quirks = [...meant.quirks, ...spellingQuirks(value, theirs)];
  const strict = quirks.find((id) => quirkMode(modes, id) === "strict");
  if (strict !== undefined)
    return refuse(strict === "answer-tag-renumbered" ? (meant.why ?? "quirk") : "quirk", strict);
  return { ok: true, ours: meant.ours, theirs, suite, quirks };
};

/** Whether two attributes carry the same keys, whatever tag and parameters: then nothing about the stream changes. */
export const sameKeys = (a: CryptoAttribute, b: CryptoAttribute): boolean =>
  a.keys.length === b.keys.length &&
  a.keys.every((key, at) => {
    const other = b.keys[at];
    return other !== undefined && key.master.equals(other.master) && key.mki?.value === other.mki?.value;
  });
