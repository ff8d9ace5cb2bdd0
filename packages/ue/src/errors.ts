// The errors a UE throws: what went wrong with its registration, its calls, its media and its script.
import { defineErrors } from "@sallyport/kit";

export const ueErrors = defineErrors({
  SALLY_UE_FILE: {
    summary: "A file of the UE could not be read or written.",
    action: "Check the path in the configuration or script, and its permissions.",
  },
  SALLY_UE_WAV: {
    summary: "A sound file is not a WAV this UE can play.",
    action: "Give a mono WAV of 8000 Hz in 16-bit PCM, A-law or mu-law.",
  },
  SALLY_UE_REGISTRATION: {
    summary: "The registration failed.",
    action: "Check identity, password, domain and the edge's address; the status tells who refused.",
  },
  SALLY_UE_NOT_REGISTERED: {
    summary: "The UE is not registered.",
    action: "Register before calling.",
  },
  SALLY_UE_CALL: {
    summary: "The call failed.",
    action: "The SIP status tells why; look for it in the edge's evidence of the call.",
  },
  SALLY_UE_CALL_ENDED: {
    summary: "The call has ended.",
    action: "Look at the call's report for who ended it and why.",
  },
  SALLY_UE_NOT_SECURED: {
    summary: "The UE's policy requires media security, and the network did not give it.",
    action: "Check the e2ae policy of edge and UE, or allow clear media in the UE's security section.",
    sipStatus: 488,
  },
  SALLY_UE_MEDIA: {
    summary: "The media description of the other side cannot be used.",
    action: "Compare the codecs and the security offered on both sides.",
    sipStatus: 488,
  },
  SALLY_UE_PORTS: {
    summary: "No free pair of media ports was found.",
    action: "Widen media.ports or end calls.",
    sipStatus: 500,
  },
  SALLY_UE_NO_CALL: {
    summary: "No call came, or there is none now.",
    action: "Check that the other side calls, and the order of the steps.",
  },
  SALLY_UE_STEP: {
    summary: "A step of the script failed.",
    action: "Change the step, or mend what it met.",
  },
  SALLY_UE_CLOSED: {
    summary: "The UE is closed.",
    action: "Create a new one.",
  },
});
