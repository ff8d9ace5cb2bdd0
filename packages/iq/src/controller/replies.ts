// Owns the reading of H.248 replies into results of TS 23.334 procedures, controller's side. Never throws: values only.
// H.248.1 8.2.2, TS 29.334 5.8: an Add or Modify answers with Local where something was chosen, else with nothing.
import type { ActionReply, CommandReply, H248Error, StreamDescriptor } from "@sallyport/h248";
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

const streamsOf = (command: CommandReply): readonly StreamDescriptor[] =>
  command.descriptors.flatMap((descriptor) => (descriptor.kind === "media" ? descriptor.streams : []));

interface Expected {
  readonly stream: number;
  readonly mux: boolean;
}

const expectedOf = (streams: readonly StreamPlan[], side: IqSide): readonly Expected[] =>
  streams.flatMap((plan) => {
    const end = plan[side];
    return end === undefined ? [] : [{ stream: plan.stream, mux: end.rtcpMux ?? false }];
  });

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
  const [reply] = replies;
  const number = replies.find((candidate) => typeof candidate.context === "number")?.context;
  const context = typeof number === "number" ? number : undefined;
  const error = firstError(replies);
  if (error !== undefined) return refused(error, context);
  if (reply === undefined || context === undefined || replies.length !== 1) return unusable("no context", context);
  const adds = reply.commands.filter((command) => command.command === "Add");
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
    const answer = replies
      .flatMap((reply) => reply.commands)
      .find((command) => command.termination.toLowerCase() === context[side].toLowerCase());
    if (answer === undefined) return unusable(`no answer for ${context[side]}`);
    const reserved = reservedBy(answer, expected);
    if (!reserved.ok) return unusable(reserved.error);
    ends[side] = reserved.value;
  }
  return ok(ends);
};

const valuesOf = (properties: readonly { readonly name: string; readonly values: readonly string[] }[]) => {
  // Made by hand: two terminations have dozens of these in each call. No prototype: names come from the wire.
  const values: Record<string, string> = Object.create(null);
  for (const {
    name,
    values: [first = ""],
  } of properties)
    values[name.toLowerCase()] = first;
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
  for (const command of replies.flatMap((reply) => reply.commands)) {
    const side = sides.find((candidate) => context[candidate].toLowerCase() === command.termination.toLowerCase());
    const named = side === undefined ? { termination: command.termination } : { termination: context[side], side };
    // Version 3 counts by stream, inside Media; version 2 by termination.
    for (const stream of streamsOf(command)) {
      if (stream.statistics === undefined) continue;
      terminations.push({ ...named, stream: stream.id ?? streams[0] ?? 1, values: valuesOf(stream.statistics) });
    }
    for (const descriptor of command.descriptors) {
      if (descriptor.kind !== "statistics") continue;
      const [only] = streams.length === 1 ? streams : [];
      terminations.push({
        ...named,
        ...(only === undefined ? {} : { stream: only }),
        values: valuesOf(descriptor.statistics),
      });
    }
  }
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
  return ok(replies.flatMap((reply) => (typeof reply.context === "number" ? [reply.context] : [])));
};
