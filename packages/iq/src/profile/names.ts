// Owns termination names, `ip/<group>/<interface>/<id>`, and the sides they belong to. TS 29.334 5.6, H.248.1 6.2.2.
import type { IqSide } from "../types.ts";

export const root = "ROOT";

/** What the controller writes to add a termination: it names the side, the gateway chooses the rest. */
export const choosePattern = (side: IqSide): string => `ip/1/${side}/$`;

export interface NamePattern {
  readonly side: IqSide;
  readonly group: number;
}

/** Reads a name to be chosen: undefined when it is not `ip/<group or $>/access|core/$`. Case does not matter. */
export const readChoosePattern = (name: string): NamePattern | undefined => {
  // As nearly everybody writes it.
  if (name === "ip/1/access/$") return { side: "access", group: 1 };
  if (name === "ip/1/core/$") return { side: "core", group: 1 };
  const [first, groupText, side, id, ...more] = name.toLowerCase().split("/");
  if (first !== "ip" || groupText === undefined || id !== "$" || more.length > 0) return undefined;
  if (side !== "access" && side !== "core") return undefined;
  if (groupText === "$") return { side, group: 1 };
  if (!/^\d{1,5}$/.test(groupText) || Number(groupText) > 65_535) return undefined;
  return { side, group: Number(groupText) };
};

export const terminationName = (pattern: NamePattern, id: number): string =>
  `ip/${pattern.group}/${pattern.side}/${id}`;

/** `*` alone, or a pattern whose last part is `*`. */
export const matchesName = (pattern: string, name: string): boolean => {
  if (pattern === "*" || pattern === name) return true;
  if (!pattern.includes("*")) return pattern.toLowerCase() === name.toLowerCase();
  const wanted = pattern.toLowerCase().split("/");
  const has = name.toLowerCase().split("/");
  return wanted.length === has.length && wanted.every((part, index) => part === "*" || part === has[index]);
};
