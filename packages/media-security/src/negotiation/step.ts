// Owns what one decision gathers on its way: evidence, and every key that came into being, so that none is forgotten.
import type { Random, Secret } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { Evidence } from "../reason.ts";

export interface Step {
  readonly random: Random;
  readonly evidence: Evidence[];
  readonly made: Secret[];
}

export const openStep = (random: Random): Step => ({ random, evidence: [], made: [] });

export const secretsOf = (crypto: CryptoAttribute): readonly Secret[] => [
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
