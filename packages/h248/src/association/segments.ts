// Owns replies in segments (H.248.1 version 3, E.14): cutting one that a message cannot hold, and putting segments together.
// Pure; what is kept of a peer's segments is bounded.
import type { ActionReply, Segment } from "../text/message.ts";

/** An action is cut between commands; its properties stay in front, its error at the end. */
const halves = (
  actions: readonly ActionReply[],
): readonly [readonly ActionReply[], readonly ActionReply[]] | undefined => {
  const [only] = actions;
  if (actions.length > 1) {
    const middle = actions.length >> 1;
    return [actions.slice(0, middle), actions.slice(middle)];
  }
  if (only === undefined || only.commands.length < 2) return undefined;
  const { error, ...rest } = only;
  const middle = only.commands.length >> 1;
  const last = { context: only.context, commands: only.commands.slice(middle) };
  return [[{ ...rest, commands: only.commands.slice(0, middle) }], [error === undefined ? last : { ...last, error }]];
};

/** Parts that each fit, in order; undefined when one command alone does not. */
export const cut = (
  actions: readonly ActionReply[],
  fits: (part: readonly ActionReply[]) => boolean,
): readonly (readonly ActionReply[])[] | undefined => {
  if (fits(actions)) return [actions];
  const both = halves(actions);
  if (both === undefined) return undefined;
  const parts: (readonly ActionReply[])[] = [];
  for (const half of both) {
    const cutHalf = cut(half, fits);
    if (cutHalf === undefined) return undefined;
    parts.push(...cutHalf);
  }
  return parts;
};

const maxSegments = 1024;
const maxActions = 262_144;

/** Segments of one reply so far. */
export interface Gathered {
  readonly parts: ReadonlyMap<number, readonly ActionReply[]>;
  /** The number of the last one, once it came. */
  readonly last: number | undefined;
  readonly actions: number;
}

const nothing: Gathered = { parts: new Map(), last: undefined, actions: 0 };

/** Takes one in; undefined when it cannot be part of this reply, or is too much. */
export const gather = (
  before: Gathered | undefined,
  segment: Segment,
  actions: readonly ActionReply[],
): Gathered | undefined => {
  const so = before ?? nothing;
  const { number, last } = segment;
  if (so.parts.has(number)) return so;
  if (number < 1 || number > maxSegments || so.actions + actions.length > maxActions) return undefined;
  const end = last ? number : so.last;
  if (end !== undefined && (number > end || (last && [...so.parts.keys()].some((other) => other > number)))) {
    return undefined;
  }
  return {
    parts: new Map(so.parts).set(number, actions),
    last: end,
    actions: so.actions + actions.length,
  };
};

/** Numbers that are missing, as far as is known how many there are. */
export const missing = ({ last, parts }: Gathered): readonly number[] =>
  Array.from({ length: last ?? 0 }, (_, at) => at + 1).filter((number) => !parts.has(number));

/** The whole reply, once every segment is there. */
export const whole = (gathered: Gathered): readonly ActionReply[] | undefined => {
  const { last, parts } = gathered;
  if (last === undefined || parts.size < last) return undefined;
  return Array.from({ length: last }, (_, at) => parts.get(at + 1) ?? []).flat();
};
