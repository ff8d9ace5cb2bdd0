// What the edge remembers of one registered contact: a plain value, fit for any store. Owns its identity and its reading
// back. Knows no socket. TS 24.229 5.2.2, RFC 3327, RFC 3608, RFC 7315; TS 33.328 7.1 (the indications stay here).
import type { Dialect, MediaPolicyRule, MediaSecurityIndications, ProtectionMode } from "@sallyport/media-security";
import {
  headerList,
  headerValue,
  param,
  parseNameAddr,
  parseSipUri,
  sameUri,
  type SipMessage,
  type SipProtocol,
} from "@sallyport/sip";
import type { StateValue } from "@sallyport/store";

/** The way to the UE: a connection of this process, or, for UDP, addresses that stay good over a restart. */
type BindingFlow = {
  readonly id: string;
  readonly protocol: SipProtocol;
  readonly listener: string;
  readonly address: string;
  readonly port: number;
  /** We opened this connection, to where the UE listens, after its own was gone. */
  readonly ours?: true;
};

export type Binding = {
  /** 128 random bits in hexadecimal. */
  readonly id: string;
  /** What our Path names, where it is not `id`: contacts of one REGISTER share its Path. */
  readonly path?: string;
  /** The To URI of the registration, without parameters. */
  readonly aor: string;
  /** The Contact URI as the UE wrote it. */
  readonly contact: string;
  readonly instance?: string;
  readonly regId?: string;
  readonly flow: BindingFlow;
  /** ms since the epoch. */
  readonly registeredAt: number;
  readonly expiresAt: number;
  readonly serviceRoute: readonly string[];
  /** Public identities of P-Associated-URI, the default first; the address of record when the core sent none. */
  readonly identities: readonly string[];
  /** Charging functions the registrar named (P-Charging-Function-Addresses); never told to the UE. */
  readonly charging?: readonly string[];
  /** The UE asked for RFC 5626 outbound: a lost flow is answered 430. */
  readonly outbound: boolean;
  /** An emergency registration (RFC 5031), or the UE of an emergency call that did not register. */
  readonly emergency?: true;
  readonly accessNetwork?: string;
  readonly indications: { readonly [K in keyof MediaSecurityIndications]: MediaSecurityIndications[K] };
  /** What may protect its calls up to the gateway; absent in what an earlier release stored. */
  readonly mode?: ProtectionMode | "none";
  /** In the SDES phone mode: the phone has shown that it speaks SRTP, so calls to it offer that. */
  readonly offersSdes?: true;
  readonly dialect: Dialect;
  /** The media entries last sent in Security-Server. */
  readonly securityServer: readonly string[];
  readonly policy: { readonly [K in keyof MediaPolicyRule]: MediaPolicyRule[K] };
  readonly confidential: boolean;
  readonly reason?: string;
};

/** A Contact of a REGISTER that is a SIP URI. */
export interface ContactFacts {
  readonly uri: string;
  readonly instance?: string | undefined;
  readonly regId?: string | undefined;
  /** Seconds, from the Contact parameter or the Expires header. */
  readonly expires?: number | undefined;
}

const seconds = (text: string | true | undefined): number | undefined =>
  typeof text === "string" && /^\d{1,10}$/.test(text) ? Number(text) : undefined;

const contactFacts = (message: SipMessage, element: string): ContactFacts | undefined => {
  const contact = parseNameAddr(element);
  if (contact === undefined || parseSipUri(contact.uri) === undefined) return undefined;
  const instance = param(contact.params, "+sip.instance");
  const regId = param(contact.params, "reg-id");
  const expires = seconds(param(contact.params, "expires")) ?? seconds(headerValue(message, "expires"));
  return {
    uri: contact.uri,
    instance: typeof instance === "string" ? instance : undefined,
    // RFC 5626 6: a reg-id without an instance is none.
    regId: typeof instance === "string" && typeof regId === "string" ? regId : undefined,
    expires,
  };
};

export const contactsOf = (message: SipMessage): readonly ContactFacts[] => {
  const contacts: ContactFacts[] = [];
  for (const element of headerList(message, "contact")) {
    const facts = contactFacts(message, element);
    if (facts !== undefined) contacts.push(facts);
  }
  return contacts;
};

/** The address of record: the To URI in comparable form. */
export const addressOfRecord = (message: SipMessage): string | undefined => {
  const to = parseNameAddr(headerValue(message, "to") ?? "");
  const uri = to === undefined ? undefined : parseSipUri(to.uri);
  if (uri === undefined) return to?.uri.split(";")[0];
  const port = uri.port === undefined ? "" : `:${uri.port}`;
  return `sip:${uri.user === undefined ? "" : `${uri.user}@`}${uri.host.toLowerCase()}${port}`;
};

/** The home domain of an address of record: TS 33.328 7.1 NOTE 2 lets policy look at it. */
export const realmOf = (aor: string): string | undefined => parseSipUri(aor)?.host.toLowerCase();

/** A Contact URI that makes its registration an emergency registration. TS 24.229 7.2A.13. */
export const isEmergencyContact = (uri: string): boolean => param(parseSipUri(uri)?.params ?? [], "sos") !== undefined;

/**
 * RFC 5626 6: instance and reg-id identify a binding; without them the Contact URI does. TS 24.229 5.1.6.2: an emergency
 * registration of the same instance stands beside its other one.
 */
export const bindingKey = (aor: string, { uri, instance, regId }: Omit<ContactFacts, "expires">): string =>
  instance === undefined
    ? `${aor} ${uri}`
    : `${aor} ${instance} ${regId ?? ""}${isEmergencyContact(uri) ? " sos" : ""}`;

export const keyOf = ({ aor, contact, instance, regId }: Binding): string =>
  bindingKey(aor, { uri: contact, instance, regId });

/** RFC 3261 19.1.4; an emergency contact is none of the others, whose URI may be the same but for that. */
export const sameContactUri = (a: string, b: string): boolean => {
  const left = parseSipUri(a);
  const right = parseSipUri(b);
  return (
    left !== undefined && right !== undefined && sameUri(left, right) && isEmergencyContact(a) === isEmergencyContact(b)
  );
};

/**
 * Of those listed the one that is `asked`: by its URI, which the flows of an instance may share (RFC 5626 9.1), else by its
 * instance.
 */
const listedAs = (asked: ContactFacts, listed: readonly ContactFacts[]): ContactFacts | undefined => {
  const ofFlow = listed.filter(
    ({ regId }) => regId === undefined || asked.regId === undefined || regId === asked.regId,
  );
  return (
    ofFlow.find(({ uri }) => sameContactUri(uri, asked.uri)) ??
    ofFlow.find((each) => asked.instance !== undefined && bindingKey("", each) === bindingKey("", asked))
  );
};

/** Seconds granted to `asked` by a 200 to REGISTER; 0 when the registrar lists others only. RFC 3261 10.3 step 8. */
export const grantedTo = (asked: ContactFacts, response: SipMessage): number => {
  const listed = contactsOf(response);
  const granted = listedAs(asked, listed);
  if (granted === undefined && listed.length > 0) return 0;
  return granted?.expires ?? seconds(headerValue(response, "expires")) ?? asked.expires ?? 3600;
};

/** A binding as a store gave it back; undefined when it is not one. */
export const bindingFrom = (value: StateValue): Binding | undefined => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { id, aor, contact, flow, expiresAt } = value as unknown as Partial<Binding>;
  const whole =
    [id, aor, contact].every((text) => typeof text === "string") &&
    typeof flow === "object" &&
    typeof expiresAt === "number";
  return whole ? (value as unknown as Binding) : undefined;
};
