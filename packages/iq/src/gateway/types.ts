// Owns the gateway's face of Iq: commands as typed requests, what the gateway answers, and how it is wired.
// TS 23.334 clause 8 on the receiving side; nothing here knows a media plane.
import type { H248Error, RequestedEvent } from "@sallyport/h248";
import type { Clock, Log, OpenDatagram, Random, Result } from "@sallyport/kit";
import type { IqTlsMaterial, IqWireEvent } from "../controller/types.ts";
import type { NamePattern } from "../profile/names.ts";
import type { SessionText } from "../profile/session-text.ts";
import type { ContextMarks, IqProfile, IqSide, StreamMode } from "../types.ts";

/** Local or Remote as it came: a description, or the order to give up what the old one reserved (H.248.1 7.1.6). */
export type DescriptionOrder =
  /** `chosen`: of several groups it was this one, and the reply has to say so (H.248.1 7.1.8). */
  { readonly kind: "describe"; readonly text: SessionText; readonly chosen?: true } | { readonly kind: "release" };

/** `gm` (H.248.43): what is missing stays as it is. */
export interface FilterOrder {
  /** `saf`: source addresses are looked at; without a mask the one of Remote. */
  readonly addresses?: boolean;
  /** `sam` */
  readonly mask?: { readonly literal: string; readonly prefix: number };
  /** `spf`: source ports are looked at; without a range those of Remote. */
  readonly ports?: boolean;
  /** `spr` */
  readonly range?: { readonly first: number; readonly last: number };
}

/** `tman` (H.248.53): what is missing stays as it is. */
export interface PoliceOrder {
  /** `pol` */
  readonly on?: boolean;
  /** `sdr`, octets a second. */
  readonly sustained?: number;
  /** `mbs`, octets. */
  readonly burst?: number;
  /** `pdr`, octets a second. */
  readonly peak?: number;
  /** `dvt`, ms. */
  readonly toleranceMs?: number;
}

/** What a command says about one stream; what is missing stays as it is. */
export interface StreamOrder {
  readonly stream: number;
  readonly mode?: StreamMode | undefined;
  /** `ReservedGroup`, `ReservedValue` (H.248.1 7.1.5). */
  readonly reservedGroup?: boolean | undefined;
  readonly reservedValue?: boolean | undefined;
  readonly local?: DescriptionOrder | undefined;
  readonly remote?: DescriptionOrder | undefined;
  /** `ipdc/realm` */
  readonly realm?: string | undefined;
  /** `rtcph/rsb`: false when no RTCP port shall be reserved. */
  readonly rtcp?: boolean | undefined;
  readonly filter?: FilterOrder | undefined;
  readonly police?: PoliceOrder | undefined;
  /** `ds/dscp`, 0 to 63. */
  readonly dscp?: number | undefined;
}

/** `ipnapt/latch`; without `stream` it is for all streams of the termination. */
export interface LatchOrder {
  readonly stream?: number;
  readonly napt: "off" | "latch" | "relatch";
}

/** `adid/ipstop`. */
export interface InactivityOrder {
  readonly stream?: number;
  readonly afterMs: number;
  readonly direction: "in" | "out" | "both";
}

/** The Events descriptor: it replaces the one before; an empty list stops all reports. */
export interface WatchOrder {
  readonly request: number;
  readonly inactivity: readonly InactivityOrder[];
  /** `hangterm/thb`: no command about this termination for so long, ms. */
  readonly hangingMs?: number;
  /** `g/cause` */
  readonly bearer: boolean;
  /** Our own `xsrtp/kexp` and `xsrtp/clear`. */
  readonly keyExpiring: boolean;
  readonly clearMedia: boolean;
  /** As it was asked for: what an audit of events shows. */
  readonly events: readonly RequestedEvent[];
}

export interface TerminationOrder {
  readonly streams: readonly StreamOrder[];
  readonly latch: readonly LatchOrder[];
  readonly watch?: WatchOrder | undefined;
}

export interface AddRequest extends TerminationOrder {
  readonly context: number | "new";
  readonly emergency: boolean;
  readonly priority?: number | undefined;
  readonly ieps?: boolean | undefined;
  readonly name: NamePattern;
}

export interface ModifyRequest extends TerminationOrder {
  readonly context: number;
  readonly termination: string;
}

/** What was chosen for one stream: the only thing a reply carries. Never with a crypto attribute. */
export interface ChosenStream {
  readonly stream: number;
  readonly local: SessionText;
}

export interface AddedTermination {
  readonly context: number;
  readonly termination: string;
  readonly chosen: readonly ChosenStream[];
  /** It was taken although there is too little for further ones: an emergency call. */
  readonly pressed?: boolean;
}

export interface StreamCounts {
  readonly stream: number;
  /** `package/item` to value. */
  readonly values: Readonly<Record<string, string>>;
}

export interface TerminationView {
  readonly termination: string;
  readonly watch?: WatchOrder;
  readonly streams: readonly {
    readonly stream: number;
    readonly mode: StreamMode;
    readonly local: SessionText;
    readonly remote?: SessionText;
    readonly counts: StreamCounts;
    /** LocalControl properties in force, `package/item` to value. */
    readonly controls?: Readonly<Record<string, string>>;
    readonly reservedGroup?: boolean;
    readonly reservedValue?: boolean;
  }[];
}

export interface ContextView extends ContextMarks {
  readonly context: number;
  readonly terminations: readonly TerminationView[];
}

export interface SubtractedTermination {
  readonly termination: string;
  readonly counts: readonly StreamCounts[];
}

/** Carries the commands out. Commands on one context never overlap. An error means that nothing was changed. */
export interface IqGatewayHandler {
  add(request: AddRequest): Promise<Result<AddedTermination, H248Error>>;
  modify(request: ModifyRequest): Promise<Result<readonly ChosenStream[], H248Error>>;
  /** `termination` is a name or a pattern with `*`. The context ends with its last termination. */
  subtract(request: {
    readonly context: number;
    readonly termination: string;
  }): Promise<Result<readonly SubtractedTermination[], H248Error>>;
  /** All, or the one that is named; what is in them is looked up when it is read. */
  contexts(only?: number): readonly ContextView[];
  /** Everything goes: we restart in the eyes of the controller. */
  clear(): Promise<void>;
  /** A command named this termination: it does not hang (H.248.36). */
  touched?(context: number, termination: string): void;
  /** The context's own properties changed; false when there is no such context. */
  mark?(context: number, marks: ContextMarks): boolean;
  /** The side a realm is on; undefined where it is on none or on both. */
  sideOf?(realm: string): IqSide | undefined;
  /** What AuditCapability and the audit of ROOT tell. */
  capabilities?(): GatewayCapabilities;
}

export interface GatewayCapabilities {
  readonly maxContexts: number;
  /** Code points other than 0 can be written. */
  readonly marks: boolean;
  readonly realms: readonly string[];
  /** `ipra/ar`: those of them that can be reached now; all when left out. */
  readonly reachable?: readonly string[];
}

export interface IqControllerAddress {
  readonly protocol: "tls" | "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  /** A function is asked before each connection: certificates are renewed while a gateway runs. */
  readonly tls?: IqTlsMaterial | (() => Promise<IqTlsMaterial>);
  /** The DNS name its certificate must carry; needed for `tls`. */
  readonly certificateName?: string;
  /** The operator vouches that this path is protected below (IPsec). */
  readonly protectedBelow?: boolean;
}

export interface IqGatewayConfig {
  /** Our message identifier, canonical text. */
  readonly mid: string;
  /** Tried in turn. */
  readonly controllers: readonly IqControllerAddress[];
  readonly profile?: IqProfile;
  readonly version?: 1 | 2 | 3;
  readonly style?: "pretty" | "compact";
  /** Unprotected loopback may carry keys. For the lab only. */
  readonly lab?: boolean;
  /** The wait before the first registration is random below this, ms, default 0. */
  readonly avalancheMs?: number;
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
  /** Contexts without a controller are kept this long, ms, default 30 000. */
  readonly keepContextsMs?: number;
  /** A controller silent for this long is lost, ms, default 35 000; 0 = never (its connection tells). */
  readonly silenceMs?: number;
}

export interface IqGatewayOptions {
  readonly config: IqGatewayConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly openDatagram?: OpenDatagram;
  readonly observe?: (event: IqWireEvent) => void;
  readonly handler: IqGatewayHandler;
  readonly onState?: (state: IqGatewayState) => void;
  /** The controller has said what ROOT shall report: it knows nothing of what was reported before. */
  readonly onRootWatch?: () => void;
}

export interface IqGatewayState {
  readonly registered: boolean;
  readonly controller: number;
  readonly reason: string;
}

/** An event of a termination for its controller. */
export interface IqGatewayEvent {
  readonly context: number;
  readonly termination: string;
  /** RequestID of the Events descriptor that asked for it. */
  readonly request: number;
  /** `package/event`. */
  readonly name: string;
  readonly stream?: number;
  /** A list is the value of a parameter that is a sub-list. */
  readonly parameters?: Readonly<Record<string, string | readonly string[]>>;
}

/** What ROOT may be asked to report; sent only when the controller asked for it. */
export type IqRootEvent =
  /** `chp/mgcon`: percent of new contexts that should stay away (H.248.10). */
  | { readonly kind: "congestion"; readonly reduction: number }
  /** `ipra/arc` (H.248.41 Amd. 1). */
  | { readonly kind: "realms"; readonly available: readonly string[]; readonly unavailable: readonly string[] };

export interface IqGateway {
  state(): IqGatewayState;
  /** Resolves when the controller has confirmed it. Rejects SALLY_IQ_NO_CONTROLLER or SALLY_H248_* when it could not be told. */
  notify(event: IqGatewayEvent): Promise<void>;
  /** Resolves to whether the controller was told: it may not have asked. Rejects as `notify`. */
  notifyRoot(event: IqRootEvent): Promise<boolean>;
  /**
   * ServiceChange Graceful (905): the controller gives no new contexts; `delayMs` 0 is "until all are gone".
   * `false` when not registered. Adds of new contexts are refused 503 until `stay`.
   */
  leave(delayMs: number): Promise<boolean>;
  /** ServiceChange Restart 918: takes `leave` back; contexts live on. */
  stay(): Promise<boolean>;
  /** Takes itself out of service (ServiceChange Forced), then lets go of everything. */
  close(): Promise<void>;
}
