// Owns the sentences in which a decision is told to an operator. Decides nothing, shows no key.
import type { Effect, GatewayStream } from "../negotiation/model.ts";
import type { RegistrationDecision } from "../registration/indications.ts";
import type { PolicyChoice } from "../registration/policy.ts";

const protection = {
  e2ae: "calls are protected by e2ae",
  "sdes-phone": "calls are protected in SDES phone mode",
  none: "calls are not protected up to the gateway",
} as const;

/** Which rule, why, and what the registration is told. */
export const registrationInWords = (choice: PolicyChoice, decision: RegistrationDecision): readonly string[] => {
  const { index, because, passedOver, rule } = choice;
  const why = because.length === 0 ? "it has no conditions" : because.join("; ");
  return [
    ...passedOver.map((each) => `rule ${each.index} passed over: ${each.missed}`),
    index === undefined ? "no rule matches: e2ae is off" : `rule ${index} governs: ${why}`,
    `e2ae ${rule.e2ae}, SDES phone mode ${rule.sdesPhone ?? "off"}`,
    decision.securityServer.length === 0
      ? "nothing is announced"
      : `announced in the 401 and the 200: Security-Server: ${decision.securityServer.join(", ")}`,
    protection[decision.mode] + (decision.mode === "e2ae" ? "" : ` (${decision.reason ?? "not announced"})`),
    ...(rule.e2ae === "required" && decision.mode === "none"
      ? ["clear calls are refused, emergency calls excepted"]
      : []),
  ];
};

const stream = ({ stream: id, access, core }: GatewayStream): string =>
  `stream ${id}: ${access?.protocol ?? "nothing"} towards the UE, ${core?.protocol ?? "nothing"} towards the core`;

/** One effect; several lines where it does several things. */
export const effectInWords = (effect: Effect): readonly string[] => {
  switch (effect.kind) {
    case "gateway":
      return [`gateway reserves in a ${effect.plan.context} context:`, ...effect.plan.streams.map(stream)];
    case "forward":
      return [`sent on towards the ${effect.towards === "access" ? "UE" : "core"}`];
    case "refuse":
      return [`refused with ${effect.status}: ${effect.reason}`];
    case "end-call":
      return [`the call ends with ${effect.coreStatus}: ${effect.reason}`];
    case "defer":
      return ["waits for the gateway"];
    case "drop-branch":
      return [`not sent on: ${effect.reason}`];
    case "ask":
      return [`offered again to the ${effect.towards === "access" ? "UE" : "core"}`];
    case "agreed":
      return [`agreed again with the ${effect.towards === "access" ? "UE" : "core"}`];
    case "release-gateway":
      return ["gateway released"];
    default:
      return [`${effect.keys.length} ${effect.keys.length === 1 ? "key" : "keys"} zeroised`];
  }
};
