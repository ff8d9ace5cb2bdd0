// What a REGISTER looks like on its way to the registrar and its answer on the way to the UE. Pure.
// TS 24.229 5.2.2, RFC 3327, RFC 3608, RFC 7315, RFC 3329; TS 33.328 7.1.
import type { Random } from "@sallyport/kit";
import {
  appendHeader,
  headerList,
  parseNameAddr,
  prependHeader,
  removeHeader,
  replaceHeader,
  setHeader,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import { withAccessInfo } from "../routing/access-info.ts";
import { withCharging } from "../routing/charging.ts";
import { answerKeep } from "../routing/keep.ts";
import { scrub } from "../routing/scrub.ts";
import { markIntegrity, withoutAkaKeys, type IntegrityProtected } from "./credentials.ts";

export interface RegisterFacts {
  /** Our URI with the token that names the binding. */
  readonly path: string;
  readonly requirePath: boolean;
  readonly home: string;
  /** What the network knows of the access. */
  readonly accessNetworkInfo: string | undefined;
  readonly integrity: IntegrityProtected | undefined;
  readonly random: Random;
}

const hasTag = (request: SipRequest, name: string, tag: string): boolean =>
  headerList(request, name).some((element) => element.toLowerCase() === tag);

/** The request for the registrar and the names of what was taken out. */
export const towardsRegistrar = (
  request: SipRequest,
  facts: RegisterFacts,
): { readonly request: SipRequest; readonly removed: readonly string[] } => {
  const { message, removed } = scrub(request, "core");
  // The way to the registrar is ours to choose; a preloaded Route only led here.
  let out = removeHeader(removeHeader(message, "route"), "p-preferred-identity");
  out = prependHeader(out, "path", `<${facts.path}>`);
  if (!hasTag(out, "supported", "path")) out = appendHeader(out, "supported", "path");
  if (facts.requirePath && !hasTag(out, "require", "path")) out = appendHeader(out, "require", "path");
  out = setHeader(out, "p-visited-network-id", `"${facts.home}"`);
  out = withAccessInfo(out, facts.accessNetworkInfo);
  return { request: markIntegrity(withCharging(out, facts.home, facts.random), facts.integrity), removed };
};

/** The answer for the UE: hop-by-hop matter of the core taken out, `securityServer` put in. */
export const towardsRegistering = (
  response: SipResponse,
  securityServer: readonly string[],
  keepAliveS: number,
): { readonly response: SipResponse; readonly removed: readonly string[] } => {
  const { message, removed } = scrub(response, "access");
  const told = replaceHeader(withoutAkaKeys(message), "security-server", securityServer);
  const registered = response.status >= 200 && response.status < 300;
  return { response: registered ? answerKeep(told, keepAliveS) : told, removed };
};

/** RFC 3608: the route every later request of this contact has to take. */
export const serviceRouteOf = (response: SipResponse): readonly string[] => headerList(response, "service-route");

/** RFC 7315 4.1: the public identities the registration covers, default first. */
export const associatedUris = (response: SipResponse): readonly string[] =>
  headerList(response, "p-associated-uri").flatMap((element) => parseNameAddr(element)?.uri ?? []);
