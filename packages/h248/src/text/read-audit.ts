// Owns the Audit descriptor with the single properties of version 2 (H.248.1 7.1.12, Annex B.2: auditItem, indAud...).
import type { Cursor, Draft } from "./cursor.ts";
import type { AuditItem } from "./descriptor.ts";
import { auditable, streamKeyword, vocabulary } from "./tokens.ts";
import type { Keyword, Vocabulary } from "./tokens.ts";

const none: Vocabulary<Keyword> = new Map();
const below: Readonly<Partial<Record<string, Vocabulary<Keyword>>>> = {
  Media: vocabulary("Stream", "TerminationState", "LocalControl", "Local", "Remote", "Statistics"),
  Stream: vocabulary("LocalControl", "Local", "Remote", "Statistics"),
  LocalControl: vocabulary("Mode", "ReservedValue", "ReservedGroup"),
  TerminationState: vocabulary("ServiceStates", "Buffer"),
  Signals: vocabulary("SignalList"),
  Events: none,
  EventBuffer: none,
  Packages: none,
  Statistics: none,
};

/** The keywords that may stand below an audit item; below a package's name only Stream is one. */
export const auditWordsBelow = (parent: string | undefined): Vocabulary<Keyword> => {
  if (parent === undefined) return auditable;
  return (Object.hasOwn(below, parent) ? below[parent] : undefined) ?? (parent.includes("/") ? streamKeyword : none);
};

const readAuditItem = (cursor: Cursor, parent?: string): AuditItem => {
  cursor.skip();
  const start = cursor.at;
  const word = cursor.name();
  const keyword = auditWordsBelow(parent).get(word.toLowerCase());
  if (parent === undefined && keyword === undefined) cursor.fail("unknown-descriptor", start);
  const item: Draft<AuditItem> = { name: keyword ?? word };
  if (cursor.take("=")) item.value = cursor.value().text;
  if (cursor.peek() === "{") {
    item.items = cursor.nested(() => cursor.list(() => readAuditItem(cursor, item.name)), []);
  }
  return item;
};

/** What follows the Audit token: `{}` or a list of items. */
export const readAudit = (cursor: Cursor): AuditItem[] => {
  const start = cursor.at;
  cursor.expect("{");
  if (cursor.take("}")) return [];
  if (cursor.failed) return [];
  cursor.at = start;
  return cursor.list(() => readAuditItem(cursor));
};
