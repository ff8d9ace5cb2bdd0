// Owns the message identifier as configured (H.248.1 8.3, annex B.2 mId).
import { canonicalMid } from "@sallyport/h248";
import { iqErrors } from "../errors.ts";

/** Whether a text is one: `<gw-a.example>`, `[192.0.2.1]:2944`. */
export const isMid = (text: string): boolean => canonicalMid(text) !== undefined;

/** Its canonical text. @throws SALLY_IQ_CONFIG */
export const readMid = (mid: string): string => {
  const canonical = canonicalMid(mid);
  if (canonical === undefined) throw iqErrors("SALLY_IQ_CONFIG", `Not a message identifier: ${mid}.`);
  return canonical;
};
