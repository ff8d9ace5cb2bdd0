// Which option tags this proxy can honour. Pure. RFC 3261 16.3 step 5.
import type { Side } from "@sallyport/media-security";
import { headerList, type SipRequest } from "@sallyport/sip";

// `mediasec` is in no registry: it lives in the draft and in the field, and must be known here all the same.
// RFC 6140 5.1: whoever keeps a Path can serve the contact of a whole PBX. RFC 3323 4.3: an asserted identity is withheld here
// (RFC 3325 7), and the network has to do the rest.
const proxyTags = new Set(["mediasec", "sec-agree", "path", "outbound", "gruu", "gin", "privacy"]);

/** RFC 3329 2.3, TS 33.328: matters of the UE and this edge, which the core hears nothing of. */
const accessTags = new Set(["mediasec", "sec-agree"]);

/** RFC 3261 11.2: what a proxy says of itself. No Allow: it passes all methods on. */
export const capabilities = (side: Side): readonly (readonly [string, string])[] => [
  ["Accept", "application/sdp"],
  ["Accept-Encoding", "identity"],
  ["Accept-Language", "en"],
  ["Supported", [...proxyTags].filter((tag) => side === "access" || !accessTags.has(tag)).join(", ")],
];

/** The Proxy-Require tags we must answer 420 for. */
export const unknownProxyTags = (request: SipRequest): readonly string[] =>
  headerList(request, "proxy-require").filter((tag) => !proxyTags.has(tag.toLowerCase()));

/** Whether the UE speaks the draft's dialect: it puts `mediasec` into Require or Proxy-Require. */
export const usesMediasecTag = (request: SipRequest): boolean =>
  [...headerList(request, "require"), ...headerList(request, "proxy-require")].some(
    (tag) => tag.toLowerCase() === "mediasec",
  );

/** Whether RFC 3329 security agreement is demanded. */
export const demandsAgreement = (request: SipRequest): boolean =>
  [...headerList(request, "require"), ...headerList(request, "proxy-require")].some(
    (tag) => tag.toLowerCase() === "sec-agree",
  );
