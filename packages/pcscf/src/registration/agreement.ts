// The security agreement of one REGISTER: media entries by TS 33.328 7.1 through media-security, signalling entries here.
// Pure. RFC 3329 2.3, TS 24.229 7.2A.7. Knows neither store nor transaction.
import {
  checkSecurityVerify,
  choosePolicy,
  decideRegistration,
  type MediaPolicy,
  type MediaPolicyRule,
  type QuirkSighting,
} from "@sallyport/media-security";
import {
  formatSecurityMechanism,
  headerList,
  headerValue,
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
  /** Media entries of the Security-Client that was challenged, where this REGISTER answers the challenge. */
  readonly earlier?: readonly string[] | undefined;
  /** What the network knows of the access, as P-Access-Network-Info has it: goes before the UE's own word. */
  readonly accessNetworkInfo?: string | undefined;
  /** The home domain of the identity being registered. */
  readonly realm?: string | undefined;
  /** RFC 5031: an emergency registration is never refused for lack of media security. */
  readonly emergency?: boolean;
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
  /** Deviations met, to be counted. */
  readonly quirks: readonly QuirkSighting[];
  /** The media entries of Security-Client, to be remembered until the challenge is answered. */
  readonly announced: readonly string[];
  readonly secAgree: boolean;
  /** sdes-srtp stands in Security-Client without the flag that would make it e2ae: an SDES phone says what it speaks. */
  readonly namesSdes: boolean;
};

const parsedAll = (elements: readonly string[]): readonly SecurityMechanism[] => {
  const all: SecurityMechanism[] = [];
  for (const element of elements) {
    const mechanism = parseSecurityMechanism(element);
    if (mechanism !== undefined) all.push(mechanism);
  }
  return all;
};

const mechanisms = (request: SipRequest, name: string): readonly SecurityMechanism[] =>
  parsedAll(headerList(request, name));

const isMedia = (mechanism: SecurityMechanism): boolean => param(mechanism.params, "mediasec") !== undefined;

/** The access type of P-Access-Network-Info up to the parameters (RFC 7315 4.4); `known` is the network's own word. */
export const accessNetworkOf = (request: SipRequest, known?: string): string | undefined =>
  (known ?? headerList(request, "p-access-network-info")[0])?.split(";", 1)[0]?.trim();

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

const everything = parsedAll(["sdes-srtp;mediasec"]);

/** Security-Client entries remembered of one REGISTER, and their length: a stranger writes them. */
const maxAnnounced = 8;
const maxEntry = 128;

const rememberable = (entries: readonly SecurityMechanism[]): readonly string[] =>
  entries
    .map(formatSecurityMechanism)
    .filter((entry) => entry.length <= maxEntry)
    .slice(0, maxAnnounced);

/** Which rule governs a registration: TS 33.328 7.1 NOTE 2. */
export const ruleFor = (facts: Omit<AgreementFacts, "sent">): MediaPolicyRule => {
  const { request, protocol, confidential, realm } = facts;
  const accessNetwork = accessNetworkOf(request, facts.accessNetworkInfo);
  const userAgent = headerValue(request, "user-agent");
  return choosePolicy(facts.policy, {
    transport: protocol,
    confidential,
    ...(accessNetwork === undefined ? {} : { accessNetwork }),
    ...(userAgent === undefined ? {} : { userAgent }),
    ...(realm === undefined ? {} : { realm }),
  });
};

/**
 * RFC 3329 2.3.1: what is repeated is held against a list that does not change, so that whoever answers a challenge which a
 * restart or another connection made us forget is judged like any other. It is what a UE that announced everything gets.
 */
const wholeList = (policy: MediaPolicyRule, confidential: boolean): readonly string[] =>
  decideRegistration({ securityClient: everything, usesOptionTag: false, policy, confidential }).securityServer;

/** Decides what a REGISTER is told about security, and whether it may go on. */
export const agree = (facts: AgreementFacts): Agreement => {
  const { request, protocol, confidential, emergency = false } = facts;
  const accessNetwork = accessNetworkOf(request, facts.accessNetworkInfo);
  const rule = ruleFor(facts);
  const usesOptionTag = usesMediasecTag(request);
  const hasCredentials = answersChallenge(request);
  const client = mechanisms(request, "security-client");
  const announced = client.filter(isMedia);
  const earlier = hasCredentials ? parsedAll(facts.earlier ?? []) : [];
  const registration = decideRegistration({
    securityClient: announced,
    earlier,
    usesOptionTag,
    policy: rule,
    confidential,
  });
  const media = registration.securityServer;
  const secAgree = demandsAgreement(request);
  const verify = mechanisms(request, "security-verify");
  const repeated = verify.filter(isMedia).map(formatSecurityMechanism);
  const verified = checkSecurityVerify({
    sent: facts.sent ?? (repeated.length === 0 ? [] : wholeList(rule, confidential)),
    received: repeated,
    draftDialect: usesOptionTag,
    hasCredentials,
    announced: registration.indications.ueE2ae,
    ...(rule.quirks === undefined ? {} : { quirks: rule.quirks }),
  });
  const borne = verified.ok || !emergency ? verified : { ok: true as const, tolerated: ["emergency registration"] };
  // RFC 3329 2.3.1 a: unprotected and sec-agree demanded. b: the UE protected, and repeats another list than ours.
  const signalling =
    !secAgree ||
    (protocol === "tls" && (!hasCredentials || signallingVerified(verify.filter((entry) => !isMedia(entry)))));
  const noted = registration.evidence.flatMap(({ quirk, quirkMode = "tolerant" }) =>
    quirk === undefined ? [] : [{ quirk, mode: quirkMode }],
  );
  return {
    rule,
    ...(accessNetwork === undefined ? {} : { accessNetwork }),
    registration,
    media,
    challenge: secAgree ? [...signallingOffer, ...media] : media,
    verdict: signalling ? borne : { ok: false, status: 494 },
    quirks: [...noted, ...verified.quirks],
    // A UE that is challenged again leaves out again what it left out before.
    announced: rememberable(announced.length > 0 ? announced : earlier),
    secAgree,
    namesSdes: client.some((mechanism) => !isMedia(mechanism) && mechanism.name.toLowerCase() === "sdes-srtp"),
  };
};
