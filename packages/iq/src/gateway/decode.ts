// Owns the reading of Add and Modify into typed orders: descriptors and signals (H.248.1 7.1.11, 7.2).
// Must not know what a media plane can do: it judges against the profile only.
import type { CommandRequest, H248Error, Signal, SignalsDescriptor } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { refusal } from "../profile/error-text.ts";
import { decodeEvents, parameter } from "./decode-events.ts";
import { bringKeys, decodeMedia, releaseStreams } from "./decode-media.ts";
import { judgeItem } from "./packages.ts";
import type { LatchOrder, TerminationOrder, WatchOrder } from "./types.ts";

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

/** Zeroises the keys of an order nobody will carry out. */
export const releaseOrder = (order: TerminationOrder): void => {
  releaseStreams(order.streams);
};

interface Draft {
  streams: TerminationOrder["streams"];
  latch: TerminationOrder["latch"];
  watch: WatchOrder | undefined;
}

const none: readonly never[] = [];

/** Fills the draft; what stands in its way, if anything does. */
const readDescriptors = (command: CommandRequest, draft: Draft): H248Error | undefined => {
  for (const descriptor of command.descriptors) {
    switch (descriptor.kind) {
      case "media": {
        const read = decodeMedia(descriptor);
        if (!read.ok) return read.error;
        draft.streams = read.value;
        break;
      }
      case "events": {
        const read = decodeEvents(descriptor);
        if (!read.ok) return read.error;
        draft.watch = read.value;
        break;
      }
      case "signals": {
        const read = decodeSignals(descriptor);
        if (!read.ok) return read.error;
        draft.latch = read.value;
        break;
      }
      case "observedEvents":
      case "services":
      case "error":
      case "packages":
        return refusal(447, `${descriptor.kind} in ${command.command}`).error;
      // TS 29.334 5.7: not part of the profile.
      default:
        return refusal(444, descriptor.kind).error;
    }
  }
  return undefined;
};

/** Reads the descriptors of one Add or Modify. `keysAllowed`: the association is protected, or declared to be. */
export const decodeOrder = (command: CommandRequest, keysAllowed: boolean): Result<TerminationOrder, H248Error> => {
  const order: Draft = { streams: none, latch: none, watch: undefined };
  const error = readDescriptors(command, order);
  if (error !== undefined) {
    releaseOrder(order);
    return { ok: false, error };
  }
  // TS 33.328 6.2.1.3 note: keys on Iq must be confidential. What came in the clear is burnt.
  if (!keysAllowed && bringKeys(order.streams)) {
    releaseOrder(order);
    return refusal(449, "a=crypto over unprotected Iq");
  }
  return ok(order);
};
