// The public door: registration and policy (7.1), negotiation (7.2.1, 7.3.1), the SDES rules that edge and UE share, the
// table of quirks, and what operators and stores ask: explainPolicy, freezeNegotiation, thawNegotiation.
export { acceptedSuites, choosePolicy, explainChoice } from "./registration/policy.ts";
export type { MediaPolicy, MediaPolicyRule, PolicyChoice, PolicyFacts, PolicyMatch } from "./registration/policy.ts";
export { decideRegistration, noIndications } from "./registration/indications.ts";
export type {
  Dialect,
  MediaSecurityIndications,
  RegistrationDecision,
  RegistrationFacts,
} from "./registration/indications.ts";
export { checkSecurityVerify } from "./registration/verify.ts";
export type { VerifyFacts, VerifyResult } from "./registration/verify.ts";
export { readMechanisms } from "./registration/mechanism.ts";
export type { MediaMechanism } from "./registration/mechanism.ts";
export { checkAnswer, createAnswer, createOffer, sameKeys, selectCrypto } from "./sdes/offer-answer.ts";
export type { AnswerFault, CheckResult, SelectResult } from "./sdes/offer-answer.ts";
export type { CryptoRefusal, SkippedCrypto, UsableCrypto } from "./sdes/accept.ts";
export { parse3ge2ae } from "./sdes/indication.ts";
export type { Indication } from "./sdes/indication.ts";
export { otherSide } from "./negotiation/model.ts";
export { securityAttribute } from "./negotiation/security-attribute.ts";
export { decide } from "./negotiation/decide.ts";
export { canReOffer, sessionInForce } from "./negotiation/reoffer.ts";
export { liveKeys } from "./negotiation/keys.ts";
export { summarise } from "./negotiation/summary.ts";
export { isBusy, openNegotiation } from "./negotiation/state.ts";
export type { Negotiation } from "./negotiation/state.ts";
export type {
  Carrier,
  Decision,
  Effect,
  GatewayPlan,
  GatewayStream,
  LegAddress,
  LegMode,
  LegWish,
  NegotiationEvent,
  NegotiationFacts,
  NegotiationSummary,
  RemoteAddress,
  Side,
  StreamSummary,
} from "./negotiation/model.ts";
export { freezeNegotiation, thawNegotiation } from "./negotiation/freeze.ts";
export type { FrozenNegotiation, NamedSecret, PlainValue, ThawFailure } from "./negotiation/freeze.ts";
export { explainPolicy } from "./explain/policy.ts";
export type { ExplainFacts, OfferExplanation, PolicyExplanation } from "./explain/policy.ts";
export type { Evidence, Origin, ProtectionMode, ReasonCode } from "./reason.ts";
export { quirks } from "./quirks/table.ts";
export type { Quirk, QuirkId, QuirkMode } from "./quirks/table.ts";
export { mergeModes, quirkEvidence, quirkMode, quirkOf } from "./quirks/modes.ts";
export type { QuirkModes, QuirkSighting } from "./quirks/modes.ts";
export { mediaSecurityErrors } from "./errors.ts";
