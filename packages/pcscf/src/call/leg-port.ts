// What the rest of the edge sees of a call leg, and what a leg is made from. No behaviour here.
import type { IqContext, IqNotification } from "@sallyport/iq";
import type { Side } from "@sallyport/media-security";
import type { Flow, ServerTransaction, SipRequest } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { GatewayPort } from "../iq/gateway-port.ts";
import type { Binding } from "../registration/binding.ts";
import type { KeptCalls, LoadedCall } from "../state/kept-calls.ts";
import type { MediaCounts } from "./media-counts.ts";
import type { CallFacts } from "./step.ts";
import type { CallInput } from "./types.ts";
import type { CallView } from "./view.ts";
import type { CallEnvironment } from "./work.ts";

export interface Leg {
  readonly id: string;
  readonly bindingId: string;
  readonly ended: boolean;
  /** The flow of the leg's own UE. */
  readonly flowId: string;
  readonly context: IqContext | undefined;
  /** A restart will take it up where it is now. */
  readonly kept: boolean;
  /** Whether the leg's own UE speaks on this flow. */
  isUe(flow: Flow): boolean;
  /** A request that belongs to this leg; `arrived` is `transaction.request` with our Route entries off and hops counted. */
  request(transaction: ServerTransaction, from: Side, arrived: SipRequest): void;
  feed(input: CallInput): void;
  notify(notification: IqNotification): void;
  /** A gateway has registered (again). */
  gatewayBack(gateway: string): void;
  /** Lets go of the leg without ending the call: a successor takes it up. */
  abandon(): void;
  view(): CallView;
  /** What the gateways counted, so far as they have said. */
  readonly counted: readonly MediaCounts[];
  /** Resolves when the gateway has everything back. */
  settled(): Promise<void>;
}

export interface LegOptions {
  readonly ctx: EdgeContext;
  readonly gateway: GatewayPort;
  readonly facts: CallFacts;
  readonly binding: Binding;
  /** Where the call is written down; undefined when calls end with this process. */
  readonly keep: KeptCalls | undefined;
  /** The call an earlier run left. */
  readonly restored?: LoadedCall;
  readonly env: CallEnvironment;
  readonly onFinished: (leg: Leg, view: CallView) => void;
}
