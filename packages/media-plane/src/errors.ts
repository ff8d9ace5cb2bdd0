// Owns the catalogue of what a media plane throws; the H.248 codes are those of iq's table for the same trouble.
import { defineErrors } from "@sallyport/kit";

export const mediaPlaneErrors = defineErrors({
  SALLY_PLANE_PORTS: {
    summary: "No pair of media ports is free.",
    action: "Widen the media port range, or look for calls that do not end.",
    sipStatus: 503,
    h248Error: 510,
  },
  SALLY_PLANE_RANGE: {
    summary: "The media port range holds no even and odd pair.",
    action: "Give first and last between 1 and 65535 with at least one even port followed by an odd one.",
    sipStatus: 500,
    h248Error: 500,
  },
  SALLY_PLANE_ADDRESS: {
    summary: "The media address cannot be bound.",
    action: "Use an address of this machine, as an IP literal.",
    sipStatus: 500,
    h248Error: 500,
  },
  SALLY_PLANE_REMOTE: {
    summary: "The remote media address or port cannot be sent to.",
    action: "Give an IPv4 or IPv6 literal and ports from 0 (nothing is sent there) to 65535.",
    sipStatus: 488,
    h248Error: 449,
  },
  SALLY_PLANE_RULE: {
    summary: "A source filter or a policing rule cannot be applied.",
    action: "Give an IP literal with a prefix that fits it, ports from first to last, rates and sizes above 0.",
    sipStatus: 488,
    h248Error: 449,
  },
  SALLY_PLANE_DSCP: {
    summary: "This engine cannot write that code point on what it sends.",
    action: "Leave the code point out or 0, or use an engine that marks; a code point is 0 to 63.",
    sipStatus: 500,
    h248Error: 445,
  },
  SALLY_PLANE_LEG: {
    summary: "There is no such leg.",
    action: "It was closed, or never opened: check the order of commands.",
    sipStatus: 500,
    h248Error: 430,
  },
  SALLY_PLANE_KEY_IN_USE: {
    summary: "The send key already protects another stream or the other direction.",
    action: "Give every stream and direction its own fresh key (RFC 3711 9.1, RFC 4568 6.1).",
    sipStatus: 488,
    h248Error: 449,
  },
  SALLY_PLANE_REKEYS: {
    summary: "The leg has used as many keys as it may remember.",
    action: "Keep the keys in re-offers, or set the stream up anew.",
    sipStatus: 500,
    h248Error: 510,
  },
  SALLY_PLANE_MEMORY: {
    summary: "No locked memory is left for keys.",
    action: "Raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the service), or look for calls that do not end.",
    sipStatus: 503,
    h248Error: 510,
  },
  SALLY_PLANE_ENGINE: {
    summary: "The media engine that was asked for cannot start.",
    action: "Mend what is said here, or let `auto` take the best engine that starts.",
    sipStatus: 500,
    h248Error: 500,
  },
  SALLY_PLANE_CLOSED: {
    summary: "The media plane was shut down.",
    action: "Start the gateway again.",
    sipStatus: 503,
    h248Error: 502,
  },
});
