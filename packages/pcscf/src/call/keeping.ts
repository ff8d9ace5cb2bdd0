// When a leg has to be written down, and what must not leave before the store has it: a call that is answered, changed or
// over is in the store before anybody is told so. Owns what the store knows of one leg; knows no record's form.
import type { CallSurroundings } from "../state/call-record.ts";
import { dialogsMark, isAtRest } from "../state/call-record.ts";
import type { KeptCalls } from "../state/kept-calls.ts";
import type { CallEffect, CallState } from "./types.ts";

export interface Keeping {
  /** Settles when the effects of the step that led to `call` may leave; undefined: at once. Never rejects. */
  before(call: CallState, effects: readonly CallEffect[]): Promise<void> | undefined;
  /** The store knows the leg, so that a restart will take it up. */
  readonly kept: boolean;
}

interface Known {
  readonly negotiation: CallState["negotiation"];
  readonly dialogs: string;
  readonly sessionEndsAt: number | undefined;
}

const without: Keeping = { before: () => undefined, kept: false };

/** `restored` is the leg as the store gave it back; `surroundings` tell what is so at the time of the call. */
export const createKeeping = (
  calls: KeptCalls | undefined,
  surroundings: () => CallSurroundings,
  restored?: CallState,
): Keeping => {
  if (calls === undefined) return without;
  // The dialogs are compared by their content, and only when something touched them.
  let last: { readonly dialogs: CallState["dialogs"]; readonly mark: string } | undefined;
  const markOf = ({ dialogs }: CallState): string => {
    if (last?.dialogs !== dialogs) last = { dialogs, mark: dialogsMark(dialogs) };
    return last.mark;
  };
  const now = (call: CallState, { sessionEndsAt }: CallSurroundings): Known => ({
    negotiation: call.negotiation,
    dialogs: markOf(call),
    sessionEndsAt,
  });
  let known = restored === undefined ? undefined : now(restored, surroundings());
  let unsettled = false;

  const write = async (call: CallState, about: CallSurroundings, next: Known): Promise<void> => {
    if (!(await calls.put(call, about))) return;
    known = next;
    unsettled = false;
  };

  return {
    get kept() {
      return known !== undefined;
    },
    before: (call, effects) => {
      if (call.phase === "ending") {
        if (known === undefined) return undefined;
        known = undefined;
        return calls.drop(call.id);
      }
      if (known !== undefined && !unsettled && effects.some(({ kind }) => kind === "gateway")) {
        unsettled = true;
        return calls.unsettle(call.id);
      }
      if (!isAtRest(call)) return undefined;
      const about = surroundings();
      const same =
        known !== undefined &&
        !unsettled &&
        known.negotiation === call.negotiation &&
        known.sessionEndsAt === about.sessionEndsAt &&
        known.dialogs === markOf(call);
      return same ? undefined : write(call, about, now(call, about));
    },
  };
};
