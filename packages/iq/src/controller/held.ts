// Owns what the controller remembers of one context between commands, as a plain value that commands replace.
// H.248 descriptors replace each other whole, so that a Modify must repeat what the last one said.
import type { IqContext, IqSide, RemoteAddress, ReservedEnd, StreamPlan } from "../types.ts";

export interface HeldEnd {
  readonly reserved?: ReservedEnd;
  readonly inactivityMs?: number;
  readonly latch?: boolean;
  readonly remote?: RemoteAddress;
}

export interface HeldStream {
  readonly access?: HeldEnd;
  readonly core?: HeldEnd;
}

export interface HeldContext {
  readonly context: IqContext;
  readonly streams: ReadonlyMap<number, HeldStream>;
}

export const sides: readonly IqSide[] = ["access", "core"];

const empty: HeldStream = {};

export const heldEnd = (held: HeldContext | undefined, stream: number, side: IqSide): HeldEnd | undefined =>
  held?.streams.get(stream)?.[side];

/** What was reserved for the streams a plan names, as far as known. */
export const reservedOf = (held: HeldContext, streams: readonly StreamPlan[], side: IqSide): readonly ReservedEnd[] =>
  streams.flatMap((plan) => {
    const reserved = plan[side] === undefined ? undefined : heldEnd(held, plan.stream, side)?.reserved;
    return reserved === undefined ? [] : [reserved];
  });

/** The memory after a plan was carried out, `reserved` being what the gateway chose for it. */
export const remember = (
  context: IqContext,
  before: ReadonlyMap<number, HeldStream>,
  plans: readonly StreamPlan[],
  reserved: { readonly access: readonly ReservedEnd[]; readonly core: readonly ReservedEnd[] },
): HeldContext => {
  const streams = new Map(before);
  for (const plan of plans) {
    let stream = streams.get(plan.stream) ?? empty;
    for (const side of sides) {
      const wanted = plan[side];
      if (wanted === undefined) continue;
      const chosen = reserved[side].find((end) => end.stream === plan.stream) ?? stream[side]?.reserved;
      const remote = wanted.remote ?? stream[side]?.remote;
      stream = {
        ...stream,
        [side]: {
          ...(chosen === undefined ? {} : { reserved: chosen }),
          ...(remote === undefined ? {} : { remote }),
          ...(wanted.inactivityMs === undefined ? {} : { inactivityMs: wanted.inactivityMs }),
          latch: wanted.latch ?? false,
        } satisfies HeldEnd,
      };
    }
    streams.set(plan.stream, stream);
  }
  return { context, streams };
};

export const forget = (held: HeldContext, removed: readonly number[]): HeldContext => ({
  context: held.context,
  streams: new Map([...held.streams].filter(([stream]) => !removed.includes(stream))),
});
