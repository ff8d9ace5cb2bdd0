// What a binding becomes when the network tells how its registration stands. Pure. RFC 3680 4.3, TS 24.229 5.2.3.
import { unquote } from "@sallyport/sip";
import { sameIdentity } from "../routing/identity.ts";
import { sameContactUri, type Binding } from "./binding.ts";
import type { RegContact, RegInfo, RegRecord } from "./reginfo.ts";

const differ = (own: string | undefined, told: string | undefined): boolean =>
  own !== undefined && told !== undefined && unquote(own) !== unquote(told);

/** Flows of an instance may share a Contact URI (RFC 5626 9.1): where the network names them, that counts as well. */
const isContactOf = ({ contact, instance, regId }: Binding, told: RegContact): boolean =>
  (contact === told.uri || sameContactUri(contact, told.uri)) &&
  !differ(regId, told.regId) &&
  !differ(instance, told.instance);

/** The network ended the registration of this identity, or this contact of it. */
const isOver = (binding: Binding, { state, contacts }: RegRecord): boolean =>
  state === "terminated" || contacts.some((contact) => contact.state === "terminated" && isContactOf(binding, contact));

/**
 * The binding as it goes on, the same object where nothing changed; undefined when it has ended. An identity that was
 * ended is no longer asserted; with the registered one, or with the last, the binding goes.
 */
export const afterRegInfo = (binding: Binding, info: RegInfo, now: number): Binding | undefined => {
  const over = info.registrations.filter((record) => isOver(binding, record)).map(({ aor }) => aor);
  const isGone = (identity: string): boolean => over.some((aor) => sameIdentity(aor, identity));
  if (isGone(binding.aor)) return undefined;
  const identities = binding.identities.filter((identity) => !isGone(identity));
  if (identities.length === 0) return undefined;
  const shortened = info.registrations
    .flatMap(({ contacts }) => contacts)
    .filter((contact) => contact.event === "shortened" && isContactOf(binding, contact))
    .flatMap(({ expires }) => (expires === undefined ? [] : [now + expires * 1000]));
  const expiresAt = Math.min(binding.expiresAt, ...shortened);
  if (identities.length === binding.identities.length && expiresAt === binding.expiresAt) return binding;
  return { ...binding, identities, expiresAt };
};
