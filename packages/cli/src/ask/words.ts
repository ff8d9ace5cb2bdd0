// The words shared by the screens about calls and registrations.
import type { CallRow, Removal } from "@sallyport/api";
import { duration } from "../screen/text.ts";

/** What the first characters of an id have to be to name it. */
export const shortId = (id: string): string => id.slice(0, 8);

const people: Readonly<Record<string, string>> = { access: "the UE", edge: "this edge", gateway: "the gateway" };

/** An origin as a person says it. */
export const who = (origin: string): string => people[origin] ?? `the ${origin}`;

export const place = ({ clause, step }: { readonly clause: string; readonly step: string }): string =>
  step === "" ? clause : step === "remove" ? `${clause} closing sentence` : `${clause} step ${step}`;

export const removal = (entry: Removal): string =>
  `from ${who(entry.from)}, ${place(entry)}: ${entry.what}${entry.stream === undefined ? "" : ` (stream ${entry.stream})`}`;

export const ending = ({ reason, detail }: NonNullable<CallRow["ended"]>): string =>
  detail === "" ? reason : `${reason}: ${detail}`;

/** How long it was set up, spoken, or over. */
export const lasting = (call: CallRow, now: number): string =>
  duration((call.endedAt ?? now) - (call.answeredAt ?? call.startedAt));

/** `2026-11-23 10:05:33.120`, UTC. */
export const moment = (ms: number): string => new Date(ms).toISOString().replace("T", " ").replace("Z", " UTC");

/** How long after the start: `+0.120 s`. */
export const after = (ms: number): string => `+${(Math.max(0, ms) / 1000).toFixed(3)} s`;

export const sign = (is: boolean): string => (is ? "+" : "-");

export const title = (call: CallRow, now: number): string =>
  `call ${shortId(call.id)}  ${call.direction}  ${call.aor}  ${call.phase} ${lasting(call, now)}`;
