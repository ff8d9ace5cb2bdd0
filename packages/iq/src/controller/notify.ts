// Owns the reading of Notify into notifications of TS 23.334: media inactivity and whatever else was observed. Pure.
import type { CommandRequest, EventOccurrence, H248Error } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { refusal } from "../profile/error-text.ts";
import type { IqContext } from "../types.ts";
import { sides } from "./held.ts";
import type { IqNotification } from "./types.ts";

const parametersOf = (event: EventOccurrence): Readonly<Record<string, string>> =>
  Object.fromEntries(event.properties.map((property) => [property.name.toLowerCase(), property.values.join(",")]));

const readEvent = (
  gateway: string,
  context: IqContext,
  termination: string,
  event: EventOccurrence,
): IqNotification => {
  const name = event.name.toLowerCase();
  const parameters = parametersOf(event);
  const stream = event.stream === undefined ? {} : { stream: event.stream };
  const side = sides.find((candidate) => context[candidate].toLowerCase() === termination.toLowerCase());
  if (name !== "adid/ipstop" || side === undefined) {
    return { kind: "event", gateway, context, termination, name, ...stream, parameters };
  }
  const direction = parameters["dir"]?.toLowerCase();
  return {
    kind: "media-inactivity",
    gateway,
    context,
    side,
    ...stream,
    ...(direction === "in" || direction === "out" || direction === "both" ? { direction } : {}),
  };
};

/** H.248.1 7.2.7. `context` is what we hold under the action's context id. */
export const readNotify = (
  gateway: string,
  context: IqContext | undefined,
  command: CommandRequest,
): Result<readonly IqNotification[], H248Error> => {
  const observed = command.descriptors.find((descriptor) => descriptor.kind === "observedEvents");
  if (observed === undefined) return refusal(442, "Notify without ObservedEvents");
  if (context === undefined) return refusal(411, "context not held");
  return ok(observed.events.map((event) => readEvent(gateway, context, command.termination, event)));
};
