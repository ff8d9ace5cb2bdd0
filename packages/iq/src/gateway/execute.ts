// Owns the running of a transaction's actions on a gateway: order, errors, optional commands, what a failure leaves behind.
// H.248.1 8.2 and 8.3; knows the handler, not what is behind it.
import type { ActionReply, ActionRequest, CommandReply, CommandRequest, ContextId, H248Error } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { h248Error, refusal } from "../profile/error-text.ts";
import { matchesName, readChoosePattern, root } from "../profile/names.ts";
import { audit, auditContext } from "./audit.ts";
import type { Audited } from "./audit.ts";
import { noRootWatch } from "./decode-events.ts";
import type { RootWatch } from "./decode-events.ts";
import { decodeOrder, releaseOrder } from "./decode.ts";
import { chosenReply, errorReply, subtractReplies } from "./encode.ts";
import { modifyRoot, rootProperties, unlimited } from "./root.ts";
import type { IqGatewayHandler } from "./types.ts";
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

const noMarks: Result<ContextMarks, H248Error> = ok({});

/** H.248.1 6.1.1: a priority is 0 to 15. */
const marksOf = ({ emergency, ieps, priority }: ActionRequest): Result<ContextMarks, H248Error> => {
  if (emergency === undefined && ieps === undefined && priority === undefined) return noMarks;
  if (priority !== undefined && priority > 15) return refusal(449, `Priority=${priority}`);
  return ok({
    ...(emergency === undefined ? {} : { emergency }),
    ...(priority === undefined ? {} : { priority }),
    ...(ieps === undefined ? {} : { ieps }),
  });
};

/** A reply as it grows. */
interface Growing extends Omit<ActionReply, "commands" | "context"> {
  context: ContextId;
  readonly commands: CommandReply[];
}

/** One action as it is carried out. */
interface Running {
  readonly action: ActionRequest;
  /** The context commands go to: what was chosen, once something was. */
  context: ContextId;
  /** This action made it. */
  made: boolean;
  replies: Growing[];
}

/** What was asked for is done and its reply stands in `replies`, or why not. */
type Outcome = Promise<H248Error | undefined>;

/** Appends, keeping the replies of one context in one action. */
const answer = (replies: Growing[], context: ContextId, command: CommandReply): void => {
  const last = replies.at(-1);
  if (last !== undefined && last.context === context) last.commands.push(command);
  else replies.push({ context, commands: [command] });
};

const append = (replies: Growing[], more: readonly ActionReply[]): void => {
  for (const reply of more) {
    const last = replies.at(-1);
    if (last !== undefined && last.context === reply.context) last.commands.push(...reply.commands);
    else replies.push({ ...reply, commands: [...reply.commands] });
  }
};

/** H.248.8 433: it is in a context already. */
const isHeld = ({ handler }: Execution, name: string): boolean =>
  /\d$/.test(name) &&
  handler.contexts().some(({ terminations }) => terminations.some(({ termination }) => matchesName(name, termination)));

const refused = (code: number, text: string): Outcome => Promise.resolve(h248Error(code, text));

const add = async (run: Execution, command: CommandRequest, running: Running): Outcome => {
  const { action, context } = running;
  // H.248.1 7.2.1: Add makes or enlarges a context; it has no place in the null context or in all of them.
  if (context === "-" || context === "*") return h248Error(421, `Add in context ${context}`);
  // TS 23.334 8: a gateway that is leaving serves what it has.
  if (context === "$" && run.leaving?.() === true) return h248Error(503, "the gateway is leaving");
  const decoded = decodeOrder(command, run.keysAllowed);
  if (!decoded.ok) return decoded.error;
  const order = decoded.value;
  // The keys of an order are the handler's once it was carried out; else they are let go here.
  let taken = false;
  try {
    const realm = order.streams.find((stream) => stream.realm !== undefined)?.realm;
    const name = readChoosePattern(command.termination, { realm, sideOf: (one) => run.handler.sideOf?.(one) });
    if (name === undefined) return h248Error(isHeld(run, command.termination) ? 433 : 430, command.termination);
    const bare = order.streams.find((stream) => stream.local?.kind !== "describe");
    if (bare !== undefined || order.streams.length === 0) {
      return h248Error(441, `Local of stream ${bare?.stream ?? 1}`);
    }
    const added = await run.handler.add({
      streams: name.realm === undefined ? order.streams : order.streams.map((one) => ({ realm: name.realm, ...one })),
      latch: order.latch,
      watch: order.watch,
      context: context === "$" ? "new" : context,
      emergency: action.emergency ?? false,
      priority: action.priority,
      ieps: action.ieps,
      name,
    });
    taken = added.ok;
    if (added.ok ? added.value.pressed === true : wants.has(added.error.code)) run.overloaded?.();
    if (!added.ok) return added.error;
    running.context = added.value.context;
    if (context === "$") {
      running.made = true;
      // H.248.1 8.1: an optional command that failed before is answered in the same action, of the context that was chosen.
      for (const reply of running.replies) reply.context = running.context;
    }
    answer(running.replies, running.context, chosenReply(command, added.value.termination, added.value.chosen));
    return undefined;
  } finally {
    if (!taken) releaseOrder(order);
  }
};

const modifyOfRoot = (run: Execution, command: CommandRequest, running: Running): H248Error | undefined => {
  const { context } = running;
  // Ephemeral terminations live in numbered contexts.
  if (command.termination.toUpperCase() !== root || context !== "-") {
    return h248Error(421, `Modify in context ${context}`);
  }
  const watch = modifyRoot(command, rootProperties(run.handler.capabilities?.() ?? unlimited));
  if (!watch.ok) return watch.error;
  if (watch.value !== undefined) run.watchRoot?.(watch.value);
  answer(running.replies, context, { command: "Modify", termination: root, descriptors: [] });
  return undefined;
};

const modifyOne = async (run: Execution, command: CommandRequest, running: Running, context: number): Outcome => {
  const { termination } = command;
  const decoded = decodeOrder(command, run.keysAllowed);
  if (!decoded.ok) return decoded.error;
  const order = decoded.value;
  let taken = false;
  try {
    const { latch, streams, watch } = order;
    const chosen = await run.handler.modify({ streams, latch, watch, context, termination });
    taken = chosen.ok;
    if (!chosen.ok) return chosen.error;
    answer(running.replies, context, chosenReply(command, termination, chosen.value));
    return undefined;
  } finally {
    if (!taken) releaseOrder(order);
  }
};

/** H.248.1 7.2.2: each termination of the context that the name matches, one after the other. */
const modifyEach = async (run: Execution, command: CommandRequest, running: Running, context: number): Outcome => {
  const { termination: names } = command;
  // One answer for all is asked of Subtract and the audits alone (TS 29.334 5.10).
  if (command.wildcarded === true) return h248Error(501, `W-Modify of ${names}`);
  const view = run.handler.contexts(context).find((one) => one.context === context);
  if (view === undefined) return h248Error(411, String(context));
  const matched = view.terminations.map(({ termination }) => termination).filter((one) => matchesName(names, one));
  for (const termination of matched) {
    const error = await modifyOne(run, { ...command, termination }, running, context);
    if (error !== undefined) return error;
  }
  return matched.length === 0 ? h248Error(431, names) : undefined;
};

const modify = (run: Execution, command: CommandRequest, running: Running): Outcome => {
  const { context } = running;
  const { termination } = command;
  if (typeof context !== "number") return Promise.resolve(modifyOfRoot(run, command, running));
  run.handler.touched?.(context, termination);
  if (termination.includes("$")) return refused(430, termination);
  return termination.includes("*")
    ? modifyEach(run, command, running, context)
    : modifyOne(run, command, running, context);
};

const subtract = async (run: Execution, command: CommandRequest, running: Running): Outcome => {
  const { context, replies } = running;
  const { termination } = command;
  if (context === "-" || context === "$") return h248Error(421, `Subtract in context ${context}`);
  if (termination.includes("$") || termination.toUpperCase() === root) return h248Error(430, termination);
  const all = context === "*" ? run.handler.contexts().map((view) => view.context) : [context];
  let some = false;
  for (const one of all) {
    const subtracted = await run.handler.subtract({ context: one, termination });
    if (subtracted.ok) {
      some = true;
      append(replies, [{ context: one, commands: subtractReplies(command, subtracted.value, run.version) }]);
    } else if (typeof context === "number") {
      return subtracted.error;
    }
  }
  return some ? undefined : h248Error(431, termination);
};

const runCommand = (run: Execution, command: CommandRequest, running: Running): Outcome => {
  switch (command.command) {
    case "Add":
      return add(run, command, running);
    case "Modify":
      return modify(run, command, running);
    case "Subtract":
      return subtract(run, command, running);
    case "AuditValue":
    case "AuditCapability": {
      const { action, context } = running;
      if (typeof context === "number") run.handler.touched?.(context, command.termination);
      const shown = audit({ ...action, context }, command, auditedOf(run));
      if (!shown.ok) return Promise.resolve(shown.error);
      append(running.replies, shown.value);
      return Promise.resolve(undefined);
    }
    case "ServiceChange": {
      if (command.termination.toUpperCase() !== root) return refused(501, `ServiceChange of ${command.termination}`);
      const error = run.serviceChange(command);
      if (error === undefined)
        answer(running.replies, running.context, { command: "ServiceChange", termination: root, descriptors: [] });
      return Promise.resolve(error);
    }
    // TS 29.334 5.8: Move has no place in a profile of two terminations that belong together; Notify goes the other way.
    default:
      return refused(501, command.command);
  }
};

interface ActionOutcome {
  readonly replies: readonly ActionReply[];
  readonly failed: boolean;
}

const refuse = ({ context }: ActionRequest, error: H248Error): ActionOutcome => ({
  replies: [{ context, commands: [], error }],
  failed: true,
});

/** A context an action made does not outlive its failure (invariant 10): what was done in it is undone. */
const undo = async (run: Execution, { context, made }: Running): Promise<boolean> => {
  if (!made || typeof context !== "number") return false;
  await run.handler.subtract({ context, termination: "*" });
  return true;
};

const runAction = async (run: Execution, action: ActionRequest): Promise<ActionOutcome> => {
  const { commands, context, contextAudit } = action;
  // Two terminations need no topology (TS 29.334 5.8).
  if (action.topology !== undefined) return refuse(action, h248Error(444, "Topology"));
  const marks = marksOf(action);
  if (!marks.ok) return refuse(action, marks.error);
  const marked = marks !== noMarks;
  if (typeof context === "number" && marked && run.handler.mark?.(context, marks.value) === false) {
    return refuse(action, h248Error(411, String(context)));
  }
  // H.248.1 8.1: properties alone are an action too; they need a context to be properties of.
  if (commands.length === 0 && contextAudit === undefined) {
    if (typeof context !== "number") return refuse(action, h248Error(421, `properties of context ${context}`));
    return { replies: [{ context, ...marks.value, commands: [] }], failed: false };
  }
  const running: Running = { action, context, made: false, replies: [] };
  if (contextAudit !== undefined) {
    const shown = auditContext(action, contextAudit, auditedOf(run));
    if (!shown.ok) return refuse(action, shown.error);
    append(running.replies, shown.value);
  }
  for (const command of commands) {
    let error: H248Error | undefined;
    try {
      error = await runCommand(run, command, running);
    } catch (fault) {
      // Nobody foresaw it: the whole transaction is answered 500.
      await undo(run, running);
      throw fault;
    }
    if (error === undefined) continue;
    const failure = errorReply(command, error);
    const optional = command.optional === true;
    if (!optional && (await undo(run, running))) {
      return { replies: [{ context: "$", commands: [failure] }], failed: true };
    }
    answer(running.replies, running.context, failure);
    if (!optional) return { replies: running.replies, failed: true };
  }
  return { replies: running.replies, failed: false };
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
