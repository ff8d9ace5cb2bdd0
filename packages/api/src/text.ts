// The last gate before text leaves the edge (invariant 7): what looks like a key is taken out, what is too long is cut.
// The views behind it hold no keys; this holds even when one of them errs. Knows no view.
import { redactKeys } from "@sallyport/kit";

/** Longest text in an answer, characters. */
const maxText = 512;
/** A key of 16 octets and more in base64 or hex. Words, suite names, addresses and dates are never that long unbroken. */
const keyLike = /[A-Za-z0-9+/]{22,}={0,2}/g;
const passwordInUri = /(\bsips?:[^\s:@<>]{0,256}):[^\s@<>]{0,256}@/gi;

/** Longest text looked at. */
const maxRead = 8192;

const cut = (text: string): string => (text.length > maxText ? `${text.slice(0, maxText - 1)}…` : text);

/** Free text: evidence, reasons, details. */
export const prose = (text: string): string => cut(redactKeys(text.slice(0, maxRead)).replace(keyLike, "<redacted>"));

/** Names from the wire, such as Call-ID, AOR and contact, which may be long and unbroken: SDP keys and passwords go. */
export const name = (text: string): string =>
  cut(redactKeys(text.slice(0, maxRead)).replace(passwordInUri, "$1:<redacted>@"));
