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

  return (binding) => {
    const aor = ownText(binding.aor);
    const [only] = binding.identities;
    const { flow } = binding;
    return {
      ...binding,
      id: ownText(binding.id),
      aor,
      contact: ownText(binding.contact),
      ...(binding.path === undefined ? {} : { path: ownText(binding.path) }),
      ...(binding.instance === undefined ? {} : { instance: ownText(binding.instance) }),
      ...(binding.accessNetwork === undefined ? {} : { accessNetwork: word(binding.accessNetwork) }),
      ...(binding.charging === undefined ? {} : { charging: list(binding.charging) }),
      flow: { ...flow, id: ownText(flow.id), address: ownText(flow.address), listener: word(flow.listener) },
      serviceRoute: list(binding.serviceRoute),
      identities: binding.identities.length === 1 && only === aor ? [aor] : binding.identities.map(ownText),
      indications: shared(binding.indications),
      securityServer: list(binding.securityServer),
      policy: shared(binding.policy),
    };
  };
};
