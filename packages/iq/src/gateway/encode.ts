// Owns the writing of results as H.248 replies: only what was chosen, statistics where they were asked for, never a key.
// TS 29.334 5.8; H.248.1 7.1.15 (Statistics: by termination up to version 2, by stream from version 3 on).
import type { CommandReply, CommandRequest, Descriptor, H248Error, Property, StreamDescriptor } from "@sallyport/h248";
import type { SessionText } from "../profile/session-text.ts";
import { writeSessionText } from "../profile/session-text.ts";
import type { StreamMode } from "../types.ts";
import type { ChosenStream, StreamCounts, SubtractedTermination } from "./types.ts";

/** The description without its key: what any reply may show. */
export const withoutKey = (text: SessionText): SessionText => {
  if (text.crypto === undefined) return text;
  const { address, formats, media, port, protocol, rtcp, rtcpMux } = text;
  return { address, port, media, protocol, formats, rtcp, rtcpMux };
};

export const modeToken = {
  inactive: "Inactive",
  "send-only": "SendOnly",
  "receive-only": "ReceiveOnly",
  "send-receive": "SendReceive",
} as const satisfies Record<StreamMode, string>;

const chosenStream = (chosen: ChosenStream): StreamDescriptor => ({
  id: chosen.stream,
  local: writeSessionText(withoutKey(chosen.local)),
});

export const chosenReply = (
  command: CommandRequest,
  termination: string,
  chosen: readonly ChosenStream[],
): CommandReply => ({
  command: command.command,
  termination,
  descriptors: chosen.length === 0 ? [] : [{ kind: "media", streams: chosen.map(chosenStream) }],
});

export const errorReply = (command: CommandRequest, error: H248Error): CommandReply => ({
  command: command.command,
  termination: command.termination,
  descriptors: [],
  error,
});

/** Statistics as they stand in a descriptor. */
export const statisticsProperties = (values: Readonly<Record<string, string>>): readonly Property[] =>
  Object.keys(values).map((name) => ({ name, relation: "=", values: [values[name] ?? ""] }));

// What does not add up over streams that ran side by side: the largest is told.
const largest = new Set(["nt/dur", "rtp/jit", "rtp/delay", "xsrtp/rtt"]);

/** Of several streams together. */
export const totals = (counts: readonly StreamCounts[]): Readonly<Record<string, string>> => {
  const [only] = counts;
  if (only !== undefined && counts.length === 1) return only.values;
  const total = new Map<string, bigint>();
  for (const { values } of counts) {
    for (const [name, value] of Object.entries(values)) {
      if (!/^\d{1,20}$/.test(value)) continue;
      const one = BigInt(value);
      const before = total.get(name) ?? 0n;
      total.set(name, largest.has(name) ? (one > before ? one : before) : before + one);
    }
  }
  const values = Object.fromEntries([...total].map(([name, value]) => [name, value.toString()]));
  // A share is not added up either: it is taken anew from what is.
  if (!counts.some((stream) => "rtp/pl" in stream.values)) return values;
  return { ...values, "rtp/pl": lossShare(Number(total.get("rtp/pr") ?? 0n), Number(total.get("xsrtp/lost") ?? 0n)) };
};

/** Per cent of the packets expected, two decimals (H.248.1 E.12.4). */
export const lossShare = (received: number, lost: number): string =>
  received + lost === 0 ? "0" : ((100 * lost) / (received + lost)).toFixed(2).replace(/\.?0+$/, "");

/** Statistics as the agreed version can carry them. */
export const statisticsDescriptors = (counts: readonly StreamCounts[], version: number): readonly Descriptor[] => {
  if (counts.length === 0) return [];
  if (version >= 3) {
    return [
      {
        kind: "media",
        streams: counts.map(({ stream, values }) => ({ id: stream, statistics: statisticsProperties(values) })),
      },
    ];
  }
  return [{ kind: "statistics", statistics: statisticsProperties(totals(counts)) }];
};

/** H.248.1 7.2.3: Subtract answers with statistics unless an Audit descriptor says otherwise; `W-` answers once for all. */
export const subtractReplies = (
  command: CommandRequest,
  subtracted: readonly SubtractedTermination[],
  version: number,
): readonly CommandReply[] => {
  const audit = command.descriptors.find((descriptor) => descriptor.kind === "audit");
  const wanted = audit?.kind !== "audit" || audit.items.some((item) => item.name.toLowerCase() === "statistics");
  if (command.wildcarded === true) {
    const all = subtracted.flatMap((termination) => termination.counts);
    const counts = all.length === 0 ? [] : [{ stream: 1, values: totals(all) }];
    return [
      {
        command: "Subtract",
        termination: command.termination,
        descriptors: wanted ? statisticsDescriptors(counts, Math.min(version, 2)) : [],
      },
    ];
  }
  return subtracted.map((termination) => ({
    command: "Subtract",
    termination: termination.termination,
    descriptors: wanted ? statisticsDescriptors(termination.counts, version) : [],
  }));
};
