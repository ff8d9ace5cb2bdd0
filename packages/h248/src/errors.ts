// Owns the catalogue of what this package throws. Parse failures are values, see text/limits.ts.
import { SallyportError, defineErrors, redactKeys } from "@sallyport/kit";
import type { H248Error } from "./text/descriptor.ts";

export const h248Errors = defineErrors({
  SALLY_H248_UNWRITABLE: {
    summary: "An H.248 message could not be written.",
    action: "A name, number or value in it has no form in the text encoding: correct the caller.",
    h248Error: 500,
  },
  SALLY_H248_TOO_LARGE: {
    summary: "An H.248 message is larger than the transport carries.",
    action: "Ask for less at once, or use TPKT over TLS, which carries 65,531 octets.",
    h248Error: 533,
  },
  SALLY_H248_TIMEOUT: {
    summary: "The H.248 peer did not answer in time.",
    action: "Check that the peer is running and that the path to it is open.",
    sipStatus: 504,
  },
  SALLY_H248_CLOSED: {
    summary: "The connection to the H.248 peer was closed.",
    action: "Wait for the peer to connect again, and look at its log.",
    sipStatus: 503,
  },
  SALLY_H248_ERROR: {
    summary: "The H.248 peer answered with an error.",
    action: "Look the error code up in H.248.8 and at the peer's log.",
    sipStatus: 500,
  },
  SALLY_H248_UNREADABLE: {
    summary: "The H.248 peer's answer could not be read.",
    action: "Compare the peer's H.248 version and profile with ours.",
    sipStatus: 502,
  },
  SALLY_H248_BUSY: {
    summary: "Too many H.248 transactions are waiting for an answer.",
    action: "Offer less load, or find out why the peer answers slowly.",
    sipStatus: 503,
    h248Error: 510,
  },
  SALLY_H248_CONNECT: {
    summary: "The H.248 peer could not be reached.",
    action: "Check address, port, certificates and that the peer is running.",
    sipStatus: 503,
  },
  SALLY_H248_LISTEN: {
    summary: "An H.248 listening point could not be opened.",
    action: "Check the address, that the port is free, and the certificate files.",
  },
});

// A peer may echo a key without its inline: prefix, so that every long base64 run goes as well.
const longRun = /[A-Za-z0-9+/=]{20,}/g;

/** What a peer says in an error, fit for logs and errors. */
export const safeErrorText = (text: string): string => redactKeys(text).slice(0, 200).replace(longRun, "<redacted>");

/** SALLY_H248_ERROR with the peer's own code as `h248Error`. */
export const peerError = (error: H248Error, where?: string): SallyportError =>
  new SallyportError(
    "SALLY_H248_ERROR",
    { ...h248Errors.catalogue.SALLY_H248_ERROR, h248Error: error.code },
    `Error ${error.code}: ${safeErrorText(error.text).replace(/\.$/, "")}.`,
    where === undefined ? {} : { where },
  );
