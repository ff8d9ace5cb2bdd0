// Owns what may stand in an H.248 error text: the offending value, quotable, short, never a key (TS 29.334 5.17.1).
import type { H248Error } from "@sallyport/h248";
import { redactKeys } from "@sallyport/kit";

const longest = 120;

// As base64 writes keys, and what is no key though it looks like it: `UDP/TLS/RTP/SAVPF`.
const run = /[A-Za-z0-9+/]{16,}/g;
const transport = /^[A-Z0-9]{1,8}(\/[A-Z0-9]{1,8})+$/;

/** A value out of a session description, fit to be shown: a line that is damaged may hold a key where none belongs. */
export const conceal = (value: string): string =>
  value.slice(0, longest).replace(run, (found) => (transport.test(found) ? found : "<redacted>"));

// A key of any suite, wherever a damaged message has put it; no name of a package's item is as long (37 at most).
const keyRun = /[A-Za-z0-9+/]{38,}={0,2}/g;

/** Makes text fit for a quoted string (H.248.1 annex B: no line break, no quote) with every key redacted. */
export const errorText = (text: string): string => {
  let out = "";
  for (const character of redactKeys(text.slice(0, 4 * longest)).replaceAll(keyRun, "<redacted>")) {
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
