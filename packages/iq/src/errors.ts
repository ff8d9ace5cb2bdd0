// Owns every error that Iq throws, with the SIP status the IMS-ALG answers and the H.248 error a gateway answers.
import { defineErrors } from "@sallyport/kit";

export const iqErrors = defineErrors({
  SALLY_IQ_CONFIG: {
    summary: "The Iq configuration can not work.",
    action: "Correct the iq section of the configuration.",
    sipStatus: 500,
  },
  SALLY_IQ_UNPROTECTED: {
    summary: "A media key must not be sent over an unprotected Iq.",
    action: "Use TLS on Iq, or declare the path protectedBelow when IPsec covers it (TS 33.328 6.2.1.3).",
    sipStatus: 500,
    h248Error: 449,
  },
  SALLY_IQ_NO_GATEWAY: {
    summary: "No access gateway can take the call.",
    action: "Check that a gateway is registered and neither leaving nor refused keys.",
    sipStatus: 503,
  },
  SALLY_IQ_UNKNOWN_GATEWAY: {
    summary: "This edge has no such access gateway.",
    action: "Use an id of the edge's iq.gateways; `sallyport gw list` shows them.",
    sipStatus: 500,
  },
  SALLY_IQ_GATEWAY_LOST: {
    summary: "The access gateway was lost during a command.",
    action: "Check the gateway's process and the path to it.",
    sipStatus: 503,
  },
  SALLY_IQ_TIMEOUT: {
    summary: "The access gateway did not answer in time.",
    action: "Check the gateway's load and the path to it.",
    sipStatus: 504,
  },
  SALLY_IQ_NO_RESOURCES: {
    summary: "The access gateway has no resources for the call.",
    action: "Add gateways, or raise its limits of contexts and ports.",
    sipStatus: 503,
    h248Error: 510,
  },
  SALLY_IQ_BUSY: {
    summary: "The access gateway can not serve now.",
    action: "Try again later, or use another gateway.",
    sipStatus: 503,
    h248Error: 511,
  },
  SALLY_IQ_NOT_HANDED_OFF: {
    summary: "The access gateway does not go to that controller:",
    action:
      "Name one of the gateway's own controllers by the message identifier that its file says, such as <edge-b.example>.",
    sipStatus: 500,
  },
  SALLY_IQ_REFUSED: {
    summary: "The access gateway refused a command.",
    action: "Compare what the gateway supports with the policy of the edge.",
    sipStatus: 500,
    h248Error: 501,
  },
  SALLY_IQ_MEDIA_REFUSED: {
    summary: "The access gateway can not do the media that was asked for.",
    action:
      "Compare the suites and profiles of the edge's policy with what the gateway supports, and that both call Iq protected.",
    sipStatus: 488,
    h248Error: 449,
  },
  SALLY_IQ_CONTEXT_GONE: {
    summary: "The access gateway does not hold this context or termination any more.",
    action: "End the call: its media is gone.",
    sipStatus: 500,
    h248Error: 411,
  },
  SALLY_IQ_REPLY_INVALID: {
    summary: "The access gateway's reply can not be used.",
    action: "Check the gateway's profile and version.",
    sipStatus: 500,
  },
  SALLY_IQ_UNAUTHORISED: {
    summary: "A peer on Iq is not who it says it is.",
    action: "Compare its message identifier, certificate and transport with the list of gateways.",
    sipStatus: 503,
    h248Error: 504,
  },
  SALLY_IQ_NOT_REGISTERED: {
    summary: "A peer on Iq sent a command before its registration.",
    action: "Let it register with ServiceChange first.",
    sipStatus: 503,
    h248Error: 505,
  },
  SALLY_IQ_NO_CONTROLLER: {
    summary: "The gateway is not registered with any controller.",
    action: "Check the controllers' addresses, certificates and lists of gateways.",
    sipStatus: 503,
  },
  SALLY_IQ_CLOSED: {
    summary: "Iq was closed.",
    action: "Nothing to do when the element is stopping.",
    sipStatus: 503,
    h248Error: 503,
  },
});
