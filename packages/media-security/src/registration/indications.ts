// Owns the four indications of a registration and what the network announces. Knows no SIP message and no binding.
// TS 33.328 7.1; TS 24.229 5.2.2 and 7.2A.7, draft-dawes-sipcore-mediasec-parameter for the second dialect.
import { quirkEvidence, quirkMode } from "../quirks/modes.ts";
import type { Evidence, ProtectionMode, ReasonCode } from "../reason.ts";
import { isMediaMechanism, names, sdesSrtp, type MediaMechanism } from "./mechanism.ts";
import { acceptedSuites, type MediaPolicyRule } from "./policy.ts";

/** The indications of clause 7.1, stored per binding. */
export interface MediaSecurityIndications {
  /** "e2ae-security supported by UE". */
  readonly ueE2ae: boolean;
  /** "e2e-security-with SDES supported by UE". */
  readonly ueE2eSdes: boolean;
  /** "e2e-security-with KMS supported by UE". */
  readonly ueE2eKms: boolean;
  /** "e2ae-security supported by network". */
  readonly networkE2ae: boolean;
}

export const noIndications: MediaSecurityIndications = {
  ueE2ae: false,
  ueE2eSdes: false,
  ueE2eKms: false,
  networkE2ae: false,
};

/** How the UE speaks: with the option tag `mediasec` (draft), without it (3GPP), or not at all. */
export type Dialect = "3gpp" | "draft" | "none";

export interface RegistrationFacts {
  /** All entries of Security-Client, signalling mechanisms included. */
  readonly securityClient: readonly MediaMechanism[];
  /** `mediasec` stands in Require, Proxy-Require or Supported. */
  readonly usesOptionTag: boolean;
  readonly policy: MediaPolicyRule;
  /** The SIP hop to the UE keeps keys secret: TLS, IPsec with encryption, or an access declared trusted. */
  readonly confidential: boolean;
  /**
   * Mechanism names by which a UE announces the two optional e2e indications. Stage 3 never named them: where an
   * operator's UEs have names for them they are configuration; without, the indications are never set.
   */
  readonly e2eNames?: { readonly sdes?: string; readonly kms?: string };
  /**
   * Security-Client of the REGISTER that was challenged, when this one answers that challenge: some UEs leave the header
   * out of the second (quirk client-missing).
   */
  readonly earlier?: readonly MediaMechanism[];
}

export interface RegistrationDecision {
  readonly indications: MediaSecurityIndications;
  readonly dialect: Dialect;
  /** Security-Server values for the 401 and the 200 alike; [] for none. */
  readonly securityServer: readonly string[];
  /** What may protect this binding's calls up to the gateway. */
  readonly mode: ProtectionMode | "none";
  /** Why e2ae is not available for this binding; absent when it is. */
  readonly reason?: ReasonCode;
  readonly evidence: readonly Evidence[];
}

const announcesUnasked = (policy: MediaPolicyRule, speaks: boolean): boolean => {
  const { announceUnasked: whom } = policy;
  return whom === true || whom === "always" || (whom === "unannounced" && !speaks);
};

/** The entries that count: those of this REGISTER, or of the challenged one where this one has none. */
const entriesOf = (facts: RegistrationFacts) => {
  const earlier = facts.earlier?.filter(isMediaMechanism) ?? [];
  const missing = earlier.length > 0 && !facts.securityClient.some(isMediaMechanism);
  if (!missing) return { entries: facts.securityClient, noted: [] };
  const mode = quirkMode(facts.policy.quirks, "client-missing");
  return {
    entries: mode === "strict" ? facts.securityClient : [...facts.securityClient, ...earlier],
    noted: [quirkEvidence({ quirk: "client-missing", mode }, "access")],
  };
};

/** Decides one REGISTER. Media mechanisms other than sdes-srtp, and entries without `mediasec`, do not count. */
export const decideRegistration = (facts: RegistrationFacts): RegistrationDecision => {
  const { policy, confidential } = facts;
  const { entries: securityClient, noted } = entriesOf(facts);
  const announced = (name: string | undefined): boolean =>
    name !== undefined && securityClient.some((mechanism) => names(mechanism, name));
  const ueE2ae = announced(sdesSrtp);
  const speaks = securityClient.some(isMediaMechanism);
  const dialect: Dialect = facts.usesOptionTag ? "draft" : speaks ? "3gpp" : "none";
  // 7.1: "capable of supporting the mechanisms ... and the network policy is to prefer e2ae protection for this registration".
  const capable = policy.suites.length > 0 && acceptedSuites(policy).length > 0;
  const preferred = policy.e2ae !== "off" && capable;
  // 6.2.1.2: SIP messages that carry SDES shall be confidentiality-protected, so without that we are not capable of it.
  const networkE2ae = preferred && confidential && (ueE2ae || announcesUnasked(policy, speaks));
  const reason: ReasonCode | undefined = !preferred
    ? "network-policy"
    : !confidential
      ? "signalling-not-confidential"
      : !ueE2ae
        ? "ue-not-capable"
        : undefined;
  const indications: MediaSecurityIndications = {
    ueE2ae,
    ueE2eSdes: announced(facts.e2eNames?.sdes),
    ueE2eKms: announced(facts.e2eNames?.kms),
    networkE2ae,
  };
  const phone = (policy.sdesPhone ?? "off") !== "off" && capable && confidential;
  const mode = ueE2ae && networkE2ae ? "e2ae" : phone ? "sdes-phone" : "none";
  const securityServer = networkE2ae ? [`${sdesSrtp};mediasec`] : [];
  const listed = securityClient.map((mechanism) => mechanism.name).join(", ");
  const evidence: Evidence[] = [
    {
      clause: "7.1",
      step: "",
      found: `Security-Client ${listed === "" ? "absent" : `with ${listed}`}, dialect ${dialect}`,
      changed: [ueE2ae ? "stored: e2ae-security supported by UE" : "nothing stored for e2ae"],
      origin: "access",
      ...(ueE2ae ? {} : { reason: "ue-not-capable" as const }),
    },
    {
      clause: "7.1",
      step: "",
      found: `policy ${policy.e2ae}, ${policy.suites.length} suites, signalling ${confidential ? "" : "not "}confidential`,
      changed: [
        networkE2ae ? "announced: e2ae-security supported by network" : "nothing announced",
        ...(mode === "sdes-phone" ? [`SDES phone mode: ${policy.sdesPhone}`] : []),
        ...(policy.e2ae === "required" && mode === "none" ? ["clear calls will be refused"] : []),
      ],
      origin: "edge",
      ...(reason === undefined ? {} : { reason }),
      ...(mode === "none" ? {} : { mode }),
    },
    ...noted,
  ];
  return { indications, dialect, mode, securityServer, ...(reason === undefined ? {} : { reason }), evidence };
};
