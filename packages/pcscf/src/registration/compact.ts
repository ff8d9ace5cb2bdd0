// A binding as small as it can be held: there may be a hundred thousand. What many bindings share is held once; what one
// has alone is cut loose from the message it came in. Pure but for its bounded memory of shared values.
import { interning, ownText } from "@sallyport/kit";
import type { Binding } from "./binding.ts";

/** Different values remembered; more are held by each binding for itself. */
const maxShared = 1_024;

export const createCompact = (): ((binding: Binding) => Binding) => {
  const word = interning(maxShared);
  const lists = new Map<string, readonly string[]>();
  const values = new Map<string, object>();

  const list = (items: readonly string[]): readonly string[] => {
    const key = items.join("\n");
    const found = lists.get(key);
    if (found !== undefined) return found;
    const own = items.map((item) => word(item));
    if (lists.size < maxShared) lists.set(ownText(key), own);
    return own;
  };

  /** One object for all that say the same. */
  const shared = <T extends object>(value: T): T => {
    const key = JSON.stringify(value);
    const found = values.get(key);
    if (found !== undefined) return found as T;
    if (values.size < maxShared) values.set(key, value);
    return value;
  };

  return (given) => {
    // Changed in place, being a copy: a literal that says a key twice is made piece by piece.
    const binding: { -readonly [K in keyof Binding]: Binding[K] } = { ...given };
    const aor = ownText(given.aor);
    const [only] = given.identities;
    const { id, protocol, listener, address, port, ours } = given.flow;
    binding.id = ownText(given.id);
    binding.aor = aor;
    binding.contact = ownText(given.contact);
    if (given.path !== undefined) binding.path = ownText(given.path);
    if (given.instance !== undefined) binding.instance = ownText(given.instance);
    if (given.accessNetwork !== undefined) binding.accessNetwork = word(given.accessNetwork);
    if (given.charging !== undefined) binding.charging = list(given.charging);
    const flow = { id: ownText(id), protocol, listener: word(listener), address: ownText(address), port };
    binding.flow = ours === undefined ? flow : { ...flow, ours };
    binding.serviceRoute = list(given.serviceRoute);
    binding.identities = given.identities.length === 1 && only === aor ? [aor] : given.identities.map(ownText);
    binding.indications = shared(given.indications);
    binding.securityServer = list(given.securityServer);
    binding.policy = shared(given.policy);
    return binding;
  };
};
