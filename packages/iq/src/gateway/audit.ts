// Owns the answers to AuditValue: ROOT, one termination, all of a context, all contexts (H.248.1 7.2.5). Pure.
import type {
  ActionReply,
  ActionRequest,
  AuditItem,
  CommandReply,
  CommandRequest,
  Descriptor,
  H248Error,
} from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { fail, ok } from "@sallyport/kit";
import { h248Error, refusal } from "../profile/error-text.ts";
import { matchesName, root } from "../profile/names.ts";
import { writeSessionText } from "../profile/session-text.ts";
import { modeToken, statisticsDescriptors, withoutKey } from "./encode.ts";
import { packagesDone } from "./packages.ts";
import type { ContextView, TerminationView } from "./types.ts";

const itemsOf = (command: CommandRequest): readonly AuditItem[] =>
  command.descriptors.flatMap((descriptor) => (descriptor.kind === "audit" ? descriptor.items : []));

const single = (item: AuditItem): boolean => item.value !== undefined || (item.items?.length ?? 0) > 0;

const mediaOf = (view: TerminationView): Descriptor => ({
  kind: "media",
  streams: view.streams.map((stream) => ({
    id: stream.stream,
    localControl: { mode: modeToken[stream.mode], properties: [] },
    local: writeSessionText(withoutKey(stream.local)),
    ...(stream.remote === undefined ? {} : { remote: writeSessionText(withoutKey(stream.remote)) }),
  })),
});

const terminationItem = (
  view: TerminationView,
  item: AuditItem,
  version: number,
): Result<readonly Descriptor[], H248Error> => {
  if (single(item)) return refusal(501, `Audit of single properties of ${item.name}`);
  switch (item.name.toLowerCase()) {
    case "media":
      return ok([mediaOf(view)]);
    case "statistics":
      return ok(
        statisticsDescriptors(
          view.streams.map((stream) => stream.counts),
          version,
        ),
      );
    case "packages":
      return ok([{ kind: "packages", packages: packagesDone }]);
    default:
      return refusal(501, `Audit of ${item.name}`);
  }
};

const rootItem = (item: AuditItem): Result<readonly Descriptor[], H248Error> => {
  if (single(item)) return refusal(501, `Audit of single properties of ${item.name}`);
  switch (item.name.toLowerCase()) {
    case "media":
      return ok([{ kind: "media", streams: [], terminationState: { serviceState: "InService", properties: [] } }]);
    case "packages":
      return ok([{ kind: "packages", packages: packagesDone }]);
    default:
      return refusal(501, `Audit of ${item.name}`);
  }
};

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

const rootReply = (items: readonly AuditItem[]): Result<CommandReply, H248Error> => {
  const descriptors = collect(items, rootItem);
  if (!descriptors.ok) return descriptors;
  return ok({ command: "AuditValue", termination: root, descriptors: descriptors.value });
};

const contextReply = (
  context: ContextView,
  command: CommandRequest,
  version: number,
): Result<ActionReply | undefined, H248Error> => {
  const replies: CommandReply[] = [];
  for (const view of context.terminations) {
    if (!matchesName(command.termination, view.termination)) continue;
    const descriptors = collect(itemsOf(command), (item) => terminationItem(view, item, version));
    if (!descriptors.ok) return descriptors;
    replies.push({ command: "AuditValue", termination: view.termination, descriptors: descriptors.value });
  }
  return ok(replies.length === 0 ? undefined : { context: context.context, commands: replies });
};

/** One AuditValue: the action replies it yields, or the error. */
export const auditValue = (
  action: ActionRequest,
  command: CommandRequest,
  contexts: readonly ContextView[],
  version: number,
): Result<readonly ActionReply[], H248Error> => {
  const { context } = action;
  if (context === "$") return refusal(421, "AuditValue in the CHOOSE context");
  const wild = command.termination.includes("*");
  if (command.termination.toUpperCase() === root) {
    const reply = rootReply(itemsOf(command));
    if (!reply.ok) return reply;
    // ROOT of ALL contexts: the list of context identifiers, an action each; the null context stands for "none".
    if (context === "*" && contexts.length > 0) {
      return ok(contexts.map((view) => ({ context: view.context, commands: [reply.value] })));
    }
    if (typeof context === "number") return refusal(430, "ROOT is in the null context");
    return ok([{ context: "-", commands: [reply.value] }]);
  }
  // Ephemeral terminations are never in the null context.
  if (context === "-") return fail(h248Error(wild ? 431 : 430, command.termination));
  if (typeof context === "number" && !contexts.some((view) => view.context === context)) {
    return refusal(411, String(context));
  }
  const replies: ActionReply[] = [];
  for (const view of contexts) {
    if (typeof context === "number" && view.context !== context) continue;
    const reply = contextReply(view, command, version);
    if (!reply.ok) return reply;
    if (reply.value !== undefined) replies.push(reply.value);
  }
  if (replies.length > 0) return ok(replies);
  return fail(h248Error(wild ? 431 : 430, command.termination));
};
