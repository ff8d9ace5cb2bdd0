// Owns the shapes of H.248.1 messages, transactions, actions and commands (clauses 6 to 8). Readonly data, no behaviour.
import type { Descriptor, H248Error } from "./descriptor.ts";

/** 1..0xFFFFFFFD, or the null (`-`), CHOOSE (`$`) and ALL (`*`) contexts. */
export type ContextId = number | "-" | "$" | "*";

export type CommandName =
  | "Add"
  | "Move"
  | "Modify"
  | "Subtract"
  | "AuditValue"
  | "AuditCapability"
  | "Notify"
  | "ServiceChange";

export type TopologyDirection = "Isolate" | "Oneway" | "Bothway" | "OnewayExternal" | "OnewayBoth";

export interface TopologyTriple {
  readonly from: string;
  readonly to: string;
  readonly direction: TopologyDirection;
  readonly stream?: number;
}

export type ContextAuditItem = "Topology" | "Emergency" | "Priority" | "IEPSCall";

/** What is said about a context itself. */
export interface ContextProperties {
  /** 0..15 by the standard; any 16-bit number is read. */
  readonly priority?: number;
  readonly emergency?: boolean;
  /** Version 3: International Emergency Preference Scheme. */
  readonly ieps?: boolean;
  readonly topology?: readonly TopologyTriple[];
}

export interface CommandRequest {
  readonly command: CommandName;
  /** `O-`: an error of this command does not end the transaction. */
  readonly optional?: boolean;
  /** `W-`: one answer for all terminations the wildcard matched. */
  readonly wildcarded?: boolean;
  /** `ROOT`, a name (case-insensitive), `$`, `*`, a wildcard, or a version 3 list `[a,b]`. */
  readonly termination: string;
  readonly descriptors: readonly Descriptor[];
}

export interface ActionRequest extends ContextProperties {
  readonly context: ContextId;
  readonly contextAudit?: readonly ContextAuditItem[];
  readonly commands: readonly CommandRequest[];
}

export interface CommandReply {
  readonly command: CommandName;
  /** `*` where the answer is a list of a context's terminations. */
  readonly termination: string;
  /** `AuditValue = Context { a, b }`: the terminations of the context. */
  readonly contextTerminations?: readonly string[];
  readonly descriptors: readonly Descriptor[];
  readonly error?: H248Error;
}

export interface ActionReply extends ContextProperties {
  readonly context: ContextId;
  readonly commands: readonly CommandReply[];
  /** The error that ended the action, after the commands that were done. */
  readonly error?: H248Error;
}

/** Version 3: one part of a reply that was cut in several messages. */
export interface Segment {
  readonly number: number;
  readonly last: boolean;
}

export type ReplyBody =
  | { readonly kind: "error"; readonly error: H248Error }
  | { readonly kind: "actions"; readonly actions: readonly ActionReply[] };

/** Transaction ids are 1..0xFFFFFFFF; 0 appears only in a reply to a request whose id could not be read. */
export type Transaction =
  | { readonly kind: "request"; readonly id: number; readonly actions: readonly ActionRequest[] }
  | {
      readonly kind: "reply";
      readonly id: number;
      readonly immAckRequired?: boolean | undefined;
      readonly segment?: Segment | undefined;
      readonly body: ReplyBody;
    }
  | { readonly kind: "pending"; readonly id: number }
  /** First and last id of each range, both included. */
  | { readonly kind: "ack"; readonly ranges: readonly (readonly [first: number, last: number])[] }
  | { readonly kind: "segment"; readonly id: number; readonly segment: Segment };

export type H248Version = 1 | 2 | 3;

export interface H248Message {
  readonly version: H248Version;
  /** Lower case: `[192.0.2.1]:2944`, `[2001:db8::1]`, `<gw-a.example>:2944`, `mtp{hex}` or a device name. */
  readonly mid: string;
  readonly body:
    | { readonly kind: "error"; readonly error: H248Error }
    | { readonly kind: "transactions"; readonly transactions: readonly Transaction[] };
}

/** Compares termination ids, package and parameter names: their case does not matter. */
export const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The terminations a command names: one, or those of a version 3 list `[a,b]`. */
export const terminationsOf = (termination: string): readonly string[] =>
  termination.startsWith("[") ? termination.slice(1, -1).split(",") : [termination];
