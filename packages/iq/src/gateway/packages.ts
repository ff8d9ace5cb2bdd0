// Owns the packages of the profile: which properties, events, signals and statistics exist and which are carried out here.
// TS 29.334 5.14; error codes of the IANA registry: 440 no such package, 450/451/452/453 nothing of that name in it,
// 445/512/513 known but not done by this gateway.
import type { H248Error, PackageVersion } from "@sallyport/h248";
import { h248Error } from "../profile/error-text.ts";

interface PackageEntry {
  readonly version: number;
  readonly properties?: readonly string[];
  readonly events?: readonly string[];
  readonly signals?: readonly string[];
  readonly statistics?: readonly string[];
  /** Known, and not done here. */
  readonly undone?: readonly string[];
}

const packages: Readonly<Record<string, PackageEntry>> = {
  // `sc`, signal completion, needs a signal that lasts.
  g: { version: 1, events: ["cause", "sc"], undone: ["sc"] },
  root: {
    version: 2,
    properties: [
      "maxnumberofcontexts",
      "maxterminationspercontext",
      "normalmgexecutiontime",
      "normalmgcexecutiontime",
      "mgprovisionalresponsetimervalue",
      "mgcprovisionalresponsetimervalue",
      "mgcoriginatedpendinglimit",
      "mgoriginatedpendinglimit",
    ],
  },
  ipnapt: { version: 1, signals: ["latch"] },
  // Our own address and port are the interface's: `lsa` and `lsp` cannot be ordered.
  gm: {
    version: 2,
    properties: ["saf", "sam", "spf", "spr", "esas", "lsa", "esps", "lsp", "rsb"],
    statistics: ["dp"],
    undone: ["lsa", "lsp"],
  },
  tman: { version: 1, properties: ["pol", "sdr", "mbs", "pdr", "dvt"] },
  ipdc: { version: 1, properties: ["realm"] },
  hangterm: { version: 1, events: ["thb"] },
  ds: { version: 2, properties: ["dscp", "tb"], undone: ["tb"] },
  rtcph: { version: 1, properties: ["rsb"] },
  adid: { version: 1, events: ["ipstop"] },
  it: { version: 1, events: ["ito"] },
  ocp: { version: 1, events: ["mg_overload"] },
  chp: { version: 1, events: ["mgcon"] },
  ipra: { version: 1, properties: ["ar"], events: ["arc"] },
  // H.248.1 E.11 and E.12: there is no jitter buffer here, and what fails in a network shows in the counts.
  nt: {
    version: 1,
    properties: ["jit"],
    events: ["netfail", "qualert"],
    statistics: ["dur", "os", "or"],
    undone: ["jit", "netfail", "qualert"],
  },
  rtp: {
    version: 1,
    events: ["pltrans"],
    statistics: ["ps", "pr", "pl", "jit", "delay"],
    undone: ["pltrans"],
  },
  // Our own: proof of protection. Documented in docs/iq.md.
  xsrtp: {
    version: 2,
    events: ["kexp", "clear"],
    statistics: ["af", "rp", "cd", "kc", "lost", "rtt", "ir", "cf", "rt", "pd", "fd", "ld"],
  },
};

/** Events of ROOT, and of ROOT alone. */
const rootEvents = new Set(["it/ito", "ocp/mg_overload", "chp/mgcon", "ipra/arc"]);

const unknown = { properties: 450, events: 451, signals: 452, statistics: 453 } as const;
const undone = { properties: 445, events: 512, signals: 513, statistics: 453 } as const;

export type ItemKind = keyof typeof unknown;

/** `package/item` of what is done on terminations: nearly everything that is asked for. */
const done: Readonly<Record<ItemKind, Set<string>>> = {
  properties: new Set(),
  events: new Set(),
  signals: new Set(),
  statistics: new Set(),
};

/** Undefined when `package/item` is carried out, on ROOT or on a termination; else the error to answer. */
export const judgeItem = (
  kind: ItemKind,
  name: string,
  on: "root" | "termination" = "termination",
): H248Error | undefined => {
  if (on === "termination" && done[kind].has(name)) return undefined;
  const lower = name.toLowerCase();
  const [group, item, ...more] = lower.split("/");
  const entry = group === undefined || !Object.hasOwn(packages, group) ? undefined : packages[group];
  if (entry === undefined || item === undefined || more.length > 0) return h248Error(440, name);
  if (entry[kind]?.includes(item) !== true) return h248Error(unknown[kind], name);
  if (entry.undone?.includes(item) === true) return h248Error(undone[kind], name);
  const ofRoot = kind === "events" ? rootEvents.has(lower) : group === "root" || group === "ipra";
  return ofRoot === (on === "root") ? undefined : h248Error(undone[kind], name);
};

/** What a Packages audit answers. */
export const packagesDone: readonly PackageVersion[] = Object.entries(packages).map(([name, { version }]) => ({
  name,
  version,
}));

/** `package/item` of everything of a kind that is done on terminations. */
export const itemsDone = (kind: ItemKind): readonly string[] =>
  Object.entries(packages).flatMap(([group, entry]) =>
    (entry[kind] ?? []).map((item) => `${group}/${item}`).filter((name) => judgeItem(kind, name) === undefined),
  );

for (const kind of ["properties", "events", "signals", "statistics"] as const)
  for (const name of itemsDone(kind)) done[kind].add(name);
