// Owns the reading of a Media descriptor into stream orders, with the error for everything that can not be carried out.
// H.248.1 7.1.4 to 7.1.8; TS 29.334 5.7, 5.8 and 5.17.1.
import type { H248Error, LocalControl, MediaDescriptor, StreamDescriptor } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { releaseCrypto, type CryptoAttribute } from "@sallyport/sdp";
import { conceal, refusal } from "../profile/error-text.ts";
import { readSessionText } from "../profile/session-text.ts";
import type { SessionText } from "../profile/session-text.ts";
import type { StreamMode } from "../types.ts";
import { readProperties } from "./decode-properties.ts";
import { judgeItem } from "./packages.ts";
import type { DescriptionOrder, StreamOrder } from "./types.ts";

const modes: Partial<Record<NonNullable<LocalControl["mode"]>, StreamMode>> = {
  Inactive: "inactive",
  SendOnly: "send-only",
  ReceiveOnly: "receive-only",
  SendReceive: "send-receive",
};

const protocols = new Set(["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"]);

const readControl = (control: LocalControl): Result<Omit<StreamOrder, "stream">, H248Error> => {
  const { reservedGroup, reservedValue } = control;
  // H.248.1 7.1.5: formats take nothing to reserve here, all that are named pass. A second group would take ports.
  const reserved = {
    ...(reservedGroup === undefined ? {} : { reservedGroup }),
    ...(reservedValue === undefined ? {} : { reservedValue }),
  };
  const mode = control.mode === undefined ? undefined : modes[control.mode];
  if (control.mode !== undefined && mode === undefined) return refusal(517, control.mode);
  const properties = readProperties(control.properties);
  if (!properties.ok) return properties;
  return ok({ ...reserved, ...(mode === undefined ? {} : { mode }), ...properties.value });
};

const letGo = (text: SessionText): void => {
  if (text.crypto !== undefined) releaseCrypto(text.crypto);
};

/** Every crypto attribute of these orders. */
export const cryptoOf = (orders: readonly StreamOrder[]): readonly CryptoAttribute[] =>
  orders.flatMap((order) =>
    [order.local, order.remote].flatMap((description) =>
      description?.kind === "describe" && description.text.crypto !== undefined ? [description.text.crypto] : [],
    ),
  );

/** Zeroises the keys of orders nobody will carry out. */
export const releaseStreams = (orders: readonly StreamOrder[]): void => {
  for (const crypto of cryptoOf(orders)) releaseCrypto(crypto);
};

const readGroup = (text: string, where: "Local" | "Remote"): Result<SessionText, H248Error> => {
  const read = readSessionText(text);
  if (!read.ok) return read;
  const { protocol, address, port } = read.value;
  if (!protocols.has(protocol.toUpperCase())) {
    letGo(read.value);
    return refusal(449, `m= transport ${conceal(protocol)}`);
  }
  // Nothing can be chosen for the far end.
  const chosen = where === "Remote" && (address.kind === "choose" || port.kind === "choose");
  if (!chosen) return read;
  letGo(read.value);
  return refusal(449, "$ in Remote");
};

const maxGroups = 8;

/** H.248.1 7.1.8: of several groups the first that can be had; the others' keys are let go. */
const readDescription = (
  text: string,
  where: "Local" | "Remote",
  wanted: (text: SessionText) => boolean = () => true,
): Result<DescriptionOrder, H248Error> => {
  if (text.trim() === "") return ok({ kind: "release" });
  const groups = text.split(/^(?=v=)/m, maxGroups + 2).filter((group) => group.trim() !== "");
  if (groups.length > maxGroups) return refusal(501, "too many alternative session descriptions");
  const read = groups.map((group) => readGroup(group, where));
  const chosen = read.find((group) => group.ok && wanted(group.value)) ?? read.find((group) => group.ok) ?? read[0];
  for (const group of read) if (group.ok && group !== chosen) letGo(group.value);
  if (chosen === undefined) return refusal(474, "no session description");
  if (!chosen.ok) return chosen;
  return ok({ kind: "describe", text: chosen.value, ...(groups.length > 1 ? { chosen: true } : {}) });
};

const secure = (text: SessionText): boolean => /^RTP\/SAVPF?$/i.test(text.protocol);
const hasGroups = (text: string | undefined): boolean => /^v=[^]*^v=/m.test(text ?? "");

const readStream = (descriptor: StreamDescriptor): Result<StreamOrder, H248Error> => {
  // TS 29.334 5.7: without a Stream level it is stream 1.
  const stream = descriptor.id ?? 1;
  const control: Result<Omit<StreamOrder, "stream">, H248Error> = descriptor.localControl === undefined
    ? ok({})
    : readControl(descriptor.localControl);
  if (!control.ok) return control;
  if (control.value.reservedGroup === true && [descriptor.local, descriptor.remote].some(hasGroups)) {
    return refusal(501, "ReservedGroup=ON with several groups");
  }
  const local = descriptor.local === undefined ? undefined : readDescription(descriptor.local, "Local");
  if (local?.ok === false) return local;
  const ours = local?.value.kind === "describe" ? local.value.text : undefined;
  // Of the far end's the one that goes with ours.
  const alike = (text: SessionText): boolean => ours === undefined || secure(text) === secure(ours);
  const remote = descriptor.remote === undefined ? undefined : readDescription(descriptor.remote, "Remote", alike);
  if (remote?.ok === false) {
    if (ours !== undefined) letGo(ours);
    return remote;
  }
  return ok({
    stream,
    ...control.value,
    ...(local === undefined ? {} : { local: local.value }),
    ...(remote === undefined ? {} : { remote: remote.value }),
  });
};

export const decodeMedia = (media: MediaDescriptor): Result<readonly StreamOrder[], H248Error> => {
  const state = media.terminationState;
  if (state !== undefined) {
    if ((state.serviceState ?? "InService") !== "InService") return refusal(501, `ServiceStates=${state.serviceState}`);
    if ((state.eventBufferControl ?? "Off") !== "Off") return refusal(501, "Buffer=LockStep");
    const [property] = state.properties;
    if (property !== undefined)
      return { ok: false, error: judgeItem("properties", property.name) ?? refusal(455, property.name).error };
  }
  const orders: StreamOrder[] = [];
  for (const descriptor of media.streams) {
    const order = readStream(descriptor);
    const twice = order.ok && orders.some((other) => other.stream === order.value.stream);
    if (order.ok) orders.push(order.value);
    if (order.ok && !twice) continue;
    releaseStreams(orders);
    return order.ok ? refusal(448, `Stream ${order.value.stream}`) : order;
  }
  return ok(orders);
};
