// Owns the reading of Add and Modify into typed orders: descriptors, events and signals (H.248.1 7.1.9, 7.1.11, 7.2).
// Must not know what a media plane can do: it judges against the profile only.
import type {
  CommandRequest,
  EventsDescriptor,
  H248Error,
  Property,
  RequestedEvent,
  Signal,
  SignalsDescriptor,
} from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import { releaseCrypto } from "@sallyport/sdp";
import { refusal } from "../profile/error-text.ts";
import { decodeMedia, singleValue } from "./decode-media.ts";
import { judgeItem } from "./packages.ts";
import type { InactivityOrder, LatchOrder, TerminationOrder, WatchOrder } from "./types.ts";

const parameter = (properties: readonly Property[], name: string): string | undefined => {
  const found = properties.find((property) => property.name.toLowerCase() === name);
  return found === undefined ? undefined : singleValue(found);
};

const readInactivity = (event: RequestedEvent): Result<InactivityOrder, H248Error> => {
  const seconds = parameter(event.properties, "dt");
  // 457: a parameter is missing; 449: its value can not be used.
  if (seconds === undefined) return refusal(457, `${event.name} dt`);
  if (!/^\d{1,6}$/.test(seconds) || Number(seconds) === 0) return refusal(449, `${event.name} dt=${seconds}`);
  const direction = (parameter(event.properties, "dir") ?? "in").toLowerCase();
  if (direction !== "in" && direction !== "out" && direction !== "both") {
    return refusal(449, `${event.name} dir=${direction}`);
  }
  return ok({
    afterMs: Number(seconds) * 1000,
    direction,
    ...(event.stream === undefined ? {} : { stream: event.stream }),
  });
};

const decodeEvents = (descriptor: EventsDescriptor): Result<WatchOrder, H248Error> => {
  if (descriptor.requestId === "*") return refusal(449, "Events=*");
  const inactivity: InactivityOrder[] = [];
  for (const event of descriptor.events) {
    const judged = judgeItem("events", event.name);
    if (judged !== undefined) return { ok: false, error: judged };
    if (event.embed !== undefined || event.digitMap !== undefined) return refusal(501, `${event.name} embedded action`);
    if (event.name.toLowerCase() !== "adid/ipstop") continue;
    const order = readInactivity(event);
    if (!order.ok) return order;
    inactivity.push(order.value);
  }
  return ok({ request: descriptor.requestId ?? 0, inactivity });
};

const decodeSignal = (signal: Signal): Result<LatchOrder, H248Error> => {
  const judged = judgeItem("signals", signal.name);
  if (judged !== undefined) return { ok: false, error: judged };
  const napt = parameter(signal.properties, "napt")?.toLowerCase();
  if (napt === undefined) return refusal(457, `${signal.name} napt`);
  if (napt !== "off" && napt !== "latch" && napt !== "relatch") return refusal(449, `${signal.name} napt=${napt}`);
  return ok({ napt, ...(signal.stream === undefined ? {} : { stream: signal.stream }) });
};

const decodeSignals = (descriptor: SignalsDescriptor): Result<readonly LatchOrder[], H248Error> => {
  const orders: LatchOrder[] = [];
  for (const signal of descriptor.signals) {
    if (signal.kind === "list") return refusal(501, "SignalList");
    const order = decodeSignal(signal);
    if (!order.ok) return order;
    orders.push(order.value);
  }
  // H.248.1 7.1.11: an empty list stops every signal.
  return ok(orders.length === 0 ? [{ napt: "off" }] : orders);
};

/** Every crypto attribute of an order. */
const cryptoOf = (order: TerminationOrder): readonly CryptoAttribute[] =>
  order.streams.flatMap((stream) =>
    [stream.local, stream.remote].flatMap((description) =>
      description?.kind === "describe" && description.text.crypto !== undefined ? [description.text.crypto] : [],
    ),
  );

/** Zeroises the keys of an order nobody will carry out. */
export const releaseOrder = (order: TerminationOrder): void => {
  for (const crypto of cryptoOf(order)) releaseCrypto(crypto);
};

/** Reads the descriptors of one Add or Modify. `keysAllowed`: the association is protected, or declared to be. */
export const decodeOrder = (command: CommandRequest, keysAllowed: boolean): Result<TerminationOrder, H248Error> => {
  let streams: TerminationOrder["streams"] = [];
  let latch: TerminationOrder["latch"] = [];
  let watch: WatchOrder | undefined;
  for (const descriptor of command.descriptors) {
    switch (descriptor.kind) {
      case "media": {
        const read = decodeMedia(descriptor);
        if (!read.ok) return read;
        streams = read.value;
        break;
      }
      case "events": {
        const read = decodeEvents(descriptor);
        if (!read.ok) return read;
        watch = read.value;
        break;
      }
      case "signals": {
        const read = decodeSignals(descriptor);
        if (!read.ok) return read;
        latch = read.value;
        break;
      }
      case "observedEvents":
      case "services":
      case "error":
      case "packages":
        return refusal(447, `${descriptor.kind} in ${command.command}`);
      // TS 29.334 5.7: not part of the profile.
      default:
        return refusal(444, descriptor.kind);
    }
  }
  const order: TerminationOrder = { streams, latch, ...(watch === undefined ? {} : { watch }) };
  // TS 33.328 6.2.1.3 note: keys on Iq must be confidential. What came in the clear is burnt.
  if (!keysAllowed && cryptoOf(order).length > 0) {
    releaseOrder(order);
    return refusal(449, "a=crypto over unprotected Iq");
  }
  return ok(order);
};
