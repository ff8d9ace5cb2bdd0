// Owns the reading of LocalControl properties into orders, with the error for every value that can not be used.
// H.248.43 (`gm`), H.248.53 (`tman`), H.248.52 (`ds`), H.248.41 (`ipdc`), H.248.57 (`rtcph`); TS 29.334 5.17.1: 449 with the value.
import { isIP } from "node:net";
import type { H248Error, Property } from "@sallyport/h248";
import { h248Error } from "../profile/error-text.ts";
import { judgeItem } from "./packages.ts";
import type { FilterOrder, PoliceOrder, StreamOrder } from "./types.ts";

type Draft<T> = { -readonly [K in keyof T]?: T[K] };

interface Controls {
  realm?: string;
  rtcp?: boolean;
  dscp?: number;
  readonly filter: Draft<FilterOrder>;
  readonly police: Draft<PoliceOrder>;
}

/** The one value of a property, or undefined for lists, ranges and relations. */
export const singleValue = (property: Property): string | undefined =>
  property.relation === "=" && property.values.length === 1 ? property.values[0] : undefined;

const readSwitch = (value: string): boolean | undefined =>
  /^on$/i.test(value) ? true : /^off$/i.test(value) ? false : undefined;

/** A rate or a size: 1 to 2^40, so that no arithmetic on it loses a digit. */
const readSize = (value: string, least: number): number | undefined =>
  /^\d{1,13}$/.test(value) && Number(value) >= least && Number(value) <= 2 ** 40 ? Number(value) : undefined;

/** `192.0.2.0/24`, `[192.0.2.0/24]` or an address alone. */
const readMask = (value: string): FilterOrder["mask"] => {
  const [literal = "", prefixText, ...more] = value.replace(/^\[(.*)\]$/, "$1").split("/", 3);
  const longest = { 4: 32, 6: 128 }[isIP(literal)];
  if (longest === undefined || more.length > 0) return undefined;
  if (prefixText === undefined) return { literal, prefix: longest };
  return /^\d{1,3}$/.test(prefixText) && Number(prefixText) <= longest
    ? { literal, prefix: Number(prefixText) }
    : undefined;
};

/** A list of one is that one: `sam` and `spr` are lists, and one mask or range is what the media plane looks at. */
const onlyValue = (property: Property): string | undefined =>
  property.relation === "all" || property.relation === "any"
    ? property.values.length === 1
      ? property.values[0]
      : undefined
    : singleValue(property);

/** `5000-6000`, `[5000-6000]`, one port, or the range `[5000:6000]` of the text encoding. */
const readRange = (property: Property): FilterOrder["range"] => {
  const value = onlyValue(property)?.replace(/^\[(.*)\]$/, "$1");
  const [firstText = "", lastText = firstText, ...more] =
    property.relation === "range" ? property.values : (value?.split("-", 3) ?? []);
  if (more.length > 0 || !/^\d{1,5}$/.test(firstText) || !/^\d{1,5}$/.test(lastText)) return undefined;
  const [first, last] = [Number(firstText), Number(lastText)];
  return first <= last && last <= 65_535 ? { first, last } : undefined;
};

/** False when the value can not be used. */
const take = <T>(value: T | undefined, into: (value: T) => void): boolean => {
  if (value === undefined) return false;
  into(value);
  return true;
};

const read: Readonly<Record<string, (controls: Controls, property: Property, value: string) => boolean>> = {
  "ipdc/realm": (controls, _, value) => take(value === "" ? undefined : value, (realm) => (controls.realm = realm)),
  "rtcph/rsb": (controls, _, value) => take(readSwitch(value), (on) => (controls.rtcp = on)),
  "gm/rsb": (controls, _, value) => take(readSwitch(value), (on) => (controls.rtcp = on)),
  "gm/saf": ({ filter }, _, value) => take(readSwitch(value), (on) => (filter.addresses = on)),
  "gm/spf": ({ filter }, _, value) => take(readSwitch(value), (on) => (filter.ports = on)),
  "gm/sam": ({ filter }, property) => take(readMask(onlyValue(property) ?? ""), (mask) => (filter.mask = mask)),
  "gm/spr": ({ filter }, property) => take(readRange(property), (range) => (filter.range = range)),
  // Explicit source addresses and ports of our own: there are none to choose from, so only OFF can be ordered.
  "gm/esas": (_controls, _, value) => readSwitch(value) === false,
  "gm/esps": (_controls, _, value) => readSwitch(value) === false,
  "tman/pol": ({ police }, _, value) => take(readSwitch(value), (on) => (police.on = on)),
  "tman/sdr": ({ police }, _, value) => take(readSize(value, 1), (rate) => (police.sustained = rate)),
  "tman/mbs": ({ police }, _, value) => take(readSize(value, 1), (size) => (police.burst = size)),
  "tman/pdr": ({ police }, _, value) => take(readSize(value, 1), (rate) => (police.peak = rate)),
  // In tenths of a microsecond.
  "tman/dvt": ({ police }, _, value) => take(readSize(value, 0), (dvt) => (police.toleranceMs = dvt / 10_000)),
  "ds/dscp": (controls, _, value) =>
    take(/^[0-3]?[0-9a-f]$/i.test(value) ? Number.parseInt(value, 16) : undefined, (dscp) => (controls.dscp = dscp)),
};

const readers = new Map(Object.entries(read));

const readProperty = (controls: Controls, property: Property, name: string): H248Error | undefined => {
  const judged = judgeItem("properties", property.name);
  if (judged !== undefined) return judged;
  const listed = name === "gm/sam" || name === "gm/spr";
  const value = singleValue(property);
  // There is nothing to choose among, and nothing that any value would do for.
  const open = (value === undefined && !listed) || value === "$" || value === "*";
  if (!open && readers.get(name)?.(controls, property, value ?? "") === true) return undefined;
  return h248Error(449, `${property.name}=${property.values.join(",")}`);
};

const some = (part: object): boolean => Object.keys(part).length > 0;

/** All properties of a LocalControl into `order`; 456 for one that stands twice. */
export const readProperties = (
  properties: readonly Property[],
  order: { -readonly [K in keyof StreamOrder]: StreamOrder[K] },
): H248Error | undefined => {
  if (properties.length === 0) return undefined;
  const controls: Controls = { filter: {}, police: {} };
  for (const [at, property] of properties.entries()) {
    const name = property.name.toLowerCase();
    // There are no more than sixteen that are carried out, so no longer a list of different ones.
    for (let before = 0; before < at; before++) {
      if (properties[before]?.name.toLowerCase() === name) return h248Error(456, property.name);
    }
    const error = readProperty(controls, property, name);
    if (error !== undefined) return error;
  }
  const { dscp, filter, police, realm, rtcp } = controls;
  if (realm !== undefined) order.realm = realm;
  if (rtcp !== undefined) order.rtcp = rtcp;
  if (dscp !== undefined) order.dscp = dscp;
  if (some(filter)) order.filter = filter;
  if (some(police)) order.police = police;
  return undefined;
};
