// Owns the state of one negotiation as plain immutable values. Knows no rule.
// One negotiation per dialog leg; a stream is an m-line of the session, counted from 1.
import type { CryptoAttribute, SdpDocument } from "@sallyport/sdp";
import type { SuiteName } from "@sallyport/srtp";
import type { ProtectionMode, ReasonCode } from "../reason.ts";
import type {
  Carrier,
  GatewayPlan,
  GatewayStream,
  LegAddress,
  NegotiationFacts,
  NegotiationSummary,
  RemoteAddress,
  Side,
} from "./model.ts";

/** A document that JSON and inspect cannot show: e2e keys of others may stand in it. */
export interface HeldDocument {
  readonly document: () => SdpDocument;
}

export const hold = (document: SdpDocument): HeldDocument => ({ document: () => document });

/** What each side was last told of the other party: `branch` names the dialog. No key of ours stands in it. */
export interface Bodies {
  readonly branch: string;
  readonly access: HeldDocument;
  readonly core: HeldDocument;
}

/** Which way a party wants media: of its a=sendrecv and so on, and of an unspecified c= address. */
export interface Direction {
  readonly send: boolean;
  readonly receive: boolean;
}

/** What one party said about its own end of a line. */
export interface PartyEnd {
  /** Absent: the unspecified address (RFC 3264 8.4, hold of RFC 2543). */
  readonly remote?: RemoteAddress | undefined;
  readonly direction: Direction;
  readonly rtcpMux: boolean;
}

export interface Sides<T> {
  readonly access: T;
  readonly core: T;
}

/** One m-line of an open offer, as decided. */
export type OfferedLine =
  | {
      readonly fate: "secured";
      readonly media: string;
      readonly mode: ProtectionMode;
      /** RTP/SAVP with RTP/AVP, or RTP/SAVPF with RTP/AVPF. */
      readonly profiles: Sides<string>;
      readonly offerer: PartyEnd;
      /** rtcp-mux in the offer we make. */
      readonly offersMux: boolean;
      /** The offerer's marker was there; a re-offer of a secured line is treated alike without it. */
      readonly keys:
        | { readonly kind: "ue-offered"; readonly chosen: CryptoAttribute; readonly suite: SuiteName }
        | { readonly kind: "we-offer"; readonly candidates: readonly CryptoAttribute[] };
    }
  /**
   * Left alone: plain media, e2e SRTP, or no RTP at all. `guarded`: the profile offered, which clear RTP may not answer.
   * `bared`: SRTP as a potential configuration (RFC 5939) was taken out, so none can have been chosen.
   */
  | {
      readonly fate: "passed";
      readonly security: "e2e" | "none";
      readonly media: string;
      readonly reason: ReasonCode;
      readonly guarded?: string;
      readonly bared?: true;
    }
  /** Kept in its place with port 0 on both sides; `profile` is what the offerer wrote. */
  | { readonly fate: "off"; readonly media: string; readonly profiles: Sides<string>; readonly reason: ReasonCode };

/** One m-line of a completed offer/answer. */
export type AgreedLine =
  | {
      readonly kind: "secured";
      readonly media: string;
      readonly mode: ProtectionMode;
      readonly profiles: Sides<string>;
      readonly suite: SuiteName;
      readonly fromUe: CryptoAttribute;
      readonly towardsUe: CryptoAttribute;
      readonly ends: Sides<PartyEnd>;
    }
  | {
      readonly kind: "passed";
      readonly security: "e2e" | "none";
      readonly media: string;
      readonly reason: ReasonCode;
      readonly former?: ProtectionMode;
      readonly bared?: true;
    }
  | {
      readonly kind: "off";
      readonly media: string;
      readonly profiles: Sides<string>;
      readonly reason: ReasonCode;
      readonly former?: ProtectionMode;
    };

/** How a line is or, earlier in this dialog, was protected: its m-line may have gone to port 0 or T.38 meanwhile. */
export const protectionOf = (line: AgreedLine | undefined): ProtectionMode | undefined =>
  line?.kind === "secured" ? line.mode : line?.former;

/** What one dialog agreed on. */
export interface Session {
  readonly branch: string;
  /** Whose SDP was the answer. */
  readonly answerer: Side;
  readonly lines: readonly AgreedLine[];
  /** A later exchange of the same early dialog replaced the first answer: repeats of that answer change nothing. */
  readonly renewed: boolean;
}

export interface Exchange {
  readonly offerer: Side;
  readonly carrier: Carrier;
  /** The early dialog an UPDATE belongs to; "" for none. */
  readonly branch: string;
  readonly lines: readonly OfferedLine[];
  /** The dialogs that answered early, one each. */
  readonly answers: readonly Session[];
  /** The exchange of the INVITE, already answered early, that an UPDATE overtook. */
  readonly outer?: Exchange | undefined;
  /** What the offer says of the offerer, for the side that has to answer it. */
  readonly body?: HeldDocument | undefined;
  /** What each side had been told before this exchange was answered early: where it fails, that stands again. */
  readonly former?: Bodies | undefined;
  /** The edge's own offer: nobody waits for the answer. `lost`: the context it replaces is gone, and is never put back. */
  readonly own?: "lost" | "kept" | undefined;
}

/** A stream as the gateway has it. */
export interface InstalledStream {
  readonly wish: GatewayStream;
  readonly access?: LegAddress | undefined;
  readonly core?: LegAddress | undefined;
}

/** What to do when the gateway's reply is there. */
export type Continuation =
  | { readonly kind: "forward-offer"; readonly exchange: Exchange; readonly held: HeldDocument }
  | {
      readonly kind: "forward-answer";
      readonly session: Session;
      readonly held: HeldDocument;
      readonly final: boolean;
    }
  /** `held`: the 2xx repeats the answer and is sent on. */
  | { readonly kind: "settle"; readonly session: Session; readonly held?: HeldDocument }
  | { readonly kind: "restored" }
  /** The edge's own offer, and what the answer to it agreed on. */
  | { readonly kind: "ask"; readonly exchange: Exchange; readonly held: HeldDocument }
  | { readonly kind: "agree"; readonly session: Session; readonly towards: Side };

export interface PendingRequest {
  readonly request: number;
  readonly plan: GatewayPlan;
  readonly next: Continuation;
  /** What arrived meanwhile and is carried out after the reply. */
  readonly after?: "failed" | "ended";
}

/** Bookkeeping of the o= line of one direction (RFC 3264 8): version follows content. */
export interface OriginMark {
  readonly session: string;
  /** The version last sent, decimal. */
  readonly version: string;
  /** What was added to the author's version, decimal. */
  readonly offset: string;
  readonly digest: string;
}

export interface Negotiation {
  readonly facts: NegotiationFacts;
  readonly phase: "open" | "ended";
  /** In force by a final answer. */
  readonly agreed?: Session | undefined;
  /** While an INVITE without an offer is open: what each early dialog agreed on, one each. `agreed` is the last of them. */
  readonly early?: readonly Session[] | undefined;
  readonly exchange?: Exchange | undefined;
  readonly pending?: PendingRequest | undefined;
  /** Streams the gateway holds; a context exists while there is one. */
  readonly installed: readonly InstalledStream[];
  /** Requests made so far: the number of the next. */
  readonly requests: number;
  /** By the side a body was sent to. */
  readonly origins: { readonly access?: OriginMark | undefined; readonly core?: OriginMark | undefined };
  /** Of the session in force, or of the last early answer. */
  readonly bodies?: Bodies | undefined;
  /** Why the last offer was refused. */
  readonly refused?: ReasonCode | undefined;
  /** What there was when the call ended. */
  readonly closing?: NegotiationSummary | undefined;
}

type NegotiationDraft = { -readonly [K in keyof Negotiation]: Negotiation[K] };

const noOrigins: Negotiation["origins"] = { access: undefined, core: undefined };

/** A negotiation before its first offer. */
export const openNegotiation = (facts: NegotiationFacts): Negotiation => ({
  facts,
  phase: "open",
  agreed: undefined,
  early: undefined,
  exchange: undefined,
  pending: undefined,
  installed: [],
  requests: 1,
  origins: noOrigins,
  bodies: undefined,
  refused: undefined,
  closing: undefined,
});

/** The state to come, to be changed until it is handed out. Written out: one shape for all, which is cheap to make. */
export const draftOf = (state: Negotiation): NegotiationDraft => ({
  facts: state.facts,
  phase: state.phase,
  agreed: state.agreed,
  early: state.early,
  exchange: state.exchange,
  pending: state.pending,
  installed: state.installed,
  requests: state.requests,
  origins: state.origins,
  bodies: state.bodies,
  refused: state.refused,
  closing: state.closing,
});

/** The state with these properties in the place of its own. */
export const changed = (state: Negotiation, change: Partial<Negotiation>): Negotiation =>
  Object.assign(draftOf(state), change);

/** A gateway request is under way: offers and answers handed in now come back as `defer` or a refusal. */
export const isBusy = (state: Negotiation): boolean => state.pending !== undefined;
