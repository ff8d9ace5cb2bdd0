// The MediaPlane port: what a gateway asks of an engine that moves media. Plans go in, counters and rare events come
// out; nothing here is called per packet, so an engine may keep JavaScript off the packet path. Knows no signalling.
import type { Secret } from "@sallyport/kit";
import type { SuiteName } from "@sallyport/srtp";
import type { PortRange } from "./portable/ports.ts";

/** Seen from the gateway outwards, as H.248.1 stream modes are: `send-only` sends to the leg's peer and takes no RTP from it. */
export type PlaneMode = "inactive" | "send-only" | "receive-only" | "send-receive";

export interface PlaneKey {
  /** Master key || master salt. Read during the call and not kept: the caller may release it when the call is over. */
  readonly master: Secret;
  readonly mki?: Uint8Array;
  /** Packets; the suite's maximum when left out. */
  readonly lifetime?: bigint;
}

/**
 * `clear`: RTP and RTCP. `srtp`: SRTP and SRTCP; `receive` opens what comes in, `send` protects what goes out.
 * `awaiting-keys`: will be SRTP, no key yet: drops everything both ways. `transparent`: datagrams pass untouched, and
 * only to another transparent leg.
 */
export type Protection =
  | { readonly kind: "clear" }
  | {
      readonly kind: "srtp";
      readonly suite: SuiteName;
      /** One, or up to 16 with an MKI each. */
      readonly receive: readonly PlaneKey[];
      readonly send: PlaneKey;
    }
  | { readonly kind: "awaiting-keys" }
  | { readonly kind: "transparent" };

/**
 * H.248.37. `off`: send to `remote`; take unprotected packets from its address only. `latch`: learn source address and
 * port from the first packet, for RTP and RTCP apart, then keep them. `relatch`: the same once more, as soon as a packet
 * comes from another source. On an `srtp` leg only a packet whose tag verified teaches anything (invariant 3).
 */
export type LatchRule = "off" | "latch" | "relatch";

/** IP literals; a port of 0 means that nothing is sent there (RFC 3264 6: a refused stream). */
export interface LegRemote {
  readonly address: string;
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** Where RTCP is, when not at `address` (RFC 3605); of no effect with rtcp-mux. */
  readonly rtcpAddress?: string | undefined;
}

/** H.248.43 `gm`: packets from elsewhere are dropped before anything else is done with them. */
export interface SourceFilter {
  /** IP literal and how many of its leading bits count. */
  readonly address?: { readonly literal: string; readonly prefix: number } | undefined;
  /** Source ports of RTP, and of RTCP too when `rtcpPorts` is left out; both ends included. */
  readonly ports?: { readonly first: number; readonly last: number } | undefined;
  readonly rtcpPorts?: { readonly first: number; readonly last: number } | undefined;
}

/** H.248.53 `tman`: token buckets over whole UDP payloads of both flows; what does not conform is dropped. */
export interface Policing {
  /** `sdr` and `mbs`. */
  readonly sustained?: { readonly octetsPerS: number; readonly burstOctets: number } | undefined;
  /** `pdr`; the bucket holds `octetsPerS * toleranceMs / 1000` octets (`dvt`), and at least one datagram of 1,500. */
  readonly peak?: { readonly octetsPerS: number; readonly toleranceMs: number } | undefined;
}

export interface LegPlan {
  /** Local IP literal to bind. */
  readonly address: string;
  /** Local ports to choose from; those of the engine when left out. */
  readonly ports?: PortRange | undefined;
  readonly rtcp: "separate" | "mux";
  readonly protection: Protection;
  /** `inactive` stops RTP and RTCP; the one-way modes stop RTP only (RFC 3264 5.1: RTCP goes on). */
  readonly mode: PlaneMode;
  /** Where to send; nothing is sent before it is given or learned. */
  readonly remote?: LegRemote | undefined;
  readonly latch: LatchRule;
  /** Milliseconds without an accepted, or without a sent, packet until an `inactive` event; watched where the mode allows it; 0 is not watched. */
  readonly inactivityMs?: number | undefined;
  /** Applied to what arrives, whether or not the leg is protected. */
  readonly sourceFilter?: SourceFilter | undefined;
  /** Applied to what arrives, after `sourceFilter`. */
  readonly policing?: Policing | undefined;
  /** Differentiated services code point of what is sent, 0 to 63 (RFC 2474); only where `MediaPlane.marks`. */
  readonly dscp?: number | undefined;
}

/**
 * Values to change: an absent key leaves that value as it is; `remote`, `inactivityMs`, `sourceFilter`, `policing` and `dscp` of
 * `undefined` take it away. The same policing again leaves its buckets as they are.
 */
export type LegChange = Partial<Omit<LegPlan, "address" | "ports">>;

/** Totals since `open`: packets unless the name says otherwise. An arriving packet is counted in exactly one place. */
export interface LegCounters {
  /** Accepted from the peer: on an `srtp` leg, verified. Counted before mode and destination are looked at. */
  readonly rtpIn: number;
  readonly rtcpIn: number;
  /** UDP payload octets of the packets in `rtpIn`, `rtcpIn` and (transparent) `otherIn`. */
  readonly octetsIn: number;
  readonly rtpOut: number;
  readonly rtcpOut: number;
  readonly octetsOut: number;
  /** Transparent legs: datagrams that are neither RTP nor RTCP. */
  readonly otherIn: number;
  readonly otherOut: number;
  /** Tag did not verify, or no key has that MKI. */
  readonly authenticationFailures: number;
  /** Index received before, or below the replay window. */
  readonly replays: number;
  /** Recognisably clear media on a protected leg. */
  readonly clearDropped: number;
  /** Not RTP or RTCP version 2, or header lengths that do not fit. */
  readonly malformed: number;
  /** From an address that this leg does not take packets from. */
  readonly sourceDropped: number;
  readonly stunDropped: number;
  readonly dtlsDropped: number;
  /** Arrived, or were to be sent, while the leg awaited its keys. */
  readonly awaitingKeysDropped: number;
  /** Accepted packets that a mode of this leg or of its peer stopped. */
  readonly modeDropped: number;
  /** From an address or port that `sourceFilter` keeps out. */
  readonly filtered: number;
  /** Did not conform to `policing`. */
  readonly policed: number;
  /** Were to be sent, but would have used an index twice under one key (invariant 4). */
  readonly indexReuse: number;
  /** Times that sending went on above the highest index because a core source had started again (invariant 4). */
  readonly carriedForward: number;
  /** Packets whose ROC was found by trial of the tag: another one than RFC 3711 3.3.1 guesses. */
  readonly rocTrials: number;
  /** Refused because a key is spent, in either direction. */
  readonly lifetimeDropped: number;
  /** Refused because the leg has as many SSRCs as it may, in either direction. */
  readonly sourcesRefused: number;
  /** No joined leg, no destination, a mix of transparent and other, RTCP on an RTP port and the like. */
  readonly otherDropped: number;
  readonly sendErrors: number;
  /** Changes of the receive or send key after the first. */
  readonly keyChanges: number;
  /** SSRCs with a receive context now. */
  readonly sources: number;
  /** RTP packets expected and not accepted, summed over the SSRCs that arrive (RFC 3550 A.3); never below 0. */
  readonly lost: number;
  /** Interarrival jitter of the SSRC with the most packets, in units of its RTP timestamp, rounded down (RFC 3550 A.8). */
  readonly jitter: number;
  /** Latest round trip of what this leg sends, milliseconds, from the reports that came back (RFC 3550 6.4.1); 0 before the first. */
  readonly roundTripMs: number;
  /** Clock time of the last accepted packet; 0 before the first. */
  readonly lastPacketAt: number;
}

/** Alarms are raised at the first occurrence and then at most every ten seconds per leg and kind; `count` says how many it stands for. */
export type PlaneEvent =
  | { readonly kind: "inactive"; readonly leg: number; readonly direction: "in" | "out" }
  /** Once a key: 7/8 of its lifetime is used, SRTP or SRTCP. `in`: what the leg receives under. */
  | { readonly kind: "key-expiring"; readonly leg: number; readonly direction: "in" | "out" }
  | { readonly kind: "alarm"; readonly leg: number; readonly what: PlaneAlarm; readonly count: number };

export type PlaneAlarm = "clear-on-protected" | "authentication" | "lifetime" | "index-reuse";

export interface OpenedLeg {
  readonly leg: number;
  /** `rtcpPort` equals `rtpPort` with rtcp-mux; else it is the odd port above it (RFC 3550 11). */
  readonly local: { readonly address: string; readonly rtpPort: number; readonly rtcpPort: number };
}

/** Errors thrown and rejected with are those of `mediaPlaneErrors`; a refused `update` has changed nothing. */
export interface MediaPlane {
  /** Which engine: `portable`, `socket`, `xdp`. */
  readonly engine: string;
  /** Whether `dscp` can be written on what is sent; where not, a plan with another one than 0 is refused SALLY_PLANE_DSCP. */
  readonly marks: boolean;
  /** Binds a pair of ports. @throws SALLY_PLANE_PORTS, SALLY_PLANE_ADDRESS, SALLY_PLANE_REMOTE, SALLY_PLANE_RULE, SALLY_PLANE_DSCP, SALLY_PLANE_KEY_IN_USE, SALLY_PLANE_CLOSED, SALLY_SRTP_*. */
  open(plan: LegPlan): Promise<OpenedLeg>;
  /** What one leg receives the other sends. A leg joined elsewhere is taken from there. @throws SALLY_PLANE_LEG. */
  join(a: number, b: number): void;
  /**
   * Takes effect for the next packet. The same keys leave their contexts as they are. A new receive key is used at once
   * and the old one by trial of the tag for three seconds more; a key that comes back goes on where it stopped.
   * The ports stay, also when `rtcp` changes: with `separate` RTCP is at the RTP port plus one.
   * @throws SALLY_PLANE_LEG, SALLY_PLANE_REMOTE, SALLY_PLANE_RULE, SALLY_PLANE_DSCP, SALLY_PLANE_KEY_IN_USE, SALLY_PLANE_REKEYS,
   * SALLY_SRTP_*.
   */
  update(leg: number, change: LegChange): void;
  /** @throws SALLY_PLANE_LEG. */
  counters(leg: number): LegCounters;
  /**
   * Closes sockets (or keeps them for coming legs, hearing nobody), zeroises keys, frees the ports after a quarantine; gives the
   * final counters. @throws SALLY_PLANE_LEG.
   */
  close(leg: number): Promise<LegCounters>;
  /** Gives the events since the last call and forgets them. At most 1,024 are kept; later ones are dropped. */
  events(): readonly PlaneEvent[];
  readonly legs: number;
  /** Closes every leg; `open` is refused from now on. */
  shutdown(): Promise<void>;
}
