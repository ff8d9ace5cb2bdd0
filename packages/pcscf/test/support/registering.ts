// Registrations written out header by header, for tests that need more than the usual one.
import { createRequest, headerValue, type SipRequest, type SipResponse } from "@sallyport/sip";
import type { Peer } from "./peer.ts";
import type { Scenario } from "./scenario.ts";

type Headers = readonly (readonly [string, string])[];

export interface RawRegister {
  readonly aor: string;
  /** Values of Contact, one header each. */
  readonly contacts: readonly string[];
  readonly seq: number;
  readonly expires?: number;
  readonly headers?: Headers;
}

export const rawRegister = (peer: Peer, { aor, contacts, seq, expires = 600, headers = [] }: RawRegister): SipRequest =>
  createRequest({
    method: "REGISTER",
    uri: "sip:home.example",
    headers: [
      ["Max-Forwards", "70"],
      ["From", `<${aor}>;tag=raw-${peer.name}`],
      ["To", `<${aor}>`],
      ["Call-ID", `raw-registration-of-${peer.name}`],
      ["CSeq", `${seq} REGISTER`],
      ...contacts.map((contact) => ["Contact", contact] as const),
      ["Expires", String(expires)],
      ...headers,
    ],
  });

export const contactOf = (peer: Peer, params = ""): string =>
  `<sip:${peer.name}@127.0.0.1:${peer.port};transport=tcp>${params}`;

/** Sends a REGISTER and lets the core answer it with `status`; what the core got and the peer was told. */
export const registerRaw = async (
  { core }: Scenario,
  peer: Peer,
  register: RawRegister,
  answer: { readonly status?: number; readonly headers?: Headers; readonly granted?: readonly string[] } = {},
): Promise<{ readonly request: SipRequest; readonly response: SipResponse; readonly path: string }> => {
  const sent = peer.send(rawRegister(peer, register));
  const arrived = await core.expect("REGISTER");
  const granted = answer.granted ?? register.contacts;
  core.respond(arrived, answer.status ?? 200, {
    headers: [...granted.map((contact) => ["Contact", contact] as const), ...(answer.headers ?? [])],
  });
  return {
    request: arrived.request,
    response: await sent.final(),
    path: headerValue(arrived.request, "path") ?? "",
  };
};
