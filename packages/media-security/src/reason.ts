// Owns the words of a decision: reason codes and evidence records. Knows no key: evidence shows fingerprints at most.
// TS 33.328 7.1, 7.2.1, 7.3.1; one reason code is the same word in log, API and CLI.
import type { QuirkId, QuirkMode } from "./quirks/table.ts";

/** Who sent what was looked at: the UE, anybody on the core's side, this P-CSCF, its gateway. */
export type Origin = "access" | "core" | "edge" | "gateway";

export type ReasonCode =
  /** The stream runs with e2ae. */
  | "secured"
  /** The stream runs with SRTP up to the gateway for a UE that knows SDES but no e2ae (SDES phone mode). */
  | "sdes-phone"
  /** The UE did not announce sdes-srtp for this binding. */
  | "ue-not-capable"
  /** The network's policy for this registration is not to offer e2ae. */
  | "network-policy"
  /** The UE offered plain media, or the line was plain from the start. */
  | "not-requested"
  /** No crypto attribute that both sides can use. */
  | "no-common-suite"
  /** SRTP between the UEs: none of our business, left alone. */
  | "e2e-offered"
  /** The SIP hop to the UE does not keep keys confidential. */
  | "signalling-not-confidential"
  /** The policy of this registration refuses clear media. */
  | "security-required"
  /** A line that was protected in this dialog was offered in the clear. */
  | "downgrade-refused"
  /** The policy refuses clear T.38. */
  | "t38-refused"
  /** The gateway could not do it: never continued in the clear. */
  | "gateway-refused"
  /** `requested` on a line that cannot carry SDES-SRTP, or without a usable address. */
  | "malformed-request"
  /** The answer does not fit the offer: profile, tag, suite, key or number of lines. */
  | "answer-invalid"
  /** The UE asked for e2ae although the network did not announce it. */
  | "not-announced"
  /** The AVP twin of a secured line: one medium needs one stream. */
  | "duplicate-line"
  /** Refused with port 0 by the other side. */
  | "rejected-by-peer"
  /** Not RTP/AVP(F) or RTP/SAVP(F): no SDES for it. */
  | "not-rtp"
  /** Another offer is open in the same dialog (RFC 3261 14.2, RFC 3311 5.2). */
  | "offer-pending"
  /** An answer that belongs to no open offer. */
  | "no-offer"
  /** An early dialog that lost against the confirmed one. */
  | "branch-lost"
  /** The call is over. */
  | "ended";

/** What protects a stream up to the gateway: e2ae by TS 33.328, or SDES alone for a phone that knows no more. */
export type ProtectionMode = "e2ae" | "sdes-phone";

/** One thing found or done, for ladders, logs and tests. Holds no key text; keys show as fingerprints. */
export interface Evidence {
  /** Of TS 33.328: "7.1", "7.2.1", "7.3.1"; or an RFC: "RFC 3261 14.1". */
  readonly clause: string;
  /** The step of the clause, "1" to "9"; "remove" for the two closing sentences; "" where there is none. */
  readonly step: string;
  readonly found: string;
  readonly changed: readonly string[];
  readonly origin: Origin;
  /** Stream id: m-line index + 1. */
  readonly stream?: number | undefined;
  readonly reason?: ReasonCode | undefined;
  /** Which kind of protection the entry speaks of. */
  readonly mode?: ProtectionMode | undefined;
  /** The deviation that was met, and what was done about it. */
  readonly quirk?: QuirkId | undefined;
  readonly quirkMode?: QuirkMode | undefined;
}
