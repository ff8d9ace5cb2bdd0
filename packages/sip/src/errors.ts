// The catalogue of everything this package throws or rejects with. Parsers do not throw.
import { defineErrors } from "@sallyport/kit";

export const sipErrors = defineErrors({
  SALLY_SIP_HEADER_INVALID: {
    summary: "A SIP header field cannot be written.",
    action: "Give a token as name and a value of octets without CR or LF; encode Unicode text with `utf8` first.",
    sipStatus: 500,
  },
  SALLY_SIP_START_LINE_INVALID: {
    summary: "A SIP start line cannot be written.",
    action: "Give a token as method, a Request-URI without white space, and a status from 100 to 699.",
    sipStatus: 500,
  },
  SALLY_SIP_DIGEST_UNSUPPORTED: {
    summary: "A digest challenge cannot be answered.",
    action: "Let the server offer MD5 or SHA-256 with qop auth; `chooseChallenge` picks one that can be answered.",
  },
  SALLY_SIP_LISTEN: {
    summary: "A SIP listening point could not be opened.",
    action:
      "Check that the address is one of this machine's, that no other program holds the port, and for a port below 1024 that this user may open it (CAP_NET_BIND_SERVICE).",
  },
  SALLY_SIP_TLS_MATERIAL: {
    summary: "TLS was asked for without a usable key, certificate or CA.",
    action: "Give a PEM key, its certificate and, where peers must show one, the CA that issued theirs.",
  },
  SALLY_SIP_CONNECT: {
    summary: "No SIP connection could be opened to the peer.",
    action: "Check that the peer listens there and that nothing between drops the packets.",
    sipStatus: 503,
  },
  SALLY_SIP_TLS: {
    summary: "The TLS handshake with the peer failed.",
    action: "Check both certificates, their names and dates, and the CA each side trusts.",
    sipStatus: 503,
  },
  SALLY_SIP_FLOW_GONE: {
    summary: "The connection the message belongs to is closed.",
    action: "Nothing to repair here: the peer has to connect again.",
    sipStatus: 430,
  },
  SALLY_SIP_BACKLOG: {
    summary: "The peer does not read what it is sent, so its connection was closed.",
    action: "Look at the peer's load; raise maxUnsent only if it is merely far away.",
    sipStatus: 503,
  },
  SALLY_SIP_TOO_LARGE: {
    summary: "The message does not fit the transport.",
    action: "Send it over TCP or TLS, or make it smaller.",
    sipStatus: 513,
  },
  SALLY_SIP_NO_LISTENER: {
    summary: "There is no listening point to send this from.",
    action: "Open a listening point of that protocol and address family first.",
    sipStatus: 500,
  },
  SALLY_SIP_RESOLVE: {
    summary: "The peer's host name has no usable address.",
    action: "Check the name and the resolver; NAPTR and SRV records are not looked up.",
    sipStatus: 503,
  },
  SALLY_SIP_NO_ROUTE_BACK: {
    summary: "The response's top Via gives no address to send it to.",
    action: "This is a defect of the peer that wrote the Via; look at its request.",
    sipStatus: 500,
  },
  SALLY_SIP_LIMIT: {
    summary: "A limit on connections or transactions is reached.",
    action: "Look for a peer that opens too many; raise the limit only if the load is wanted.",
    sipStatus: 503,
  },
  SALLY_SIP_CLOSED: {
    summary: "The SIP transport is closed.",
    action: "Do not use it after close().",
    sipStatus: 503,
  },
});
