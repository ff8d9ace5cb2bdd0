// What each reason code means to an operator, in one sentence, and what would change it. Owns wording only.
import type { CallView } from "@sallyport/pcscf";

export interface ReasonMeaning {
  readonly means: string;
  /** Absent where nothing needs to change. */
  readonly advice?: string;
}

/** Every code and its meaning. */
export const reasonMeanings = {
  secured: { means: "Media between the UE and the access gateway is SRTP with keys of its own (e2ae)." },
  "ue-not-capable": {
    means: "The UE did not announce SDES-SRTP when it registered, so it gets the call as a plain UE would.",
    advice: "Switch on media security with mediasec in the UE, and let it register again.",
  },
  "network-policy": {
    means: "The policy of this edge does not offer e2ae to this registration.",
    advice: "See policy.rules in the edge's file; `sallyport policy test` answers for a registration without a call.",
  },
  "not-requested": {
    means: "Both sides support e2ae, but the UE offered this medium without asking for it.",
    advice: "Set the UE to require SRTP for calls; what it offers is its own choice.",
  },
  "no-common-suite": {
    means: "The UE and the policy of this edge have no crypto suite in common.",
    advice: "Add a suite of the UE to policy.rules[].suites, or the other way round.",
  },
  "e2e-offered": {
    means: "The parties key SRTP between themselves (e2e); the edge passes it untouched and knows no key of it.",
  },
  "signalling-not-confidential": {
    means: "SIP to this UE is not encrypted, so no key may be sent over it (TS 33.328 6.2.1.2).",
    advice: "Let the UE register over TLS, or declare the access trusted if the network below encrypts it.",
  },
  "gateway-refused": {
    means: "No access gateway could take the stream, and it was not continued in the clear.",
    advice: "`sallyport gw list` shows the gateways and why one is down.",
  },
  "malformed-request": {
    means: "The UE asked for e2ae on a line that cannot carry it: no SRTP profile, no key, or no usable address.",
    advice: "Look at the UE's SDP; the decision below names the line.",
  },
  "answer-invalid": {
    means: "The answer does not fit the offer: profile, tag, suite, key or number of lines.",
    advice: "Look at the SDP of the side that answered; the decision below names what is wrong.",
  },
  "not-announced": {
    means: "The UE asked for e2ae although the network had not announced it to this registration.",
    advice:
      "`sallyport reg show` tells why it was not announced; a UE that asks without looking at Security-Server has a defect.",
  },
  "duplicate-line": { means: "The plain twin of a secured line: one medium needs one stream." },
  "rejected-by-peer": { means: "The other side refused this line with port 0." },
  "not-rtp": { means: "Not RTP: SDES has nothing to protect here." },
  "offer-pending": { means: "Another offer was open in the same dialog, so this one was refused." },
  "no-offer": { means: "An answer came that belongs to no open offer." },
  "branch-lost": { means: "An early dialog that lost against the one that was answered." },
  ended: { means: "The call was over before anything was agreed." },
  "sdes-phone": {
    means: "Media between this phone and the access gateway is SRTP with keys of its own (SDES phone mode, not e2ae).",
  },
  "security-required": {
    means: "The policy of this registration requires protection, and clear media was offered.",
    advice: "Switch on SRTP with media security in the UE, or set e2ae: offered in the rule that governs it.",
  },
  "downgrade-refused": {
    means: "A medium that was protected in this call was offered again in the clear, and refused.",
    advice: "Look at the UE's re-offer; downgrade: allow in the rule lets it have its will.",
  },
  "t38-refused": {
    means: "Fax by T.38 runs in the clear, and the policy of this registration refuses that.",
    advice: "t38: pass in the rule lets it through; audio that stays audio keeps its protection.",
  },
} as const satisfies Readonly<Partial<Record<CallView["reason"], ReasonMeaning>>>;

const meanings: ReadonlyMap<string, ReasonMeaning> = new Map(Object.entries(reasonMeanings));

/** What a code means; undefined for one that is not known here. */
export const meaningOf = (reason: string): ReasonMeaning | undefined => meanings.get(reason);
