// Owns the written form of properties, statistics, errors and audit items (H.248.1 Annex B.2).
import type { AuditItem, H248Error, Property } from "./descriptor.ts";
import type { Pen } from "./pen.ts";
import { auditWordsBelow } from "./read-audit.ts";
import { h248Errors } from "../errors.ts";

const brackets = { all: "[", any: "{", range: "[" } as const;

const writeValue = (pen: Pen, property: Property, at: number): void => {
  const value = property.values[at];
  if (value === undefined) throw h248Errors("SALLY_H248_UNWRITABLE", "A property has too few values.");
  pen.value(value, property.quoted === true);
};

const writeQuoted = (pen: Pen, text: string): void => pen.quoted(text);
const writePlain = (pen: Pen, text: string): void => pen.value(text, false);

const writeProperty = (pen: Pen, property: Property): void => {
  const { name, relation, values } = property;
  pen.word(name);
  if (relation === "all" || relation === "any") {
    pen.equals();
    pen.inline(brackets[relation], values, property.quoted === true ? writeQuoted : writePlain);
  } else if (relation === "range") {
    pen.equals();
    pen.raw("[");
    writeValue(pen, property, 0);
    pen.raw(":");
    writeValue(pen, property, 1);
    pen.raw("]");
  } else {
    if (relation === "=") pen.equals();
    else pen.raw(relation);
    writeValue(pen, property, 0);
  }
};

export const writeStatistic = (pen: Pen, statistic: Property): void => {
  if (statistic.values.length === 0) pen.word(statistic.name);
  else writeProperty(pen, statistic);
};

/** Each as an item of the open list. */
export const writeProperties = (pen: Pen, list: readonly Property[]): void => {
  for (const property of list) {
    pen.item();
    writeProperty(pen, property);
  }
};

const unquotable = /[^ \t!#-~]/g;

/** An error's text must not keep the error from being sent: what cannot be quoted becomes `?`, a double quote `'`. */
export const writeError = (pen: Pen, error: H248Error): void => {
  pen.keyword("Error");
  pen.equals();
  pen.number(error.code, 9999);
  const text = error.text.replaceAll('"', "'").replaceAll(unquotable, "?");
  pen.gap();
  if (text === "") pen.raw("{}");
  else pen.inline("{", [text], writeQuoted);
};

const writeAuditItemBelow = (pen: Pen, item: AuditItem, parent: string | undefined): void => {
  const keyword = auditWordsBelow(parent).get(item.name.toLowerCase());
  if (keyword === undefined) pen.word(item.name);
  else pen.keyword(keyword);
  if (item.value !== undefined) {
    pen.equals();
    pen.value(item.value, false);
  }
  if (item.items === undefined) return;
  pen.block(item.items, (below, inner) => writeAuditItemBelow(below, inner, item.name));
};

export const writeAuditItem = (pen: Pen, item: AuditItem): void => writeAuditItemBelow(pen, item, undefined);
