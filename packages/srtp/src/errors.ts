// Owns the catalogue of what this package throws: only unusable keys and options, never anything about a packet.
import { defineErrors } from "@sallyport/kit";

export const srtpErrors = defineErrors({
  SALLY_SRTP_KEY_LENGTH: {
    summary: "The master key and salt do not have the length of the crypto suite.",
    action: "Check the inline value against the suite's key and salt lengths (RFC 4568 6.2).",
    sipStatus: 488,
    h248Error: 449,
  },
  SALLY_SRTP_KEYS: {
    summary: "The keys cannot be used together.",
    action: "Give at least one key; several keys need distinct MKIs of one length, 1 to 128 octets (RFC 4568 6.1).",
    sipStatus: 488,
    h248Error: 449,
  },
  SALLY_SRTP_LIFETIME: {
    summary: "The key lifetime is out of range.",
    action: "Use 1 to 2^48 packets, or leave it out (RFC 4568 6.1).",
    sipStatus: 488,
    h248Error: 449,
  },
  SALLY_SRTP_LIMIT: {
    summary: "An SRTP limit is out of range.",
    action: "Use a replay window of 64 to 32768 packets (RFC 3711 3.3.2) and room for at least one source.",
    sipStatus: 500,
    h248Error: 500,
  },
});
