// What every driver keeps: JSON text under bounded names. Must not know where it is kept.
import { storeErrors } from "./errors.ts";
import type { StateValue } from "./port.ts";

/** Octets of one value as JSON text, unless a driver is told otherwise. */
export const defaultMaxValue = 65_536;
const maxBucket = 250;
const maxName = 1500;

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

// JSON.stringify drops functions and undefined silently and turns NaN into null: a value is refused instead of changed.
const isStateValue = (value: unknown, depth = 0): value is StateValue => {
  if (depth > 32) return false;
  if (value === null || typeof value === "boolean" || typeof value === "string") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  if (Array.isArray(value)) return value.every((item) => isStateValue(item, depth + 1));
  return isPlain(value) && Object.values(value).every((item) => isStateValue(item, depth + 1));
};

/**
 * The JSON text of a value.
 * @throws SALLY_STORE_VALUE when it is not plain JSON or longer than `maxValue` octets.
 */
export const encodeValue = (bucket: string, key: string, value: StateValue, maxValue: number): string => {
  if (!isStateValue(value))
    throw storeErrors("SALLY_STORE_VALUE", "It is not plain JSON.", { where: `${bucket}/${key}` });
  const text = JSON.stringify(value);
  if (text.length > maxValue || Buffer.byteLength(text) > maxValue) {
    throw storeErrors("SALLY_STORE_VALUE", `It is longer than ${maxValue} octets.`, { where: `${bucket}/${key}` });
  }
  return text;
};

// Three octets a code unit at most, as drivers with ordered keys need them.
const octets = (text: string): number => {
  let length = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) length += unit > 0x7ff ? 2 : 1;
  }
  return length;
};

/**
 * Bounds names alike in all drivers: 250 octets for a bucket, 1500 for bucket and key together, counted with up to
 * three octets for each UTF-16 code unit.
 * @throws SALLY_STORE_VALUE
 */
export const checkName = (bucket: string, key = ""): void => {
  if (bucket.length * 3 <= maxBucket && (bucket.length + key.length) * 3 <= maxName) return;
  const length = octets(bucket);
  if (length <= maxBucket && length + octets(key) <= maxName) return;
  throw storeErrors(
    "SALLY_STORE_VALUE",
    `Its name is longer than ${length > maxBucket ? maxBucket : maxName} octets.`,
    {
      where: `${bucket.slice(0, 40)}/${key.slice(0, 40)}`,
    },
  );
};
