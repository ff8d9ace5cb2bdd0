// What the calls of a phone tell of it that its REGISTER does not: whether it speaks SRTP. Pure. For the SDES phone mode
// "terminate": a phone that offered SRTP itself is offered it from then on (TS 33.328 7.3.1 by learning; RFC 4568 5.1.1).
import type { Evidence, MediaPolicyRule } from "@sallyport/media-security";
import type { Binding } from "./binding.ts";

/**
 * What the UE's own offers of one call show: SRTP with a key that can be used, plain media, or nothing new. Only what came
 * from the access side counts; that side has authenticated itself to the registrar.
 */
export const shownBy = (evidence: readonly Evidence[]): "sdes" | "plain" | undefined => {
  let shown: "plain" | undefined;
  for (const { clause, step, origin, mode, reason } of evidence) {
    if (clause !== "7.2.1" || origin !== "access") continue;
    if (step === "3" && mode === "sdes-phone" && reason === "sdes-phone") return "sdes";
    if (step === "2" && (reason === "ue-not-capable" || reason === "network-policy")) shown = "plain";
  }
  return shown;
};

const learns = ({ mode, policy }: Pick<Binding, "mode" | "policy">): boolean =>
  mode === "sdes-phone" && policy.sdesPhone === "terminate";

/** The binding after that; the same object where nothing changed. */
export const afterShown = (binding: Binding, shown: "sdes" | "plain" | undefined): Binding => {
  if (shown === undefined || !learns(binding)) return binding;
  if ((shown === "sdes") === (binding.offersSdes === true)) return binding;
  if (shown === "sdes") return { ...binding, offersSdes: true };
  const { offersSdes: _, ...plain } = binding;
  return plain;
};

/** The rule that governs a call towards the UE, and what to write down of why. */
export const ruleTowards = (
  binding: Binding,
): { readonly rule: MediaPolicyRule; readonly evidence: readonly Evidence[] } => {
  if (binding.offersSdes !== true || !learns(binding)) return { rule: binding.policy, evidence: [] };
  return {
    rule: { ...binding.policy, sdesPhone: "offer" },
    evidence: [
      {
        clause: "7.3.1",
        step: "3",
        found: "the phone has shown that it speaks SDES, by its own offer or its registration",
        changed: ["SDES phone mode: offered, learned"],
        origin: "edge",
        mode: "sdes-phone",
      },
    ],
  };
};
