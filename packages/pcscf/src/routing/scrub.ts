// What may not cross the edge, header by header. Pure; knows neither dialogs nor bodies.
// TS 33.328 7.2.1 and 7.3.1 (invariants 1 and 2), RFC 3329 2.3, RFC 3325 5, RFC 7315, RFC 6809.
import { filterList, headerValues, sieveHeaders, type Sieve, type SipMessage } from "@sallyport/sip";
import type { Side } from "@sallyport/media-security";

const security = ["security-client", "security-verify", "security-server"] as const;
const optionTagHeaders = ["require", "proxy-require", "supported", "unsupported"] as const;
const hopOptionTags: ReadonlySet<string> = new Set(["mediasec", "sec-agree"]);
// RFC 3959: a second session within the dialog, in a body beside the first. Its keys could not be told from the others'.
const notSupported: ReadonlySet<string> = new Set([...hopOptionTags, "early-session"]);
const charging = ["p-charging-vector", "p-charging-function-addresses"] as const;
// Only elements of the trust domain may speak these.
const fromUe = [
  ...charging,
  "p-asserted-identity",
  "p-visited-network-id",
  "p-served-user",
  "p-user-database",
  "p-profile-key",
  "p-called-party-id",
  "p-asserted-service",
  "p-private-network-indication",
  "feature-caps",
  // TS 24.229 4.4, RFC 8496 5: who vouches for a call, who is charged for it, and what is wrong inside the network.
  "attestation-info",
  "origination-id",
  "priority-verstat",
  "p-charge-info",
  "relayed-charge",
  "service-interact-info",
  "restoration-info",
] as const;
// The access information of somebody else's UE and the hints of RFC 3325 and RFC 6050 end at the trust domain.
const towardsUe = [
  ...charging,
  "p-visited-network-id",
  "p-served-user",
  "p-user-database",
  "p-profile-key",
  "p-private-network-indication",
  "p-access-network-info",
  "p-preferred-identity",
  "p-preferred-service",
] as const;

/** Names what was taken out, for counters and evidence: `security-client`, `mediasec`... */
export interface Scrubbed<M extends SipMessage> {
  readonly message: M;
  readonly removed: readonly string[];
}

type Removed = string[];

const dropped: Sieve<Removed> = () => undefined;

/** RFC 3329: the security headers and both option tags are for one hop. Applies to every message and direction. */
const agreement: readonly (readonly [string, Sieve<Removed>])[] = [
  ...security.map((name): readonly [string, Sieve<Removed>] => [
    name,
    (_value, removed) => {
      removed.push(name);
      return undefined;
    },
  ]),
  // The hop-by-hop option tags; a header that loses its last tag goes too.
  ...optionTagHeaders.map((name): readonly [string, Sieve<Removed>] => [
    name,
    (value, removed) =>
      filterList(value, (tag) => staysOnNextHop(tag, name === "supported" ? notSupported : hopOptionTags, removed)),
  ]),
];

const staysOnNextHop = (tag: string, ends: ReadonlySet<string>, removed: Removed): boolean => {
  // A tag takes no parameters, but a peer that writes some must not get past us by that.
  const hop = tag
    .split(";")
    .map((word) => word.trim().toLowerCase())
    .find((word) => ends.has(word));
  if (hop !== undefined) removed.push(hop);
  return hop === undefined;
};

const isNetworkProvided = (element: string): boolean => /;\s*network-provided\s*(?:[;=]|$)/i.test(element);

const droppedAll = (names: readonly string[]): readonly (readonly [string, Sieve<Removed>])[] =>
  names.map((name) => [name, dropped] as const);

const coreSieves: readonly (readonly [string, Sieve<Removed>])[] = [
  ...agreement,
  ...droppedAll(fromUe),
  // RFC 7315 4.4: only the network may mark access information as network-provided.
  ["p-access-network-info", (value) => filterList(value, (element) => !isNetworkProvided(element))],
];

// RFC 5009 8: only the trust domain authorises early media. What a UE may say is that it understands the header, in the
// request that starts a call.
const understands: Sieve<Removed> = (value) =>
  filterList(value, (element) => element.trim().toLowerCase() === "supported");

const towards = {
  coreRequest: new Map([...coreSieves, ["p-early-media", understands]]),
  coreResponse: new Map([...coreSieves, ["p-early-media", dropped]]),
  access: new Map([...agreement, ...droppedAll(towardsUe)]),
  // RFC 3325 7: an identity the caller wants kept private stays inside the trust domain.
  accessPrivate: new Map([...agreement, ...droppedAll(towardsUe), ["p-asserted-identity", dropped]]),
} satisfies Readonly<Record<string, ReadonlyMap<string, Sieve<Removed>>>>;

const wants = (message: SipMessage, privacy: string): boolean =>
  headerValues(message, "privacy").some((value) =>
    value.split(/[;,]/).some((word) => word.trim().toLowerCase() === privacy),
  );

/** A message that came from the other side, fit to go on towards `side`. */
export const scrub = <M extends SipMessage>(message: M, side: Side): Scrubbed<M> => {
  const removed: Removed = [];
  const sieves =
    side === "core"
      ? message.kind === "request"
        ? towards.coreRequest
        : towards.coreResponse
      : wants(message, "id")
        ? towards.accessPrivate
        : towards.access;
  return { message: sieveHeaders(message, sieves, removed), removed };
};
