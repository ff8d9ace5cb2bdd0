// Owns the packages of the profile: which properties, events and signals exist and which are carried out here.
// TS 29.334 5.14; error codes of the IANA registry: 440 no such package, 450/451/452 nothing of that name in it,
// 445/512/513 known but not done by this gateway.
import type { H248Error, PackageVersion } from "@sallyport/h248";
import { h248Error } from "../profile/error-text.ts";

interface PackageEntry {
  readonly version: number;
  readonly properties?: readonly string[];
  readonly events?: readonly string[];
  readonly signals?: readonly string[];
  /** What of the above this gateway carries out. */
  readonly done: readonly string[];
}

const packages: Readonly<Record<string, PackageEntry>> = {
  g: { version: 1, events: ["cause", "sc"], done: ["cause"] },
  root: {
    version: 2,
    properties: [
      "maxnumberofcontexts",
      "maxterminationspercontext",
      "normalmgexecutiontime",
      "normalmgcexecutiontime",
      "mgprovisionalresponsetimervalue",
      "mgcprovisionalresponsetimervalue",
    ],
    done: [],
  },
  ipnapt: { version: 1, signals: ["latch"], done: ["latch"] },
  gm: {
    version: 2,
    properties: ["saf", "sam", "spf", "spr", "esas", "lsa", "esps", "lsp", "rsb"],
    done: ["rsb"],
  },
  tman: { version: 1, properties: ["pol", "sdr", "mbs", "pdr", "dvt"], done: [] },
  ipdc: { version: 1, properties: ["realm"], done: ["realm"] },
  hangterm: { version: 1, events: ["thb"], done: [] },
  ds: { version: 2, properties: ["dscp", "tb"], done: ["dscp"] },
  rtcph: { version: 1, properties: ["rsb"], done: ["rsb"] },
  adid: { version: 1, events: ["ipstop"], done: ["ipstop"] },
  nt: { version: 1, done: [] },
  rtp: { version: 1, done: [] },
};

const unknown = { properties: 450, events: 451, signals: 452 } as const;
const undone = { properties: 445, events: 512, signals: 513 } as const;

/** Undefined when `package/item` is carried out; else the error to answer. */
export const judgeItem = (kind: "properties" | "events" | "signals", name: string): H248Error | undefined => {
  const [group, item, ...more] = name.toLowerCase().split("/");
  const entry = group === undefined || !Object.hasOwn(packages, group) ? undefined : packages[group];
  if (entry === undefined || item === undefined || more.length > 0) return h248Error(440, name);
  if (!(entry[kind] ?? []).includes(item)) return h248Error(unknown[kind], name);
  return entry.done.includes(item) ? undefined : h248Error(undone[kind], name);
};

/** What a Packages audit answers: packages of which something is carried out, and statistics (`xsrtp` is our own). */
export const packagesDone: readonly PackageVersion[] = [
  ...Object.entries(packages)
    .filter(([, entry]) => entry.done.length > 0)
    .map(([name, entry]) => ({ name, version: entry.version })),
  { name: "nt", version: 1 },
  { name: "rtp", version: 1 },
  { name: "xsrtp", version: 1 },
];
