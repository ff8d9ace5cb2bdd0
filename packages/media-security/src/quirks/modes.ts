// Owns which mode governs a quirk and how one that was met is told. Knows no rule that it bends.
import type { Evidence, Origin } from "../reason.ts";
import { quirks, type Quirk, type QuirkId, type QuirkMode } from "./table.ts";

export interface QuirkModes {
  /** For all. It never loosens an entry that is strict by default: such a one is loosened by its name. */
  readonly mode?: QuirkMode;
  readonly each?: { readonly [id in QuirkId]?: QuirkMode };
}

/** A quirk that was met, and the mode that governed. */
export interface QuirkSighting {
  readonly quirk: QuirkId;
  readonly mode: QuirkMode;
}

const table: ReadonlyMap<QuirkId, Quirk> = new Map(quirks.map((quirk) => [quirk.id, quirk]));

/** The table's entry. */
export const quirkOf = (id: QuirkId): Quirk => table.get(id) as Quirk;

/** The mode for one quirk: by its name, then for all, then the table's. */
export const quirkMode = (modes: QuirkModes | undefined, id: QuirkId): QuirkMode => {
  const named = modes?.each?.[id];
  const own = quirkOf(id).mode;
  return named ?? (own === "strict" ? own : (modes?.mode ?? own));
};

/** A rule's modes over the policy's: what the rule says for all goes before what the policy names. */
export const mergeModes = (policy: QuirkModes | undefined, rule: QuirkModes | undefined): QuirkModes | undefined => {
  if (policy === undefined || rule === undefined) return rule ?? policy;
  const mode = rule.mode ?? policy.mode;
  const each = rule.mode === undefined ? { ...policy.each, ...rule.each } : rule.each;
  return { ...(mode === undefined ? {} : { mode }), ...(each === undefined ? {} : { each }) };
};

const done = { tolerant: "tolerated", observe: "tolerated, to be looked at", strict: "not tolerated" } as const;

/** A sighting as evidence. The shell counts by `quirk` and logs loudly where `quirkMode` is "observe". */
export const quirkEvidence = (sighting: QuirkSighting, origin: Origin, stream?: number): Evidence => {
  const { clause, summary } = quirkOf(sighting.quirk);
  return {
    clause,
    step: "",
    found: summary,
    changed: [done[sighting.mode]],
    origin,
    ...(stream === undefined ? {} : { stream }),
    quirk: sighting.quirk,
    quirkMode: sighting.mode,
  };
};
