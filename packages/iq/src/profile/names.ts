// Owns termination names, `ip/<group>/<interface>/<id>`, and the sides they belong to. TS 29.334 5.6, H.248.1 6.2.2.
import type { IqSide } from "../types.ts";

export const root = "ROOT";

/** What the controller writes to add a termination: it names the side, the gateway chooses the rest. */
export const choosePattern = (side: IqSide): string => `ip/1/${side}/$`;

export interface NamePattern {
  readonly side: IqSide;
  readonly group: number;
  /** The realm its name has for an interface; the side's word where it has none. */
  readonly realm?: string;
}

/** What tells a side where its word does not stand in the name. */
export interface Places {
  /** `ipdc/realm` of what is added. */
  readonly realm?: string | undefined;
  readonly sideOf?: ((realm: string) => IqSide | undefined) | undefined;
}

const sideIn = ({ sideOf }: Places, realm: string | undefined): IqSide | undefined =>
  realm === undefined ? undefined : sideOf?.(realm);

const readGroup = (text: string): number | undefined => {
  if (text === "$") return 1;
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
};

/**
 * Reads a name to be chosen, `ip/<group>/<interface>/$`. The interface is `access`, `core` or a realm; like the group, or the
 * whole name, it may be `$`: then the realm tells (H.248.1 6.2.2, H.248.41). Case does not matter. Undefined where no side is told.
 */
export const readChoosePattern = (name: string, places: Places = {}): NamePattern | undefined => {
  // As nearly everybody writes it.
  if (name === "ip/1/access/$") return { side: "access", group: 1 };
  if (name === "ip/1/core/$") return { side: "core", group: 1 };
  const [first, groupText = "", face, id, ...more] = (name === "$" ? "ip/1/$/$" : name.toLowerCase()).split("/");
  const group = readGroup(groupText);
  if (first !== "ip" || group === undefined || face === undefined || id !== "$" || more.length > 0) return undefined;
  if (face === "access" || face === "core") return { side: face, group };
  const side = sideIn(places, face === "$" ? places.realm : face);
  if (side === undefined) return undefined;
  return face === "$" ? { side, group } : { side, group, realm: face };
};

export const terminationName = ({ group, realm, side }: NamePattern, id: number): string =>
  `ip/${group}/${realm ?? side}/${id}`;

/** `*` stands for one part of a name; as the last one for all that follow (`*`, `ip/*`, `ip/1/*`). H.248.1 6.2.2. */
export const matchesName = (pattern: string, name: string): boolean => {
  if (pattern === "*" || pattern === name) return true;
  if (!pattern.includes("*")) return pattern.toLowerCase() === name.toLowerCase();
  const wanted = pattern.toLowerCase().split("/");
  const has = name.toLowerCase().split("/");
  if (wanted.at(-1) === "*" ? wanted.length > has.length : wanted.length !== has.length) return false;
  return wanted.every((part, index) => part === "*" || part === has[index]);
};
