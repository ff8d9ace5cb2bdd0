// Owns the answer to "what would happen to this registration and this offer", without a call. Knows no SIP message.
// TS 33.328 7.1, 7.2.1, 7.3.1: the very decisions of a call are taken, with a gateway of documentation addresses
// (RFC 5737, RFC 3849), and told in words. Keys are redacted in what is given back and zeroised.
import { redactKeys, type Random } from "@sallyport/kit";
import { connectionOf, parseSdp, writeSdp, type SdpDocument } from "@sallyport/sdp";
import { decide } from "../negotiation/decide.ts";
import type {
  Effect,
  LegAddress,
  NegotiationEvent,
  NegotiationFacts,
  NegotiationSummary,
  Side,
} from "../negotiation/model.ts";
import { openNegotiation } from "../negotiation/state.ts";
import { summarise } from "../negotiation/summary.ts";
import type { Evidence, ReasonCode } from "../reason.ts";
import { decideRegistration, type RegistrationDecision } from "../registration/indications.ts";
import { readMechanisms } from "../registration/mechanism.ts";
import { explainChoice, type MediaPolicy, type PolicyChoice, type PolicyFacts } from "../registration/policy.ts";
import { effectInWords, registrationInWords } from "./words.ts";

export interface ExplainFacts {
  readonly policy: MediaPolicy;
  readonly registration: PolicyFacts & {
    /** Security-Client header values. */
    readonly securityClient: readonly string[];
    /** `mediasec` stands in Require or Proxy-Require. */
    readonly usesOptionTag?: boolean;
  };
  /** An SDP offer: `from` "access" is the UE's, "core" one that reaches the UE. */
  readonly offer?: { readonly from: Side; readonly sdp: Uint8Array | string; readonly emergency?: boolean };
}

export interface OfferExplanation {
  readonly outcome: "sent-on" | "refused" | "unreadable";
  /** Of a refusal. */
  readonly status?: number;
  /** Each once, as they came up. */
  readonly reasons: readonly ReasonCode[];
  readonly inWords: readonly string[];
  /** The body as it would leave, keys redacted, gateway addresses made up. */
  readonly sdp?: string;
  readonly summary?: NegotiationSummary;
  readonly evidence: readonly Evidence[];
}

export interface PolicyExplanation {
  readonly choice: PolicyChoice;
  readonly registration: RegistrationDecision;
  readonly inWords: readonly string[];
  readonly offer?: OfferExplanation;
}

const reply = (effect: Effect & { kind: "gateway" }, six: boolean): NegotiationEvent => {
  const leg =
    (address: string, base: number) =>
    ({ stream }: { readonly stream: number }): LegAddress => {
      const port = base + 2 * stream;
      return { stream, address, port, rtcpPort: port + 1 };
    };
  const { streams } = effect.plan;
  return {
    kind: "gateway-done",
    request: effect.request,
    access: streams.map(leg(six ? "2001:db8::1" : "198.51.100.1", 30_000)),
    core: streams.map(leg(six ? "2001:db8::2" : "192.0.2.1", 20_000)),
  };
};

/** One offer through `decide`; whatever keys it made are gone afterwards. */
const rehearse = (facts: NegotiationFacts, offer: NegotiationEvent & { kind: "offer" }, random: Random) => {
  const effects: Effect[] = [];
  const evidence: Evidence[] = [];
  const six = offer.sdp.media.some((_, index) => connectionOf(offer.sdp, index)?.includes(":") === true);
  let state = openNegotiation(facts);
  let summary = summarise(state);
  const queue: NegotiationEvent[] = [offer, { kind: "ended" }];
  for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
    if (event.kind === "ended") summary = summarise(state);
    const decision = decide(state, event, random);
    state = decision.state;
    evidence.push(...decision.evidence);
    for (const effect of decision.effects) {
      if (event.kind !== "ended") effects.push(effect);
      if (effect.kind === "zeroise") for (const key of effect.keys) key.release();
      if (effect.kind === "gateway") queue.unshift(reply(effect, six));
    }
  }
  return { effects, evidence, summary };
};

const explainOffer = (
  facts: Omit<NegotiationFacts, "ueRole">,
  offer: { readonly from: Side; readonly sdp: SdpDocument },
  random: Random,
): OfferExplanation => {
  const { from, sdp } = offer;
  const ueRole = from === "access" ? "originating" : "terminating";
  const seen = rehearse({ ...facts, ueRole }, { kind: "offer", from, sdp, carrier: "INVITE" }, random);
  const refused = seen.effects.find((effect) => effect.kind === "refuse");
  const forwarded = seen.effects.find((effect) => effect.kind === "forward");
  const reasons = seen.evidence.flatMap((each) => each.reason ?? []);
  if (refused?.kind === "refuse") reasons.push(refused.reason);
  return {
    outcome: refused === undefined ? "sent-on" : "refused",
    ...(refused?.kind === "refuse" ? { status: refused.status } : {}),
    reasons: [...new Set(reasons)],
    inWords: seen.effects.flatMap(effectInWords),
    ...(forwarded?.kind === "forward" ? { sdp: redactKeys(writeSdp(forwarded.sdp).toString("latin1")) } : {}),
    ...(refused === undefined ? { summary: seen.summary } : {}),
    evidence: seen.evidence,
  };
};

/** What would become of a registration, and of an offer within it. Pure but for `random`, which makes throw-away keys. */
export const explainPolicy = (facts: ExplainFacts, random: Random): PolicyExplanation => {
  const { policy, registration: facing, offer } = facts;
  const choice = explainChoice(policy, facing);
  const registration = decideRegistration({
    securityClient: readMechanisms(facing.securityClient),
    usesOptionTag: facing.usesOptionTag === true,
    policy: choice.rule,
    confidential: facing.confidential,
  });
  const found = { choice, registration, inWords: registrationInWords(choice, registration) };
  if (offer === undefined) return found;
  const parsed = parseSdp(offer.sdp);
  if (!parsed.ok) {
    const inWords = [`not an SDP description: ${parsed.code} in line ${parsed.line}`];
    return { ...found, offer: { outcome: "unreadable", reasons: [], inWords, evidence: [] } };
  }
  const call = {
    registration: registration.indications,
    policy: choice.rule,
    confidential: facing.confidential,
    ...(offer.emergency === undefined ? {} : { emergency: offer.emergency }),
  };
  return { ...found, offer: explainOffer(call, { from: offer.from, sdp: parsed.document }, random) };
};
