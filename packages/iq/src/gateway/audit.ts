// Owns who answers an audit: ROOT, one termination, all of a context, all contexts (H.248.1 7.2.5, 7.2.6). Pure.
import type {
  ActionReply,
  ActionRequest,
  AuditItem,
  CommandReply,
  CommandRequest,
  Descriptor,
  ContextAuditItem,
  H248Error,
} from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { fail, ok } from "@sallyport/kit";
import { h248Error, refusal } from "../profile/error-text.ts";
import { matchesName, root } from "../profile/names.ts";
import { rootValue, terminationCapability, terminationValue } from "./audit-items.ts";
import type { RootState } from "./audit-items.ts";
import { unite } from "./audit-union.ts";
import type { ContextView, GatewayCapabilities, TerminationView } from "./types.ts";

/** What an audit may look at. */
export interface Audited {
  /** All, or the one that is named. Asked only where an audit is about contexts: a heartbeat is not. */
  readonly contexts: (only?: number) => readonly ContextView[];
  /** The agreed protocol version. */
  readonly version: number;
  readonly root: RootState;
  readonly capabilities: GatewayCapabilities;
}

const itemsOf = (command: CommandRequest): readonly AuditItem[] =>
  command.descriptors.flatMap((descriptor) => (descriptor.kind === "audit" ? descriptor.items : []));

const collect = (
  items: readonly AuditItem[],
  read: (item: AuditItem) => Result<readonly Descriptor[], H248Error>,
): Result<readonly Descriptor[], H248Error> => {
  const descriptors: Descriptor[] = [];
  for (const item of items) {
    const one = read(item);
    if (!one.ok) return one;
    descriptors.push(...one.value);
  }
  return ok(descriptors);
};

/** H.248.1 7.1.12: single properties came with version 2. */
const judgeVersion = (items: readonly AuditItem[], version: number): H248Error | undefined =>
  version < 2 && items.some((item) => (item.items?.length ?? 0) > 0)
    ? h248Error(501, "single properties in version 1")
    : undefined;

const rootReply = (command: CommandRequest, audited: Audited): Result<CommandReply, H248Error> => {
  const descriptors = collect(itemsOf(command), (item) => rootValue(audited.root, item));
  if (!descriptors.ok) return descriptors;
  return ok({ command: command.command, termination: root, descriptors: descriptors.value });
};

const contextReply = (
  context: ContextView,
  command: CommandRequest,
  audited: Audited,
): Result<ActionReply | undefined, H248Error> => {
  const show = (view: TerminationView, item: AuditItem): Result<readonly Descriptor[], H248Error> =>
    command.command === "AuditCapability"
      ? terminationCapability(view, item, audited.capabilities)
      : terminationValue(view, item, audited.version);
  const replies: CommandReply[] = [];
  for (const view of context.terminations) {
    if (!matchesName(command.termination, view.termination)) continue;
    const descriptors = collect(itemsOf(command), (item) => show(view, item));
    if (!descriptors.ok) return descriptors;
    replies.push({ command: command.command, termination: view.termination, descriptors: descriptors.value });
  }
  if (replies.length === 0) return ok(undefined);
  // H.248.1 7.2.5: a wildcarded response is one, with the union of all.
  const once = command.wildcarded === true && command.termination.includes("*");
  const { command: name, termination } = command;
  const descriptors = once ? unite(replies.map((reply) => reply.descriptors)) : [];
  return ok({ context: context.context, commands: once ? [{ command: name, termination, descriptors }] : replies });
};

const viewsOf = (context: number | "*", { contexts }: Audited): readonly ContextView[] =>
  context === "*" ? contexts() : contexts(context).filter((view) => view.context === context);

/** One AuditValue or AuditCapability: the action replies it yields, or the error. */
export const audit = (
  action: ActionRequest,
  command: CommandRequest,
  audited: Audited,
): Result<readonly ActionReply[], H248Error> => {
  const { context } = action;
  if (context === "$") return refusal(421, `${command.command} in the CHOOSE context`);
  const early = judgeVersion(itemsOf(command), audited.version);
  if (early !== undefined) return fail(early);
  const wild = command.termination.includes("*");
  if (command.termination.toUpperCase() === root) {
    const reply = rootReply(command, audited);
    if (!reply.ok) return reply;
    // ROOT of ALL contexts: the list of context identifiers, an action each; the null context stands for "none".
    const all = context === "*" ? audited.contexts() : [];
    if (all.length > 0) return ok(all.map((view) => ({ context: view.context, commands: [reply.value] })));
    if (typeof context === "number") return refusal(430, "ROOT is in the null context");
    return ok([{ context: "-", commands: [reply.value] }]);
  }
  // Ephemeral terminations are never in the null context.
  if (context === "-") return fail(h248Error(wild ? 431 : 430, command.termination));
  const views = viewsOf(context, audited);
  if (typeof context === "number" && views.length === 0) return refusal(411, String(context));
  const replies: ActionReply[] = [];
  for (const view of views) {
    const reply = contextReply(view, command, audited);
    if (!reply.ok) return reply;
    if (reply.value !== undefined) replies.push(reply.value);
  }
  if (replies.length > 0) return ok(replies);
  return fail(h248Error(wild ? 431 : 430, command.termination));
};

const contextProperties = (view: ContextView, items: readonly ContextAuditItem[], version: number): ActionReply => ({
  context: view.context,
  ...(items.includes("Priority") ? { priority: view.priority ?? 0 } : {}),
  ...(items.includes("Emergency") ? { emergency: view.emergency ?? false } : {}),
  // Version 3 knows the International Emergency Preference Scheme.
  ...(items.includes("IEPSCall") && version >= 3 ? { ieps: view.ieps ?? false } : {}),
  commands: [],
});

/** H.248.1 8.1.1: the properties of one context or of all. There is no topology to tell of between two terminations. */
export const auditContext = (
  action: ActionRequest,
  items: readonly ContextAuditItem[],
  audited: Audited,
): Result<readonly ActionReply[], H248Error> => {
  const { context } = action;
  if (items.includes("Topology")) return refusal(444, "Topology");
  if (items.includes("IEPSCall") && audited.version < 3) return refusal(501, "IEPSCall before version 3");
  if (context === "$" || context === "-") return refusal(421, `ContextAudit in context ${context}`);
  const views = viewsOf(context, audited);
  if (views.length === 0) return refusal(411, String(context));
  return ok(views.map((view) => contextProperties(view, items, audited.version)));
};
