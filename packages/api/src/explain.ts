// Why a call is, or is not, protected: one verdict in words and the chain of decisions behind it. Decides nothing anew.
import { meaningOf } from "./reasons.ts";
import type { Explanation } from "./schema.ts";
import { callRow, decisionsOf, mediaOf, removalsOf, streamsOf, type CallView } from "./views.ts";

/** Lines that carry nothing do not make a call unprotected. */
const idle = new Set(["rejected-by-peer", "duplicate-line"]);

type Stage = "setup" | "answered" | "ended" | "unanswered";

const stageOf = ({ phase, answeredAt }: CallView): Stage =>
  answeredAt === undefined ? (phase === "ended" ? "unanswered" : "setup") : phase === "ended" ? "ended" : "answered";

const openings: Readonly<Record<Stage, Readonly<Record<CallView["security"], string>>>> = {
  setup: {
    e2ae: "Being set up with protection.",
    e2e: "Being set up, protected by the parties themselves.",
    none: "Being set up without protection.",
    mixed: "Being set up with protection of some media.",
  },
  answered: {
    e2ae: "Protected.",
    e2e: "Protected by the parties themselves.",
    none: "Not protected.",
    mixed: "Partly protected.",
  },
  ended: {
    e2ae: "Was protected.",
    e2e: "Was protected by the parties themselves.",
    none: "Was not protected.",
    mixed: "Was partly protected.",
  },
  unanswered: {
    e2ae: "Never answered; it would have been protected.",
    e2e: "Never answered; the parties would have protected it themselves.",
    none: "Never answered; it had no protection.",
    mixed: "Never answered; part of it would have been protected.",
  },
};

const verdictOf = (view: CallView, live: CallView["streams"]): string => {
  const stage = stageOf(view);
  if (live.length === 0 && view.reason === "not-requested")
    return stage === "setup"
      ? "Nothing has been negotiated yet: no offer was decided so far."
      : "Nothing was ever negotiated: no offer was decided.";
  const means = meaningOf(view.reason)?.means ?? `Reason ${view.reason}.`;
  const odd = view.security === "mixed" ? live.find((stream) => stream.reason === view.reason) : undefined;
  const about = odd === undefined ? "" : ` Stream ${odd.stream} (${odd.media}) is not:`;
  return `${openings[stage][view.security]}${about} ${means}`;
};

export const explain = (view: CallView): Explanation => {
  const live = view.streams.filter((stream) => !idle.has(stream.reason));
  const advice = view.security === "e2ae" || view.security === "e2e" ? undefined : meaningOf(view.reason)?.advice;
  const negotiated = live.length > 0 || view.reason !== "not-requested";
  return {
    ...callRow(view),
    protected: view.security === "e2ae" && view.answeredAt !== undefined,
    verdict: verdictOf(view, live),
    ...(advice === undefined || !negotiated ? {} : { advice }),
    streams: [...streamsOf(view)],
    media: [...mediaOf(view)],
    decisions: [...decisionsOf(view)],
    removed: [...removalsOf(view)],
  };
};
