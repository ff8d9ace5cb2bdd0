// Which call or registration a person means. Owns the ways to name one; knows no HTTP.
import type { CallView, RegistrationView } from "./views.ts";

export type Found<T> =
  | { readonly kind: "found"; readonly items: readonly T[] }
  | { readonly kind: "none" }
  | { readonly kind: "too-short" }
  | { readonly kind: "ambiguous"; readonly names: readonly string[] };

/** A call crosses one edge twice at most; forwarding loops a few times more. */
const maxLegs = 16;
/** Shorter beginnings of an id are rather a slip of the finger. */
export const minPrefix = 4;

const ofOneCall = (calls: readonly CallView[], callId: string): readonly CallView[] =>
  calls
    .filter((call) => call.callId === callId)
    .toSorted((a, b) => b.startedAt - a.startedAt)
    .slice(0, maxLegs)
    .toReversed();

/** By id or the beginning of one: that crossing. By Call-ID or `latest`: every crossing, in their order. */
export const findCalls = (calls: readonly CallView[], wanted: string): Found<CallView> => {
  if (wanted === "latest") {
    let latest: CallView | undefined;
    for (const call of calls) if (latest === undefined || call.startedAt > latest.startedAt) latest = call;
    return latest === undefined ? { kind: "none" } : { kind: "found", items: ofOneCall(calls, latest.callId) };
  }
  const exact = calls.filter(({ id }) => id === wanted);
  if (exact.length > 0) return { kind: "found", items: exact.slice(0, 1) };
  const whole = ofOneCall(calls, wanted);
  if (whole.length > 0) return { kind: "found", items: whole };
  if (wanted.length < minPrefix) return { kind: "too-short" };
  const beginning = calls.filter(({ id }) => id.startsWith(wanted));
  if (beginning.length > 1) return { kind: "ambiguous", names: beginning.slice(0, 5).map(({ id }) => id) };
  return beginning.length === 0 ? { kind: "none" } : { kind: "found", items: beginning };
};

const withoutScheme = (uri: string): string => uri.replace(/^(?:sips?|tel):/i, "");

/**
 * By address of record or another identity, `sip:` left out or not; by its user part alone when only one AOR has it;
 * `latest` is the one that registered last.
 */
export const findRegistrations = (
  registrations: readonly RegistrationView[],
  wanted: string,
): Found<RegistrationView> => {
  const ofAor = (aor: string): readonly RegistrationView[] => registrations.filter((each) => each.aor === aor);
  if (wanted === "latest") {
    let latest: RegistrationView | undefined;
    for (const each of registrations)
      if (latest === undefined || each.registeredAt > latest.registeredAt) latest = each;
    return latest === undefined ? { kind: "none" } : { kind: "found", items: ofAor(latest.aor) };
  }
  const bare = withoutScheme(wanted).toLowerCase();
  const named = registrations.filter(({ aor, identities }) =>
    [aor, ...identities].some((identity) => withoutScheme(identity).toLowerCase() === bare),
  );
  if (named.length > 0) return { kind: "found", items: named };
  const byUser = registrations.filter(({ aor }) => withoutScheme(aor).split("@")[0]?.toLowerCase() === bare);
  const aors = [...new Set(byUser.map(({ aor }) => aor))];
  if (aors.length > 1) return { kind: "ambiguous", names: aors.slice(0, 5) };
  return byUser.length === 0 ? { kind: "none" } : { kind: "found", items: byUser };
};
