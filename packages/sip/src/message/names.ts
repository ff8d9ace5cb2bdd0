// Owns header field names: canonical form, compact forms, how we spell them. RFC 3261 7.3.3, RFC 3515, 3892, 4028, 6665.

const spelled =
  "Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info Authorization Call-ID Call-Info " +
  "Contact Content-Disposition Content-Encoding Content-Language Content-Length Content-Type CSeq Date Error-Info " +
  "Event Expires Feature-Caps From Geolocation Geolocation-Routing History-Info Identity In-Reply-To Join Max-Forwards " +
  "MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info P-Asserted-Identity P-Associated-URI " +
  "P-Called-Party-ID P-Charging-Function-Addresses P-Charging-Vector P-Early-Media P-Preferred-Identity " +
  "P-Preferred-Service P-Visited-Network-ID Path Priority Privacy Proxy-Authenticate Proxy-Authentication-Info Proxy-Authorization " +
  "Proxy-Require RAck Reason Record-Route Refer-Sub Refer-To Referred-By Reject-Contact Replaces Reply-To Request-Disposition Require " +
  "Retry-After Route RSeq Security-Client Security-Server Security-Verify Server Service-Route Session-Expires " +
  "SIP-ETag SIP-If-Match Subject Subscription-State Supported Timestamp To Unsupported User-Agent Via Warning " +
  "WWW-Authenticate";

const compact: readonly (readonly [string, string])[] = [
  ["a", "accept-contact"],
  ["b", "referred-by"],
  ["c", "content-type"],
  ["d", "request-disposition"],
  ["e", "content-encoding"],
  ["f", "from"],
  ["i", "call-id"],
  ["j", "reject-contact"],
  ["k", "supported"],
  ["l", "content-length"],
  ["m", "contact"],
  ["n", "identity-info"],
  ["o", "event"],
  ["r", "refer-to"],
  ["s", "subject"],
  ["t", "to"],
  ["u", "allow-events"],
  ["v", "via"],
  ["x", "session-expires"],
  ["y", "identity"],
];

/** The text V8 keeps once: names made so, and literals, compare by place. */
const once = (text: string): string => Object.keys({ [text]: true })[0] ?? text;

const spelling = new Map(spelled.split(" ").map((name) => [once(name.toLowerCase()), name]));
// The spellings seen on most wires resolve with one lookup, without lower-casing.
const canonical = new Map<string, string>();
for (const [lower, name] of spelling) canonical.set(lower, lower).set(name, lower);
for (const [short, long] of compact) canonical.set(short, once(long)).set(short.toUpperCase(), once(long));

/** The same spellings by length and first letter, to be found where they stand in a message. */
const places: (readonly (readonly [spelled: string, canonical: string])[])[] = [];
const placeOf = (length: number, first: number): number => (length << 5) | (first & 31);
for (const entry of canonical) {
  const place = placeOf(entry[0].length, entry[0].charCodeAt(0));
  while (places.length <= place) places.push([]);
  places[place] = [...(places[place] ?? []), entry];
}

/** `v`, `VIA` and `Via` give `via`. */
export const canonicalName = (name: string): string => {
  const known = canonical.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  return canonical.get(lower) ?? lower;
};

/** `canonicalName` of what stands between `at` and `end`. */
export const canonicalNameAt = (text: string, at: number, end: number): string => {
  const place = placeOf(end - at, text.charCodeAt(at));
  const known = place < places.length ? places[place] : undefined;
  if (known !== undefined) for (const [spelled, name] of known) if (text.startsWith(spelled, at)) return name;
  return canonicalName(text.slice(at, end));
};

/** The name as we write it: the registered spelling, given the canonical name; undefined where we know none. */
export const registeredSpelling = (canonical: string): string | undefined => spelling.get(canonical);
