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

/** The event of our extension package that a gateway sends when 7/8 of a key's life are used up. */
const keyExpiring = "xsrtp/kexp";

/** The observed events of a Notify, names and parameter names in lower case. */
export const eventsOf = (
  command: CommandRequest,
): readonly { readonly name: string; readonly parameters: Readonly<Record<string, string>> }[] =>
  command.descriptors.flatMap((descriptor) =>
    descriptor.kind === "observedEvents"
      ? descriptor.events.map((event) => ({ name: event.name.toLowerCase(), parameters: parametersOf(event) }))
      : [],
  );

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
  const direction = parameters["dir"]?.toLowerCase();
  // Our own package: H.248.77 has no word for a key that is nearly used up.
  if (name === keyExpiring && side !== undefined) {
    const way = direction === "in" || direction === "out" ? ({ direction } as const) : {};
    return { kind: "key-expiring", gateway, context, side, ...stream, ...way };
  }
  if (name !== "adid/ipstop" || side === undefined) {
    return { kind: "event", gateway, context, termination, name, ...stream, parameters };
  }
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
