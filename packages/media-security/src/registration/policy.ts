// Owns which rule of the network's policy governs a registration, and why. Knows no SIP message.
// TS 33.328 7.1 NOTE 2: the policy may depend on the registration, for example on the type of access network.
import type { SuiteName } from "@sallyport/srtp";
import { mergeModes, type QuirkModes } from "../quirks/modes.ts";

/** What a registration must show for a rule: every list that is there must match, one entry of it is enough. */
export interface PolicyMatch {
  /** Access types of P-Access-Network-Info. Without case; `*` stands for any run of characters, as in all patterns. */
  readonly accessNetwork?: readonly string[];
  readonly transport?: readonly ("udp" | "tcp" | "tls")[];
  /** User-Agent as the UE writes it: its own word, so nothing that must hold against a hostile UE may hang on it. */
  readonly userAgent?: readonly string[];
  /** The realm of the registration: the home domain of the public identity. */
  readonly realm?: readonly string[];
}

export interface MediaPolicyRule {
  /** What a registration must show for this rule; absent: every registration. */
  readonly match?: PolicyMatch;
  /** `required` also refuses clear media to and from this UE; emergency calls are exempt. */
  readonly e2ae: "off" | "offered" | "required";
  /** In the order in which we offer them; also the acceptance set where `accept` is absent. */
  readonly suites: readonly SuiteName[];
  /** What is accepted in the UE's offers; its own order decides (RFC 4568 5.1.2). */
  readonly accept?: readonly SuiteName[];
  /**
   * Who is told of our support without having announced sdes-srtp: nobody (`never`, false); a UE that listed no media
   * mechanism at all and may wait for our list (`unannounced`); everybody, so that our list does not depend on the UE's
   * (`always`, true; RFC 3329 2.3.1).
   */
  readonly announceUnasked: boolean | "never" | "unannounced" | "always";
  /**
   * A line protected in this dialog that the UE offers again in the clear: 488 and everything stays as it was (the
   * default, and the only way under `required`), or the UE's will is done.
   */
  readonly downgrade?: "refuse" | "allow";
  /**
   * SRTP of UEs that know SDES but did not announce e2ae ends at the gateway as if they had asked (`terminate`), and
   * they are offered it as well (`offer`). The indication is neither asked of them nor sent to them.
   */
  readonly sdesPhone?: "off" | "terminate" | "offer";
  /**
   * `a=crypto` on an AVP line is no SRTP offer: removed ("strip", the default) or left to the UEs ("pass"). It is never
   * terminated: whether such a phone takes an AVP answer with a key for SRTP cannot be told from its offer.
   */
  readonly bestEffortCrypto?: "strip" | "pass";
  /** Clear T.38 (m=image udptl), added or instead of audio. Default: "pass", under `required` "refuse". */
  readonly t38?: "pass" | "refuse";
  readonly quirks?: QuirkModes;
}

export interface MediaPolicy {
  /** The first rule that matches governs; none: no e2ae. */
  readonly rules: readonly MediaPolicyRule[];
  /** For all rules; what a rule says itself goes before. */
  readonly quirks?: QuirkModes;
}

export interface PolicyFacts {
  /** The access-type of P-Access-Network-Info, `3GPP-E-UTRAN-FDD` for example. */
  readonly accessNetwork?: string;
  readonly transport: "udp" | "tcp" | "tls";
  readonly confidential: boolean;
  readonly userAgent?: string;
  readonly realm?: string;
}

/** The rule that governs and how it was found. */
export interface PolicyChoice {
  readonly rule: MediaPolicyRule;
  /** Its place among the rules, from 0; undefined: none matched, e2ae is off. */
  readonly index: number | undefined;
  /** Which entries matched; [] where the rule has no conditions. */
  readonly because: readonly string[];
  /** The rules before it and what each missed. */
  readonly passedOver: readonly { readonly index: number; readonly missed: string }[];
}

const off: MediaPolicyRule = { e2ae: "off", suites: [], announceUnasked: false };

/** Header text looked at. */
const maxText = 512;

/** `*` stands for any run of characters. Each part is looked for once, from left to right: linear, whatever the text. */
const matches = (pattern: string, text: string): boolean => {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return text === pattern;
  if (!text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= text.length - tail.length;
};

type Verdict = { readonly because: readonly string[] } | { readonly missed: string };

const judge = (match: PolicyMatch | undefined, facts: PolicyFacts): Verdict => {
  const because: string[] = [];
  for (const name of ["accessNetwork", "transport", "userAgent", "realm"] as const) {
    const wanted = match?.[name];
    if (wanted === undefined) continue;
    const value = facts[name]?.trim().toLowerCase().slice(0, maxText);
    if (value === undefined) return { missed: `${name} is not known` };
    const found = wanted.find((pattern) => matches(pattern.toLowerCase(), value));
    if (found === undefined) return { missed: `${name} ${value} fits none of ${wanted.join(", ")}` };
    because.push(`${name} ${value} fits ${found}`);
  }
  return { because };
};

/** The rule for a registration and why. A rule that asks for something that is not known does not match. */
export const explainChoice = (policy: MediaPolicy, facts: PolicyFacts): PolicyChoice => {
  const passedOver: { index: number; missed: string }[] = [];
  for (const [index, rule] of policy.rules.entries()) {
    const verdict = judge(rule.match, facts);
    if ("missed" in verdict) {
      passedOver.push({ index, missed: verdict.missed });
      continue;
    }
    const merged = mergeModes(policy.quirks, rule.quirks);
    const whole = merged === rule.quirks || merged === undefined ? rule : { ...rule, quirks: merged };
    return { rule: whole, index, because: verdict.because, passedOver };
  }
  return { rule: off, index: undefined, because: [], passedOver };
};

/** The rule for a registration. */
export const choosePolicy = (policy: MediaPolicy, facts: PolicyFacts): MediaPolicyRule =>
  explainChoice(policy, facts).rule;

/** The suites accepted in a UE's offer. */
export const acceptedSuites = (rule: MediaPolicyRule): readonly SuiteName[] => rule.accept ?? rule.suites;
