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
  | "too-many";

export interface SkippedCrypto {
  /** Position among the crypto lines, from 0. */
  readonly position: number;
  readonly why: CryptoRefusal;
}

export interface UsableCrypto {
  readonly crypto: CryptoAttribute;
  readonly suite: Suite;
}

/** Crypto lines looked at per m-line: the longest offer seen in the field has eight. */
export const maxCryptoLines = 32;

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

export type AcceptResult =
  | { readonly ok: true; readonly usable: UsableCrypto }
  | { readonly ok: false; readonly why: CryptoRefusal };

/** Reads one `a=crypto` value. Keys of a line that is refused are zeroised at once. */
export const acceptCrypto = (value: string, accept: readonly SuiteName[]): AcceptResult => {
  const parsed = parseCrypto(value);
  if (!parsed.ok) return { ok: false, why: parsed.code };
  const suite = findSuite(parsed.crypto.suite);
  const why: CryptoRefusal | undefined =
    suite === undefined || !accept.includes(suite.name) ? "suite-not-accepted" : keyFault(parsed.crypto, suite);
  if (why !== undefined || suite === undefined) {
    releaseCrypto(parsed.crypto);
    return { ok: false, why: why ?? "suite-not-accepted" };
  }
  return { ok: true, usable: { crypto: parsed.crypto, suite } };
};

/** Reads the crypto lines of one m-line of an offer: the usable ones in the offerer's order. */
export const acceptOffered = (
  values: readonly string[],
  accept: readonly SuiteName[],
): { readonly usable: readonly UsableCrypto[]; readonly skipped: readonly SkippedCrypto[] } => {
  const usable: UsableCrypto[] = [];
  const skipped: SkippedCrypto[] = [];
  const tags = new Set<number>();
  for (const [position, value] of values.entries()) {
    if (position >= maxCryptoLines) {
      skipped.push({ position, why: "too-many" });
      break;
    }
    const result = acceptCrypto(value, accept);
    if (!result.ok) skipped.push({ position, why: result.why });
    else if (tags.has(result.usable.crypto.tag)) {
      // RFC 4568 5.1.1: an answer with this tag could not be tied to one line.
      releaseCrypto(result.usable.crypto);
      skipped.push({ position, why: "tag-repeated" });
    } else {
      tags.add(result.usable.crypto.tag);
      usable.push(result.usable);
    }
  }
  return { usable, skipped };
};
