// Owns transactions and actions (H.248.1 clauses 6 and 8, Annex B.2: transactionRequest, actionRequest, actionReply).
import type { Cursor, Draft } from "./cursor.ts";
import { decimal, uint16, uint32 } from "./cursor.ts";
import type {
  ActionReply,
  ActionRequest,
  CommandName,
  CommandReply,
  CommandRequest,
  ContextAuditItem,
  ContextId,
  ContextProperties,
  Segment,
  TopologyTriple,
  Transaction,
} from "./message.ts";
import { readCommandReply, readCommandRequest } from "./read-command.ts";
import { readError } from "./read-property.ts";
import { commands, onOff, streamKeyword, vocabulary } from "./tokens.ts";
import type { Vocabulary } from "./tokens.ts";

const transactionWords = vocabulary("Transaction", "Reply", "Pending", "TransactionResponseAck", "Segment");
const contextWords = vocabulary("Context");
const errorWord = vocabulary("Error");
const immAckRequired = vocabulary("ImmAckRequired");
const propertyWords = vocabulary("Priority", "Emergency", "EmergencyOff", "IEPSCall", "Topology", "ContextAudit");
const contextAuditWords: Vocabulary<ContextAuditItem> = vocabulary("Topology", "Emergency", "Priority", "IEPSCall");
const directions = vocabulary("Isolate", "Oneway", "Bothway", "OnewayExternal", "OnewayBoth");

/** 6.1.1.3 and Annex B.2: the binary values of the null, CHOOSE and ALL contexts mean the same as their signs. */
const readContextId = (cursor: Cursor): ContextId => {
  cursor.expect("=");
  cursor.skip();
  const start = cursor.at;
  const word = cursor.run();
  if (word === "-" || word === "$" || word === "*") return word;
  const number = decimal(word, uint32);
  if (number === undefined) cursor.fail("number", start);
  if (number === 0 || number === undefined) return "-";
  return number === 0xffff_fffe ? "$" : number === 0xffff_ffff ? "*" : number;
};

const readTopology = (cursor: Cursor): TopologyTriple[] => {
  const triples: TopologyTriple[] = [];
  const name = (): string => cursor.word(cursor.limits.maxName);
  cursor.expect("{");
  let from = name();
  for (;;) {
    cursor.count();
    cursor.expect(",");
    const to = name();
    cursor.expect(",");
    const triple: Draft<TopologyTriple> = { from, to, direction: cursor.keyword(directions) ?? "Isolate" };
    triples.push(triple);
    if (!cursor.take(",")) break;
    from = name();
    // Version 2: a triple may name its stream.
    if (streamKeyword.has(from.toLowerCase()) && cursor.peek() === "=") {
      triple.stream = cursor.assignedInteger(uint16);
      if (!cursor.take(",")) break;
      from = name();
    }
  }
  cursor.expect("}");
  return triples;
};

/** Reads one context property; false when the word is none. */
const readContextProperty = (
  cursor: Cursor,
  into: Draft<ContextProperties> & { contextAudit?: readonly ContextAuditItem[] },
  seen: unknown[],
): boolean => {
  const word = cursor.keywordIf(propertyWords);
  if (word === undefined) return false;
  cursor.once(seen, word === "EmergencyOff" ? "Emergency" : word);
  if (word === "Priority") into.priority = cursor.assignedInteger(uint16);
  else if (word === "Emergency") into.emergency = true;
  else if (word === "EmergencyOff") into.emergency = false;
  else if (word === "IEPSCall") into.ieps = cursor.assigned(onOff) === "On";
  else if (word === "Topology") into.topology = readTopology(cursor);
  else into.contextAudit = cursor.list(() => cursor.keyword(contextAuditWords) ?? "Topology");
  return true;
};

const prefixedCommand = (cursor: Cursor): CommandRequest | undefined => {
  cursor.skip();
  const start = cursor.at;
  let word = cursor.word(cursor.limits.maxName).toLowerCase();
  const prefix: { optional?: true; wildcarded?: true } = {};
  if (word.startsWith("o-")) {
    prefix.optional = true;
    word = word.slice(2);
  }
  if (word.startsWith("w-")) {
    prefix.wildcarded = true;
    word = word.slice(2);
  }
  const command: CommandName | undefined = commands.get(word);
  if (command === undefined) {
    cursor.fail("unknown-command", start);
    return undefined;
  }
  return readCommandRequest(cursor, command, prefix);
};

const readContext = (cursor: Cursor): ContextId => {
  cursor.keyword(contextWords);
  return readContextId(cursor);
};

type Requests = Omit<Draft<ActionRequest>, "commands"> & { readonly commands: CommandRequest[] };

const readRequested = (cursor: Cursor, action: Requests, seen: unknown[]): void => {
  if (readContextProperty(cursor, action, seen)) return;
  const command = prefixedCommand(cursor);
  if (command !== undefined) action.commands.push(command);
};

const readActionRequest = (cursor: Cursor): ActionRequest => {
  const action: Requests = { context: readContext(cursor), commands: [] };
  cursor.each(readRequested, action, []);
  return action;
};

const readActionReply = (cursor: Cursor): ActionReply => {
  const replies: CommandReply[] = [];
  const action: Draft<ActionReply> = { context: readContext(cursor), commands: replies };
  const seen: unknown[] = [];
  cursor.list(() => {
    if (readContextProperty(cursor, action, seen)) return;
    if (cursor.keywordIf(errorWord) !== undefined) {
      cursor.once(seen, "Error");
      action.error = readError(cursor);
      return;
    }
    const command = cursor.keyword(commands, "unknown-command");
    if (command !== undefined) replies.push(readCommandReply(cursor, command));
  });
  return action;
};

/** Version 3: `/number[/END]` after a transaction id, in the same word. */
const idAndSegment = (cursor: Cursor): { id: number; segment: Segment | undefined } => {
  cursor.expect("=");
  cursor.skip();
  const start = cursor.at;
  const word = cursor.run();
  const only = word.includes("/") ? undefined : decimal(word, uint32);
  if (only !== undefined) return { id: only, segment: undefined };
  const [idText = "", numberText, end, ...more] = word.split("/", 5);
  const id = decimal(idText, uint32);
  const number = numberText === undefined ? 0 : decimal(numberText, uint16);
  const closed = end === undefined || end.toLowerCase() === "end" || end === "&";
  if (id === undefined || number === undefined || !closed || more.length > 0) cursor.fail("number", start);
  if (numberText === undefined) return { id: id ?? 0, segment: undefined };
  return { id: id ?? 0, segment: { number: number ?? 0, last: end !== undefined } };
};

const readReply = (cursor: Cursor): Transaction => {
  const { id, segment } = idAndSegment(cursor);
  cursor.transaction = { kind: "reply", id };
  cursor.expect("{");
  const flagged = cursor.keywordIf(immAckRequired) !== undefined;
  if (flagged) cursor.expect(",");
  // Written out: one shape for every reply.
  const reply = (body: (Transaction & { readonly kind: "reply" })["body"]): Transaction => ({
    kind: "reply",
    id,
    immAckRequired: flagged ? true : undefined,
    segment,
    body,
  });
  if (cursor.keywordIf(errorWord) !== undefined) {
    const error = readError(cursor);
    cursor.expect("}");
    return reply({ kind: "error", error });
  }
  const actions: ActionReply[] = [];
  do {
    cursor.count();
    actions.push(readActionReply(cursor));
  } while (cursor.take(","));
  cursor.expect("}");
  return reply({ kind: "actions", actions });
};

const readRange = (cursor: Cursor): readonly [number, number] => {
  cursor.skip();
  const start = cursor.at;
  const [firstText = "", lastText = firstText, ...more] = cursor.run().split("-", 4);
  const first = decimal(firstText, uint32);
  const last = decimal(lastText, uint32);
  if (first === undefined || last === undefined || first > last || more.length > 0) cursor.fail("number", start);
  return [first ?? 0, last ?? 0];
};

const readPending = (cursor: Cursor): Transaction => {
  const id = cursor.assignedInteger(uint32);
  cursor.expect("{");
  cursor.expect("}");
  return { kind: "pending", id };
};

export const readTransaction = (cursor: Cursor): Transaction | undefined => {
  cursor.transaction = undefined;
  const word = cursor.keyword(transactionWords);
  if (word === "Transaction") {
    const id = cursor.assignedInteger(uint32);
    if (!cursor.failed) cursor.transaction = { kind: "request", id };
    return { kind: "request", id, actions: cursor.list(readActionRequest) };
  }
  if (word === "Reply") return readReply(cursor);
  if (word === "Pending") return readPending(cursor);
  if (word === "TransactionResponseAck") return { kind: "ack", ranges: cursor.list(readRange) };
  if (word === undefined) return undefined;
  const { id, segment } = idAndSegment(cursor);
  if (segment === undefined) cursor.fail("number");
  return { kind: "segment", id, segment: segment ?? { number: 0, last: false } };
};
