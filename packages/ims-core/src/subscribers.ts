// Owns who is a subscriber: the part of an HSS the lab needs (TS 23.228 4.3.3). Must not know who is registered.
import { parseSipUri } from "@sallyport/sip";
import type { DigestAlgorithm } from "@sallyport/sip";
import type { CoreSettings } from "./config.ts";

export interface Subscriber {
  readonly impi: string;
  readonly password: string;
  readonly algorithms: readonly DigestAlgorithm[];
  /** The implicit registration set, in the order configured; the first is the default identity. */
  readonly impus: readonly string[];
}

export interface Subscribers {
  /** By private identity. */
  find(impi: string): Subscriber | undefined;
  /** By public identity, in any spelling of the same address. */
  owner(uri: string): Subscriber | undefined;
  readonly count: number;
}

/** RFC 3261 10.3 step 5: an address-of-record without what does not belong to it; RFC 3966 5: tel URIs without visual separators. */
const addressOfRecord = (uri: string): string | undefined => {
  if (/^tel:/i.test(uri)) return `tel:${(uri.slice(4).split(";", 1)[0] ?? "").replace(/[-.()]/g, "").toLowerCase()}`;
  const parsed = parseSipUri(uri);
  if (parsed?.user === undefined) return undefined;
  // sips and sip of one user are one subscriber.
  return `sip:${decode(parsed.user)}@${parsed.host.toLowerCase()}`;
};

/** RFC 3261 19.1.4: an escaped character equals itself. */
const decode = (user: string): string => {
  // TS 24.229 4.2: `+49...;phone-context=...` user parts count up to the parameters.
  const bare = user.split(";", 1)[0] ?? "";
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
};

export const createSubscribers = (users: CoreSettings["users"]): Subscribers => {
  const byImpi = new Map<string, Subscriber & { readonly impus: string[] }>();
  const byAddress = new Map<string, Subscriber>();
  for (const { impu, impi, password, algorithms } of users) {
    const subscriber = byImpi.get(impi) ?? { impi, password, algorithms, impus: [] };
    subscriber.impus.push(impu);
    byImpi.set(impi, subscriber);
    const address = addressOfRecord(impu);
    if (address !== undefined) byAddress.set(address, subscriber);
  }
  return {
    find: (impi) => byImpi.get(impi),
    owner: (uri) => {
      const address = addressOfRecord(uri);
      return address === undefined ? undefined : byAddress.get(address);
    },
    count: byImpi.size,
  };
};
