// Owns the controller's public face: its configuration, the view of its gateways and its procedures (TS 23.334 clause 8).
import type { Clock, Endpoint, Log, OpenDatagram, Random } from "@sallyport/kit";
import type { IqContextState } from "./held.ts";
import type { ContextMarks, IqContext, IqProfile, IqSide, IqStatistics, ReservedEnds, StreamPlan } from "../types.ts";

/** PEM texts. */
export interface IqTlsMaterial {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

export interface IqListen {
  readonly protocol: "tls" | "tcp" | "udp";
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Needed for `tls`: TLS 1.3 with both certificates. */
  readonly tls?: IqTlsMaterial;
}

/** A gateway the controller knows. Nobody else may register. */
export interface IqGatewayEntry {
  readonly id: string;
  /** The message identifier it uses, canonical text: `<gw-a.example>` or `[192.0.2.1]:2944`. */
  readonly mid: string;
  /** The DNS name its certificate must carry; without it the host of `mid`. */
  readonly certificateName?: string;
  /** The address it comes from, literal; without it any. */
  readonly address?: string;
  /** The operator vouches that Iq to this gateway is protected below (IPsec, TS 33.328 6.2.1.3). */
  readonly protectedBelow?: boolean;
  /** It may register without TLS and without any of that: then it gets no keys. For interoperability tests. */
  readonly allowUnprotected?: boolean;
  /** IP realms it serves (`ipdc/realm`); left out: all. */
  readonly realms?: readonly string[];
  /** Its share of new contexts against other gateways, default 1. */
  readonly weight?: number;
  /** Contexts it may hold for us; emergency calls are above it. */
  readonly capacity?: number;
}

export interface IqControllerConfig {
  /** Our message identifier, canonical text. */
  readonly mid: string;
  readonly listen: readonly IqListen[];
  readonly gateways: readonly IqGatewayEntry[];
  /** Unprotected loopback may carry keys. For the lab only. */
  readonly lab?: boolean;
  /** Default `ETSI_BGF/2`. */
  readonly profile?: IqProfile;
  /** Highest H.248 version we agree to, default 3; a gateway that offers less gets less. */
  readonly version?: 1 | 2 | 3;
  readonly style?: "pretty" | "compact";
  /**
   * Empty audit of ROOT every `intervalMs` (default 10 000), unanswered after `timeoutMs` (default: the interval, at most
   * `commandTimeoutMs`); down after `misses` unanswered ones in a row (default 2), so after intervalMs + misses * timeoutMs.
   */
  readonly heartbeat?: { readonly intervalMs: number; readonly misses: number; readonly timeoutMs?: number };
  /** How long a command may take, ms, default 4 000. */
  readonly commandTimeoutMs?: number;
  /** How long contexts of a silent gateway are believed in, ms, default 30 000. */
  readonly keepContextsMs?: number;
  /** The same where another gateway can take the calls, ms, default 600: then they are given up here to be made there. */
  readonly failoverMs?: number;
  /** One gateway may take this long for a new context while others can still be asked, ms, default 1 500. */
  readonly tryMs?: number;
  /** All tries for a new context together, ms, default 8 000. */
  readonly addBudgetMs?: number;
  /**
   * Ask each gateway for its congestion, overload and realm events (H.248.10, H.248.11, H.248.41 Amd. 1), and for word of
   * keys that are nearly used up where it has our package for that; default false.
   */
  readonly watchRoot?: boolean;
  /** Ask for statistics when a call ends, default true. */
  readonly statistics?: boolean;
}

/** `down`: not registered or lost. `leaving`: serves its contexts and takes no new ones. */
export type GatewayState = "down" | "up" | "leaving";

/**
 * `silent`: its last heartbeat was not answered. `congested`: it asked for fewer calls. `refusing`: it had no room lately,
 * or did not answer.
 */
export type GatewayHealth = "good" | "silent" | "congested" | "refusing" | "down";

/** Why a context is gone. `handoff`: its gateway went to another controller as it was told. */
export type LossReason = "restart" | "forced" | "audit" | "silence" | "handoff";

export interface GatewayStatus {
  readonly id: string;
  readonly mid: string;
  readonly state: GatewayState;
  /** Keys may be sent to it. */
  readonly protected: boolean;
  /** How many contexts the controller holds there. */
  readonly contexts: number;
  /** The operator wants it empty: no new contexts; drained when `contexts` is 0. */
  readonly draining: boolean;
  readonly health: GatewayHealth;
  readonly weight: number;
  /** As configured, and `load`, contexts against it. */
  readonly capacity?: number;
  readonly load?: number;
  readonly realms?: readonly string[];
  readonly remote?: Endpoint;
  readonly protocol?: "udp" | "tcp" | "tls";
  /** Why it is in this state, for people. */
  readonly reason?: string;
}

/** What a gateway reports by itself. */
export type IqNotification =
  | {
      readonly kind: "media-inactivity";
      readonly gateway: string;
      readonly context: IqContext;
      readonly side: IqSide;
      readonly stream?: number;
      readonly direction?: "in" | "out" | "both";
    }
  /** The gateway does not hold this context any more: the call has no media. */
  | {
      readonly kind: "context-lost";
      readonly gateway: string;
      readonly context: IqContext;
      readonly reason: LossReason;
    }
  /** 7/8 of a key's life are used up: give the stream another (RFC 3711 9.2, RFC 4568 6.1). */
  | {
      readonly kind: "key-expiring";
      readonly gateway: string;
      readonly context: IqContext;
      readonly side: IqSide;
      readonly stream?: number;
      /** `in`: the key the gateway decrypts with, the UE's; `out`: the one it encrypts with. */
      readonly direction?: "in" | "out";
    }
  /** Any other observed event, `package/event` with its parameters. */
  | {
      readonly kind: "event";
      readonly gateway: string;
      readonly context: IqContext;
      readonly termination: string;
      readonly name: string;
      readonly stream?: number;
      readonly parameters: Readonly<Record<string, string>>;
    };

/** One message on Iq. `octets` may hold keys: pass its text through `redactKeys` before anybody sees it. */
export interface IqWireEvent {
  readonly direction: "in" | "out";
  readonly octets: Buffer;
  readonly protocol: "udp" | "tcp" | "tls";
  readonly local?: Endpoint;
  readonly remote: Endpoint;
  readonly at: number;
}

export interface IqControllerOptions {
  readonly config: IqControllerConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly openDatagram?: OpenDatagram;
  readonly observe?: (event: IqWireEvent) => void;
  /**
   * Contexts of an earlier run of this controller, as its `describe` gave them: they are believed in until their gateway
   * has been asked, or has stayed away for `keepContextsMs`. Contexts at gateways that are not configured are passed over.
   */
  readonly known?: readonly IqContextState[];
  readonly onNotify: (notification: IqNotification) => void;
  readonly onGateway: (status: GatewayStatus) => void;
}

export interface IqListening {
  readonly protocol: "tls" | "tcp" | "udp";
  readonly address: string;
  readonly port: number;
}

export interface IqController {
  /** Where it listens, with the bound ports. */
  readonly listening: readonly IqListening[];
  gateways(): readonly GatewayStatus[];
  /** Contexts held, over all gateways. */
  contexts(): readonly IqContext[];
  /** What it remembers of a context, for `known` of a successor; undefined when it does not hold it. */
  describe(context: IqContext): IqContextState | undefined;
  /**
   * Reserve (and Configure) AGW Connection Point at both sides, one new context. `gateway` undefined: by realm, load and
   * health, and where one refuses or does not answer the next is asked, within `addBudgetMs`.
   * Rejects SALLY_IQ_*; nothing is left behind then.
   */
  add(
    gateway: string | undefined,
    streams: readonly StreamPlan[],
    marks?: ContextMarks,
  ): Promise<{ readonly context: IqContext } & ReservedEnds>;
  /** Configure AGW Connection Point and Change Through-Connection; new stream ids are reserved, known ones changed. */
  modify(context: IqContext, streams: readonly StreamPlan[]): Promise<ReservedEnds>;
  removeStreams(context: IqContext, streams: readonly number[]): Promise<void>;
  /** Release AGW Termination, both. Resolves with empty statistics when the gateway is gone: it is cleaned when it comes back. */
  subtract(context: IqContext): Promise<IqStatistics>;
  /** The contexts the gateway says it holds. */
  audit(gateway: string): Promise<{ readonly contexts: readonly number[] }>;
  /** No new contexts at this gateway from now on, or again. Rejects nothing: @throws SALLY_IQ_UNKNOWN_GATEWAY */
  drain(gateway: string, on: boolean): GatewayStatus;
  /** Sends the gateway to another controller, named by its message identifier. Its contexts are lost to us when it goes. */
  handOff(gateway: string, mgc: string): Promise<void>;
  /** Subtracts what it holds, unless told to keep it for a successor, and lets go of everything. */
  close(options?: { readonly keepContexts?: boolean }): Promise<void>;
}
