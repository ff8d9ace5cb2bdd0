// Why a call is, or is not, protected: one verdict in words and the chain of decisions behind it. Decides nothing anew.
import { meaningOf } from "./reasons.ts";
import type { Explanation } from "./schema.ts";
import { callRow, decisionsOf, removalsOf, streamsOf, type CallView } from "./views.ts";

/** Lines that carry nothing do not make a call unprotected. */
const idle = new Set(["rejected-by-peer", "duplicate-line"]);

const verdictOf = (view: CallView, live: CallView["streams"]): string => {
  const means = meaningOf(view.reason)?.means ?? `Reason ${view.reason}.`;
  const tense = view.phase === "ended" ? "was" : "is";
  if (live.length === 0 && view.reason === "not-requested")
    return view.phase === "ended"
      ? "Nothing was ever negotiated: the call ended before an offer was decided."
      : "Nothing has been negotiated yet: no offer was decided so far.";
  if (view.security === "e2ae") return `Protected. ${means}`;
  if (view.security === "e2e") return `Protected by the parties themselves. ${means}`;
  if (view.security === "none") return `Not protected. ${means}`;
  const secured = live.filter((stream) => stream.security === "e2ae").length;
  const odd = live.find((stream) => stream.reason === view.reason);
  const others = odd === undefined ? "The rest" : `Stream ${odd.stream} (${odd.media})`;
  return `Partly protected: ${secured} of ${live.length} media ${tense} protected. ${others}: ${means}`;
};

export const explain = (view: CallView): Explanation => {
  const live = view.streams.filter((stream) => !idle.has(stream.reason));
  const advice = view.security === "e2ae" || view.security === "e2e" ? undefined : meaningOf(view.reason)?.advice;
  const negotiated = live.length > 0 || view.reason !== "not-requested";
  return {
    ...callRow(view),
    protected: view.security === "e2ae",
    verdict: verdictOf(view, live),
    ...(advice === undefined || !negotiated ? {} : { advice }),
    streams: [...streamsOf(view)],
    decisions: [...decisionsOf(view)],
    removed: [...removalsOf(view)],
  };
};
