// What the evidence of a decision means beyond its call: counters, quirks met, and what a phone shows of itself, which is
// kept with its registration. Decides nothing. TS 33.328 7.2.1 and 7.3.1.
import type { Evidence, Side } from "@sallyport/media-security";
import type { EdgeContext } from "../context.ts";
import { noteQuirk } from "../quirks.ts";
import type { Binding } from "../registration/binding.ts";
import { afterShown, shownBy } from "../registration/learned.ts";
import type { CallEvidence, CallState } from "./types.ts";
import { removedKinds } from "./view.ts";

const learn = ({ bindings, log }: EdgeContext, { id, mode }: Binding, evidence: readonly Evidence[]): void => {
  if (mode !== "sdes-phone") return;
  const binding = bindings.byId(id);
  const after = binding === undefined ? undefined : afterShown(binding, shownBy(evidence));
  if (after === undefined || after === binding) return;
  log.info("phone learned", { aor: after.aor, offersSdes: after.offersSdes === true });
  bindings.put(after).catch((error: unknown) => log.warn("store failed", { error: String(error) }));
};

export const noteEvidence = (
  ctx: EdgeContext,
  { call, binding }: { readonly call: string; readonly binding: Binding },
  evidence: readonly Evidence[],
): void => {
  learn(ctx, binding, evidence);
  for (const { changed, origin, quirk, quirkMode = "tolerant" } of evidence) {
    if (quirk !== undefined) noteQuirk(ctx, { quirk, mode: quirkMode }, { call });
    for (const change of changed)
      for (const kind of removedKinds(change)) ctx.counters.count("indications_removed_total", { kind, from: origin });
  }
};

const clauseOf = (name: string): string => (name === "early-session" ? "RFC 3959" : "RFC 3329 2.3");

const inWords = (name: string): string =>
  name.startsWith("security-") ? `removed header ${name}` : `removed option tag ${name}`;

/**
 * The call with what of one message's header did not cross, told once for each kind of message: who agreed with this edge says
 * so in every request. Counted where it was taken out.
 */
export const withRemoved = (
  state: CallState,
  {
    from,
    message,
    removed,
    at,
    room,
  }: {
    readonly from: Side;
    readonly message: string;
    readonly removed: readonly string[];
    readonly at: number;
    /** Entries a call may have. */
    readonly room: number;
  },
): CallState => {
  const names = [...new Set(removed)];
  const added = [...new Set(names.map(clauseOf))].flatMap((clause): readonly CallEvidence[] => {
    const those = names.filter((name) => clauseOf(name) === clause);
    const found = `${message} with ${those.join(", ")}`;
    const told = state.evidence.some(
      (entry) => entry.clause === clause && entry.origin === from && entry.found === found,
    );
    return told ? [] : [{ clause, step: "", origin: from, found, changed: those.map(inWords), at }];
  });
  return added.length === 0 || state.evidence.length + added.length > room
    ? state
    : { ...state, evidence: [...state.evidence, ...added] };
};
