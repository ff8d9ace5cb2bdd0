// Owns the written form of messages, transactions, actions and commands (H.248.1 Annex B.2), long or short tokens.
import { h248Errors } from "../errors.ts";
import { uint16, uint32 } from "./cursor.ts";
import type {
  ActionReply,
  ActionRequest,
  CommandReply,
  CommandRequest,
  ContextId,
  ContextProperties,
  H248Message,
  Segment,
  Transaction,
} from "./message.ts";
import { Pen } from "./pen.ts";
import type { H248Style } from "./pen.ts";
import { writeDescriptor } from "./write-descriptor.ts";
import { writeMid, writeTermination } from "./write-mid.ts";
import { writeError } from "./write-property.ts";

type Step = () => void;

const contextProperties = (pen: Pen, of: ContextProperties): Step[] => {
  const { priority, emergency, ieps, topology } = of;
  const steps: Step[] = [];
  if (topology !== undefined) {
    steps.push(() => {
      pen.keyword("Topology");
      pen.block(
        topology.map((triple) => () => {
          pen.word(triple.from);
          pen.raw(",");
          pen.word(triple.to);
          pen.raw(",");
          pen.keyword(triple.direction);
          if (triple.stream === undefined) return;
          pen.raw(",");
          pen.assignNumber("Stream", triple.stream, uint16);
        }),
      );
    });
  }
  if (priority !== undefined) steps.push(() => pen.assignNumber("Priority", priority, uint16));
  if (emergency !== undefined) steps.push(() => pen.keyword(emergency ? "Emergency" : "EmergencyOff"));
  if (ieps !== undefined) steps.push(() => pen.assignKeyword("IEPSCall", ieps ? "On" : "Off"));
  return steps;
};

const writeContext = (pen: Pen, context: ContextId, steps: readonly Step[]): void => {
  pen.keyword("Context");
  pen.equals();
  if (typeof context === "number") {
    if (context === 0) throw h248Errors("SALLY_H248_UNWRITABLE", "Context 0 is the null context: say -.");
    pen.number(context, uint32 - 2);
  } else pen.raw(context);
  pen.block(steps);
};

const writeCommandRequest = (pen: Pen, request: CommandRequest): void => {
  if (request.optional === true) pen.raw("O-");
  if (request.wildcarded === true) pen.raw("W-");
  pen.keyword(request.command);
  pen.equals();
  writeTermination(pen, request.termination);
  if (request.descriptors.length === 0) return;
  pen.block(request.descriptors.map((descriptor) => () => writeDescriptor(pen, descriptor)));
};

const writeActionRequest = (pen: Pen, action: ActionRequest): void => {
  const steps = contextProperties(pen, action);
  const audit = action.contextAudit;
  if (audit !== undefined) {
    steps.push(() => {
      pen.keyword("ContextAudit");
      pen.block(audit.map((item) => () => pen.keyword(item)));
    });
  }
  steps.push(...action.commands.map((command) => () => writeCommandRequest(pen, command)));
  writeContext(pen, action.context, steps);
};

const writeCommandReply = (pen: Pen, reply: CommandReply): void => {
  const { error, contextTerminations } = reply;
  pen.keyword(reply.command);
  pen.equals();
  if (contextTerminations !== undefined) {
    pen.keyword("Context");
    if (error !== undefined) return pen.block([() => writeError(pen, error)]);
    pen.gap();
    return pen.inline(
      "{",
      contextTerminations.map((name) => () => pen.word(name)),
    );
  }
  writeTermination(pen, reply.termination);
  const steps = reply.descriptors.map((descriptor) => () => writeDescriptor(pen, descriptor));
  if (error !== undefined) steps.push(() => writeError(pen, error));
  return steps.length > 0 ? pen.block(steps) : undefined;
};

const writeActionReply = (pen: Pen, action: ActionReply): void => {
  const { error } = action;
  const steps = contextProperties(pen, action);
  steps.push(...action.commands.map((command) => () => writeCommandReply(pen, command)));
  if (error !== undefined) steps.push(() => writeError(pen, error));
  writeContext(pen, action.context, steps);
};

const writeSegment = (pen: Pen, segment: Segment): void => {
  pen.raw("/");
  pen.number(segment.number, uint16);
  if (segment.last) pen.raw("/END");
};

const writeReply = (pen: Pen, reply: Transaction & { readonly kind: "reply" }): void => {
  const { body } = reply;
  const steps: Step[] = reply.immAckRequired === true ? [() => pen.keyword("ImmAckRequired")] : [];
  if (body.kind === "error") steps.push(() => writeError(pen, body.error));
  else {
    if (body.actions.length === 0) throw h248Errors("SALLY_H248_UNWRITABLE", "A reply answers no action.");
    steps.push(...body.actions.map((action) => () => writeActionReply(pen, action)));
  }
  pen.assignNumber("Reply", reply.id, uint32);
  if (reply.segment !== undefined) writeSegment(pen, reply.segment);
  pen.block(steps);
};

const writeTransaction = (pen: Pen, transaction: Transaction): void => {
  switch (transaction.kind) {
    case "request":
      pen.assignNumber("Transaction", transaction.id, uint32);
      return pen.block(transaction.actions.map((action) => () => writeActionRequest(pen, action)));
    case "reply":
      return writeReply(pen, transaction);
    case "pending":
      pen.assignNumber("Pending", transaction.id, uint32);
      return pen.raw("{}");
    case "ack":
      pen.keyword("TransactionResponseAck");
      pen.gap();
      return pen.inline(
        "{",
        transaction.ranges.map(([first, last]) => () => {
          pen.number(first, uint32);
          if (last === first) return;
          if (last < first) throw h248Errors("SALLY_H248_UNWRITABLE", "A range of transaction ids runs backwards.");
          pen.raw("-");
          pen.number(last, uint32);
        }),
      );
    case "segment":
      pen.assignNumber("Segment", transaction.id, uint32);
      return writeSegment(pen, transaction.segment);
  }
};

/**
 * Writes a message; `parseH248` reads it back equal, in both styles.
 * @throws SALLY_H248_UNWRITABLE where the text encoding has no form for what the message holds.
 */
export const writeH248 = (message: H248Message, style: H248Style): Buffer => {
  const pen = new Pen(style);
  const { body } = message;
  pen.raw(style === "pretty" ? `MEGACO/${message.version} ` : `!/${message.version} `);
  writeMid(pen, message.mid);
  if (body.kind === "error") {
    pen.raw(style === "pretty" ? "\r\n" : " ");
    writeError(pen, body.error);
    return pen.toBuffer();
  }
  if (body.transactions.length === 0) throw h248Errors("SALLY_H248_UNWRITABLE", "A message holds no transaction.");
  body.transactions.forEach((transaction, at) => {
    // A segment acknowledgement ends in a word: the next token needs a blank before it.
    pen.raw(style === "pretty" ? "\r\n" : at === 0 || body.transactions[at - 1]?.kind === "segment" ? " " : "");
    writeTransaction(pen, transaction);
  });
  return pen.toBuffer();
};
