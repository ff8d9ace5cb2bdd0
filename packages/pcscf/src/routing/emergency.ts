// What counts as emergency traffic, and for whom such a call is made when nobody registered. Pure.
// RFC 5031 (urn:service:sos), TS 24.229 5.2.10; TS 33.328 refuses none of it.
import { createHash } from "node:crypto";
import { noIndications, type MediaPolicyRule } from "@sallyport/media-security";
import { headerValue, parseNameAddr, type Flow, type SipRequest } from "@sallyport/sip";
import { accessNetworkOf } from "../registration/agreement.ts";
import type { Binding } from "../registration/binding.ts";
import type { ListeningPoint } from "../listening/points.ts";

/** A Request-URI of the emergency service, whatever its kind. */
export const isEmergencyUri = (uri: string): boolean => /^urn:service:sos(?:\.|$)/i.test(uri);

/** Names what stands for a registration where there is none: one for each flow, so that bounds per UE hold. */
export const unregisteredId = (flowId: string): string =>
  createHash("sha256").update(`unregistered ${flowId}`).digest("hex").slice(0, 32);

/**
 * A UE that did not register, for the time of its emergency call: no identity to assert, no route of its own, nothing
 * announced. It is never put among the registrations.
 */
export const unregisteredBinding = (
  request: SipRequest,
  flow: Flow,
  point: ListeningPoint,
  facts: { readonly rule: MediaPolicyRule; readonly now: number },
): Binding => {
  const accessNetwork = accessNetworkOf(request, point.accessNetworkInfo);
  return {
    id: unregisteredId(flow.id),
    aor: parseNameAddr(headerValue(request, "from") ?? "")?.uri ?? "sip:anonymous@anonymous.invalid",
    contact: parseNameAddr(headerValue(request, "contact") ?? "")?.uri ?? "",
    flow: {
      id: flow.id,
      protocol: flow.protocol,
      listener: point.name,
      address: flow.remote.address,
      port: flow.remote.port,
    },
    registeredAt: facts.now,
    expiresAt: facts.now,
    serviceRoute: [],
    identities: [],
    outbound: false,
    emergency: true,
    ...(accessNetwork === undefined ? {} : { accessNetwork }),
    indications: { ...noIndications },
    mode: "none",
    dialect: "none",
    securityServer: [],
    policy: { ...facts.rule },
    confidential: flow.protocol === "tls" || point.trusted,
  };
};

/** Whether a binding stands for such a UE: who registered has an identity at least. */
export const isUnregistered = ({ identities }: Pick<Binding, "identities">): boolean => identities.length === 0;
