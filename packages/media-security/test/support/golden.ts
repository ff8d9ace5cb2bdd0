// Reads golden files: a line of facts, then exchanges: a heading, the body that came in, a dashed line, the body that
// left; exchanges are parted by a line of "=". An expected body of "refuse 488 no-common-suite" is an effect.
import { readFileSync, readdirSync } from "node:fs";
import type { Carrier, Side } from "../../src/index.ts";

interface GoldenStep {
  readonly kind: "offer" | "answer";
  readonly from: Side;
  readonly carrier: Carrier;
  readonly branch?: string;
  readonly input: readonly string[];
  readonly expected: readonly string[];
}

export interface Golden {
  readonly name: string;
  readonly title: string;
  readonly facts: object;
  readonly steps: readonly GoldenStep[];
}

const folder = new URL("../golden/", import.meta.url);

const step = (text: string): GoldenStep => {
  const [heading = "", ...rest] = text.trim().split("\n");
  const [, kind, from, carrier, branch] = heading.split(" ");
  const dashes = rest.indexOf("-----");
  if ((kind !== "offer" && kind !== "answer") || (from !== "access" && from !== "core") || dashes === -1) {
    throw new Error(`bad golden step: ${heading}`);
  }
  return {
    kind,
    from,
    carrier: carrier as Carrier,
    ...(branch === undefined ? {} : { branch }),
    input: rest.slice(0, dashes),
    expected: rest.slice(dashes + 1),
  };
};

export const goldens: readonly Golden[] = readdirSync(folder)
  .filter((name) => name.endsWith(".sdp"))
  .sort()
  .map((name) => {
    const [head = "", ...steps] = readFileSync(new URL(name, folder), "utf8").split(/^=====\n/m);
    const [title = "", facts = "{}"] = head.trim().split("\n");
    return { name, title, facts: JSON.parse(facts) as object, steps: steps.map(step) };
  });
