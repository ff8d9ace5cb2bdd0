// Owns what one decision gathers on its way: evidence, and every key that came into being, so that none is forgotten.
import type { Random, Secret } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import { quirkEvidence, quirkMode, type QuirkModes } from "../quirks/modes.ts";
import type { QuirkId } from "../quirks/table.ts";
import type { Evidence, ProtectionMode } from "../reason.ts";

export interface Step {
  readonly random: Random;
  readonly evidence: Evidence[];
  readonly made: Secret[];
  readonly quirks: QuirkModes | undefined;
}

export const openStep = (random: Random, quirks: QuirkModes | undefined): Step => ({
  random,
  evidence: [],
  made: [],
  quirks,
});

/** Tells a quirk that the UE showed on a stream; whether it is borne. */
export const meetQuirk = (step: Step, quirk: QuirkId, stream: number): boolean => {
  const mode = quirkMode(step.quirks, quirk);
  step.evidence.push(quirkEvidence({ quirk, mode }, "access", stream));
  return mode !== "strict";
};

/** The reason code of a protected stream, and its mode, for evidence and summary. */
export const protectedBy = (mode: ProtectionMode) =>
  ({ reason: mode === "e2ae" ? "secured" : "sdes-phone", mode }) as const;

const secretsOf = (crypto: CryptoAttribute): readonly Secret[] => [
  ...crypto.keys.map((key) => key.master),
  ...crypto.sessionParams.flatMap((param) => (param.kind === "FEC_KEY" ? param.keys.map((key) => key.master) : [])),
];

/** Notes the keys of an attribute: those no state refers to after the step are zeroised. */
export const noteKeys = (step: Step, crypto: CryptoAttribute): CryptoAttribute => {
  step.made.push(...secretsOf(crypto));
  return crypto;
};

/** The first key of an attribute as two octets of fingerprint. */
export const fingerprint = (crypto: CryptoAttribute): string => crypto.keys[0]?.master.fingerprint ?? "none";
