// Owns the reading of H.248 replies into results of TS 23.334 procedures, controller's side. Never throws: values only.
// H.248.1 8.2.2, TS 29.334 5.8: an Add or Modify answers with Local where something was chosen, else with nothing.
import type { ActionReply, CommandReply, H248Error, Property, StreamDescriptor } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { fail, ok } from "@sallyport/kit";
import { readSessionText } from "../profile/session-text.ts";
import type {
  IqContext,
  IqSide,
  IqStatistics,
  ReservedEnd,
  ReservedEnds,
  StreamPlan,
  TerminationStatistics,
} from "../types.ts";
import { sides } from "./held.ts";

/** `error` came from the gateway; `why` says what we miss in a reply. `context` is what must be subtracted again. */
export type ReplyFailure = { readonly context?: number } & (
  | { readonly kind: "refused"; readonly error: H248Error }
  | { readonly kind: "unusable"; readonly why: string }
);

const refused = (error: H248Error, context?: number): { readonly ok: false; readonly error: ReplyFailure } =>
  fail({ kind: "refused", error, ...(context === undefined ? {} : { context }) });

const unusable = (why: string, context?: number): { readonly ok: false; readonly error: ReplyFailure } =>
  fail({ kind: "unusable", why, ...(context === undefined ? {} : { context }) });

/** The first error anywhere in the replies: in a command, in an action, or as an Error descriptor. */
export const firstError = (replies: readonly ActionReply[]): H248Error | undefined => {
  for (const reply of replies) {
    for (const command of reply.commands) {
      if (command.error !== undefined) return command.error;
      for (const descriptor of command.descriptors) if (descriptor.kind === "error") return descriptor.error;
    }
    if (reply.error !== undefined) return reply.error;
  }
  return undefined;
};

const noStreams: readonly StreamDescriptor[] = [];

const streamsOf = ({ descriptors }: CommandReply): readonly StreamDescriptor[] => {
  let streams = noStreams;
  for (const descriptor of descriptors) {
    if (descriptor.kind !== "media") continue;
    streams = streams.length === 0 ? descriptor.streams : [...streams, ...descriptor.streams];
  }
  return streams;
};

interface Expected {
  readonly stream: number;
  readonly mux: boolean;
}

const expectedOf = (streams: readonly StreamPlan[], side: IqSide): readonly Expected[] => {
  const expected: Expected[] = [];
  for (const plan of streams) {
    const end = plan[side];
    if (end !== undefined) expected.push({ stream: plan.stream, mux: end.rtcpMux ?? false });
  }
  return expected;
};

/** The addresses one termination's reply carries, for the streams that were asked about. */
const reservedBy = (command: CommandReply, expected: readonly Expected[]): Result<readonly ReservedEnd[], string> => {
  const ends: ReservedEnd[] = [];
  for (const descriptor of streamsOf(command)) {
    if (descriptor.local === undefined || descriptor.local === "") continue;
    // H.248.1 7.1.4: without a Stream level there is one stream, and it is 1 unless only another was asked about.
    const only = expected.length === 1 ? expected[0]?.stream : 1;
    const stream = descriptor.id ?? only;
    const wanted = expected.find((end) => end.stream === stream);
    if (wanted === undefined) return fail(`stream ${stream} was not asked for`);
    const text = readSessionText(descriptor.local);
    if (!text.ok) return fail(`Local of stream ${stream}: ${text.error.text}`);
    const { address, port, rtcp } = text.value;
    if (address.kind !== "given" || port.kind !== "given" || port.value === 0) {
      return fail(`Local of stream ${stream} has no address and port`);
    }
    const rtcpPort = wanted.mux ? port.value : rtcp?.port.kind === "given" ? rtcp.port.value : port.value + 1;
    ends.push({ stream: wanted.stream, address: address.value, port: port.value, rtcpPort });
  }
  return ok(ends);
};

const wildcard = /[$*]/;

/** Reads the answer to `addRequest`. */
export const readAdd = (
  gateway: string,
  streams: readonly StreamPlan[],
  replies: readonly ActionReply[],
): Result<{ readonly context: IqContext } & ReservedEnds, ReplyFailure> => {
  const number = replies.find((candidate) => typeof candidate.context === "number")?.context;
  const context = typeof number === "number" ? number : undefined;
  const error = firstError(replies);
  if (error !== undefined) return refused(error, context);
  // H.248.1 8.2.2, E.14: the commands of one context may come in several actions, as they do in segments.
  if (context === undefined || replies.some((reply) => reply.context !== context))
    return unusable("no context", context);
  const adds = replies.flatMap(({ commands }) => commands).filter((command) => command.command === "Add");
  const asked = sides.filter((side) => expectedOf(streams, side).length > 0);
  if (adds.length !== asked.length) return unusable("not one answer for each Add", context);
  const names = { access: "", core: "" };
  const ends: { access: readonly ReservedEnd[]; core: readonly ReservedEnd[] } = { access: [], core: [] };
  for (const [index, side] of asked.entries()) {
    const add = adds[index];
    if (add === undefined || add.termination === "" || wildcard.test(add.termination)) {
      return unusable(`no termination name for ${side}`, context);
    }
    const expected = expectedOf(streams, side);
    const reserved = reservedBy(add, expected);
    if (!reserved.ok) return unusable(reserved.error, context);
    const missing = expected.find((end) => !reserved.value.some((have) => have.stream === end.stream));
    if (missing !== undefined) return unusable(`no address for stream ${missing.stream} of ${side}`, context);
    names[side] = add.termination;
    ends[side] = reserved.value;
  }
  return ok({ context: { gateway, context, ...names }, ...ends });
};

/** H.248.1 6.2.2: names of terminations are told apart without regard to case; nearly all come back as they were sent. */
const isSameTermination = (a: string, b: string): boolean => a === b || a.toLowerCase() === b.toLowerCase();

const answerOf = (replies: readonly ActionReply[], termination: string): CommandReply | undefined => {
  for (const reply of replies)
    for (const command of reply.commands) if (isSameTermination(command.termination, termination)) return command;
  return undefined;
};

/** Reads the answer to `modifyRequest`: only what was chosen is in it. */
export const readModify = (
  context: IqContext,
  streams: readonly StreamPlan[],
  replies: readonly ActionReply[],
): Result<ReservedEnds, ReplyFailure> => {
  const error = firstError(replies);
  if (error !== undefined) return refused(error);
  const ends: { access: readonly ReservedEnd[]; core: readonly ReservedEnd[] } = { access: [], core: [] };
  for (const side of sides) {
    const expected = expectedOf(streams, side);
    if (expected.length === 0) continue;
    const answer = answerOf(replies, context[side]);
    if (answer === undefined) return unusable(`no answer for ${context[side]}`);
    const reserved = reservedBy(answer, expected);
    if (!reserved.ok) return unusable(reserved.error);
    ends[side] = reserved.value;
  }
  return ok(ends);
};

const valuesOf = (properties: readonly Property[]): ReadonlyMap<string, string> => {
  const values = new Map<string, string>();
  for (const property of properties) values.set(property.name.toLowerCase(), property.values[0] ?? "");
  return values;
};

/** Reads the answer to `subtractRequest`. `streams` lets a single stream's counters be named where the wire can not. */
export const readSubtract = (
  context: IqContext,
  streams: readonly number[],
  replies: readonly ActionReply[],
): Result<IqStatistics, ReplyFailure> => {
  const error = firstError(replies);
  if (error !== undefined) return refused(error);
  const terminations: TerminationStatistics[] = [];
  const only = streams.length === 1 ? streams[0] : undefined;
  const take = (command: CommandReply): void => {
    const side = sides.find((candidate) => isSameTermination(context[candidate], command.termination));
    const termination = side === undefined ? command.termination : context[side];
    for (const descriptor of command.descriptors) {
      // Version 3 counts by stream, inside Media; version 2 by termination.
      if (descriptor.kind === "statistics")
        terminations.push({ termination, side, stream: only, values: valuesOf(descriptor.statistics) });
      if (descriptor.kind !== "media") continue;
      for (const { id, statistics } of descriptor.streams)
        if (statistics !== undefined)
          terminations.push({ termination, side, stream: id ?? streams[0] ?? 1, values: valuesOf(statistics) });
    }
  };
  for (const reply of replies) for (const command of reply.commands) take(command);
  return ok({ terminations });
};

/** The version of a package in the answer to `packagesRequest`; 0 where it is not listed. */
export const packageVersion = (replies: readonly ActionReply[], name: string): number => {
  const descriptors = replies.flatMap((reply) => reply.commands).flatMap((command) => command.descriptors);
  const packages = descriptors.flatMap((descriptor) => (descriptor.kind === "packages" ? descriptor.packages : []));
  return packages.find((entry) => entry.name.toLowerCase() === name)?.version ?? 0;
};

/** The contexts named in the answer to `auditContextsRequest`. */
export const readContexts = (replies: readonly ActionReply[]): Result<readonly number[], ReplyFailure> => {
  const error = firstError(replies);
  // 431 and 411: nothing matched, there are no contexts.
  if (error !== undefined) return error.code === 431 || error.code === 411 ? ok([]) : refused(error);
  const listed = replies.flatMap(({ context }) => (typeof context === "number" ? [context] : []));
  // The null context stands for none; what is neither is no list.
  if (listed.length === 0 && !replies.some(({ context }) => context === "-")) return unusable("no list of contexts");
  return ok(listed);
};
