// What people and programs may see of a call leg. Never a key: fingerprints at most.
import type { IqContext } from "@sallyport/iq";
import { parseNameAddr } from "@sallyport/sip";
import { summarise, type Evidence, type NegotiationSummary, type ReasonCode } from "@sallyport/media-security";
import type { MediaCounts } from "./media-counts.ts";
import type { CallEvidence, CallState, EndReason, Exchange } from "./types.ts";

export interface CallView {
  /** Names this crossing of the edge; a Call-ID may cross twice. */
  readonly id: string;
  readonly callId: string;
  readonly direction: "originating" | "terminating";
  /** The registration of the UE on the access side. */
  readonly aor: string;
  /** The URI of the party at the other end, as the dialog names it (From or To; RFC 3323 may have made it anonymous). */
  readonly otherParty?: string;
  readonly phase: "setup" | "confirmed" | "ended";
  readonly startedAt: number;
  readonly answeredAt?: number;
  readonly endedAt?: number;
  /** From the answer to the end, in whole ms; absent before the end, 0 without an answer. */
  readonly durationMs?: number;
  readonly ended?: { readonly reason: EndReason; readonly detail: string };
  readonly security: NegotiationSummary["security"];
  readonly reason: ReasonCode;
  readonly streams: NegotiationSummary["streams"];
  readonly evidence: readonly CallEvidence[];
  /** What evidence says was taken out, in its words. */
  readonly removed: readonly string[];
  readonly gateway?: Pick<IqContext, "gateway" | "context">;
  /** What the gateways counted; said when they give a context back, so empty before the call ends, unless it has moved. */
  readonly media: readonly MediaCounts[];
}

type RemovedKind = "crypto" | "3ge2ae" | "other";
const nothing: readonly RemovedKind[] = [];

/** What an entry of evidence says was taken out; empty when nothing was. */
export const removedKinds = (change: string): readonly RemovedKind[] => {
  // Most entries tell of something else: they are asked in the cheapest way.
  if (!change.startsWith("removed") || !/^removed\b/.test(change)) return nothing;
  const kinds: RemovedKind[] = [];
  if (/\bcrypto\b/i.test(change)) kinds.push("crypto");
  if (/3ge2ae|indication/i.test(change)) kinds.push("3ge2ae");
  return kinds.length === 0 ? ["other"] : kinds;
};

/** The entries of evidence that tell of something taken out. */
const removedIn = (evidence: readonly Evidence[]): readonly string[] => {
  const removed: string[] = [];
  for (const { changed } of evidence)
    for (const change of changed) if (removedKinds(change).length > 0) removed.push(change);
  return removed;
};

const otherPartyOf = ({ direction, dialogs, exchanges }: CallState): string | undefined => {
  const [first] = dialogs.values();
  const dialog = [...dialogs.values()].find(({ state }) => state !== "early") ?? first;
  let opens: NonNullable<Exchange["opens"]> | undefined;
  for (const exchange of exchanges.values()) opens ??= exchange.opens;
  const called = direction === "originating";
  const named = (called ? dialog?.downstream : (dialog?.upstream ?? opens?.caller))?.name;
  return (named === undefined ? undefined : parseNameAddr(named)?.uri) ?? (called ? opens?.uri : undefined);
};

/** A leg as it is now. Times are ms since the epoch. */
export const viewOf = (
  state: CallState,
  about: {
    readonly aor: string;
    readonly startedAt: number;
    readonly answeredAt: number | undefined;
    readonly endedAt: number | undefined;
    readonly context: IqContext | undefined;
    readonly counted: readonly MediaCounts[];
  },
): CallView => {
  const { security, reason, streams } = summarise(state.negotiation);
  const { aor, startedAt, answeredAt, endedAt, context, counted } = about;
  const otherParty = otherPartyOf(state);
  return {
    id: state.id,
    callId: state.callId,
    direction: state.direction,
    aor,
    ...(otherParty === undefined ? {} : { otherParty }),
    phase: state.phase === "ending" ? "ended" : state.phase,
    startedAt,
    ...(answeredAt === undefined ? {} : { answeredAt }),
    ...(endedAt === undefined ? {} : { endedAt, durationMs: Math.round(endedAt - (answeredAt ?? endedAt)) }),
    ...(state.ended === undefined ? {} : { ended: state.ended }),
    security,
    reason,
    streams,
    evidence: state.evidence,
    removed: removedIn(state.evidence),
    ...(context === undefined ? {} : { gateway: { gateway: context.gateway, context: context.context } }),
    media: counted,
  };
};

/** A call that has ended, as one line of the log. */
export const recordOf = (view: CallView): Readonly<Record<string, unknown>> => ({
  call: view.id,
  callId: view.callId,
  aor: view.aor,
  otherParty: view.otherParty,
  direction: view.direction,
  security: view.security,
  reason: view.reason,
  ended: view.ended?.reason,
  why: view.ended?.detail === "" ? undefined : view.ended?.detail,
  durationMs: view.durationMs,
  media: view.media,
});
