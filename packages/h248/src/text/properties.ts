// Owns the short ways to make and to read a property. Names compare without case (H.248.1 Annex B.2).
import type { Property } from "./descriptor.ts";
import { sameName } from "./message.ts";

/** `name = value`. */
export const property = (name: string, value: string): Property => ({ name, relation: "=", values: [value] });

/** The value of the first property of that name that has one plain value. */
export const propertyValue = (properties: readonly Property[], name: string): string | undefined =>
  properties.find((candidate) => candidate.relation === "=" && sameName(candidate.name, name))?.values[0];
