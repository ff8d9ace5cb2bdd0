// Owns the message identifier as configured (H.248.1 8.3, annex B.2 mId).
import { canonicalMid } from "@sallyport/h248";
import { iqErrors } from "../errors.ts";

/** Its canonical text. @throws SALLY_IQ_CONFIG */
export const readMid = (mid: string): string => {
  const canonical = canonicalMid(mid);
  if (canonical === undefined) throw iqErrors("SALLY_IQ_CONFIG", `Not a message identifier: ${mid}.`);
  return canonical;
};
