// Owns what may stand in an H.248 error text: the offending value, quotable, short, never a key (TS 29.334 5.17.1).
import type { H248Error } from "@sallyport/h248";
import { redactKeys } from "@sallyport/kit";

const longest = 120;

// As base64 writes keys, and pieces of them that a damaged message has left.
const run = /[A-Za-z0-9+/]{16,}/g;
// What is no key though it looks like it: a word, a number, `UDP/TLS/RTP/SAVPF`, a property of ROOT, a termination.
const harmless =
  /^(?:[a-z]+|[0-9]+|[A-Z0-9]{1,8}(?:\/[A-Z0-9]{1,8})+|root\/[A-Za-z]{1,32}|ip\/\d{1,5}\/(?:access|core)\/\d{1,10})$/;

const withoutKeys = (text: string): string =>
  text.replaceAll(run, (found) => (harmless.test(found) ? found : "<redacted>"));

/** A value out of a session description, fit to be shown: a line that is damaged may hold a key where none belongs. */
export const conceal = (value: string): string => withoutKeys(value.slice(0, longest));

/** Makes text fit for a quoted string (H.248.1 annex B: no line break, no quote) with every key redacted. */
export const errorText = (text: string): string => {
  let out = "";
  for (const character of withoutKeys(redactKeys(text.slice(0, 4 * longest)))) {
    out += character < " " || character > "~" || character === '"' ? " " : character;
    if (out.length === longest) break;
  }
  return out.trim();
};

export const h248Error = (code: number, text: string): H248Error => ({ code, text: errorText(text) });

export const refusal = (code: number, text: string): { readonly ok: false; readonly error: H248Error } => ({
  ok: false,
  error: h248Error(code, text),
});
