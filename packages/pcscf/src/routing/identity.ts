// Who the network says a UE is. Pure. RFC 3325 5 and 9.2, TS 24.229 5.2.6.3.
import {
  formatSipUri,
  headerList,
  parseNameAddr,
  parseSipUri,
  removeHeader,
  sameUri,
  setHeader,
  type SipMessage,
} from "@sallyport/sip";
import { isWildcard, standsFor } from "./wildcard.ts";

/** Compares public identities: SIP URIs by RFC 3261 19.1.4 without parameters, others (tel) by text without separators. */
export const sameIdentity = (a: string, b: string): boolean => {
  const left = parseSipUri(a);
  const right = parseSipUri(b);
  if (left !== undefined && right !== undefined) {
    return sameUri({ ...left, params: [], scheme: "sip" }, { ...right, params: [], scheme: "sip" });
  }
  const plain = (uri: string): string => (uri.split(";")[0] ?? "").replace(/[-.()]/g, "").toLowerCase();
  return left === undefined && right === undefined && plain(a) === plain(b);
};

const uriOf = (value: string | undefined): string | undefined =>
  value === undefined ? undefined : parseNameAddr(value)?.uri;

/** The identity itself, without what else a URI may carry. */
const bare = (identity: string): string => {
  const uri = parseSipUri(identity);
  return uri === undefined
    ? identity
    : formatSipUri({ ...uri, scheme: "sip", password: undefined, params: [], headers: undefined });
};

/**
 * What the network calls somebody who claims to be `claim`: the registered identity, or the claim where a wildcarded one
 * stands for it; undefined when none does. TS 24.229 5.2.6.3.3, TS 23.003 13.4A.
 */
export const registeredAs = (claim: string, registered: readonly string[]): string | undefined =>
  registered.find((identity) => sameIdentity(identity, claim)) ??
  (registered.some((identity) => standsFor(identity, claim)) ? bare(claim) : undefined);

/** The registered identity the message claims by P-Preferred-Identity or, failing that, the default one. */
const servedIdentity = (message: SipMessage, registered: readonly string[]): string | undefined => {
  for (const hint of headerList(message, "p-preferred-identity")) {
    const uri = uriOf(hint);
    const known = uri === undefined ? undefined : registeredAs(uri, registered);
    if (known !== undefined) return known;
  }
  return registered.find((identity) => !isWildcard(identity));
};

/**
 * The identities a UE answers a request under: the one it was called by (RFC 7315 4.2), where that is among those it
 * registered, and then alone; else all. TS 24.229 5.2.6.4.
 */
export const answersAs = (request: SipMessage, registered: readonly string[]): readonly string[] => {
  const called = uriOf(headerList(request, "p-called-party-id")[0]);
  const known = called === undefined ? undefined : registeredAs(called, registered);
  return known === undefined ? registered : [known];
};

/** Takes the UE's hint and any identity it asserted itself away and asserts a registered one. `registered`: default first. */
export const assertIdentity = <M extends SipMessage>(message: M, registered: readonly string[]): M => {
  const identity = servedIdentity(message, registered);
  const unsaid = removeHeader(removeHeader(message, "p-preferred-identity"), "p-asserted-identity");
  return identity === undefined ? unsaid : setHeader(unsaid, "p-asserted-identity", `<${identity}>`);
};
