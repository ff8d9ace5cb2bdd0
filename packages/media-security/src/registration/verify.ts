// Owns the comparison of Security-Verify with the media entries that were sent. Signalling entries are another's matter.
// RFC 3329 2.3.1 for the bid-down protection; what real UEs repeat decides how loosely media entries are compared.
import { canonical, isMediaMechanism, readMechanisms } from "./mechanism.ts";

export interface VerifyFacts {
  /** Security-Server values last sent to this UE, in the 401 or the 200: both carry the same media entries. */
  readonly sent: readonly string[];
  /** Security-Verify values received, all header fields. */
  readonly received: readonly string[];
  /** The UE uses the option tag `mediasec`. */
  readonly draftDialect: boolean;
  /** The request carries credentials, so it will not be challenged (again). */
  readonly hasCredentials: boolean;
}

export type VerifyResult =
  | {
      readonly ok: true;
      /** What differed without harm: duplicates, entries never sent. */ readonly tolerated: readonly string[];
    }
  | { readonly ok: false; readonly status: 494 };

/**
 * Same set of media entries: order, case, blanks and `q` do not count, a duplicate is tolerated. 494 for a missing or
 * altered entry; for no entry at all only where the UE uses the draft dialect and will not be challenged.
 */
export const checkSecurityVerify = (facts: VerifyFacts): VerifyResult => {
  const media = (values: readonly string[]): readonly string[] =>
    readMechanisms(values).filter(isMediaMechanism).map(canonical);
  const sent = new Set(media(facts.sent));
  const received = media(facts.received);
  const seen = new Set(received);
  const tolerated = received.filter((entry, at) => received.indexOf(entry) !== at).map((entry) => `duplicate ${entry}`);
  // Nothing was offered, so nothing can have been bid down: what the UE remembers from earlier does no harm.
  if (sent.size === 0)
    return { ok: true, tolerated: [...tolerated, ...[...seen].map((entry) => `never sent ${entry}`)] };
  if (seen.size === 0) {
    return facts.draftDialect && facts.hasCredentials ? { ok: false, status: 494 } : { ok: true, tolerated: [] };
  }
  const same = seen.size === sent.size && [...seen].every((entry) => sent.has(entry));
  return same ? { ok: true, tolerated } : { ok: false, status: 494 };
};
