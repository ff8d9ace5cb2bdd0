// Owns the UE's judgement of media security: what to ask for, whether the answer gives it, whether an offer may be taken.
// Pure; must not know SIP messages or sockets. TS 33.328 5.4.1, 7.1, 7.2.1 (a) and step 1, 7.3.1 step 5; RFC 4568 5.1.
import { checkAnswer, selectCrypto, type Indication } from "@sallyport/media-security";
import { releaseCrypto, type CryptoAttribute } from "@sallyport/sdp";
import type { Suite, SuiteName } from "@sallyport/srtp";

export interface SecurityFacts {
  readonly e2ae: "off" | "preferred" | "required";
  readonly e2e: "off" | "accepted" | "preferred";
  readonly suites: readonly SuiteName[];
  /** What this UE announced at registration, and what the network did. */
  readonly ueE2ae: boolean;
  readonly networkE2ae: boolean;
  /** SIP towards the P-CSCF is confidential: only then may keys be sent or believed (TS 33.328 6.2.1.2). */
  readonly confidential: boolean;
}

/** `policy`: as the facts say; else the user's wish for one call. */
export type SecurityWish = "policy" | "e2ae" | "e2e" | "none";
export type Asked = "e2ae" | "e2e" | "none";

/** `unconfirmed`: SRTP runs, but the P-CSCF did not say that it holds the other key: it may be anybody. */
export type MediaSecurity = Asked | "unconfirmed";

export type NoteCode =
  /** e2ae was asked for and the answer has no `applied`. */
  | "no-applied"
  /** `applied` came although the network had announced no e2ae, so no P-CSCF vouches for it. */
  | "applied-unannounced"
  /** `applied` came in an answer to an offer that asked for none. */
  | "applied-unasked"
  /** The UE announced e2ae and the network did not: calls go without. */
  | "network-silent"
  /** Both announced e2ae, yet the network offers clear media. */
  | "clear-offer"
  /** Keys came beside RTP/AVP and were not used. */
  | "keys-on-clear-media";

export interface SecurityNote {
  readonly code: NoteCode;
  readonly text: string;
}

const note = (code: NoteCode, text: string): SecurityNote => ({ code, text });

export interface AgreedKeys {
  /** What we send with. */
  readonly ours: CryptoAttribute;
  /** What the other side sends with. */
  readonly theirs: CryptoAttribute;
  readonly suite: Suite;
}

export type OfferChoice =
  | { readonly ok: true; readonly asked: Asked; readonly notes: readonly SecurityNote[] }
  | { readonly ok: false; readonly why: string };

/** What an offer of ours asks for. */
export const chooseOffer = (facts: SecurityFacts, wish: SecurityWish): OfferChoice => {
  const yes = (asked: Asked, notes: readonly SecurityNote[] = []): OfferChoice => ({ ok: true, asked, notes });
  const no = (why: string): OfferChoice => ({ ok: false, why });
  const bothAnnounced = facts.ueE2ae && facts.networkE2ae && facts.e2ae !== "off";
  const e2e = facts.e2e !== "off" && facts.confidential;
  switch (wish) {
    case "e2e":
      return e2e ? yes("e2e") : no("End-to-end security is off, or signalling is not confidential.");
    case "e2ae":
      return bothAnnounced ? yes("e2ae") : no("UE and network did not both announce e2ae at registration.");
    case "none":
      return facts.e2ae === "required" ? no("The policy does not allow clear media.") : yes("none");
    default:
      // 7.2.1 (a): e2ae where both announced it, unless the UE prefers end-to-end security for this session.
      if (facts.e2e === "preferred" && e2e) return yes("e2e");
      if (bothAnnounced) return yes("e2ae");
      if (facts.e2ae === "required") return no("The network did not announce e2ae at registration.");
      if (!facts.ueE2ae) return yes("none");
      return yes("none", [note("network-silent", "This UE announced e2ae, the network did not: media is clear.")]);
  }
};

/** The security half of the other side's m-line. */
export interface RemoteSecurity {
  readonly protocol: string;
  readonly cryptos: readonly string[];
  readonly indications: readonly Indication[];
}

const isSavp = (protocol: string): boolean => /^RTP\/SAVPF?$/i.test(protocol);
const isAvp = (protocol: string): boolean => /^RTP\/AVPF?$/i.test(protocol);

export type Judgement =
  | {
      readonly ok: true;
      readonly security: MediaSecurity;
      readonly keys?: AgreedKeys;
      readonly notes: readonly SecurityNote[];
    }
  | { readonly ok: false; readonly why: string; readonly notes: readonly SecurityNote[] };

/** Judges the answer to our offer. On failure nothing of the answer is kept; the offered keys stay the caller's. */
export const judgeAnswer = (
  facts: SecurityFacts,
  asked: Asked,
  offered: readonly CryptoAttribute[],
  answer: RemoteSecurity,
): Judgement => {
  const applied = answer.indications.includes("applied");
  if (asked === "none") {
    if (!isAvp(answer.protocol)) return { ok: false, why: "RTP/AVP was offered and not answered.", notes: [] };
    const notes = applied ? [note("applied-unasked", "The answer says applied, but nothing was asked for.")] : [];
    return { ok: true, security: "none", notes };
  }
  // RFC 4568 5.1.2: an answer without crypto is no answer to an SRTP offer; falling back to clear is never silent.
  if (!isSavp(answer.protocol)) return { ok: false, why: "SRTP was offered and not answered with SRTP.", notes: [] };
  const checked = checkAnswer(offered, answer.cryptos);
  if (!checked.ok)
    return { ok: false, why: `The answer's crypto attribute cannot be used: ${checked.why}.`, notes: [] };
  const keys: AgreedKeys = { ours: checked.ours, theirs: checked.theirs, suite: checked.suite };
  if (asked === "e2e") {
    const notes = applied ? [note("applied-unasked", "The answer says applied, but end-to-end was asked for.")] : [];
    return { ok: true, security: "e2e", keys, notes };
  }
  // 7.2.1 step 8: "e2ae-security confirmed by network".
  if (applied) return { ok: true, security: "e2ae", keys, notes: [] };
  const missing = note("no-applied", "e2ae was asked for and the network did not confirm it.");
  if (facts.e2ae !== "required") return { ok: true, security: "unconfirmed", keys, notes: [missing] };
  releaseCrypto(checked.theirs);
  return { ok: false, why: missing.text, notes: [missing] };
};

export type OfferJudgement =
  | {
      readonly ok: true;
      readonly security: MediaSecurity;
      /** The line chosen; the caller owes an answer to it. */
      readonly chosen?: { readonly crypto: CryptoAttribute; readonly suite: Suite };
      readonly notes: readonly SecurityNote[];
    }
  | { readonly ok: false; readonly why: string };

/** Judges an offer of the other side. A refusal is meant for 488. */
export const judgeOffer = (facts: SecurityFacts, offer: RemoteSecurity): OfferJudgement => {
  const no = (why: string): OfferJudgement => ({ ok: false, why });
  const applied = offer.indications.includes("applied");
  const bothAnnounced = facts.ueE2ae && facts.networkE2ae;
  if (isAvp(offer.protocol)) {
    if (facts.e2ae === "required") return no("Clear media was offered, and the policy does not allow it.");
    return {
      ok: true,
      security: "none",
      notes: [
        ...(bothAnnounced ? [note("clear-offer", "Both announced e2ae, yet the network offers clear media.")] : []),
        ...(offer.cryptos.length > 0 ? [note("keys-on-clear-media", "Keys beside RTP/AVP were not used.")] : []),
      ],
    };
  }
  if (!isSavp(offer.protocol)) return no(`${offer.protocol} is not spoken here.`);
  if (!facts.confidential) return no("Keys came over signalling that is not confidential.");
  // 7.3.1 step 4: `applied` in an offer says that the network offers e2ae. It counts only from a network that announced it.
  const e2ae = applied && bothAnnounced;
  if (!e2ae && facts.e2e === "off") return no("SRTP was offered that is not e2ae, and end-to-end security is off.");
  const selected = selectCrypto(offer.cryptos, facts.suites);
  if (!selected.ok) return no("No crypto attribute of the offer can be used.");
  const chosen = { crypto: selected.crypto, suite: selected.suite };
  if (e2ae) return { ok: true, security: "e2ae", chosen, notes: [] };
  if (!applied) return { ok: true, security: "e2e", chosen, notes: [] };
  const forged = note("applied-unannounced", "The offer says applied, but the network announced no e2ae.");
  return { ok: true, security: "unconfirmed", chosen, notes: [forged] };
};
