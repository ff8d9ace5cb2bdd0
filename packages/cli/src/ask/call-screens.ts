// The screens of `call show` and `call explain`. Pure: an answer and a paper in, lines out.
import { meaningOf } from "@sallyport/api";
import type {
  CallAnswer,
  CallDetail,
  EvidenceAnswer,
  Explanation,
  Explanations,
  MediaAnswer,
  StreamAnswer,
} from "@sallyport/api";
import { tint, toneOf, type Paper } from "../screen/paper.ts";
import { clean, hang, plural } from "../screen/text.ts";
import type { Lines } from "./screens.ts";
import { after, ending, moment, place, removal, title, who } from "./words.ts";

const between = (blocks: readonly Lines[]): Lines =>
  blocks.flatMap((block, index) => (index === 0 ? block : ["", ...block]));

const keysOf = ({ fromUe, towardsUe }: StreamAnswer): string =>
  fromUe === undefined || towardsUe === undefined ? "" : `  keys ${fromUe} from the UE, ${towardsUe} towards it`;

/** One m-line on its way through the edge's gateway, as far as the edge knows it. */
const path = (stream: StreamAnswer, gateway: string | undefined): string => {
  if (stream.security === "e2ae")
    return `UE ==SRTP ${stream.suite ?? "(no key yet)"}== ${gateway ?? "gateway"} --RTP-- core`;
  return stream.security === "e2e" ? "UE ==SRTP, keys of the parties== far end" : "UE --RTP-- far end";
};

const streamLines = (stream: StreamAnswer, gateway: string | undefined, paper: Paper): Lines => {
  const label = `  stream ${stream.stream}  `;
  const state = `${stream.media}  ${stream.security} (${stream.reason})${keysOf(stream)}`;
  return [
    ...hang(label, clean(state), paper.columns).map((line) => tint(paper, toneOf(stream.security), line)),
    `${" ".repeat(label.length)}${clean(path(stream, gateway))}`,
  ];
};

const counts = ({ side, packetsIn = 0, packetsOut = 0, ...more }: MediaAnswer): string => {
  const lost = more.lost === undefined ? "" : `, ${more.lost} lost`;
  const dropped = [
    [more.authenticationFailures, "bad tags"],
    [more.replays, "replays"],
    [more.clearDropped, "in the clear"],
    [more.indexReuse || undefined, "with an index used before"],
  ].flatMap(([count, what]) => (count === undefined ? [] : [`${count} ${what}`]));
  const refused = side === "core" || dropped.length === 0 ? "" : `; dropped: ${dropped.join(", ")}`;
  return `${packetsIn} packets in, ${packetsOut} out${lost}${refused}`;
};

/** What the gateway counted is the proof that what was decided was done. */
const mediaLines = (media: readonly MediaAnswer[], paper: Paper): Lines =>
  media.flatMap((leg) => {
    const stream = leg.stream === undefined ? "" : `stream ${leg.stream}, `;
    return hang(
      `  ${stream}${leg.side === "access" ? "UE side    " : "core side  "}`,
      clean(counts(leg)),
      paper.columns,
    );
  });

/** Where its media is, or was until it ended. */
const contextOf = ({ gateway, media: [leg] }: CallAnswer): { gateway: string; context: number } | undefined =>
  gateway ?? leg;

const callBlock = (call: CallAnswer, now: number, paper: Paper): Lines => {
  const row = (label: string, text: string): Lines => hang(`  ${label.padEnd(10)}`, clean(text), paper.columns);
  const meaning = meaningOf(call.reason);
  const at = contextOf(call);
  return [
    ...hang("", clean(title(call, now)), paper.columns),
    ...row("Call-ID", call.callId),
    ...(call.otherParty === undefined ? [] : row("with", call.otherParty)),
    ...row("started", moment(call.startedAt)),
    ...row("security", `${call.security} (${call.reason})`),
    ...(meaning === undefined || call.security === "e2ae" ? [] : row("", meaning.means)),
    ...(at === undefined ? [] : row("gateway", `${at.gateway}, context ${at.context}`)),
    ...call.streams.flatMap((stream) => streamLines(stream, at?.gateway, paper)),
    ...mediaLines(call.media, paper),
    ...call.removed.flatMap((entry, index) => row(index === 0 ? "removed" : "", removal(entry))),
    ...(call.ended === undefined ? [] : row("ended", ending(call.ended))),
  ];
};

export const callDetail = ({ calls, now }: CallDetail, paper: Paper): Lines =>
  between(calls.map((call) => callBlock(call, now, paper)));

const numberWidth = 4;

/** One decision: its place in the standard and whose words were looked at, then what was found, then what was changed. */
export const decisionLines = (record: EvidenceAnswer, index: number, paper: Paper, since?: number): Lines => {
  const label = `${String(index + 1).padStart(numberWidth - 1)} `;
  const indent = " ".repeat(numberWidth);
  const about = record.stream === undefined ? "" : `, stream ${record.stream}`;
  const reason = record.reason === undefined ? "" : `  [${record.reason}]`;
  const when = record.at === undefined || since === undefined ? "" : `, ${after(record.at - since)}`;
  const quirk = record.quirk === undefined ? [] : [`quirk ${record.quirk} (${record.quirkMode ?? "met"})`];
  return [
    ...hang(label, `${place(record)}, ${clean(who(record.origin))}${about}${when}${reason}`, paper.columns),
    ...hang(`${indent}found    `, clean(record.found), paper.columns),
    ...[...record.changed, ...quirk].flatMap((change, at) =>
      hang(`${indent}${at === 0 ? "changed  " : "         "}`, clean(change), paper.columns),
    ),
  ];
};

const explanationBlock = (call: Explanation, now: number, paper: Paper): Lines => [
  ...hang("", clean(title(call, now)), paper.columns),
  ...(call.otherParty === undefined ? [] : hang("with     ", clean(call.otherParty), paper.columns)),
  `started  ${moment(call.startedAt)}`,
  ...hang("", clean(call.verdict), paper.columns).map((line) => tint(paper, toneOf(call.security), line)),
  `reason   ${clean(call.reason)}`,
  ...(call.advice === undefined ? [] : hang("advice   ", clean(call.advice), paper.columns)),
  ...(call.ended === undefined ? [] : hang("ended    ", clean(ending(call.ended)), paper.columns)),
  ...(call.streams.length === 0 ? [] : ["", "media"]),
  ...call.streams.flatMap((stream) => streamLines(stream, contextOf(call)?.gateway, paper)),
  ...mediaLines(call.media, paper),
  "",
  call.decisions.length === 0 ? "no decisions: no SDP was seen" : plural(call.decisions.length, "decision"),
  ...call.decisions.flatMap((record, index) => decisionLines(record, index, paper, call.startedAt)),
  "",
  ...(call.removed.length === 0
    ? ["nothing was removed"]
    : ["removed", ...call.removed.flatMap((entry) => hang("  ", clean(removal(entry)), paper.columns))]),
];

export const explanation = ({ calls, now }: Explanations, paper: Paper): Lines =>
  between(calls.map((call) => explanationBlock(call, now, paper)));
