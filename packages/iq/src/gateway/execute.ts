// Owns the running of a transaction's actions on a gateway: order, errors, optional commands, what a failure leaves behind.
// H.248.1 8.2 and 8.3; knows the handler, not what is behind it.
import type { ActionReply, ActionRequest, CommandReply, CommandRequest, ContextId, H248Error } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { fail, ok } from "@sallyport/kit";
import { h248Error, refusal } from "../profile/error-text.ts";
import { readChoosePattern, root } from "../profile/names.ts";
import { audit, auditContext } from "./audit.ts";
import type { Audited } from "./audit.ts";
import { noRootWatch } from "./decode-events.ts";
import type { RootWatch } from "./decode-events.ts";
import { decodeOrder, releaseOrder } from "./decode.ts";
import { chosenReply, errorReply, subtractReplies } from "./encode.ts";
import { modifyRoot, rootProperties, unlimited } from "./root.ts";
import type { IqGatewayHandler, TerminationOrder } from "./types.ts";
import type { ContextMarks } from "../types.ts";

export interface Execution {
  readonly handler: IqGatewayHandler;
  /** The association is protected, or declared to be. */
  readonly keysAllowed: boolean;
  /** The agreed protocol version. */
  readonly version: number;
  /** The controller orders a new registration. Answers the error when it can not be followed. */
  readonly serviceChange: (command: CommandRequest) => H248Error | undefined;
  /** What ROOT reports, and how that is changed; nothing and nowhere when left out. */
  readonly rootWatch?: () => RootWatch;
  readonly watchRoot?: (watch: RootWatch) => void;
  /** The gateway is leaving: no new contexts. */
  readonly leaving?: () => boolean;
  /** H.248.11 8.1: an Add came while there is too little for it, whether it was taken or not. */
  readonly overloaded?: () => void;
}

const auditedOf = (run: Execution): Audited => {
  const capabilities = run.handler.capabilities?.() ?? unlimited;
  return {
    contexts: (only) => run.handler.contexts(only),
    version: run.version,
    root: { watch: run.rootWatch?.() ?? noRootWatch, properties: rootProperties(capabilities) },
    capabilities,
  };
};

/** 412 contexts, 432 terminations, 510 resources, 511 busy: what an Add is refused with for want of something. */
const wants = new Set([412, 432, 510, 511]);

/** H.248.1 6.1.1: a priority is 0 to 15. */
const marksOf = (action: ActionRequest): Result<ContextMarks, H248Error> => {
  const { emergency, ieps, priority } = action;
  if (priority !== undefined && priority > 15) return refusal(449, `Priority=${priority}`);
  return ok({
    ...(emergency === undefined ? {} : { emergency }),
    ...(priority === undefined ? {} : { priority }),
    ...(ieps === undefined ? {} : { ieps }),
  });
};

interface Running {
  /** The context commands of this action go to: what was chosen, once something was. */
  context: ContextId;
  /** This action made it. */
  made: boolean;
}

type Replies = Result<readonly ActionReply[], H248Error>;

const inContext = (running: Running, ...commands: readonly CommandReply[]): Replies =>
  ok([{ context: running.context, commands }]);

/** The keys of an order are the handler's once it was carried out; else they are let go here. */
const ownKeys = async <T>(
  order: TerminationOrder,
  carriedOut: Promise<Result<T, H248Error>>,
): Promise<Result<T, H248Error>> => {
  let taken = false;
  try {
    const outcome = await carriedOut;
    taken = outcome.ok;
    return outcome;
  } finally {
    if (!taken) releaseOrder(order);
  }
};

const add = async (
  run: Execution,
  action: ActionRequest,
  command: CommandRequest,
  running: Running,
): Promise<Replies> => {
  const { context } = running;
  // H.248.1 7.2.1: Add makes or enlarges a context; it has no place in the null context or in all of them.
  if (context === "-" || context === "*") return refusal(421, `Add in context ${context}`);
  // TS 23.334 8: a gateway that is leaving serves what it has.
  if (context === "$" && run.leaving?.() === true) return refusal(503, "the gateway is leaving");
  const name = readChoosePattern(command.termination);
  if (name === undefined) return refusal(430, command.termination);
  const order = decodeOrder(command, run.keysAllowed);
  if (!order.ok) return order;
  const bare = order.value.streams.find((stream) => stream.local?.kind !== "describe");
  if (bare !== undefined || order.value.streams.length === 0) {
    releaseOrder(order.value);
    return refusal(441, `Local of stream ${bare?.stream ?? 1}`);
  }
  const added = await ownKeys(
    order.value,
    run.handler.add({
      ...order.value,
      context: context === "$" ? "new" : context,
      emergency: action.emergency ?? false,
      ...(action.priority === undefined ? {} : { priority: action.priority }),
      ...(action.ieps === undefined ? {} : { ieps: action.ieps }),
      name,
    }),
  );
  if (added.ok ? added.value.pressed === true : wants.has(added.error.code)) run.overloaded?.();
  if (!added.ok) return added;
  if (context === "$") running.made = true;
  running.context = added.value.context;
  return inContext(running, chosenReply(command, added.value.termination, added.value.chosen));
};

const modify = async (run: Execution, command: CommandRequest, running: Running): Promise<Replies> => {
  const { context } = running;
  if (typeof context !== "number") {
    const isRoot = command.termination.toUpperCase() === root;
    // Ephemeral terminations live in numbered contexts.
    if (!isRoot || context !== "-") return refusal(421, `Modify in context ${context}`);
    const watch = modifyRoot(command, rootProperties(run.handler.capabilities?.() ?? unlimited));
    if (!watch.ok) return watch;
    if (watch.value !== undefined) run.watchRoot?.(watch.value);
    return inContext(running, { command: "Modify", termination: root, descriptors: [] });
  }
  run.handler.touched?.(context, command.termination);
  if (/[$*]/.test(command.termination)) return refusal(501, `Modify of ${command.termination}`);
  const order = decodeOrder(command, run.keysAllowed);
  if (!order.ok) return order;
  const chosen = await ownKeys(
    order.value,
    run.handler.modify({ ...order.value, context, termination: command.termination }),
  );
  if (!chosen.ok) return chosen;
  return inContext(running, chosenReply(command, command.termination, chosen.value));
};

const subtract = async (run: Execution, command: CommandRequest, running: Running): Promise<Replies> => {
  const { context } = running;
  if (context === "-" || context === "$") return refusal(421, `Subtract in context ${context}`);
  if (command.termination.includes("$") || command.termination.toUpperCase() === root) {
    return refusal(430, command.termination);
  }
  const all = context === "*" ? run.handler.contexts().map((view) => view.context) : [context];
  const replies: ActionReply[] = [];
  for (const one of all) {
    const subtracted = await run.handler.subtract({ context: one, termination: command.termination });
    if (subtracted.ok) {
      replies.push({ context: one, commands: subtractReplies(command, subtracted.value, run.version) });
    } else if (typeof context === "number") {
      return subtracted;
    }
  }
  return replies.length > 0 ? ok(replies) : fail(h248Error(431, command.termination));
};

const runCommand = async (
  run: Execution,
  action: ActionRequest,
  command: CommandRequest,
  running: Running,
): Promise<Replies> => {
  switch (command.command) {
    case "Add":
      return add(run, action, command, running);
    case "Modify":
      return modify(run, command, running);
    case "Subtract":
      return subtract(run, command, running);
    case "AuditValue":
    case "AuditCapability":
      if (typeof running.context === "number") run.handler.touched?.(running.context, command.termination);
      return audit({ ...action, context: running.context }, command, auditedOf(run));
    case "ServiceChange": {
      if (command.termination.toUpperCase() !== root) return refusal(501, `ServiceChange of ${command.termination}`);
      const error = run.serviceChange(command);
      if (error !== undefined) return fail(error);
      return inContext(running, { command: "ServiceChange", termination: root, descriptors: [] });
    }
    // TS 29.334 5.8: Move has no place in a profile of two terminations that belong together; Notify goes the other way.
    default:
      return refusal(501, command.command);
  }
};

/** Appends, keeping the replies of one context in one action. */
const append = (replies: ActionReply[], more: readonly ActionReply[]): void => {
  for (const reply of more) {
    const last = replies.at(-1);
    if (last !== undefined && last.context === reply.context) {
      replies[replies.length - 1] = { ...last, commands: [...last.commands, ...reply.commands] };
    } else replies.push(reply);
  }
};

interface ActionOutcome {
  readonly replies: readonly ActionReply[];
  readonly failed: boolean;
}

const runAction = async (run: Execution, action: ActionRequest): Promise<ActionOutcome> => {
  const replies: ActionReply[] = [];
  const running: Running = { context: action.context, made: false };
  const refuse = (error: H248Error): ActionOutcome => ({
    replies: [{ context: action.context, commands: [], error }],
    failed: true,
  });
  // Two terminations need no topology (TS 29.334 5.8).
  if (action.topology !== undefined) return refuse(h248Error(444, "Topology"));
  const marks = marksOf(action);
  if (!marks.ok) return refuse(marks.error);
  const marked = Object.keys(marks.value).length > 0;
  if (typeof action.context === "number" && marked && run.handler.mark?.(action.context, marks.value) === false) {
    return refuse(h248Error(411, String(action.context)));
  }
  // H.248.1 8.1: properties alone are an action too; they need a context to be properties of.
  if (action.commands.length === 0 && action.contextAudit === undefined) {
    if (typeof action.context !== "number") return refuse(h248Error(421, `properties of context ${action.context}`));
    return { replies: [{ context: action.context, ...marks.value, commands: [] }], failed: false };
  }
  if (action.contextAudit !== undefined) {
    const shown = auditContext(action, action.contextAudit, auditedOf(run));
    if (!shown.ok) return refuse(shown.error);
    append(replies, shown.value);
  }
  /** A context this action made does not outlive its failure (invariant 10): what was done in it is undone. */
  const undo = async (): Promise<boolean> => {
    if (!running.made || typeof running.context !== "number") return false;
    await run.handler.subtract({ context: running.context, termination: "*" });
    return true;
  };
  for (const command of action.commands) {
    let outcome: Replies;
    try {
      outcome = await runCommand(run, action, command, running);
    } catch (error) {
      // Nobody foresaw it: the whole transaction is answered 500.
      await undo();
      throw error;
    }
    if (outcome.ok) {
      append(replies, outcome.value);
      continue;
    }
    const failure = errorReply(command, outcome.error);
    if (command.optional === true) {
      append(replies, [{ context: running.context, commands: [failure] }]);
      continue;
    }
    if (await undo()) return { replies: [{ context: "$", commands: [failure] }], failed: true };
    append(replies, [{ context: running.context, commands: [failure] }]);
    return { replies, failed: true };
  }
  return { replies, failed: false };
};

/** H.248.1 8.3: actions in order; the first error of a command that is not optional ends the transaction. */
export const runActions = async (
  run: Execution,
  actions: readonly ActionRequest[],
): Promise<readonly ActionReply[]> => {
  const replies: ActionReply[] = [];
  for (const action of actions) {
    const outcome = await runAction(run, action);
    replies.push(...outcome.replies);
    if (outcome.failed) break;
  }
  return replies;
};
