// What the Contacts of a REGISTER ask for: which stay, which leave, and what cannot be asked. Pure.
// RFC 3261 10.2.2 and 10.3, RFC 5626 6.
import { hash } from "node:crypto";
import { headerList, headerValue, type SipRequest } from "@sallyport/sip";
import { bindingKey, contactsOf, sameContactUri, type ContactFacts } from "./binding.ts";

export interface Asked {
  /** `*`: everything of the identity goes. */
  readonly all: boolean;
  readonly staying: readonly ContactFacts[];
  /** Taken back with expires=0. A phone that changed its address says both, in either order (RFC 3261 10.2.2). */
  readonly leaving: readonly ContactFacts[];
  /** Names the same contacts in the REGISTER that answers the challenge; of one length, whatever it names. */
  readonly key: string;
}

type Reading =
  | { readonly ok: true; readonly asked: Asked }
  | {
      readonly ok: false;
      readonly status: 400 | 403 | 423;
      readonly reason?: string;
      readonly headers?: readonly (readonly [string, string])[];
    };

/** Contacts one REGISTER may name. */
const maxContacts = 8;

/** @param minExpires seconds; a shorter registration is refused (RFC 3261 10.3 step 7) */
export const readAsked = (request: SipRequest, aor: string, minExpires: number): Reading => {
  const contacts = contactsOf(request);
  // RFC 3261 10.3 step 6: `*` stands alone and only takes everything back.
  const all = headerList(request, "contact").includes("*");
  if (all && (contacts.length > 0 || !/^0+$/.test(headerValue(request, "expires") ?? "")))
    return { ok: false, status: 400, reason: "Bad Contact" };
  if (contacts.length > maxContacts) return { ok: false, status: 403, reason: "Too Many Contacts" };
  // A client that gets ten seconds comes back hundreds of times a second.
  if (contacts.some(({ expires = minExpires }) => expires > 0 && expires < minExpires))
    return { ok: false, status: 423, headers: [["Min-Expires", String(minExpires)]] };
  // The same contact twice is one; its first mention counts. Of an instance that names two addresses, the one that stays.
  const byKey = new Map<string, ContactFacts>();
  for (const contact of contacts) {
    const key = bindingKey(aor, contact);
    const before = byKey.get(key);
    const moves = before?.expires === 0 && contact.expires !== 0 && !sameContactUri(before.uri, contact.uri);
    if (before === undefined || moves) byKey.set(key, contact);
  }
  const once = [...byKey.values()];
  const staying = once.filter(({ expires }) => expires !== 0);
  // RFC 5626 6: one REGISTER opens one flow.
  if (staying.filter(({ regId }) => regId !== undefined).length > 1)
    return { ok: false, status: 400, reason: "Several reg-id" };
  const leaving = once.filter(({ expires }) => expires === 0);
  // A stranger writes what is hashed, and it is kept until the challenge is answered.
  const named = byKey.size === 0 ? [aor] : [...byKey.keys()].toSorted();
  const key = hash("sha256", named.join("|"), "base64url");
  return { ok: true, asked: { all, staying, leaving, key } };
};
