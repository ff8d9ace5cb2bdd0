// Owns the body that is sent on: a decided offer or an agreed answer, rewritten for its receiver, with its o= version.
// TS 33.328 7.2.1 steps 3 and 8, 7.3.1 steps 4 and 7, both closing sentences.
import type { SdpDocument } from "@sallyport/sdp";
import { otherSide, type Effect, type Side } from "./model.ts";
import { stampOrigin } from "./origin.ts";
import { rewrite, type WrittenLine } from "./rewrite.ts";
import {
  draftOf,
  hold,
  type AgreedLine,
  type Exchange,
  type InstalledStream,
  type Negotiation,
  type OfferedLine,
  type Session,
} from "./state.ts";
import { protectedBy, type Step } from "./step.ts";

const localOf = (installed: readonly InstalledStream[], index: number, side: Side) =>
  installed.find(({ wish }) => wish.stream === index + 1)?.[side];

const offeredLine = (
  line: OfferedLine,
  index: number,
  exchange: Exchange,
  installed: readonly InstalledStream[],
): WrittenLine => {
  const towards = otherSide(exchange.offerer);
  if (line.fate === "passed") return { kind: "passed", security: line.security, bared: false };
  const profile = line.profiles[towards];
  const local = line.fate === "secured" ? localOf(installed, index, towards) : undefined;
  // Without a reserved address there is nothing to offer: the gateway is always in the path (TS 33.328 4.2.2).
  if (line.fate === "off" || local === undefined) return { kind: "off", profile };
  const ours = line.keys.kind === "we-offer";
  return {
    kind: "ours",
    profile,
    local,
    unspecified: line.offerer.remote === undefined,
    mux: line.offersMux,
    crypto: line.keys.kind === "we-offer" ? line.keys.candidates : [],
    applied: ours && line.mode === "e2ae",
  };
};

const agreedLine = (
  line: AgreedLine,
  index: number,
  answerer: Side,
  installed: readonly InstalledStream[],
): WrittenLine => {
  const towards = otherSide(answerer);
  if (line.kind === "passed") return { kind: "passed", security: line.security, bared: line.bared === true };
  const profile = line.profiles[towards];
  const local = line.kind === "secured" ? localOf(installed, index, towards) : undefined;
  if (line.kind === "off" || local === undefined) return { kind: "off", profile };
  return {
    kind: "ours",
    profile,
    local,
    unspecified: line.ends[answerer].remote === undefined,
    mux: line.ends[towards].rtcpMux,
    crypto: towards === "access" ? [line.towardsUe] : [],
    applied: towards === "access" && line.mode === "e2ae",
  };
};

export interface Written {
  readonly state: Negotiation;
  readonly effect: Effect & { readonly kind: "forward" };
}

const send = (
  state: Negotiation,
  document: SdpDocument,
  lines: readonly WrittenLine[],
  at: { readonly clause: "7.2.1" | "7.3.1"; readonly towards: Side },
  step: Step,
) => {
  const { clause, towards } = at;
  const passBestEffort = state.facts.policy.bestEffortCrypto === "pass";
  const rewritten = rewrite(document, lines, { passBestEffort });
  for (const { stream, what, indication } of rewritten.removed) {
    const secured = lines[stream - 1]?.kind === "ours";
    if (secured && !(indication && towards === "access")) continue;
    step.evidence.push({
      clause,
      step: "remove",
      found: `${what} from ${otherSide(towards) === "access" ? "the UE" : "the core"}`,
      changed: [`removed a=${what}`],
      origin: otherSide(towards),
      stream: stream === 0 ? undefined : stream,
    });
  }
  const own = lines.some((line) => line.kind !== "passed") || state.installed.length > 0;
  const { document: sdp, mark } = stampOrigin(rewritten.document, state.origins[towards], own);
  const draft = draftOf(state);
  const { access, core } = state.origins;
  if (mark !== undefined) draft.origins = towards === "access" ? { access: mark, core } : { access, core: mark };
  return { state: draft, effect: { kind: "forward" as const, towards, sdp } };
};

/** The open offer towards the other side. */
export const writeOffer = (state: Negotiation, exchange: Exchange, document: SdpDocument, step: Step): Written => {
  const written = send(
    state,
    document,
    exchange.lines.map((line, index) => offeredLine(line, index, exchange, state.installed)),
    { clause: exchange.offerer === "access" ? "7.2.1" : "7.3.1", towards: otherSide(exchange.offerer) },
    step,
  );
  if (!exchange.lines.some((line) => line.fate === "secured")) return written;
  // What the answering side is told of the offerer: no key of the access stands in either.
  const body = hold(exchange.offerer === "core" ? document : written.effect.sdp);
  const draft = draftOf(written.state);
  const { offerer, carrier, branch, lines, answers, outer, own } = exchange;
  draft.exchange = { offerer, carrier, branch, lines, answers, outer, body, own };
  return { state: draft, effect: written.effect };
};

/** An answer towards the offerer. */
export const writeAnswer = (state: Negotiation, session: Session, document: SdpDocument, step: Step): Written => {
  const { answerer } = session;
  const written = send(
    state,
    document,
    session.lines.map((line, index) => agreedLine(line, index, answerer, state.installed)),
    { clause: answerer === "core" ? "7.2.1" : "7.3.1", towards: otherSide(answerer) },
    step,
  );
  for (const [index, line] of session.lines.entries()) {
    if (line.kind !== "secured") continue;
    const towardsUe = answerer === "core";
    const { reason, mode } = protectedBy(line.mode);
    step.evidence.push({
      clause: towardsUe ? "7.2.1" : "7.3.1",
      step: towardsUe ? "8" : "7",
      found: `answer ${line.media} ${line.profiles[answerer]}`,
      changed: towardsUe
        ? [
            `${line.profiles.core} to ${line.profiles.access}`,
            `one crypto attribute, tag ${line.towardsUe.tag}`,
            ...(line.mode === "e2ae" ? ["indication added"] : []),
          ]
        : [`${line.profiles.access} to ${line.profiles.core}`, "removed the crypto attribute"],
      origin: "edge",
      stream: index + 1,
      reason,
      mode,
    });
  }
  return written;
};
