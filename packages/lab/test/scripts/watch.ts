// Looks at every message that leaves the edge: nothing of media security towards the core (invariant 1), nothing towards
// the UE that somebody else made up (invariant 2). Owns what it found; knows no call.
import type { WireEvent } from "@sallyport/sip";
import { keys } from "./bodies.ts";

export interface Watch {
  readonly observe: (event: WireEvent) => void;
  /** What was against the rules, the first of them. */
  readonly found: readonly string[];
  /** Messages looked at, and how many of them told a UE "applied". */
  readonly seen: { messages: number; applied: number };
}

const maxFound = 5;
/** A key of a UE may go to the core in one case only: an end-to-end offer is the UEs' own business (invariant 9). */
const isEndToEnd = (text: string): boolean => /^m=\S+ \d+ RTP\/SAVP/m.test(text) && !/3ge2ae/i.test(text);

const towardsCore = (text: string): string | undefined => {
  if (/3ge2ae|^security-(?:client|server|verify)\s*:|mediasec|sec-agree/im.test(text))
    return "invariant 1: an indication";
  if (text.includes(keys.forged)) return undefined; // it came from there
  if (/^a=crypto:/im.test(text) && !isEndToEnd(text)) return "invariant 1: a key";
  return undefined;
};

const sections = (text: string): readonly string[] => text.split(/^(?=m=)/m).slice(1);

const towardsUe = (text: string): string | undefined => {
  for (const section of sections(text)) {
    const said = section.match(/^a=3ge2ae:\S+/gm) ?? [];
    if (said.length > 1) return "invariant 2: told twice";
    if (said.length === 0) continue;
    if (!/^m=\S+ \d+ RTP\/SAVP/.test(section)) return "invariant 2: an indication on a line without SRTP";
    const used = [...section.matchAll(/inline:([^\s|]+)/g)].map(([, key]) => key ?? "");
    // What is applied at this edge is keyed by this edge.
    if (used.length === 0) return "invariant 2: an indication without a key";
    if (used.some((key) => Object.values<string>(keys).includes(key)))
      return "invariant 2: an indication beside a foreign key";
  }
  return undefined;
};

export const createWatch = (): Watch => {
  const found: string[] = [];
  const seen = { messages: 0, applied: 0 };
  return {
    found,
    seen,
    observe: ({ direction, octets, flow }) => {
      if (direction !== "out") return;
      seen.messages += 1;
      const text = octets.toString("latin1");
      const toCore = flow.listener?.startsWith("core/") === true;
      if (!toCore && text.includes("3ge2ae:applied")) seen.applied += 1;
      const wrong = toCore ? towardsCore(text) : towardsUe(text);
      if (wrong !== undefined && found.length < maxFound) found.push(`${wrong}\n${text}`);
    },
  };
};
