// Owns the reading of a Media descriptor into stream orders, with the error for everything that can not be carried out.
// H.248.1 7.1.4 to 7.1.8; TS 29.334 5.7, 5.8 and 5.17.1.
import type { H248Error, LocalControl, MediaDescriptor, StreamDescriptor } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { releaseCrypto, type CryptoAttribute } from "@sallyport/sdp";
import { conceal, h248Error, refusal } from "../profile/error-text.ts";
import { isSecureProtocol, readSessionText } from "../profile/session-text.ts";
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
const known = (protocol: string): boolean => protocols.has(protocol) || protocols.has(protocol.toUpperCase());

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Fills the draft; what stands in its way, if anything does. */
const readControl = (control: LocalControl, order: Draft<StreamOrder>): H248Error | undefined => {
  // H.248.1 7.1.5: formats take nothing to reserve here, all that are named pass. A second group would take ports.
  order.reservedGroup = control.reservedGroup;
  order.reservedValue = control.reservedValue;
  if (control.mode !== undefined) {
    const mode = modes[control.mode];
    if (mode === undefined) return h248Error(517, control.mode);
    order.mode = mode;
  }
  return readProperties(control.properties, order);
};

const letGo = (text: SessionText): void => {
  if (text.crypto !== undefined) releaseCrypto(text.crypto);
};

const cryptoIn = (description: DescriptionOrder | undefined): CryptoAttribute | undefined =>
  description?.kind === "describe" ? description.text.crypto : undefined;

/** Whether any of these orders has a key. */
export const bringKeys = (orders: readonly StreamOrder[]): boolean =>
  orders.some(({ local, remote }) => cryptoIn(local) !== undefined || cryptoIn(remote) !== undefined);

/** Zeroises the keys of orders nobody will carry out. */
export const releaseStreams = (orders: readonly StreamOrder[]): void => {
  for (const { local, remote } of orders) {
    for (const crypto of [cryptoIn(local), cryptoIn(remote)]) if (crypto !== undefined) releaseCrypto(crypto);
  }
};

const readGroup = (text: string, where: "Local" | "Remote"): Result<SessionText, H248Error> => {
  const read = readSessionText(text);
  if (!read.ok) return read;
  const { protocol, address, port } = read.value;
  if (!known(protocol)) {
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

/** As nearly always: `v=` at its start, and at no other line's. */
const isOneGroup = (text: string): boolean => {
  if (!text.startsWith("v=")) return false;
  for (let at = text.indexOf("v=", 2); at >= 0; at = text.indexOf("v=", at + 2)) {
    const before = text[at - 1];
    if (before === "\n" || before === "\r") return false;
  }
  return true;
};

/** H.248.1 7.1.8: of several groups the first that can be had; the others' keys are let go. */
const readDescription = (
  text: string,
  where: "Local" | "Remote",
  wanted: (text: SessionText) => boolean = () => true,
): Result<DescriptionOrder, H248Error> => {
  if (isOneGroup(text)) {
    const only = readGroup(text, where);
    return only.ok ? ok({ kind: "describe", text: only.value }) : only;
  }
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

const hasGroups = (text: string | undefined): boolean => /^v=[^]*^v=/m.test(text ?? "");

const readStream = (descriptor: StreamDescriptor): Result<StreamOrder, H248Error> => {
  // TS 29.334 5.7: without a Stream level it is stream 1.
  const order: Draft<StreamOrder> = { stream: descriptor.id ?? 1 };
  if (descriptor.localControl !== undefined) {
    const error = readControl(descriptor.localControl, order);
    if (error !== undefined) return { ok: false, error };
  }
  if (order.reservedGroup === true && (hasGroups(descriptor.local) || hasGroups(descriptor.remote))) {
    return refusal(501, "ReservedGroup=ON with several groups");
  }
  if (descriptor.local !== undefined) {
    const local = readDescription(descriptor.local, "Local");
    if (!local.ok) return local;
    order.local = local.value;
  }
  if (descriptor.remote !== undefined) {
    const ours = order.local?.kind === "describe" ? order.local.text : undefined;
    // Of the far end's the one that goes with ours.
    const alike = (text: SessionText): boolean =>
      ours === undefined || isSecureProtocol(text.protocol) === isSecureProtocol(ours.protocol);
    const remote = readDescription(descriptor.remote, "Remote", alike);
    if (!remote.ok) {
      if (ours !== undefined) letGo(ours);
      return remote;
    }
    order.remote = remote.value;
  }
  return ok(order);
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
