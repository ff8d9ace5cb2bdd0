// Owns what may be ordered of ROOT: which of its events are reported, and which of its properties would change (none).
// H.248.1 7.2.2 and E.2; H.248.10 (`chp`), H.248.11 (`ocp`), H.248.14 (`it`), H.248.41 Amd. 1 (`ipra`). Pure.
import type { CommandRequest, H248Error, TerminationState } from "@sallyport/h248";
import { defaultAssociationTimers } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { refusal } from "../profile/error-text.ts";
import type { RootWatch } from "./decode-events.ts";
import { decodeRootEvents } from "./decode-events.ts";
import { judgeItem } from "./packages.ts";
import { singleValue } from "./decode-properties.ts";
import type { GatewayCapabilities, IqGatewayEvent, IqRootEvent } from "./types.ts";

/** `package/property` of ROOT to its value; a list is a sub-list. */
export type RootProperties = Readonly<Record<string, string | readonly string[]>>;

export const unlimited: GatewayCapabilities = { maxContexts: 0xffff_fffd, marks: true, realms: [] };

/** H.248.1 E.2: timers in ms. H.248.41 Amd. 1: the realms that can be reached, where there are any. */
export const rootProperties = ({ maxContexts, realms, reachable = realms }: GatewayCapabilities): RootProperties => {
  const { pendingLimit, peerPendingLimit, pendingRetryMs, provisionalMs } = defaultAssociationTimers;
  return {
    "root/maxNumberOfContexts": String(maxContexts),
    // One on each side.
    "root/maxTerminationsPerContext": "2",
    "root/normalMGExecutionTime": String(provisionalMs),
    "root/normalMGCExecutionTime": String(pendingRetryMs),
    "root/MGProvisionalResponseTimerValue": String(provisionalMs),
    "root/MGCProvisionalResponseTimerValue": String(pendingRetryMs),
    "root/MGCOriginatedPendingLimit": String(peerPendingLimit),
    "root/MGOriginatedPendingLimit": String(pendingLimit),
    ...(reachable.length === 0 ? {} : { "ipra/ar": reachable }),
  };
};

/** Timers are provisioned (TS 29.334 5.10): a value that is in force may be repeated, another can not be set. */
const judgeState = (state: TerminationState, have: RootProperties): H248Error | undefined => {
  if ((state.serviceState ?? "InService") !== "InService")
    return refusal(501, `ServiceStates=${state.serviceState}`).error;
  if ((state.eventBufferControl ?? "Off") !== "Off") return refusal(501, "Buffer=LockStep").error;
  for (const property of state.properties) {
    const judged = judgeItem("properties", property.name, "root");
    if (judged !== undefined) return judged;
    const lower = property.name.toLowerCase();
    const current = Object.entries(have).find(([name]) => name.toLowerCase() === lower)?.[1];
    if (singleValue(property) === current) continue;
    // 534: what the gateway has, nobody can order.
    const given = lower.startsWith("root/max") || lower.startsWith("ipra/");
    return refusal(given ? 534 : 445, `${property.name}=${property.values.join(",")}`).error;
  }
  return undefined;
};

/** Modify of ROOT: what it is asked to report from now on; undefined when nothing is said about that. */
export const modifyRoot = (command: CommandRequest, have: RootProperties): Result<RootWatch | undefined, H248Error> => {
  let watch: RootWatch | undefined;
  for (const descriptor of command.descriptors) {
    switch (descriptor.kind) {
      case "events": {
        const read = decodeRootEvents(descriptor);
        if (!read.ok) return read;
        watch = read.value;
        break;
      }
      case "media": {
        if (descriptor.streams.length > 0) return refusal(447, "Stream of ROOT");
        const { terminationState } = descriptor;
        const error = terminationState === undefined ? undefined : judgeState(terminationState, have);
        if (error !== undefined) return { ok: false, error };
        break;
      }
      case "signals":
        if (descriptor.signals.length > 0) return refusal(513, "Signals of ROOT");
        break;
      default:
        return refusal(447, `${descriptor.kind} of ROOT`);
    }
  }
  return ok(watch);
};

/** The event's name and parameters as Notify carries them; realms are a sub-list, also when it is one. */
export const rootEvent = (event: IqRootEvent): Required<Pick<IqGatewayEvent, "name" | "parameters">> => {
  switch (event.kind) {
    case "congestion": {
      const reduction = Math.min(100, Math.max(0, Math.round(event.reduction)));
      return { name: "chp/mgcon", parameters: { reduction: String(reduction) } };
    }
    // Realms.
    default: {
      const { available: nar, unavailable: nur } = event;
      return {
        name: "ipra/arc",
        parameters: { ...(nar.length === 0 ? {} : { nar }), ...(nur.length === 0 ? {} : { nur }) },
      };
    }
  }
};
