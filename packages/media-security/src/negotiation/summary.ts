// Owns the few words that tell a person how a call is protected, and why not. Fingerprints, never keys.
import type { ReasonCode } from "../reason.ts";
import type { NegotiationSummary, StreamSummary } from "./model.ts";
import type { AgreedLine, Negotiation, OfferedLine } from "./state.ts";
import { fingerprint, protectedBy } from "./step.ts";

const agreed = (line: AgreedLine, index: number): StreamSummary => {
  const { media } = line;
  const stream = index + 1;
  if (line.kind === "secured") {
    return {
      stream,
      media,
      security: "e2ae",
      ...protectedBy(line.mode),
      suite: line.suite,
      fromUe: fingerprint(line.fromUe),
      towardsUe: fingerprint(line.towardsUe),
    };
  }
  return { stream, media, security: line.kind === "passed" ? line.security : "none", reason: line.reason };
};

const offered = (line: OfferedLine, index: number): StreamSummary => {
  const { media } = line;
  const stream = index + 1;
  if (line.fate === "secured") return { stream, media, security: "e2ae", ...protectedBy(line.mode) };
  return { stream, media, security: line.fate === "passed" ? line.security : "none", reason: line.reason };
};

const idle = new Set<ReasonCode>(["rejected-by-peer", "duplicate-line"]);

const summaryOf = (streams: readonly StreamSummary[], refused: ReasonCode | undefined): NegotiationSummary => {
  const live = streams.filter((stream) => !idle.has(stream.reason));
  const kinds = new Set(live.map((stream) => stream.security));
  const [only] = kinds;
  const security = kinds.size > 1 ? "mixed" : (only ?? "none");
  const odd = live.find((stream) => stream.security !== "e2ae");
  const modes = new Set(live.flatMap(({ mode }) => mode ?? []));
  const [mode] = modes.size === 1 ? modes : [];
  const good = mode === "sdes-phone" ? "sdes-phone" : "secured";
  const nothing = refused ?? streams[0]?.reason ?? "not-requested";
  const reason = odd?.reason ?? (live.length > 0 ? good : nothing);
  return { security, reason, mode, streams };
};

/** What is in force, else what is being negotiated; after the end, what there was. */
export const summarise = (state: Negotiation): NegotiationSummary => {
  if (state.closing !== undefined) return state.closing;
  const session = state.agreed ?? state.exchange?.answers.at(-1);
  const streams = session === undefined ? (state.exchange?.lines ?? []).map(offered) : session.lines.map(agreed);
  return summaryOf(streams, state.refused);
};

/** Of a call that ends because nothing could be agreed: what was to be protected never was, and `reason` says why. */
export const summariseFailed = (state: Negotiation, reason: ReasonCode): NegotiationSummary => {
  const was = summarise(state);
  if (state.agreed !== undefined) return was;
  const streams = was.streams.map((each): StreamSummary => {
    const { stream, media, security } = each;
    return security === "e2ae" ? { stream, media, security: "none", reason } : each;
  });
  return summaryOf(streams, reason);
};
