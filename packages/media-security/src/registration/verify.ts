// Owns the comparison of Security-Verify with the media entries that were sent. Signalling entries are another's matter.
// RFC 3329 2.3.1 for the bid-down protection; what real UEs repeat decides how loosely media entries are compared.
import { quirkMode, type QuirkModes, type QuirkSighting } from "../quirks/modes.ts";
import type { QuirkId } from "../quirks/table.ts";
import { canonical, isMediaMechanism, readMechanisms, type MediaMechanism } from "./mechanism.ts";

export interface VerifyFacts {
  /** Security-Server values last sent to this UE, in the 401 or the 200: both carry the same media entries. */
  readonly sent: readonly string[];
  /** Security-Verify values received, all header fields. */
  readonly received: readonly string[];
  /** The UE uses the option tag `mediasec`. */
  readonly draftDialect: boolean;
  /** The request carries credentials, so it will not be challenged (again). */
  readonly hasCredentials: boolean;
  /** The UE announced a media mechanism: from such a one a missing list is worth a count. */
  readonly announced?: boolean;
  readonly quirks?: QuirkModes;
}

export type VerifyResult =
  | {
      readonly ok: true;
      /** What differed without harm: duplicates, entries never sent. */
      readonly tolerated: readonly string[];
      readonly quirks: readonly QuirkSighting[];
    }
  | { readonly ok: false; readonly status: 494; readonly quirks: readonly QuirkSighting[] };

const q = (mechanism: MediaMechanism): string | undefined =>
  mechanism.params.find(([name]) => name.toLowerCase() === "q")?.[1];

/** Quirks of a list that names the same set. */
const met = (sent: readonly MediaMechanism[], received: readonly MediaMechanism[]): readonly QuirkId[] => {
  const texts = received.map(canonical);
  const order = [...new Set(texts)].join();
  const lacksQ = received.some((entry) =>
    sent.some((ours) => canonical(ours) === canonical(entry) && q(ours) !== undefined && q(entry) === undefined),
  );
  return [
    ...(new Set(texts).size < texts.length ? ["verify-duplicated" as const] : []),
    ...(lacksQ ? ["verify-q-dropped" as const] : []),
    ...(order === [...new Set(sent.map(canonical))].join() ? [] : ["verify-reordered" as const]),
  ];
};

/**
 * Same set of media entries: case, blanks and a `q` added or altered do not count; order, a lost `q` and duplicates are
 * quirks. 494 for a missing or altered entry, and for a quirk in strict mode.
 */
export const checkSecurityVerify = (facts: VerifyFacts): VerifyResult => {
  const media = (values: readonly string[]): readonly MediaMechanism[] =>
    readMechanisms(values).filter(isMediaMechanism);
  const sent = media(facts.sent);
  const received = media(facts.received);
  const due = new Set(sent.map(canonical));
  const texts = received.map(canonical);
  const seen = new Set(texts);
  const conclude = (ids: readonly QuirkId[], tolerated: readonly string[]): VerifyResult => {
    const quirks = ids.map((quirk) => ({ quirk, mode: quirkMode(facts.quirks, quirk) }));
    const refused = quirks.some(({ mode }) => mode === "strict");
    return refused ? { ok: false, status: 494, quirks } : { ok: true, tolerated, quirks };
  };
  const duplicates = texts.filter((entry, at) => texts.indexOf(entry) !== at).map((entry) => `duplicate ${entry}`);
  // Nothing was offered, so nothing can have been bid down: what the UE remembers from earlier does no harm.
  if (due.size === 0) {
    const never = [...seen].map((entry) => `never sent ${entry}`);
    return conclude(seen.size === 0 ? [] : ["verify-never-sent"], [...duplicates, ...never]);
  }
  if (seen.size === 0) {
    // A REGISTER that will be challenged has no list to repeat yet.
    if (!facts.hasCredentials) return conclude([], []);
    if (facts.draftDialect) return conclude(["verify-missing-draft"], []);
    return conclude(facts.announced === true ? ["verify-missing"] : [], []);
  }
  if (seen.size !== due.size || ![...seen].every((entry) => due.has(entry))) {
    return { ok: false, status: 494, quirks: [] };
  }
  return conclude(met(sent, received), duplicates);
};
