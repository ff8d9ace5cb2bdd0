// Owns what the controller remembers of one context between commands, as a plain value that commands replace.
// H.248 descriptors replace each other whole, so that a Modify must repeat what the last one said.
import type { IqContext, IqSide, RemoteAddress, ReservedEnd, StreamPlan } from "../types.ts";

export interface HeldEnd {
  readonly reserved?: ReservedEnd | undefined;
  readonly inactivityMs?: number | undefined;
  readonly watchKeys?: true | undefined;
  readonly latch?: boolean | undefined;
  readonly remote?: RemoteAddress | undefined;
}

export interface HeldStream {
  readonly access?: HeldEnd | undefined;
  readonly core?: HeldEnd | undefined;
}

export interface HeldContext {
  readonly context: IqContext;
  readonly streams: ReadonlyMap<number, HeldStream>;
}

/** The memory of a context as a plain value, which a successor is given as `known`. It holds no key. */
export interface IqContextState {
  readonly context: IqContext;
  readonly streams: readonly (readonly [stream: number, ends: HeldStream])[];
}

export const describeHeld = ({ context, streams }: HeldContext): IqContextState => ({ context, streams: [...streams] });

export const heldFrom = ({ context, streams }: IqContextState): HeldContext => ({ context, streams: new Map(streams) });

export const sides: readonly IqSide[] = ["access", "core"];

export const heldEnd = (held: HeldContext | undefined, stream: number, side: IqSide): HeldEnd | undefined =>
  held?.streams.get(stream)?.[side];

/** What was reserved for the streams a plan names, as far as known. */
export const reservedOf = (held: HeldContext, streams: readonly StreamPlan[], side: IqSide): readonly ReservedEnd[] =>
  streams.flatMap((plan) => {
    const reserved = plan[side] === undefined ? undefined : heldEnd(held, plan.stream, side)?.reserved;
    return reserved === undefined ? [] : [reserved];
  });

const after = (
  old: HeldEnd | undefined,
  plan: StreamPlan,
  side: IqSide,
  reserved: readonly ReservedEnd[],
): HeldEnd | undefined => {
  const wanted = plan[side];
  if (wanted === undefined) return old;
  const chosen = reserved.find((end) => end.stream === plan.stream) ?? old?.reserved;
  const remote = wanted.remote ?? old?.remote;
  const { inactivityMs, latch = false } = wanted;
  return { reserved: chosen, remote, inactivityMs, watchKeys: wanted.watchKeys === true ? true : undefined, latch };
};

/** The memory after a plan was carried out, `reserved` being what the gateway chose for it. */
export const remember = (
  context: IqContext,
  before: ReadonlyMap<number, HeldStream>,
  plans: readonly StreamPlan[],
  reserved: { readonly access: readonly ReservedEnd[]; readonly core: readonly ReservedEnd[] },
): HeldContext => {
  const streams = new Map(before);
  for (const plan of plans) {
    const old = streams.get(plan.stream);
    const access = after(old?.access, plan, "access", reserved.access);
    const core = after(old?.core, plan, "core", reserved.core);
    streams.set(plan.stream, { access, core });
  }
  return { context, streams };
};

export const forget = (held: HeldContext, removed: readonly number[]): HeldContext => ({
  context: held.context,
  streams: new Map([...held.streams].filter(([stream]) => !removed.includes(stream))),
});
