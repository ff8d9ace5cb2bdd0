// What may not cross the edge, header by header. Pure; knows neither dialogs nor bodies.
// TS 33.328 7.2.1 and 7.3.1 (invariants 1 and 2), RFC 3329 2.3, RFC 3325 5, RFC 7315, RFC 6809.
import { filterHeaderList, headerValues, removeHeader, type SipMessage } from "@sallyport/sip";
import type { Side } from "@sallyport/media-security";

const security = ["security-client", "security-verify", "security-server"] as const;
const optionTagHeaders = ["require", "proxy-require", "supported", "unsupported"] as const;
const hopOptionTags = new Set(["mediasec", "sec-agree"]);
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

const without = <M extends SipMessage>(message: M, names: readonly string[], removed: string[]): M => {
  let out = message;
  for (const name of names) {
    const found = headerValues(out, name).length;
    if (found === 0) continue;
    out = removeHeader(out, name);
    removed.push(...Array.from({ length: found }, () => name));
  }
  return out;
};

/** Removes the hop-by-hop option tags; a header that loses its last tag goes too. */
const withoutHopTags = <M extends SipMessage>(message: M, removed: string[]): M => {
  let out = message;
  for (const name of optionTagHeaders) {
    out = filterHeaderList(out, name, (tag) => {
      // A tag takes no parameters, but a peer that writes some must not get past us by that.
      const hop = tag
        .split(";")
        .map((word) => word.trim().toLowerCase())
        .find((word) => hopOptionTags.has(word));
      if (hop !== undefined) removed.push(hop);
      return hop === undefined;
    });
  }
  return out;
};

/** RFC 3329: the security headers and both option tags are for one hop. Applies to every message and direction. */
const withoutAgreement = <M extends SipMessage>(message: M, removed: string[]): M =>
  withoutHopTags(without(message, security, removed), removed);

const isNetworkProvided = (element: string): boolean => /;\s*network-provided\s*(?:;|$)/i.test(element);

/**
 * RFC 5009 8: only the trust domain authorises early media. What a UE may say is that it understands the header, in the
 * request that starts a call.
 */
const withoutEarlyMedia = <M extends SipMessage>(message: M): M =>
  message.kind === "response"
    ? removeHeader(message, "p-early-media")
    : filterHeaderList(message, "p-early-media", (element) => element.trim().toLowerCase() === "supported");

const wants = (message: SipMessage, privacy: string): boolean =>
  headerValues(message, "privacy").some((value) =>
    value.split(/[;,]/).some((word) => word.trim().toLowerCase() === privacy),
  );

/** A message that came from the other side, fit to go on towards `side`. */
export const scrub = <M extends SipMessage>(message: M, side: Side): Scrubbed<M> => {
  const removed: string[] = [];
  let out = withoutAgreement(message, removed);
  const agreement = removed.length;
  if (side === "core") {
    out = without(out, fromUe, removed);
    // RFC 7315 4.4: only the network may mark access information as network-provided.
    out = withoutEarlyMedia(filterHeaderList(out, "p-access-network-info", (element) => !isNetworkProvided(element)));
  } else {
    out = without(out, towardsUe, removed);
    // RFC 3325 7: an identity the caller wants kept private stays inside the trust domain.
    if (wants(out, "id")) out = without(out, ["p-asserted-identity"], removed);
  }
  return { message: out, removed: removed.slice(0, agreement) };
};
