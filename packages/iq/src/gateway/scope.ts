// Owns the view one virtual gateway has of contexts that several share: its own, and nobody else's (H.248.1 11.1: a gateway
// may be several virtual ones, each with a controller of its own). Knows neither sockets nor media.
import { refusal } from "../profile/error-text.ts";
import type { IqGatewayHandler } from "./types.ts";

type Refused = ReturnType<typeof refusal>;

export interface HandlerScope {
  readonly handler: IqGatewayHandler;
  /** Whether this virtual gateway's controller made the context. */
  readonly owns: (context: number) => boolean;
}

/**
 * A handler whose contexts are those made through it: others are unknown (411), are not listed, and are not touched by `*`
 * or by `clear`.
 */
export const scopeHandler = (shared: IqGatewayHandler): HandlerScope => {
  /** Names of the terminations of each, lower case. */
  const own = new Map<number, Set<string>>();
  /** Counts the times everything was let go. */
  let life = 0;
  const unknown = (context: number) => refusal(411, String(context));
  const holds = (termination: string): boolean =>
    [...own.values()].some((names) => names.has(termination.toLowerCase()));
  /** 435, in another context, would tell of somebody else's termination: for this controller there is none. */
  const discreet = (refused: Refused, termination: string): Refused =>
    refused.error.code === 435 && !holds(termination) ? refusal(430, termination) : refused;
  const handler: IqGatewayHandler = {
    ...shared,
    add: async (request) => {
      const { context } = request;
      if (context !== "new" && !own.has(context)) return unknown(context);
      const born = life;
      const added = await shared.add(request);
      if (!added.ok) return added;
      // Everything was let go meanwhile: what this made would belong to nobody.
      if (life !== born) {
        await shared.subtract({ context: added.value.context, termination: "*" });
        return unknown(added.value.context);
      }
      const names = own.get(added.value.context) ?? new Set();
      own.set(added.value.context, names.add(added.value.termination.toLowerCase()));
      return added;
    },
    modify: async (request) => {
      if (!own.has(request.context)) return unknown(request.context);
      const modified = await shared.modify(request);
      return modified.ok ? modified : discreet(modified, request.termination);
    },
    subtract: async (request) => {
      const names = own.get(request.context);
      if (names === undefined) return unknown(request.context);
      const subtracted = await shared.subtract(request);
      if (!subtracted.ok) return discreet(subtracted, request.termination);
      for (const { termination } of subtracted.value) names.delete(termination.toLowerCase());
      if (names.size === 0) own.delete(request.context);
      return subtracted;
    },
    contexts: (only) => shared.contexts(only).filter(({ context }) => own.has(context)),
    clear: async () => {
      life += 1;
      const gone = [...own.keys()];
      own.clear();
      await Promise.all(gone.map((context) => shared.subtract({ context, termination: "*" })));
    },
    touched: (context, termination) => {
      if (own.has(context)) shared.touched?.(context, termination);
    },
    mark: (context, marks) => own.has(context) && shared.mark?.(context, marks) !== false,
  };
  return { handler, owns: (context) => own.has(context) };
};
