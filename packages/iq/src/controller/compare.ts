// Owns the question which contexts a gateway holds: all in one list, or, where the list is more than its messages can hold
// (533 before version 3) or its gateway lists none, those we know of one by one; and the subtracting of what is left there. H.248.1 7.2.5, 11.5.
// Knows no link.
import type { ActionReply, ActionRequest, CommandRequest, H248Error } from "@sallyport/h248";
import { SallyportError } from "@sallyport/kit";
import { readContexts } from "./replies.ts";
import { auditContextsRequest } from "./requests.ts";

export interface Listed {
  readonly there: ReadonlySet<number>;
  /** Every context of ours at the gateway is in it. */
  readonly complete: boolean;
}

type Ask = (actions: readonly ActionRequest[]) => Promise<readonly ActionReply[]>;

/** Contexts of one transaction. */
const together = 50;

const nothingToTell = [{ kind: "audit", items: [] }] as const;

/** The same command for each; optional, so that one that fails does not keep the others from being carried out. */
const forEach = (
  command: Pick<CommandRequest, "command" | "wildcarded">,
  contexts: readonly number[],
): readonly ActionRequest[] =>
  contexts.map((context) => ({
    context,
    commands: [{ ...command, optional: true, termination: "*", descriptors: nothingToTell }],
  }));

const errorOf = ({ commands, error }: ActionReply): H248Error | undefined =>
  error ?? commands.find((command) => command.error !== undefined)?.error;

/** 411 no such context, 430 and 431 nothing in it. What was not answered may be there. */
const isGone = (reply: ActionReply): boolean => [411, 430, 431].includes(errorOf(reply)?.code ?? 0);

const askEach = async (ask: Ask, known: readonly number[]): Promise<ReadonlySet<number>> => {
  const there = new Set(known);
  for (let at = 0; at < known.length; at += together) {
    for (const reply of await ask(forEach({ command: "AuditValue" }, known.slice(at, at + together)))) {
      if (typeof reply.context === "number" && isGone(reply)) there.delete(reply.context);
    }
  }
  return there;
};

const listOf = async (ask: Ask): Promise<readonly number[] | undefined> => {
  try {
    const listed = readContexts(await ask(auditContextsRequest));
    return listed.ok ? listed.value : undefined;
  } catch (error) {
    if (!(error instanceof SallyportError) || error.code !== "SALLY_IQ_REFUSED") throw error;
    return undefined;
  }
};

/** Rejects as `ask` where the gateway is not to be had. */
export const contextsThere = async (ask: Ask, known: readonly number[]): Promise<Listed> => {
  const listed = await listOf(ask);
  if (listed !== undefined) return { there: new Set(listed), complete: true };
  return { there: await askEach(ask, known), complete: false };
};

/** Resolves to whether all are gone. Rejects as `ask`. */
export const subtractEach = async (ask: Ask, contexts: readonly number[]): Promise<boolean> => {
  let gone = 0;
  for (let at = 0; at < contexts.length; at += together) {
    const replies = await ask(forEach({ command: "Subtract", wildcarded: true }, contexts.slice(at, at + together)));
    gone += replies.filter((reply) => errorOf(reply) === undefined || isGone(reply)).length;
  }
  return gone >= contexts.length;
};
