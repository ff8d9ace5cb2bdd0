// The security agreement of one REGISTER: media entries by TS 33.328 7.1 through media-security, signalling entries here.
// Pure. RFC 3329 2.3, TS 24.229 7.2A.7. Knows neither store nor transaction.
import {
  checkSecurityVerify,
  choosePolicy,
  decideRegistration,
  type MediaPolicy,
  type MediaPolicyRule,
} from "@sallyport/media-security";
import {
  formatSecurityMechanism,
  headerList,
  param,
  parseSecurityMechanism,
  type SecurityMechanism,
  type SipProtocol,
  type SipRequest,
} from "@sallyport/sip";
import { answersChallenge } from "./credentials.ts";
import { demandsAgreement, usesMediasecTag } from "../routing/option-tags.ts";

/** The signalling mechanisms this edge can agree on. They are listed whatever the UE listed (RFC 3329 2.3.1, bid-down). */
const signallingOffer: readonly string[] = ["tls"];

export interface AgreementFacts {
  readonly request: SipRequest;
  readonly protocol: SipProtocol;
  readonly confidential: boolean;
  readonly policy: MediaPolicy;
  /** Media entries last sent in Security-Server to this UE, for Security-Verify. */
  readonly sent: readonly string[] | undefined;
}

export type Agreement = {
  readonly rule: MediaPolicyRule;
  readonly accessNetwork?: string;
  readonly registration: ReturnType<typeof decideRegistration>;
  /** Values for Security-Server, one header each: media entries alone... */
  readonly media: readonly string[];
  /** ...and with the signalling mechanisms before them, for 401 and 494 where sec-agree was demanded. */
  readonly challenge: readonly string[];
  readonly verdict:
    | { readonly ok: true; readonly tolerated: readonly string[] }
    | { readonly ok: false; readonly status: 494 };
  readonly secAgree: boolean;
};

const mechanisms = (request: SipRequest, name: string): readonly SecurityMechanism[] =>
  headerList(request, name).flatMap((element) => parseSecurityMechanism(element) ?? []);

const isMedia = (mechanism: SecurityMechanism): boolean => param(mechanism.params, "mediasec") !== undefined;

/** The access type of P-Access-Network-Info: its first element up to the parameters (RFC 7315 4.4). */
export const accessNetworkOf = (request: SipRequest): string | undefined =>
  headerList(request, "p-access-network-info")[0]?.split(";")[0]?.trim();

// RFC 3329 2.3.1: parameter for parameter, free in order, case and white space.
const normal = (mechanism: SecurityMechanism): string =>
  [mechanism.name, ...mechanism.params.map(([name, value]) => `${name}=${value ?? ""}`).sort()].join(";").toLowerCase();

const signallingVerified = (received: readonly SecurityMechanism[]): boolean => {
  const due = signallingOffer
    .flatMap((text) => parseSecurityMechanism(text) ?? [])
    .map(normal)
    .sort();
  const got = [...new Set(received.map(normal))].sort();
  return due.length === got.length && due.every((entry, index) => entry === got[index]);
};

/** Decides what a REGISTER is told about security, and whether it may go on. */
export const agree = (facts: AgreementFacts): Agreement => {
  const { request, protocol, confidential } = facts;
  const accessNetwork = accessNetworkOf(request);
  const rule = choosePolicy(facts.policy, {
    transport: protocol,
    confidential,
    ...(accessNetwork === undefined ? {} : { accessNetwork }),
  });
  const usesOptionTag = usesMediasecTag(request);
  const registration = decideRegistration({
    securityClient: mechanisms(request, "security-client").filter(isMedia),
    usesOptionTag,
    policy: rule,
    confidential,
  });
  const media = registration.securityServer;
  const secAgree = demandsAgreement(request);
  const hasCredentials = answersChallenge(request);
  const verify = mechanisms(request, "security-verify");
  const verified = checkSecurityVerify({
    sent: facts.sent ?? [],
    received: verify.filter(isMedia).map(formatSecurityMechanism),
    draftDialect: usesOptionTag,
    hasCredentials,
  });
  // RFC 3329 2.3.1 a: unprotected and sec-agree demanded. b: the UE protected, and repeats another list than ours.
  const signalling =
    !secAgree ||
    (protocol === "tls" && (!hasCredentials || signallingVerified(verify.filter((entry) => !isMedia(entry)))));
  return {
    rule,
    ...(accessNetwork === undefined ? {} : { accessNetwork }),
    registration,
    media,
    challenge: secAgree ? [...signallingOffer, ...media] : media,
    verdict: signalling ? verified : { ok: false, status: 494 },
    secAgree,
  };
};
