// Owns the words both ends of Iq share: what the IMS-ALG wants of a call's two terminations and what it gets back.
// Knows nothing of SIP nor of suites. TS 23.334 clause 8, TS 29.334 clause 5.
import type { CryptoAttribute } from "@sallyport/sdp";

/** The gate of a stream, seen from the gateway outwards (H.248.1 7.1.7, stream mode). */
export type StreamMode = "inactive" | "send-only" | "receive-only" | "send-receive";

/** Where a termination looks: `access` to the UE, `core` to everybody else. */
export type IqSide = "access" | "core";

/** Where media is sent. Addresses are IP literals without brackets; `rtcpPort` defaults to `port + 1`, or to `port` when multiplexed; `rtcpAddress` to `address`. */
export interface RemoteAddress {
  readonly address: string;
  readonly port: number;
  readonly rtcpPort?: number | undefined;
  readonly rtcpAddress?: string | undefined;
}

export type AddressFamily = "IP4" | "IP6";

/** One termination's half of one stream, as the IMS-ALG wants it. */
export interface CallEndPlan {
  /** `RTP/SAVP`, `RTP/SAVPF`, `RTP/AVP` or `RTP/AVPF`. */
  readonly protocol: string;
  /** `audio`, `video`... */
  readonly media: string;
  /** Payload types; empty or `["-"]` when the gateway need not know them (TS 23.334 8.2). */
  readonly formats: readonly string[];
  readonly remote?: RemoteAddress | undefined;
  readonly rtcpMux?: boolean | undefined;
  /** Of the address to reserve, while no `remote` tells it. */
  readonly family?: AddressFamily | undefined;
  readonly mode: StreamMode;
  /** The gateway encrypts with it, towards the UE (K12, K21). Travels in Local. */
  readonly localCrypto?: CryptoAttribute | undefined;
  /** The gateway decrypts with it, from the UE (K11, K22). Travels in Remote. */
  readonly remoteCrypto?: CryptoAttribute | undefined;
  /** Learn the remote address from the first packet whose tag verifies (`ipnapt/latch`). */
  readonly latch?: boolean | undefined;
  /** IP realm (`ipdc/realm`), fixed when the termination is added. */
  readonly realm?: string | undefined;
  /** Differentiated services code point, 0 to 63 (`ds/dscp`). */
  readonly dscp?: number | undefined;
  /** Report media inactivity after this many ms (`adid/ipstop`; sent in whole seconds, rounded up). */
  readonly inactivityMs?: number | undefined;
  /** Report when 7/8 of a key's life are used up (`xsrtp/kexp`, our own package). */
  readonly watchKeys?: boolean | undefined;
}

/** What one stream shall be at both terminations. A side left out stays as it is. */
export interface StreamPlan {
  /** StreamID: the m-line's index plus one. */
  readonly stream: number;
  readonly access?: CallEndPlan | undefined;
  readonly core?: CallEndPlan | undefined;
}

/** What a command says about a context itself (H.248.1 6.1.1). */
export interface ContextMarks {
  readonly emergency?: boolean;
  /** 0 to 15, the highest. */
  readonly priority?: number;
  readonly ieps?: boolean;
}

/** What the gateway reserved for one stream of one termination. */
export interface ReservedEnd {
  readonly stream: number;
  readonly address: string;
  readonly port: number;
  /** Equal to `port` when RTCP is multiplexed. */
  readonly rtcpPort: number;
}

/** One call at one gateway: a plain value that may be stored. */
export interface IqContext {
  /** The gateway's id in the controller's configuration. */
  readonly gateway: string;
  readonly context: number;
  /** Termination name towards the UE, opaque. */
  readonly access: string;
  /** Termination name towards the core, opaque. */
  readonly core: string;
}

export interface ReservedEnds {
  readonly access: readonly ReservedEnd[];
  readonly core: readonly ReservedEnd[];
}

/** Counters of one stream of one termination; names are `package/item` (`rtp/ps`, `nt/os`...), values as sent. */
export interface TerminationStatistics {
  readonly termination: string;
  readonly side?: IqSide | undefined;
  /** Missing when the gateway counts per termination only (protocol version 2 with several streams). */
  readonly stream?: number | undefined;
  readonly values: ReadonlyMap<string, string>;
}

export interface IqStatistics {
  readonly terminations: readonly TerminationStatistics[];
}

/** H.248 profile, negotiated in ServiceChange (H.248.1 7.2.8). */
export interface IqProfile {
  readonly name: string;
  readonly version: number;
}
