// Owns which crypto attributes are usable: suite, key lengths, lifetimes, session parameters. Knows no offer and no answer.
// RFC 4568 5.1, 6.1 to 6.3; what is accepted beyond the grammar.
import {
  parseCrypto,
  releaseCrypto,
  type CryptoAttribute,
  type CryptoParseCode,
  type SessionParam,
} from "@sallyport/sdp";
import { findSuite, type Suite, type SuiteName } from "@sallyport/srtp";
import { quirkMode, type QuirkModes } from "../quirks/modes.ts";
import type { QuirkId } from "../quirks/table.ts";

/** Why a crypto line cannot be used: a grammar code, or one of ours. */
export type CryptoRefusal =
  | CryptoParseCode
  /** Unknown suite, or one outside the acceptance set. */
  | "suite-not-accepted"
  /** The inline octets are not as many as the suite's key and salt: 28 and 30 octets both make 40 characters. */
  | "key-length"
  /** Longer than the suite allows. */
  | "lifetime-too-long"
  /** A session parameter that changes the protection, or that we would have to know and do not. */
  | "session-parameter"
  /** The tag occurs twice in the m-line. */
  | "tag-repeated"
  /** The peer sent one of our own keys back: one key would serve both directions. */
  | "key-reflected"
  /** More lines than are looked at. */
  | "too-many"
  /** A deviation that the modes in force do not tolerate. */
  | "quirk";

export interface SkippedCrypto {
  /** Position among the crypto lines, from 0. */
  readonly position: number;
  readonly why: CryptoRefusal;
  readonly quirk?: QuirkId;
}

export interface UsableCrypto {
  readonly crypto: CryptoAttribute;
  readonly suite: Suite;
  /** Deviations this line shows and that are tolerated. */
  readonly quirks: readonly QuirkId[];
}

/** Crypto lines looked at per m-line: the longest offer seen in the field has eight. */
const maxCryptoLines = 32;

// KDR=0 means "derive once" and WSH speaks of the sender's own window: neither asks anything of us. FEC_ORDER=FEC_SRTP
// is the default order and fits a relay that passes FEC packets on as RTP. Everything else of FEC, another KDR and the
// three parameters that take protection away make the line unusable (RFC 4568 6.3).
const harmless = (param: SessionParam): boolean => {
  switch (param.kind) {
    case "KDR":
      return param.value === 0;
    case "WSH":
      return true;
    case "FEC_ORDER":
      return param.value === "FEC_SRTP";
    case "extension":
      return param.mayIgnore;
    default:
      return false;
  }
};

/** Whether the keys of an attribute fit its suite; undefined when they do. RFC 4568 6.1. */
export const keyFault = (crypto: CryptoAttribute, suite: Suite): CryptoRefusal | undefined => {
  for (const key of crypto.keys) {
    if (key.master.length !== suite.masterLength) return "key-length";
    if (key.lifetime !== undefined && key.lifetime > suite.srtpLifetime) return "lifetime-too-long";
  }
  return crypto.sessionParams.every(harmless) ? undefined : "session-parameter";
};

// Registered for SDES and known, but not built here: passing them over is no deviation of the peer.
const registered = new Set(["F8_128_HMAC_SHA1_80", "SEED_CTR_128_HMAC_SHA1_80", "SEED_128_CCM_80", "SEED_128_GCM_96"]);

/** Deviations in how a line is written, in the order of the line. */
export const spellingQuirks = (value: string, { tag, suite: text }: CryptoAttribute): readonly QuirkId[] => {
  const upper = text.toUpperCase();
  const suite = findSuite(text);
  // Padding is optional for the reader, RFC 4568 6.1 wants it written.
  const unpadded = [...value.matchAll(/inline:([^|;\s]+)/gi)].some(([, key = ""]) => key.length % 4 !== 0);
  return [
    ...(tag === 0 ? ["crypto-tag-zero" as const] : []),
    ...(suite !== undefined && upper !== text ? ["suite-lower-case" as const] : []),
    ...(suite !== undefined && upper !== suite.name ? ["suite-alias" as const] : []),
    ...(unpadded ? ["base64-unpadded" as const] : []),
  ];
};

type AcceptResult =
  | { readonly ok: true; readonly usable: UsableCrypto }
  | { readonly ok: false; readonly why: CryptoRefusal; readonly quirk?: QuirkId };

/** Reads one `a=crypto` value. Keys of a line that is refused are zeroised at once. */
const acceptCrypto = (value: string, accept: readonly SuiteName[], modes?: QuirkModes): AcceptResult => {
  const parsed = parseCrypto(value);
  if (!parsed.ok) return { ok: false, why: parsed.code };
  const { crypto } = parsed;
  const suite = findSuite(crypto.suite);
  const refuse = (why: CryptoRefusal, quirk?: QuirkId): AcceptResult => {
    releaseCrypto(crypto);
    return { ok: false, why, ...(quirk === undefined ? {} : { quirk }) };
  };
  if (suite === undefined && !registered.has(crypto.suite.toUpperCase())) {
    return refuse("suite-not-accepted", "suite-unknown");
  }
  if (suite === undefined || !accept.includes(suite.name)) return refuse("suite-not-accepted");
  const fault = keyFault(crypto, suite);
  if (fault !== undefined) return refuse(fault);
  const quirks = spellingQuirks(value, crypto);
  const strict = quirks.find((id) => quirkMode(modes, id) === "strict");
  return strict === undefined ? { ok: true, usable: { crypto, suite, quirks } } : refuse("quirk", strict);
};

/**
 * Reads the crypto lines of one m-line of an offer: the usable ones in the offerer's order. `modes` say which deviations
 * are borne; without them the table's defaults do.
 */
export const acceptOffered = (
  values: readonly string[],
  accept: readonly SuiteName[],
  modes?: QuirkModes,
): { readonly usable: readonly UsableCrypto[]; readonly skipped: readonly SkippedCrypto[] } => {
  const usable: UsableCrypto[] = [];
  const skipped: SkippedCrypto[] = [];
  const tags = new Set<number>();
  for (const [position, value] of values.entries()) {
    if (position >= maxCryptoLines) {
      skipped.push({ position, why: "too-many" });
      break;
    }
    const result = acceptCrypto(value, accept, modes);
    if (!result.ok) {
      skipped.push({ position, why: result.why, ...(result.quirk === undefined ? {} : { quirk: result.quirk }) });
    } else if (tags.has(result.usable.crypto.tag)) {
      // RFC 4568 5.1.1: an answer with this tag could not be tied to one line.
      releaseCrypto(result.usable.crypto);
      skipped.push({ position, why: "tag-repeated" });
    } else {
      tags.add(result.usable.crypto.tag);
      usable.push(result.usable);
    }
  }
  const unknown = skipped.some(({ quirk }) => quirk === "suite-unknown");
  if (!unknown || quirkMode(modes, "suite-unknown") !== "strict") return { usable, skipped };
  for (const { crypto } of usable) releaseCrypto(crypto);
  return { usable: [], skipped };
};
