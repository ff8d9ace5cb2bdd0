// Looks for key material where none may be, in every spelling a program could give it by mistake.
import { inspect } from "node:util";
import type { Random } from "@sallyport/kit";
import { suites } from "@sallyport/srtp";

const masterLengths: ReadonlySet<number> = new Set(Object.values(suites).map(({ masterLength }) => masterLength));

/** A generator that keeps every draw as long as a master key: keys known to the test before anybody can leak them. */
export const rememberKeys = (random: Random, keys: Set<string>): Random => ({
  bytes: (length) => {
    const drawn = random.bytes(length);
    if (masterLengths.has(length)) keys.add(drawn.toString("hex"));
    return drawn;
  },
});

const textsOf = (octets: Buffer): readonly string[] => {
  const hex = octets.toString("hex");
  const base64 = octets.toString("base64").replace(/=+$/, "");
  // The last character of a part that ends within a group also spells what follows it.
  const whole = octets.length % 3 === 0 ? base64 : base64.slice(0, -1);
  return [
    whole,
    whole.replaceAll("+", "-").replaceAll("/", "_"),
    hex,
    hex.toUpperCase(),
    // As Buffer prints itself, in full and to JSON.
    hex.replaceAll(/..(?=.)/g, "$& "),
    [...octets].join(","),
    octets.toString("latin1"),
  ];
};

/** Spellings of a key and of its halves: sixteen octets are a session's whole secret. */
export const spellingsOf = (key: Buffer): readonly string[] =>
  [...new Set([key, key.subarray(0, 16), key.subarray(-16), key.subarray(15)].flatMap(textsOf))].filter(
    (text) => text.length >= 12,
  );

/** Every text in a value, at any depth: strings, octets, what JSON and `inspect` make of it, errors with stack and cause. */
const textsIn = (value: unknown, seen = new Set<unknown>()): readonly string[] => {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null || seen.has(value)) return [];
  seen.add(value);
  if (value instanceof Uint8Array) return [Buffer.from(value).toString("latin1")];
  const own = Object.getOwnPropertyNames(value).flatMap((name) =>
    textsIn((value as Readonly<Record<string, unknown>>)[name], seen),
  );
  const entries = value instanceof Map || value instanceof Set ? [...value].flatMap((each) => textsIn(each, seen)) : [];
  return [...own, ...entries];
};

const printed = (value: unknown): readonly string[] => {
  const json = JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? String(each) : each));
  return [json ?? "", inspect(value, { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity })];
};

export interface Material {
  readonly where: string;
  readonly value: unknown;
}

/** Names of the places where a spelling of a key stands. */
export const searchFor = (keys: readonly Buffer[], places: readonly Material[]): readonly string[] => {
  const spellings = [...new Set(keys.flatMap(spellingsOf))];
  const texts = places.map(({ where, value }) => ({
    where,
    text: [...textsIn(value), ...(value instanceof Uint8Array ? [] : printed(value))].join("\n"),
  }));
  // One search over everything; only a find is worth asking where.
  const everything = texts.map(({ text }) => text).join("\n");
  const found = spellings.filter((spelling) => everything.includes(spelling));
  return texts.flatMap(({ where, text }) => (found.some((spelling) => text.includes(spelling)) ? [where] : []));
};
