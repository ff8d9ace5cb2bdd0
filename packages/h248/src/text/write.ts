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
  TopologyTriple,
  Transaction,
} from "./message.ts";
import { Pen, writeKeyword, writeWord } from "./pen.ts";
import type { H248Style } from "./pen.ts";
import { writeDescriptor } from "./write-descriptor.ts";
import { writeMid, writeTermination } from "./write-mid.ts";
import { writeError } from "./write-property.ts";

const writeTriple = (pen: Pen, triple: TopologyTriple): void => {
  pen.word(triple.from);
  pen.raw(",");
  pen.word(triple.to);
  pen.raw(",");
  pen.keyword(triple.direction);
  if (triple.stream === undefined) return;
  pen.raw(",");
  pen.assignNumber("Stream", triple.stream, uint16);
};

const writeContextProperties = (pen: Pen, of: ContextProperties): void => {
  const { priority, emergency, ieps, topology } = of;
  if (topology !== undefined) {
    pen.item();
    pen.keyword("Topology");
    pen.block(topology, writeTriple);
  }
  if (priority !== undefined) {
    pen.item();
    pen.assignNumber("Priority", priority, uint16);
  }
  if (emergency !== undefined) {
    pen.item();
    pen.keyword(emergency ? "Emergency" : "EmergencyOff");
  }
  if (ieps !== undefined) {
    pen.item();
    pen.assignKeyword("IEPSCall", ieps ? "On" : "Off");
  }
};

const writeContext = (pen: Pen, context: ContextId): void => {
  pen.keyword("Context");
  pen.equals();
  if (typeof context === "number") {
    if (context === 0) throw h248Errors("SALLY_H248_UNWRITABLE", "Context 0 is the null context: say -.");
    pen.number(context, uint32 - 2);
  } else pen.raw(context);
};

const writeCommandRequest = (pen: Pen, request: CommandRequest): void => {
  if (request.optional === true) pen.raw("O-");
  if (request.wildcarded === true) pen.raw("W-");
  pen.keyword(request.command);
  pen.equals();
  writeTermination(pen, request.termination);
  if (request.descriptors.length > 0) pen.block(request.descriptors, writeDescriptor);
};

const writeActionRequest = (pen: Pen, action: ActionRequest): void => {
  writeContext(pen, action.context);
  pen.open();
  writeContextProperties(pen, action);
  const audit = action.contextAudit;
  if (audit !== undefined) {
    pen.item();
    pen.keyword("ContextAudit");
    pen.block(audit, writeKeyword);
  }
  for (const command of action.commands) {
    pen.item();
    writeCommandRequest(pen, command);
  }
  pen.close();
};

const writeCommandReply = (pen: Pen, reply: CommandReply): void => {
  const { error, contextTerminations, descriptors } = reply;
  pen.keyword(reply.command);
  pen.equals();
  if (contextTerminations !== undefined) {
    pen.keyword("Context");
    if (error !== undefined) return pen.block([error], writeError);
    pen.gap();
    return pen.inline("{", contextTerminations, writeWord);
  }
  writeTermination(pen, reply.termination);
  if (descriptors.length === 0 && error === undefined) return undefined;
  pen.open();
  for (const descriptor of descriptors) {
    pen.item();
    writeDescriptor(pen, descriptor);
  }
  if (error !== undefined) {
    pen.item();
    writeError(pen, error);
  }
  return pen.close();
};

const writeActionReply = (pen: Pen, action: ActionReply): void => {
  writeContext(pen, action.context);
  pen.open();
  writeContextProperties(pen, action);
  for (const command of action.commands) {
    pen.item();
    writeCommandReply(pen, command);
  }
  if (action.error !== undefined) {
    pen.item();
    writeError(pen, action.error);
  }
  pen.close();
};

const writeSegment = (pen: Pen, segment: Segment): void => {
  pen.raw("/");
  pen.number(segment.number, uint16);
  if (segment.last) pen.raw("/END");
};

const writeReply = (pen: Pen, reply: Transaction & { readonly kind: "reply" }): void => {
  const { body } = reply;
  pen.assignNumber("Reply", reply.id, uint32);
  if (reply.segment !== undefined) writeSegment(pen, reply.segment);
  pen.open();
  if (reply.immAckRequired === true) {
    pen.item();
    pen.keyword("ImmAckRequired");
  }
  if (body.kind === "error") {
    pen.item();
    writeError(pen, body.error);
  } else {
    if (body.actions.length === 0) throw h248Errors("SALLY_H248_UNWRITABLE", "A reply answers no action.");
    for (const action of body.actions) {
      pen.item();
      writeActionReply(pen, action);
    }
  }
  pen.close();
};

const writeRange = (pen: Pen, [first, last]: readonly [number, number]): void => {
  pen.number(first, uint32);
  if (last === first) return;
  if (last < first) throw h248Errors("SALLY_H248_UNWRITABLE", "A range of transaction ids runs backwards.");
  pen.raw("-");
  pen.number(last, uint32);
};

const writeTransaction = (pen: Pen, transaction: Transaction): void => {
  switch (transaction.kind) {
    case "request":
      pen.assignNumber("Transaction", transaction.id, uint32);
      return pen.block(transaction.actions, writeActionRequest);
    case "reply":
      return writeReply(pen, transaction);
    case "pending":
      pen.assignNumber("Pending", transaction.id, uint32);
      return pen.raw("{}");
    case "ack":
      pen.keyword("TransactionResponseAck");
      pen.gap();
      return pen.inline("{", transaction.ranges, writeRange);
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
