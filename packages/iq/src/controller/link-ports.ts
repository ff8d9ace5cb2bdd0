// Owns the words of what one gateway's link needs of the controller around it. No behaviour here.
import type { ActionReply, ActionRequest, H248Peer, RequestOptions } from "@sallyport/h248";
import type { Clock, Log } from "@sallyport/kit";
import type { RegistryRules } from "./registry.ts";
import type { GatewayStatus, IqGatewayEntry, IqNotification } from "./types.ts";

interface LinkTimes {
  readonly heartbeatMs: number;
  /** How long one heartbeat may stay unanswered. */
  readonly heartbeatTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly keepContextsMs: number;
  /** The same where another gateway can take the calls. */
  readonly failoverMs: number;
}

export interface LinkPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly rules: RegistryRules;
  readonly times: LinkTimes;
  readonly lab: boolean;
  /** Ask ROOT for its events (congestion, overload, realms) and packages after each registration. */
  readonly watchRoot: boolean;
  /** Another gateway could take this one's calls now. */
  replaceable(gateway: IqGatewayEntry): boolean;
  request(
    actions: readonly ActionRequest[],
    peer: H248Peer,
    options: RequestOptions & { readonly version: 1 | 2 | 3 },
  ): Promise<readonly ActionReply[]>;
  disconnect(peer: H248Peer): void;
  notify(notification: IqNotification): void;
  report(status: GatewayStatus): void;
}
