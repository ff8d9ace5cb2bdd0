// Owns the contexts of the gateway: the handler Iq hands its commands to. Limits, names, joining the two sides.
// H.248.1 6.1 and 7.2; 412 and 432 where a limit is reached, 434 for a third termination, 510 for ports (from the plane).
import type { H248Error } from "@sallyport/h248";
import type {
  AddRequest,
  AddedTermination,
  ContextView,
  IqGatewayHandler,
  IqSide,
  SubtractedTermination,
} from "@sallyport/iq";
import { matchesName, refusal, terminationName } from "@sallyport/iq";
import type { Clock, Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import type { MediaPlane } from "@sallyport/media-plane";
import type { Interface } from "./stream.ts";
import type { Ground, LiveStream, Termination } from "./termination.ts";
import { changeTermination, endTermination, newTermination, viewTermination } from "./termination.ts";

export interface ContextsOptions {
  readonly plane: MediaPlane;
  readonly clock: Clock;
  readonly interfaces: Readonly<Record<IqSide, Interface>>;
  readonly maxContexts: number;
  readonly maxStreams: number;
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
}

export interface Contexts {
  readonly handler: IqGatewayHandler;
  readonly size: number;
  readonly terminations: number;
  /** Every leg with its place. */
  places(): readonly LegPlace[];
}

const highestContext = 0xff_ff_ff_fd;

export const createContexts = (options: ContextsOptions): Contexts => {
  const { plane, clock, interfaces, maxContexts, maxStreams } = options;
  const contexts = new Map<number, Context>();
  let lastContext = 0;
  let lastTermination = 0;

  const groundOf = (side: IqSide): Ground => ({ plane, clock, face: interfaces[side], maxStreams });

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
      if (other !== undefined) plane.join(live.leg, other.leg);
    }
  };

  const addTo = async (context: Context, request: AddRequest): Promise<Result<AddedTermination, H248Error>> => {
    const { side } = request.name;
    // One termination on each side: this gateway is a door, not a bridge.
    if (context.terminations.has(side)) return refusal(434, `context ${context.id} has its ${side} termination`);
    const termination = newTermination(terminationName(request.name, ++lastTermination));
    context.terminations.set(side, termination);
    const chosen = await changeTermination(groundOf(side), termination, request);
    if (!chosen.ok) {
      context.terminations.delete(side);
      return chosen;
    }
    join(context);
    return ok({ context: context.id, termination: termination.name, chosen: chosen.value });
  };

  const add = async (request: AddRequest): Promise<Result<AddedTermination, H248Error>> => {
    if (request.context !== "new") {
      const context = contexts.get(request.context);
      return context === undefined ? refusal(411, String(request.context)) : addTo(context, request);
    }
    if (contexts.size >= maxContexts) return refusal(412, `${maxContexts} contexts in use`);
    const context: Context = { id: nextContext(), terminations: new Map() };
    contexts.set(context.id, context);
    const added = await addTo(context, request);
    // Invariant 10: a failed Add leaves no context behind.
    if (!added.ok) contexts.delete(context.id);
    return added;
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
      ended.push({ termination: termination.name, counts: await endTermination(groundOf(side), termination) });
    }
    // H.248.1 6.1.2: the context goes with its last termination.
    if (context.terminations.size === 0) contexts.delete(context.id);
    return ended;
  };

  const handler: IqGatewayHandler = {
    add,

    modify: async (request) => {
      const found = find(request.context, request.termination);
      if (!found.ok) return found;
      const { context, side, termination } = found.value;
      const chosen = await changeTermination(groundOf(side), termination, request);
      if (chosen.ok) join(context);
      return chosen;
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

    contexts: (): readonly ContextView[] =>
      [...contexts.values()].map((context) => ({
        context: context.id,
        terminations: [...context.terminations].map(([side, termination]) =>
          viewTermination(groundOf(side), termination),
        ),
      })),

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
    places: () =>
      [...contexts.values()].flatMap((context) =>
        [...context.terminations].flatMap(([side, termination]) =>
          [...termination.streams.values()].map((stream) => ({ context: context.id, side, termination, stream })),
        ),
      ),
  };
};
