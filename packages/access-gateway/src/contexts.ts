// Owns the contexts of the gateway: the handler Iq hands its commands to. Limits, names, joining the two sides.
// H.248.1 6.1 and 7.2; 412 where the contexts are used up, 434 for a third termination, 510 for memory, loaded media threads and (from the plane) ports.
import type { H248Error } from "@sallyport/h248";
import type {
  AddRequest,
  AddedTermination,
  ChosenStream,
  ContextMarks,
  ContextView,
  IqGatewayHandler,
  IqSide,
  SubtractedTermination,
  TerminationOrder,
} from "@sallyport/iq";
import { matchesName, refusal, terminationName } from "@sallyport/iq";
import type { Clock, Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import type { MediaPlane } from "@sallyport/media-plane";
import { passThrough } from "./pass-through.ts";
import type { Interface } from "./stream.ts";
import type { Ground, LiveStream, Termination } from "./termination.ts";
import { changeTermination, endTermination, newTermination, viewTermination } from "./termination.ts";

export interface ContextsOptions {
  readonly plane: MediaPlane;
  readonly clock: Clock;
  /** At least one a side. */
  readonly interfaces: Readonly<Record<IqSide, readonly Interface[]>>;
  readonly maxContexts: number;
  readonly maxStreams: number;
  /** Contexts of emergency calls above `maxContexts`, default 0. */
  readonly emergencyReserve?: number;
  /** Of what there is too little for another context; emergency calls do not ask. Never of anything when left out. */
  readonly shortage?: () => string | undefined;
  /** Realms whose every address is gone; none when left out. */
  readonly realmsLost?: () => readonly string[];
}

/** Where a leg belongs. */
export interface LegPlace {
  readonly context: number;
  readonly side: IqSide;
  readonly termination: Termination;
  readonly stream: LiveStream;
}

interface Context {
  readonly id: number;
  readonly terminations: Map<IqSide, Termination>;
  marks: ContextMarks;
}

export interface Contexts {
  readonly handler: IqGatewayHandler;
  readonly size: number;
  readonly terminations: number;
  /** Contexts refused for want of contexts, ports, memory or media threads since the start. */
  readonly refused: number;
  /** Every leg with its place. */
  places(): readonly LegPlace[];
  place(leg: number): LegPlace | undefined;
  /** Terminations that report when no command names them (`hangterm/thb`), with their contexts. */
  watched(): ReadonlyMap<Termination, number>;
}

const highestContext = 0xff_ff_ff_fd;

const noMarks: ContextMarks = {};

const marksOf = ({ emergency, ieps, priority }: AddRequest): ContextMarks =>
  !emergency && ieps === undefined && priority === undefined
    ? noMarks
    : {
        ...(emergency ? { emergency } : {}),
        ...(priority === undefined ? {} : { priority }),
        ...(ieps === undefined ? {} : { ieps }),
      };

const holds = (streams: Termination["streams"], leg: number): boolean => {
  for (const stream of streams.values()) if (stream.leg === leg) return true;
  return false;
};

export const createContexts = (options: ContextsOptions): Contexts => {
  const { plane, clock, interfaces, maxContexts, maxStreams, emergencyReserve = 0, shortage } = options;
  const contexts = new Map<number, Context>();
  const legs = new Map<number, LegPlace>();
  const watched = new Map<Termination, number>();
  let refused = 0;
  let lastContext = 0;
  let lastTermination = 0;

  const ground = (side: IqSide): Ground => ({
    plane,
    clock,
    side: { faces: interfaces[side], marks: plane.marks },
    maxStreams,
  });
  const grounds: Readonly<Record<IqSide, Ground>> = { access: ground("access"), core: ground("core") };

  const nextContext = (): number => {
    do lastContext = lastContext >= highestContext ? 1 : lastContext + 1;
    while (contexts.has(lastContext));
    return lastContext;
  };

  /** H.248.1 6.1: what one termination of a context receives the other sends, stream by stream. */
  const join = (context: Context): void => {
    const access = context.terminations.get("access");
    const core = context.terminations.get("core");
    if (access === undefined || core === undefined) return;
    for (const [stream, live] of access.streams) {
      const other = core.streams.get(stream);
      if (other === undefined) continue;
      // Once: what is joined stays so.
      if (live.joined !== other.leg || other.joined !== live.leg) {
        plane.join(live.leg, other.leg);
        live.joined = other.leg;
        other.joined = live.leg;
      }
      passThrough(plane, live, other);
    }
  };

  const forget = (termination: Termination): void => {
    for (const { leg } of termination.streams.values()) legs.delete(leg);
    if (watched.size > 0) watched.delete(termination);
  };

  /** After every change: which legs there are, and whether the termination wants to be looked after. */
  const note = (context: Context, side: IqSide, termination: Termination, before: readonly number[]): void => {
    const legsNow = termination.streams;
    for (const leg of before) if (!holds(legsNow, leg)) legs.delete(leg);
    for (const stream of legsNow.values()) {
      if (!legs.has(stream.leg)) legs.set(stream.leg, { context: context.id, side, termination, stream });
    }
    if (termination.watch?.hangingMs !== undefined) watched.set(termination, context.id);
    else if (watched.size > 0) watched.delete(termination);
  };

  const change = async (
    context: Context,
    side: IqSide,
    termination: Termination,
    order: TerminationOrder,
  ): Promise<Result<readonly ChosenStream[], H248Error>> => {
    const before: number[] = [];
    for (const { leg } of termination.streams.values()) before.push(leg);
    termination.touchedAt = clock.now();
    const chosen = await changeTermination(grounds[side], termination, order);
    if (chosen.ok) {
      join(context);
      note(context, side, termination, before);
    } else if (chosen.error.code === 510) refused += 1;
    return chosen;
  };

  const addTo = async (
    context: Context,
    request: AddRequest,
    pressed: boolean,
  ): Promise<Result<AddedTermination, H248Error>> => {
    const { side } = request.name;
    // One termination on each side: this gateway is a door, not a bridge.
    if (context.terminations.has(side)) return refusal(434, `context ${context.id} has its ${side} termination`);
    const termination = newTermination(terminationName(request.name, ++lastTermination), clock.now());
    context.terminations.set(side, termination);
    let there = false;
    try {
      const chosen = await change(context, side, termination, request);
      there = chosen.ok;
      if (!chosen.ok) return chosen;
      const added = { context: context.id, termination: termination.name, chosen: chosen.value };
      return ok(pressed ? { ...added, pressed } : added);
    } finally {
      if (!there) context.terminations.delete(side);
      // Invariant 10: a failed Add leaves no context behind, however it failed.
      if (context.terminations.size === 0) contexts.delete(context.id);
    }
  };

  const add: IqGatewayHandler["add"] = (request) => {
    if (request.context !== "new") {
      const context = contexts.get(request.context);
      return context === undefined
        ? Promise.resolve(refusal(411, String(request.context)))
        : addTo(context, request, false);
    }
    const { emergency } = request;
    const most = maxContexts + (emergency ? emergencyReserve : 0);
    const short = contexts.size >= most ? undefined : shortage?.();
    if (contexts.size >= most || (short !== undefined && !emergency)) {
      refused += 1;
      const why = short === undefined ? refusal(412, `${contexts.size} contexts in use`) : refusal(510, short);
      return Promise.resolve(why);
    }
    const pressed = short !== undefined || contexts.size >= maxContexts;
    const context: Context = { id: nextContext(), terminations: new Map(), marks: marksOf(request) };
    contexts.set(context.id, context);
    return addTo(context, request, pressed);
  };

  const find = (
    id: number,
    name: string,
  ): Result<{ context: Context; side: IqSide; termination: Termination }, H248Error> => {
    const context = contexts.get(id);
    if (context === undefined) return refusal(411, String(id));
    const wanted = name.toLowerCase();
    for (const [side, termination] of context.terminations) {
      if (termination.name === wanted) return ok({ context, side, termination });
    }
    const elsewhere = [...contexts.values()].some((other) =>
      [...other.terminations.values()].some((termination) => termination.name === wanted),
    );
    return refusal(elsewhere ? 435 : 430, name);
  };

  const end = async (context: Context, names: string): Promise<readonly SubtractedTermination[]> => {
    const ending: { readonly name: string; readonly counts: ReturnType<typeof endTermination> }[] = [];
    for (const [side, termination] of context.terminations) {
      if (!matchesName(names, termination.name)) continue;
      context.terminations.delete(side);
      forget(termination);
      // Both legs of a call end together.
      ending.push({ name: termination.name, counts: endTermination(grounds[side], termination) });
    }
    const ended: SubtractedTermination[] = [];
    for (const { name, counts } of ending) ended.push({ termination: name, counts: await counts });
    // H.248.1 6.1.2: the context goes with its last termination.
    if (context.terminations.size === 0) contexts.delete(context.id);
    return ended;
  };

  /** Counters are read when somebody looks: a list of thousands of contexts must not ask for them. */
  const view = (context: Context): ContextView => ({
    context: context.id,
    ...context.marks,
    get terminations() {
      return [...context.terminations].map(([side, termination]) => viewTermination(grounds[side], termination));
    },
  });

  const handler: IqGatewayHandler = {
    add,

    modify: (request) => {
      const found = find(request.context, request.termination);
      if (!found.ok) return Promise.resolve(found);
      const { context, side, termination } = found.value;
      return change(context, side, termination, request);
    },

    touched: (id, names) => {
      for (const termination of contexts.get(id)?.terminations.values() ?? []) {
        if (matchesName(names, termination.name)) termination.touchedAt = clock.now();
      }
    },

    mark: (id, marks) => {
      const context = contexts.get(id);
      if (context === undefined) return false;
      context.marks = { ...context.marks, ...marks };
      return true;
    },

    sideOf: (realm) => {
      const wanted = realm.toLowerCase();
      const on = (["access", "core"] as const).filter((side) =>
        interfaces[side].some((face) => face.realm?.toLowerCase() === wanted),
      );
      return on.length === 1 ? on[0] : undefined;
    },

    capabilities: () => {
      const realms = [...new Set([...interfaces.access, ...interfaces.core].flatMap(({ realm }) => realm ?? []))];
      const lost = options.realmsLost?.() ?? [];
      return { maxContexts, marks: plane.marks, realms, reachable: realms.filter((realm) => !lost.includes(realm)) };
    },

    subtract: async ({ context: id, termination: names }) => {
      const context = contexts.get(id);
      if (context === undefined) return refusal(411, String(id));
      if (!names.includes("*")) {
        const found = find(id, names);
        if (!found.ok) return found;
      }
      const ended = await end(context, names);
      return ended.length === 0 ? refusal(431, names) : ok(ended);
    },

    contexts: (only) => {
      if (only === undefined) return Array.from(contexts.values(), view);
      const context = contexts.get(only);
      return context === undefined ? [] : [view(context)];
    },

    clear: async () => {
      const all = [...contexts.values()];
      contexts.clear();
      await Promise.all(all.map((context) => end(context, "*")));
    },
  };

  return {
    handler,
    get size() {
      return contexts.size;
    },
    get terminations() {
      return [...contexts.values()].reduce((sum, context) => sum + context.terminations.size, 0);
    },
    get refused() {
      return refused;
    },
    places: () => [...legs.values()],
    place: (leg) => legs.get(leg),
    watched: () => watched,
  };
};
