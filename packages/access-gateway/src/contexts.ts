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
    for (const [stream, live] of access?.streams ?? []) {
      const other = core?.streams.get(stream);
      if (other === undefined) continue;
      plane.join(live.leg, other.leg);
      passThrough(plane, live, other);
    }
  };

  const forget = (termination: Termination): void => {
    for (const { leg } of termination.streams.values()) legs.delete(leg);
    watched.delete(termination);
  };

  /** After every change: which legs there are, and whether the termination wants to be looked after. */
  const note = (context: Context, side: IqSide, termination: Termination, before: readonly number[]): void => {
    for (const leg of before) legs.delete(leg);
    for (const stream of termination.streams.values()) {
      legs.set(stream.leg, { context: context.id, side, termination, stream });
    }
    if (termination.watch?.hangingMs === undefined) watched.delete(termination);
    else watched.set(termination, context.id);
  };

  const change = async (
    context: Context,
    side: IqSide,
    termination: Termination,
    order: TerminationOrder,
  ): Promise<Result<readonly ChosenStream[], H248Error>> => {
    const before = Array.from(termination.streams.values(), ({ leg }) => leg);
    termination.touchedAt = clock.now();
    const chosen = await changeTermination(grounds[side], termination, order);
    if (chosen.ok) {
      join(context);
      note(context, side, termination, before);
    } else if (chosen.error.code === 510) refused += 1;
    return chosen;
  };

  const addTo = async (context: Context, request: AddRequest): Promise<Result<AddedTermination, H248Error>> => {
    const { side } = request.name;
    // One termination on each side: this gateway is a door, not a bridge.
    if (context.terminations.has(side)) return refusal(434, `context ${context.id} has its ${side} termination`);
    const termination = newTermination(terminationName(request.name, ++lastTermination), clock.now());
    context.terminations.set(side, termination);
    let there = false;
    try {
      const chosen = await change(context, side, termination, request);
      there = chosen.ok;
      return chosen.ok ? ok({ context: context.id, termination: termination.name, chosen: chosen.value }) : chosen;
    } finally {
      if (!there) context.terminations.delete(side);
    }
  };

  const add = async (request: AddRequest): Promise<Result<AddedTermination, H248Error>> => {
    if (request.context !== "new") {
      const context = contexts.get(request.context);
      return context === undefined ? refusal(411, String(request.context)) : addTo(context, request);
    }
    const { emergency, ieps, priority } = request;
    const most = maxContexts + (emergency ? emergencyReserve : 0);
    if (contexts.size >= most) {
      refused += 1;
      return refusal(412, `${contexts.size} contexts in use`);
    }
    const short = shortage?.();
    if (short !== undefined && !emergency) {
      refused += 1;
      return refusal(510, short);
    }
    const pressed = short !== undefined || contexts.size >= maxContexts;
    const marks = {
      ...(emergency ? { emergency } : {}),
      ...(priority === undefined ? {} : { priority }),
      ...(ieps === undefined ? {} : { ieps }),
    };
    const context: Context = { id: nextContext(), terminations: new Map(), marks };
    contexts.set(context.id, context);
    try {
      const added = await addTo(context, request);
      return added.ok && pressed ? ok({ ...added.value, pressed }) : added;
    } finally {
      // Invariant 10: a failed Add leaves no context behind, however it failed.
      if (context.terminations.size === 0) contexts.delete(context.id);
    }
  };

  const find = (
    id: number,
    name: string,
  ): Result<{ context: Context; side: IqSide; termination: Termination }, H248Error> => {
    const context = contexts.get(id);
    if (context === undefined) return refusal(411, String(id));
    for (const [side, termination] of context.terminations) {
      if (termination.name === name.toLowerCase()) return ok({ context, side, termination });
    }
    const elsewhere = [...contexts.values()].some((other) =>
      [...other.terminations.values()].some((termination) => termination.name === name.toLowerCase()),
    );
    return refusal(elsewhere ? 435 : 430, name);
  };

  const end = async (context: Context, names: string): Promise<readonly SubtractedTermination[]> => {
    const ended: SubtractedTermination[] = [];
    for (const [side, termination] of context.terminations) {
      if (!matchesName(names, termination.name)) continue;
      context.terminations.delete(side);
      forget(termination);
      ended.push({ termination: termination.name, counts: await endTermination(grounds[side], termination) });
    }
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

    modify: async (request) => {
      const found = find(request.context, request.termination);
      if (!found.ok) return found;
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
