// Owns properties, parameters, statistics and error descriptors (H.248.1 Annex B.2: propertyParm, parmValue, errorDescriptor).
import { type Cursor, uint16 } from "./cursor.ts";
import type { Value } from "./cursor.ts";
import type { H248Error, PackageVersion, Property, Relation } from "./descriptor.ts";
import { decimal } from "./cursor.ts";

// Two literals, no spread: a reply with statistics has dozens of these.
const single = (name: string, relation: Relation, { text, quoted }: Value): Property =>
  quoted ? { name, relation, values: [text], quoted: true } : { name, relation, values: [text] };

const property = (name: string, relation: Relation, read: readonly Value[]): Property => {
  const values = read.map((value) => value.text);
  return read.some((value) => value.quoted) ? { name, relation, values, quoted: true } : { name, relation, values };
};

/** What follows a property's name. */
export const readCondition = (cursor: Cursor, name: string): Property => {
  const relation = cursor.peek();
  if (relation === "#" || relation === "<" || relation === ">") {
    cursor.take(relation);
    return single(name, relation, cursor.value());
  }
  cursor.expect("=");
  const next = cursor.peek();
  if (next === "{")
    return property(
      name,
      "any",
      cursor.list(() => cursor.value()),
    );
  if (next !== "[") return single(name, "=", cursor.value());
  cursor.expect("[");
  const values: Value[] = [cursor.value()];
  if (cursor.take(":")) {
    values.push(cursor.value());
    cursor.expect("]");
    return property(name, "range", values);
  }
  while (cursor.take(",")) {
    cursor.count();
    values.push(cursor.value());
  }
  cursor.expect("]");
  return property(name, "all", values);
};

export const readProperty = (cursor: Cursor): Property => readCondition(cursor, cursor.name());

/** A statistic: with one value, a version 3 list, or just named. */
export const readStatistic = (cursor: Cursor): Property => {
  const name = cursor.name();
  const next = cursor.peek();
  return next === "," || next === "}" ? property(name, "=", []) : readCondition(cursor, name);
};

/** What follows the Error token: `= 449 { "text" }`. */
export const readError = (cursor: Cursor): H248Error => {
  const code = cursor.assignedInteger(9999);
  cursor.expect("{");
  const text = cursor.peek() === '"' ? cursor.quoted() : "";
  cursor.expect("}");
  return { code, text };
};

/** `name-version`; the name itself holds no hyphen. */
export const readPackage = (cursor: Cursor): PackageVersion => {
  cursor.skip();
  const start = cursor.at;
  const item = cursor.name();
  const hyphen = item.lastIndexOf("-");
  const version = decimal(item.slice(hyphen + 1), uint16);
  if (hyphen < 1 || version === undefined) cursor.fail("syntax", start);
  return { name: item.slice(0, Math.max(0, hyphen)), version: version ?? 0 };
};
