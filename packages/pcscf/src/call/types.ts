// The words of one call leg: what can happen to it, what it wants done, what it remembers. No behaviour here.
// A leg is one crossing of this edge: a call between two UEs behind it is two legs, with the same Call-ID.
import type { Secret } from "@sallyport/kit";
import type { Evidence, GatewayPlan, LegAddress, Negotiation, Side } from "@sallyport/media-security";
import type { SipRequest, SipResponse } from "@sallyport/sip";

/** Where requests to one of the two ends of a dialog go, and how it is called there. */
export interface Party {
  /** Its From or To value, tag included. */
  readonly name: string;
  /** Its Contact: the Request-URI of requests to it. */
  readonly target: string;
  /** The route set from here to it. RFC 3261 12.1. */
  readonly routes: readonly string[];
  /** The highest CSeq number it has used in this dialog, as it wrote it. */
  readonly seq: number;
  /** What this edge adds to its CSeq numbers on their way to the other end, which has had requests of the edge in its name. */
  readonly shift?: number | undefined;
  /** Numbers it may have used that were not counted, over a restart of this edge. */
  readonly uncounted?: number | undefined;
}

/** RFC 4028: the session of a dialog, and who refreshes it. */
interface SessionTimer {
  readonly seconds: number;
  readonly refresher: Side;
}

/** A request of the edge's own that offers the session again, in the name of the other end. */
export interface OwnOffer {
  readonly why: "gateway-lost" | "key-expiring";
  readonly detail: string;
  /** Waits for quiet; with the negotiation or the gateway; on its way; refused with 491 and waiting to go again. */
  readonly stage: "postponed" | "deciding" | "asked" | "refused";
  readonly towards: Side;
  /** UPDATE while the INVITE is open (RFC 3311 5.1). */
  readonly method: "INVITE" | "UPDATE";
  /** The gateway it moves to is lost as well: how often so far, and whether the offer that is out is void. */
  readonly losses: number;
  readonly void: boolean;
  /** The dialog, by its tag. */
  readonly tag: string;
  /** Its CSeq number on the wire. */
  readonly seq: number;
  readonly sdp: Buffer | undefined;
  /** What was in force when the far end was to be told: when it changes, an offer of somebody else told it. */
  readonly base: Negotiation["agreed"];
  /** How often it waited for quiet, and was refused with 491. */
  readonly tries: number;
  readonly refused: number;
}

/** What decides whether an offer can be made in a dialog before the INVITE is answered. RFC 3311 5.1. */
interface EarlyFacts {
  /** Whether each end allows UPDATE. */
  readonly upstreamUpdates: boolean;
  readonly downstreamUpdates: boolean;
  /** Offer and answer have passed in reliable messages; `acknowledged`: and their PRACK was answered. */
  readonly answer: "none" | "reliable" | "acknowledged";
}

interface Unacknowledged {
  /** Whose INVITE it was, and whose ACK is due. */
  readonly from: Side;
  /** Its CSeq number. */
  readonly seq: number;
}

/** One dialog of the leg: forking gives several, told apart by the tag of the called side. */
export interface CallDialog {
  readonly tag: string;
  readonly callId: string;
  readonly upstream: Party;
  readonly downstream: Party;
  readonly state: "early" | "confirmed" | "terminated";
  /** While it is early. */
  readonly early?: EarlyFacts | undefined;
  readonly session?: SessionTimer | undefined;
  /** INVITEs whose 2xx waits for its ACK: each end counts its own, so both may have used one number. */
  readonly unacknowledged: readonly Unacknowledged[];
  /** Event packages of the subscriptions in it, which outlive the call. RFC 5057 4. */
  readonly usages?: readonly string[] | undefined;
}

/** What is remembered of one request that crosses the leg; the message itself is not kept. */
export interface Exchange {
  readonly id: number;
  readonly from: Side;
  readonly method: string;
  readonly seq: number;
  readonly fromTag: string | undefined;
  readonly toTag: string | undefined;
  /** Of the initial INVITE alone: its Request-URI, and its sender as the dialogs it makes see it. */
  readonly opens: { readonly uri: string; readonly caller: Party; readonly updates: boolean } | undefined;
  readonly initial: boolean;
  readonly forwarded: boolean;
  readonly cancelled: boolean;
  /** What its sender got as final response from us. */
  readonly final: "none" | "success" | "failure";
  /** It carried an offer. */
  readonly offered: boolean;
  /** What was added to its CSeq number on the way. */
  readonly shift: number;
  /** Of a re-INVITE or UPDATE: where its sender is from the answer on. */
  readonly contact: string | undefined;
}

/** An offer that waits for its answer. RFC 3264 4, RFC 6337 2. */
interface OpenOffer {
  readonly from: Side;
  /** The exchange whose request (`request`) or response (`response`) carried it. */
  readonly exchange: number;
  readonly within: "request" | "response";
  /** Of an offer in a response: the dialog it was made in, and is answered in. */
  readonly branch?: string;
}

/** The message that carries the SDP being decided. */
export type Carried =
  | { readonly kind: "request"; readonly key: string; readonly exchange: number; readonly request: SipRequest }
  /** `plain`: without SDP of its own, it only waits for the gateway. */
  | {
      readonly kind: "response";
      readonly key: string;
      readonly exchange: number;
      readonly response: SipResponse;
      readonly plain?: true;
    }
  | { readonly kind: "ack"; readonly key: string; readonly from: Side; readonly request: SipRequest };

/** SDP that was already decided: a retransmission gets the same result without a second decision. */
export interface DecidedBody {
  /** SHA-256 of what came, so that no key is kept for the comparison; "" of a mark. */
  readonly received: string;
  /** What left, octets as Latin-1; gone when no retransmission is due any more, as keys are in it. */
  readonly sent: string | undefined;
  /** When it was decided, ms since the epoch. */
  readonly at: number;
}

export type EndReason =
  | "bye"
  | "rejected"
  | "cancelled"
  | "setup-timeout"
  | "no-acknowledgement"
  | "session-expired"
  | "flow-lost"
  | "gateway-lost"
  | "media-inactive"
  | "media-security"
  | "overload"
  | "transport-failed"
  | "internal-error"
  | "closing";

/** What was found or done, and when: ms since the epoch. Absent in what an earlier release has kept. */
export interface CallEvidence extends Evidence {
  readonly at?: number;
}

/** Every property is always there, so that all legs have one shape. */
export interface CallState {
  readonly id: string;
  readonly direction: "originating" | "terminating";
  readonly callId: string;
  readonly bindingId: string;
  /** What names this leg in Record-Route. */
  readonly token: string;
  readonly phase: "setup" | "confirmed" | "ending";
  readonly negotiation: Negotiation;
  readonly exchanges: ReadonlyMap<number, Exchange>;
  readonly dialogs: ReadonlyMap<string, CallDialog>;
  readonly offer: OpenOffer | undefined;
  readonly own: OwnOffer | undefined;
  /** The early dialog whose context has moved: no other can answer the INVITE any more. */
  readonly moved: string | undefined;
  /** Gateway requests under way, and the message that waits for them. */
  readonly waiting: readonly number[];
  readonly carried: Carried | undefined;
  readonly queue: readonly CallInput[];
  /** Responses the negotiation put off: handed in again after the next input. */
  readonly deferred: readonly CallInput[];
  readonly decided: ReadonlyMap<string, DecidedBody>;
  readonly evidence: readonly CallEvidence[];
  readonly ended: { readonly reason: EndReason; readonly detail: string } | undefined;
  /** `decide` was told that all is over. */
  readonly released: boolean;
}

export type CallTimer = "setup" | "acknowledge" | "session" | "flow" | "re-offer" | "forget" | "linger";

export type CallInput =
  | { readonly kind: "request"; readonly exchange: number; readonly from: Side; readonly request: SipRequest }
  | { readonly kind: "response"; readonly exchange: number; readonly response: SipResponse }
  /** The forwarded request got no answer, or could not be sent. */
  | { readonly kind: "unanswered"; readonly exchange: number; readonly status: 408 | 430 | 480 | 503 }
  /** `reasons`: the values of its Reason. RFC 3326. */
  | { readonly kind: "cancel"; readonly exchange: number; readonly reasons?: readonly string[] }
  /** The ACK for a 2xx. */
  | { readonly kind: "ack"; readonly from: Side; readonly request: SipRequest }
  | {
      readonly kind: "gateway-done";
      readonly request: number;
      readonly access: readonly LegAddress[];
      readonly core: readonly LegAddress[];
    }
  | { readonly kind: "gateway-refused"; readonly request: number; readonly status: number }
  | { readonly kind: "timer"; readonly timer: CallTimer }
  /** `ms`: how long to wait for the UE, when it is not the usual time. */
  | { readonly kind: "flow-lost"; readonly ms?: number }
  | { readonly kind: "flow-back" }
  /** A 2xx to an INVITE that no transaction of ours knows: it was answered before a restart. */
  | { readonly kind: "stray"; readonly from: Side; readonly response: SipResponse }
  /** The session has to be offered again: its context is lost, or a key is nearly used up. */
  | { readonly kind: "re-offer"; readonly why: OwnOffer["why"]; readonly detail: string }
  /** A response to a request of our own with this CSeq number; undefined: none came, or it could not be sent. */
  | {
      readonly kind: "own-response";
      readonly towards: Side;
      readonly seq: number;
      readonly response: SipResponse | undefined;
    }
  /** Something outside SIP ends the call. */
  | { readonly kind: "end"; readonly reason: EndReason; readonly status: number; readonly detail: string };

export type CallEffect =
  /** Send on; `party` is the receiver inside a dialog, absent for the initial request. */
  | {
      readonly kind: "forward";
      readonly exchange: number;
      readonly towards: Side;
      readonly request: SipRequest;
      readonly party?: Party | undefined;
    }
  /** `from` is the side that answers; `initial` tells that it answers the request that made the leg. */
  | {
      readonly kind: "respond";
      readonly exchange: number;
      readonly from: Side;
      readonly initial: boolean;
      readonly response: SipResponse;
    }
  /** An answer of our own to an exchange. */
  | { readonly kind: "refuse"; readonly exchange: number; readonly status: number; readonly reason?: string }
  | { readonly kind: "cancel"; readonly exchange: number; readonly reasons?: readonly string[] | undefined }
  | { readonly kind: "acknowledge"; readonly towards: Side; readonly request: SipRequest; readonly party: Party }
  /** A 2xx that has outlived the transaction which would have passed it on. */
  | { readonly kind: "pass-on"; readonly towards: Side; readonly response: SipResponse; readonly party: Party }
  /** A BYE of our own. */
  | { readonly kind: "originate"; readonly towards: Side; readonly request: SipRequest; readonly party: Party }
  /** A request of our own whose responses come back as `own-response`. */
  | {
      readonly kind: "ask";
      readonly towards: Side;
      readonly seq: number;
      readonly request: SipRequest;
      readonly party: Party;
    }
  | { readonly kind: "gateway"; readonly request: number; readonly plan: GatewayPlan }
  | { readonly kind: "release-gateway" }
  | { readonly kind: "zeroise"; readonly keys: readonly Secret[] }
  | { readonly kind: "evidence"; readonly evidence: readonly Evidence[] }
  | { readonly kind: "arm"; readonly timer: CallTimer; readonly ms: number }
  | { readonly kind: "disarm"; readonly timer: CallTimer }
  /** Nothing is left: the leg can be forgotten. */
  | { readonly kind: "finished" };

export type { Side };
