// Owns the bounds a message must keep to, and what a refused one is answered. Clauses: H.248.1 7.1.19 and the error registry.
import type { H248Version } from "./message.ts";

export interface H248Limits {
  /** Octets of one message. TPKT cannot carry more than 65,531 (RFC 1006). */
  readonly maxMessage: number;
  readonly maxTransactions: number;
  /** List elements of every kind over the whole message: bounds what the tree may cost. */
  readonly maxItems: number;
  /** Nesting of single-property audits, the only place where the grammar recurses. */
  readonly maxDepth: number;
  /** Characters of a termination id, a name or a mid. */
  readonly maxName: number;
  /** Characters of a value. */
  readonly maxValue: number;
}

export const defaultH248Limits: H248Limits = {
  maxMessage: 65_531,
  maxTransactions: 64,
  // As many as a message of that length can hold: a list of contexts has two for every 13 octets.
  maxItems: 16_384,
  maxDepth: 8,
  maxName: 64,
  maxValue: 4096,
};

export type H248ParseCode =
  | "too-long"
  | "header"
  | "version"
  | "mid"
  | "syntax"
  | "unknown-word"
  | "unknown-command"
  | "unknown-descriptor"
  | "misplaced-descriptor"
  | "duplicate"
  | "number"
  | "name"
  | "quoted-string"
  | "octets"
  | "too-many"
  | "too-deep";

/** What could still be read of a refused message. */
export interface H248Remains {
  readonly version: H248Version;
  readonly mid: string;
  /** The transaction in which reading ended. */
  readonly transaction?: { readonly kind: "request" | "reply"; readonly id: number };
}

/** Why a message was refused: never a part of its text, because that may hold keys. */
export interface H248ParseFailure {
  readonly ok: false;
  readonly code: H248ParseCode;
  /** Octets from the start of the message. */
  readonly offset: number;
  /** The error to answer: 400 and 401 for the message, 403 for a transaction, or what the registry has for this case. */
  readonly h248Error: number;
  /** Present once the header could be read: enough to answer. */
  readonly remains?: H248Remains;
}

const registered: Partial<Record<H248ParseCode, number>> = {
  version: 406,
  "unknown-command": 443,
  "unknown-descriptor": 444,
  "misplaced-descriptor": 447,
  duplicate: 448,
};

/** The error code for a refusal: 400 outside, 403 inside a transaction, where the registry has nothing closer. */
export const errorFor = (code: H248ParseCode, insideTransaction: boolean): number =>
  registered[code] ?? (insideTransaction ? 403 : 400);
