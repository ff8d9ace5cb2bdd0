// Owns the words of a negotiation: facts, events, effects and plans. Knows no SIP message, no socket, no Iq command.
// TS 33.328 7.2.1 and 7.3.1; keys by direction: `fromUe` is K11 or K22, `towardsUe` is K12 or K21.
import type { Secret } from "@sallyport/kit";
import type { CryptoAttribute, SdpDocument } from "@sallyport/sdp";
import type { SuiteName } from "@sallyport/srtp";
import type { Evidence, ProtectionMode, ReasonCode } from "../reason.ts";
import type { MediaSecurityIndications } from "../registration/indications.ts";
import type { MediaPolicyRule } from "../registration/policy.ts";

/** Where an SDP comes from or goes to: "access" is the UE, "core" everybody else. */
export type Side = "access" | "core";

export const otherSide = (side: Side): Side => (side === "access" ? "core" : "access");

/** The SIP message that carries an SDP. An answer in an "18x" is provisional, in any other carrier it is final. */
export type Carrier = "INVITE" | "18x" | "2xx" | "PRACK" | "ACK" | "UPDATE";

export interface NegotiationFacts {
  readonly registration: MediaSecurityIndications;
  readonly policy: MediaPolicyRule;
  /** The SIP hop to the UE keeps keys secret. */
  readonly confidential: boolean;
  readonly ueRole: "originating" | "terminating";
  /** An emergency call is never refused for lack of announcement or confidentiality. */
  readonly emergency?: boolean;
}

/** What the gateway reserved for a stream on one side. */
export interface LegAddress {
  readonly stream: number;
  readonly address: string;
  readonly port: number;
  readonly rtcpPort: number;
}

export type LegMode = "inactive" | "send-only" | "receive-only" | "send-receive";

export interface RemoteAddress {
  readonly address: string;
  readonly port: number;
  readonly rtcpPort?: number | undefined;
  /** RFC 3605: where RTCP goes, if not to `address`. */
  readonly rtcpAddress?: string | undefined;
}

/** One side of one stream as the gateway shall have it; modes are seen from the gateway outwards. */
export interface LegWish {
  readonly protocol: string;
  readonly media: string;
  readonly formats: readonly string[];
  readonly remote?: RemoteAddress | undefined;
  readonly rtcpMux?: boolean | undefined;
  readonly mode: LegMode;
  /** `towardsUe`: the gateway encrypts with it. Access side only. */
  readonly localCrypto?: CryptoAttribute | undefined;
  /** `fromUe`: the gateway decrypts with it. Access side only. */
  readonly remoteCrypto?: CryptoAttribute | undefined;
}

export interface GatewayStream {
  /** m-line index + 1. */
  readonly stream: number;
  readonly access?: LegWish;
  readonly core?: LegWish;
}

export interface GatewayPlan {
  readonly context: "new" | "existing";
  readonly streams: readonly GatewayStream[];
  readonly remove: readonly number[];
}

export type NegotiationEvent =
  | {
      readonly kind: "offer";
      readonly from: Side;
      readonly sdp: SdpDocument;
      readonly carrier: Carrier;
      /** The early dialog of an UPDATE or PRACK: its To tag. */
      readonly branch?: string;
    }
  | {
      readonly kind: "answer";
      readonly from: Side;
      readonly sdp: SdpDocument;
      readonly carrier: Carrier;
      /** The dialog that answers: its To tag. */
      readonly branch?: string;
      /** What a response answers. Told where an UPDATE and the INVITE are open at once; else the innermost is meant. */
      readonly request?: "INVITE" | "UPDATE" | "PRACK";
    }
  /** A 2xx without SDP confirmed the early dialog `branch`, whose early answer now stands. */
  | { readonly kind: "confirmed"; readonly branch?: string }
  | {
      readonly kind: "gateway-done";
      readonly request: number;
      readonly access: readonly LegAddress[];
      readonly core: readonly LegAddress[];
    }
  | { readonly kind: "gateway-refused"; readonly request: number; readonly status: number }
  /**
   * The edge offers the session in force again to one side. `lost`: its context is gone, another gateway is asked for a new
   * one first; `kept`: the context stays. The key towards the UE is a new one. Answered by `ask` and, after the answer, by
   * `agreed`; only where `canReOffer`.
   */
  | { readonly kind: "re-offer"; readonly towards: Side; readonly gateway: "lost" | "kept" }
  /**
   * The carrier of the open offer ended without an answer: 4xx to 6xx, timeout, CANCEL. `outermost`: it was an INVITE, which
   * may have been answered early, and nothing that was agreed on within it stays (RFC 3261 14.1).
   */
  | { readonly kind: "exchange-failed"; readonly outermost?: true }
  /** BYE, final failure, timeout, lost flow: the call is over. `now`: the gateway's reply to what it was asked is not awaited. */
  | { readonly kind: "ended"; readonly now?: true };

export type Effect =
  /** Carry out on Iq, then feed `gateway-done` or `gateway-refused` with the same request number. */
  | { readonly kind: "gateway"; readonly request: number; readonly plan: GatewayPlan }
  /** Send the pending message on with this body. */
  | { readonly kind: "forward"; readonly towards: Side; readonly sdp: SdpDocument }
  /** Offer this in the edge's own name. */
  | { readonly kind: "ask"; readonly towards: Side; readonly sdp: SdpDocument }
  /** The answer to the edge's own offer is in force. */
  | { readonly kind: "agreed"; readonly towards: Side }
  /** Refuse the message that carried the SDP; where it cannot be refused (ACK, PRACK 2xx, response) end the call. */
  | { readonly kind: "refuse"; readonly status: 488 | 491 | 500 | 503; readonly reason: ReasonCode }
  /**
   * The call cannot go on: end every leg (ACK and BYE, or CANCEL). `coreStatus` goes to whoever still waits for a final
   * response; `from` is the side whose SDP could not be used, absent when it was the gateway.
   */
  | { readonly kind: "end-call"; readonly reason: ReasonCode; readonly coreStatus: number; readonly from?: Side }
  /** A gateway request is under way: keep the message and hand the same event in again after its reply. */
  | { readonly kind: "defer" }
  /** A late answer of an early dialog that lost: do not forward it; a 2xx of it wants ACK and BYE. */
  | { readonly kind: "drop-branch"; readonly branch?: string; readonly reason: ReasonCode }
  | { readonly kind: "release-gateway" }
  /** Nothing refers to these keys any more: release each. */
  | { readonly kind: "zeroise"; readonly keys: readonly Secret[] };

export interface StreamSummary {
  readonly stream: number;
  readonly media: string;
  readonly security: "e2ae" | "e2e" | "none";
  readonly reason: ReasonCode;
  /** Of a stream that is protected up to the gateway (`security` "e2ae"): by e2ae proper, or in SDES phone mode. */
  readonly mode?: ProtectionMode;
  readonly suite?: SuiteName;
  /** Fingerprints, for screens. */
  readonly fromUe?: string;
  readonly towardsUe?: string;
}

export interface NegotiationSummary {
  readonly security: "e2ae" | "e2e" | "none" | "mixed";
  readonly reason: ReasonCode;
  /** Where all protected streams have one mode. */
  readonly mode?: ProtectionMode | undefined;
  readonly streams: readonly StreamSummary[];
}

export interface Decision<State> {
  readonly state: State;
  readonly effects: readonly Effect[];
  readonly evidence: readonly Evidence[];
}
