// The messages under test/vectors.
import { readFileSync, readdirSync } from "node:fs";
import { parseH248 } from "../src/index.ts";
import type { H248Message } from "../src/index.ts";

const folder = new URL("vectors/", import.meta.url);

export const validNames: readonly string[] = readdirSync(new URL("valid/", folder))
  .filter((file) => file.endsWith(".long.txt"))
  .map((file) => file.slice(0, -".long.txt".length));

export const validOctets = (name: string, form: "long" | "short"): Buffer =>
  readFileSync(new URL(`valid/${name}.${form}.txt`, folder));

/** The message, or an error that says where reading ended. */
export const mustParse = (octets: Uint8Array): H248Message => {
  const parsed = parseH248(octets);
  if (!parsed.ok) throw new Error(`refused: ${parsed.code} at octet ${parsed.offset}`);
  return parsed.message;
};

export interface Refused {
  readonly name: string;
  readonly text: string;
  readonly code: string;
  readonly offset: number;
  readonly h248Error: number;
  readonly transaction?: number;
}

export const refused = JSON.parse(readFileSync(new URL("refused.json", folder), "latin1")) as readonly Refused[];
