// Owns the written form of properties, statistics, errors and audit items (H.248.1 Annex B.2).
import type { AuditItem, H248Error, Property } from "./descriptor.ts";
import type { Pen } from "./pen.ts";
import { auditWordsBelow } from "./read-audit.ts";
import { h248Errors } from "../errors.ts";

const brackets = { all: "[", any: "{", range: "[" } as const;

const writeProperty = (pen: Pen, property: Property): void => {
  const { name, relation, values } = property;
  const quoted = property.quoted === true;
  const write = (value: string | undefined): void => {
    if (value === undefined) throw h248Errors("SALLY_H248_UNWRITABLE", "A property has too few values.");
    pen.value(value, quoted);
  };
  pen.word(name);
  if (relation === "all" || relation === "any") {
    pen.equals();
    pen.inline(
      brackets[relation],
      values.map((value) => () => write(value)),
    );
  } else if (relation === "range") {
    pen.equals();
    pen.raw("[");
    write(values[0]);
    pen.raw(":");
    write(values[1]);
    pen.raw("]");
  } else {
    if (relation === "=") pen.equals();
    else pen.raw(relation);
    write(values[0]);
  }
};

export const writeStatistic = (pen: Pen, statistic: Property): void => {
  if (statistic.values.length === 0) pen.word(statistic.name);
  else writeProperty(pen, statistic);
};

export const properties = (pen: Pen, list: readonly Property[]): (() => void)[] =>
  list.map((property) => () => writeProperty(pen, property));

const unquotable = /[^ \t!#-~]/g;

/** An error's text must not keep the error from being sent: what cannot be quoted becomes `?`, a double quote `'`. */
export const writeError = (pen: Pen, error: H248Error): void => {
  pen.keyword("Error");
  pen.equals();
  pen.number(error.code, 9999);
  const text = error.text.replaceAll('"', "'").replaceAll(unquotable, "?");
  pen.gap();
  if (text === "") pen.raw("{}");
  else pen.inline("{", [() => pen.quoted(text)]);
};

export const writeAuditItem = (pen: Pen, item: AuditItem, parent?: string): void => {
  const keyword = auditWordsBelow(parent).get(item.name.toLowerCase());
  if (keyword === undefined) pen.word(item.name);
  else pen.keyword(keyword);
  if (item.value !== undefined) {
    pen.equals();
    pen.value(item.value, false);
  }
  if (item.items !== undefined) pen.block(item.items.map((below) => () => writeAuditItem(pen, below, item.name)));
};
