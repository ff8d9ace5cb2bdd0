// Owns the named deviations that real peers show: what motivates each, where it is met, and what is done by default.
// Data only: RFC 3329 2.2 and 2.3.1, RFC 4568 5.1 to 9, TS 24.229 7.5.2. Knows no message and counts nothing.

/**
 * `tolerant` accepts and counts, `observe` accepts and asks for a loud log, `strict` treats it as the error it is.
 */
export type QuirkMode = "tolerant" | "observe" | "strict";

export interface Quirk {
  readonly id: string;
  /** What the peer does, in one sentence. */
  readonly summary: string;
  /** The line on the wire that motivates the entry, shortened; keys stand as K and L. */
  readonly capturedLine: string;
  /** Where it is met: a REGISTER, an SDP offer or answer of the UE, or the media plane. */
  readonly where: "REGISTER" | "offer" | "answer" | "media";
  /** The rule it bends. */
  readonly clause: string;
  /** What happens in strict mode. */
  readonly strictly: string;
  /** What is done unless a mode is set. An entry that is strict by default is loosened by its name only. */
  readonly mode: QuirkMode;
}

/** All of them, in the order of a call's life. */
export const quirks = [
  {
    id: "client-missing",
    summary: "The REGISTER that answers a challenge leaves out the Security-Client of the first one.",
    capturedLine: "REGISTER (Authorization, Security-Verify: sdes-srtp;mediasec, no Security-Client)",
    where: "REGISTER",
    clause: "RFC 3329 2.3.1",
    strictly: "The UE counts as not having announced anything.",
    mode: "tolerant",
  },
  {
    id: "verify-missing",
    summary: "A UE that announced without the option tag mediasec does not repeat our list.",
    capturedLine: "REGISTER (Authorization, Security-Client: sdes-srtp;mediasec, no Security-Verify)",
    where: "REGISTER",
    clause: "RFC 3329 2.3.1",
    strictly: "494",
    mode: "tolerant",
  },
  {
    id: "verify-missing-draft",
    summary: "A UE that uses the option tag mediasec does not repeat our list in the REGISTER with credentials.",
    capturedLine: "REGISTER (Authorization, Require: mediasec, no Security-Verify)",
    where: "REGISTER",
    clause: "RFC 3329 2.3.1",
    strictly: "494",
    mode: "strict",
  },
  {
    id: "verify-duplicated",
    summary: "A refresh repeats the same entry of our list twice.",
    capturedLine: "Security-Verify: sdes-srtp;mediasec, sdes-srtp;mediasec",
    where: "REGISTER",
    clause: "RFC 3329 2.3.1",
    strictly: "494",
    mode: "tolerant",
  },
  {
    id: "verify-q-dropped",
    summary: "The preference of an entry is lost when our list is repeated.",
    capturedLine: "Security-Verify: sdes-srtp;mediasec   (sent was sdes-srtp;q=0.2;mediasec)",
    where: "REGISTER",
    clause: "RFC 3329 2.2",
    strictly: "494",
    mode: "tolerant",
  },
  {
    id: "verify-reordered",
    summary: "Our list comes back in another order.",
    capturedLine: "Security-Verify: sdes-srtp;mediasec, msrp-tls;mediasec   (sent the other way round)",
    where: "REGISTER",
    clause: "RFC 3329 2.3.1",
    strictly: "494",
    mode: "tolerant",
  },
  {
    id: "verify-never-sent",
    summary: "A UE repeats a list we never sent it, remembered from another edge or an earlier registration.",
    capturedLine: "Security-Verify: sdes-srtp;mediasec   (nothing was announced)",
    where: "REGISTER",
    clause: "RFC 3329 2.3.1",
    strictly: "494",
    mode: "tolerant",
  },
  {
    id: "indication-spelling",
    summary: "The value of a=3ge2ae has a blank before it, or capitals.",
    capturedLine: "a=3ge2ae: requested",
    where: "offer",
    clause: "TS 24.229 7.5.2",
    strictly: "The m-line is refused.",
    mode: "tolerant",
  },
  {
    id: "indication-unannounced",
    summary: "A UE that was told nothing asks for e2ae all the same; only where the SDES phone mode serves it.",
    capturedLine: "a=3ge2ae:requested   (no sdes-srtp;mediasec in any Security-Server)",
    where: "offer",
    clause: "TS 33.328 7.2.1",
    strictly: "The m-line is refused.",
    mode: "tolerant",
  },
  {
    id: "indication-not-repeated",
    summary: "A re-offer of an e2ae line comes without a=3ge2ae.",
    capturedLine: "m=audio 40000 RTP/SAVP 8 | a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:K | a=sendonly",
    where: "offer",
    clause: "TS 33.328 7.2.1",
    strictly: "The m-line is refused.",
    mode: "tolerant",
  },
  {
    id: "crypto-tag-zero",
    summary: "A crypto line has the tag 0.",
    capturedLine: "a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:K",
    where: "offer",
    clause: "RFC 4568 9.1",
    strictly: "The crypto line is passed over.",
    mode: "tolerant",
  },
  {
    id: "crypto-tag-renumbered",
    summary: "A re-offer carries the key in use under another tag; nothing about the stream changes.",
    capturedLine: "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:K   (was a=crypto:7 with the same K)",
    where: "offer",
    clause: "RFC 4568 7.1.4",
    strictly: "The m-line is refused.",
    mode: "tolerant",
  },
  {
    id: "suite-lower-case",
    summary: "A suite is written in lower case; the answer repeats it as written.",
    capturedLine: "a=crypto:1 aes_cm_128_hmac_sha1_80 inline:K",
    where: "offer",
    clause: "RFC 4568 9.2",
    strictly: "The crypto line is passed over.",
    mode: "tolerant",
  },
  {
    id: "suite-alias",
    summary: "A suite goes by a name older than its registration; the answer repeats it as written.",
    capturedLine: "a=crypto:1 AES_CM_256_HMAC_SHA1_80 inline:K",
    where: "offer",
    clause: "RFC 6188 4",
    strictly: "The crypto line is passed over.",
    mode: "tolerant",
  },
  {
    id: "suite-unknown",
    summary: "An offer lists suites that no registry knows beside usable ones.",
    capturedLine: "a=crypto:1 AEAD_AES_256_GCM_8 inline:K | a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:L",
    where: "offer",
    clause: "RFC 4568 5.1.2",
    strictly: "No crypto line of that m-line is used, so it is refused.",
    mode: "tolerant",
  },
  {
    id: "base64-unpadded",
    summary: "An inline key comes without the padding of base64; ours is always written with it.",
    capturedLine: "a=crypto:1 AEAD_AES_128_GCM inline:K   (38 characters)",
    where: "offer",
    clause: "RFC 4568 6.1",
    strictly: "The crypto line is passed over.",
    mode: "tolerant",
  },
  {
    id: "indication-in-answer",
    summary: "A UE puts a=3ge2ae into its answer, where none belongs; it is removed.",
    capturedLine: "m=audio 40000 RTP/SAVP 8 | a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:K | a=3ge2ae:requested",
    where: "answer",
    clause: "TS 24.229 7.5.2",
    strictly: "The answer is not used.",
    mode: "tolerant",
  },
  {
    id: "answer-tag-renumbered",
    summary: "An answer picks one of our suites under a tag of its own.",
    capturedLine: "a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:K   (offered as a=crypto:2)",
    where: "answer",
    clause: "RFC 4568 5.1.2",
    strictly: "The answer is not used.",
    mode: "strict",
  },
  {
    id: "rekey-resets-roc",
    summary:
      "After a new key the peer counts its packets from rollover 0 again; the receiver tries the kept counter first.",
    capturedLine: "SRTP under the new key: tag fits with ROC 0, not with the ROC kept",
    where: "media",
    clause: "RFC 3711 3.3.1",
    strictly: "Packets whose tag does not fit the kept counter are dropped.",
    mode: "tolerant",
  },
] as const satisfies readonly Quirk[];

export type QuirkId = (typeof quirks)[number]["id"];
