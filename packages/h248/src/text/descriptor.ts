// Owns the shapes of H.248.1 descriptors (clause 7.1). Names are the long tokens; what a package means is not known here.
// SDP is text with one character per octet (latin1), so that every octet survives.

/** `=` one value; `#` not equal; `<` and `>`; `all` = `[a,b]`; `any` = `{a,b}`; `range` = `[a:b]` with two values. */
export type Relation = "=" | "#" | "<" | ">" | "all" | "any" | "range";

/** A package property or parameter. `values` is empty only for a statistic that is named without a value. */
export interface Property {
  readonly name: string;
  readonly relation: Relation;
  readonly values: readonly string[];
  /** The values were, or are to be, written as quoted strings even where a plain word would do. */
  readonly quoted?: true;
}

export type StreamMode = "SendOnly" | "ReceiveOnly" | "SendReceive" | "Inactive" | "LoopBack";

export interface LocalControl {
  readonly mode?: StreamMode;
  readonly reservedValue?: boolean;
  readonly reservedGroup?: boolean;
  readonly properties: readonly Property[];
}

/** One stream of a Media descriptor. Without `id` there is no Stream level on the wire, and it is the only one. */
export interface StreamDescriptor {
  readonly id?: number;
  readonly localControl?: LocalControl;
  /** SDP, `\}` already undone, each line ended; several descriptions follow each other. */
  readonly local?: string | undefined;
  readonly remote?: string | undefined;
  /** Version 3. */
  readonly statistics?: readonly Property[];
}

export interface TerminationState {
  readonly serviceState?: "InService" | "OutOfService" | "Test";
  readonly eventBufferControl?: "Off" | "LockStep";
  readonly properties: readonly Property[];
}

export interface MediaDescriptor {
  readonly kind: "media";
  readonly streams: readonly StreamDescriptor[];
  readonly terminationState?: TerminationState;
}

/** A digit map by name, by value, or both. */
export interface DigitMap {
  readonly name?: string;
  readonly value?: string;
}

export interface RequestedEvent {
  readonly name: string;
  readonly stream?: number;
  readonly keepActive?: true;
  readonly digitMap?: DigitMap;
  /** What is put in force when the event happens. */
  readonly embed?: { readonly signals?: SignalsDescriptor; readonly events?: EventsDescriptor };
  /** Version 3. */
  readonly neverNotify?: true;
  /** Version 3. */
  readonly resetEvents?: true;
  readonly properties: readonly Property[];
}

/** Without `requestId` there are no events: nothing is to be detected any more. */
export interface EventsDescriptor {
  readonly kind: "events";
  readonly requestId?: number | "*";
  readonly events: readonly RequestedEvent[];
}

/** An event with its stream and parameters, as observed or as kept in the event buffer. */
export interface EventOccurrence {
  readonly name: string;
  /** `yyyymmddThhmmsscc`, UTC. Only in ObservedEvents. */
  readonly time?: string;
  readonly stream?: number;
  readonly properties: readonly Property[];
}

export interface ObservedEventsDescriptor {
  readonly kind: "observedEvents";
  readonly requestId: number | "*";
  readonly events: readonly EventOccurrence[];
}

export interface EventBufferDescriptor {
  readonly kind: "eventBuffer";
  readonly events: readonly EventOccurrence[];
}

export type CompletionReason = "TimeOut" | "IntByEvent" | "IntBySigDescr" | "OtherReason";

export interface Signal {
  readonly kind: "signal";
  readonly name: string;
  readonly stream?: number;
  readonly type?: "OnOff" | "TimeOut" | "Brief";
  /** In 10 ms. */
  readonly duration?: number;
  readonly notifyCompletion?: readonly CompletionReason[];
  readonly keepActive?: true;
  /** Version 3. */
  readonly direction?: "External" | "Internal" | "Both";
  /** Version 3. */
  readonly requestId?: number | "*";
  readonly properties: readonly Property[];
}

export interface SignalList {
  readonly kind: "list";
  readonly id: number;
  readonly signals: readonly Signal[];
}

/** An empty list stops every signal. */
export interface SignalsDescriptor {
  readonly kind: "signals";
  readonly signals: readonly (Signal | SignalList)[];
}

/** The ServiceChange descriptor, of a request (with `method`) or of a reply. */
export interface ServicesDescriptor {
  readonly kind: "services";
  /** A method of clause 7.2.8 or an extension `X-...`. */
  readonly method?: string;
  /** `901` or `901 Cold boot`. */
  readonly reason?: string;
  /** Seconds. */
  readonly delay?: number;
  /** A mid, or a port number as text. */
  readonly address?: string;
  readonly mgcIdToTry?: string;
  /** `NAME/version`. */
  readonly profile?: string;
  readonly version?: number;
  /** `yyyymmddThhmmsscc`. */
  readonly timeStamp?: string;
  /** Version 3: more ServiceChanges of the same kind follow. */
  readonly incomplete?: true;
  readonly extensions: readonly Property[];
  readonly audit?: readonly AuditItem[];
}

/**
 * What is asked for: a whole descriptor (`Media`) or, from version 2 on, single properties:
 * `Media { Stream = 1 { LocalControl { Mode } } }`.
 */
export interface AuditItem {
  readonly name: string;
  /** What stands after `=`: a stream, request or list number, a digit map name, a value to select by. */
  readonly value?: string;
  readonly items?: readonly AuditItem[];
}

export interface H248Error {
  /** A code of the IANA registry, 0..9999. */
  readonly code: number;
  readonly text: string;
}

export interface PackageVersion {
  readonly name: string;
  readonly version: number;
}

/** Descriptors that a reply may name without content, meaning: there is none. */
export type BareName = "Media" | "Mux" | "Modem" | "DigitMap" | "Statistics" | "ObservedEvents" | "Packages" | "Audit";

export type Descriptor =
  | MediaDescriptor
  | EventsDescriptor
  | ObservedEventsDescriptor
  | EventBufferDescriptor
  | SignalsDescriptor
  | ServicesDescriptor
  | { readonly kind: "audit"; readonly items: readonly AuditItem[] }
  | { readonly kind: "statistics"; readonly statistics: readonly Property[] }
  | { readonly kind: "packages"; readonly packages: readonly PackageVersion[] }
  | { readonly kind: "error"; readonly error: H248Error }
  | { readonly kind: "digitmap"; readonly digitMap: DigitMap }
  | { readonly kind: "modem"; readonly types: readonly string[]; readonly properties: readonly Property[] }
  | { readonly kind: "mux"; readonly type: string; readonly terminations: readonly string[] }
  | { readonly kind: "bare"; readonly name: BareName };

export type DescriptorKind = Descriptor["kind"];
