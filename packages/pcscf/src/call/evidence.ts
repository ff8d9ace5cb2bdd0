// What the evidence of a decision means beyond its call: counters, quirks met, and what a phone shows of itself, which is
// kept with its registration. Decides nothing. TS 33.328 7.2.1 and 7.3.1.
import type { Evidence } from "@sallyport/media-security";
import type { EdgeContext } from "../context.ts";
import { noteQuirk } from "../quirks.ts";
import type { Binding } from "../registration/binding.ts";
import { afterShown, shownBy } from "../registration/learned.ts";
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
