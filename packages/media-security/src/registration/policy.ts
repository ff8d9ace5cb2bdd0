// Owns which rule of the network's policy governs a registration. Knows no SIP message.
// TS 33.328 7.1 NOTE 2: the policy may depend on the registration, for example on the type of access network.
import type { SuiteName } from "@sallyport/srtp";

export interface MediaPolicyRule {
  /** What a registration must show for this rule; absent: every registration. */
  readonly match?: {
    /** Access types of P-Access-Network-Info, without case; a `*` at the end stands for any rest. */
    readonly accessNetwork?: readonly string[];
  };
  readonly e2ae: "off" | "offered";
  /** In order of preference where we offer, the acceptance set where we answer. */
  readonly suites: readonly SuiteName[];
  /** Announce e2ae also to a UE that did not announce it first ("server-initiated" UEs wait for that). */
  readonly announceUnasked: boolean;
  /** `a=crypto` on an AVP line is no SRTP offer: removed ("strip", the default) or left to the UEs ("pass"). */
  readonly bestEffortCrypto?: "strip" | "pass";
}

export interface MediaPolicy {
  /** The first rule that matches governs; none: no e2ae. */
  readonly rules: readonly MediaPolicyRule[];
}

export interface PolicyFacts {
  /** The access-type of P-Access-Network-Info, `3GPP-E-UTRAN-FDD` for example. */
  readonly accessNetwork?: string;
  readonly transport: "udp" | "tcp" | "tls";
  readonly confidential: boolean;
}

const off: MediaPolicyRule = { e2ae: "off", suites: [], announceUnasked: false };

const matches = (pattern: string, access: string): boolean =>
  pattern.endsWith("*") ? access.startsWith(pattern.slice(0, -1)) : access === pattern;

/** The rule for a registration. A rule that asks for an access network does not match where none is known. */
export const choosePolicy = (policy: MediaPolicy, facts: PolicyFacts): MediaPolicyRule => {
  const access = facts.accessNetwork?.trim().toLowerCase();
  const found = policy.rules.find((rule) => {
    const wanted = rule.match?.accessNetwork;
    if (wanted === undefined) return true;
    return access !== undefined && wanted.some((pattern) => matches(pattern.toLowerCase(), access));
  });
  return found ?? off;
};
