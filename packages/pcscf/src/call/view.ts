// What people and programs may see of a call leg. Never a key: fingerprints at most.
import type { IqContext } from "@sallyport/iq";
import type { Evidence, NegotiationSummary, ReasonCode } from "@sallyport/media-security";
import type { EndReason } from "./types.ts";

export interface CallView {
  /** Names this crossing of the edge; a Call-ID may cross twice. */
  readonly id: string;
  readonly callId: string;
  readonly direction: "originating" | "terminating";
  /** The registration of the UE on the access side. */
  readonly aor: string;
  readonly phase: "setup" | "confirmed" | "ended";
  readonly startedAt: number;
  readonly answeredAt?: number;
  readonly endedAt?: number;
  readonly ended?: { readonly reason: EndReason; readonly detail: string };
  readonly security: NegotiationSummary["security"];
  readonly reason: ReasonCode;
  readonly streams: NegotiationSummary["streams"];
  readonly evidence: readonly Evidence[];
  /** What evidence says was taken out, in its words. */
  readonly removed: readonly string[];
  readonly gateway?: Pick<IqContext, "gateway" | "context">;
}

/** The entries of evidence that tell of something taken out. */
export const removedIn = (evidence: readonly Evidence[]): readonly string[] =>
  evidence.flatMap(({ changed }) => changed.filter((change) => /^removed\b/.test(change)));
