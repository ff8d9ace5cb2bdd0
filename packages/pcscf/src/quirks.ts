// What becomes of a deviation that was met: a counter, and a loud line where the operator wants to look at it.
import type { QuirkSighting } from "@sallyport/media-security";
import type { Log, LogFields } from "@sallyport/kit";
import type { EdgeCounters } from "./counters.ts";

/** Counts `quirks_total{quirk}`; mode "observe" also warns. `facts` tell whose registration or call it was. */
export const noteQuirk = (
  { counters, log }: { readonly counters: EdgeCounters; readonly log: Log },
  { quirk, mode }: QuirkSighting,
  facts: LogFields,
): void => {
  counters.count("quirks_total", { quirk });
  if (mode === "observe") log.warn("quirk observed", { quirk, ...facts });
};
