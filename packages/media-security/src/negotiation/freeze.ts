// Owns the way of a negotiation to a store and back: plain values, with secrets and held bodies under names beside them.
// Knows no store and no seal. Invariant 7: nothing that is written as a plain value holds a key; bodies may, so they count
// as secrets. Invariant 5 and 10 after a restart: a thawed negotiation decides as the frozen one would have.
import { fail, ok, Secret, type Result } from "@sallyport/kit";
import { parseSdp, writeSdp, type SdpDocument } from "@sallyport/sdp";
import { hold, type Negotiation } from "./state.ts";

/** JSON as a store keeps it. */
export type PlainValue =
  | null
  | boolean
  | number
  | string
  | readonly PlainValue[]
  | { readonly [name: string]: PlainValue };

export interface NamedSecret {
  /** What the frozen value refers to it by: unique within one negotiation. */
  readonly name: string;
  readonly secret: Secret;
  /**
   * True: the negotiation's own key, lent until the caller has sealed it, not to be released. False: a body that waits
   * for the gateway, made for the caller, who releases it.
   */
  readonly lent: boolean;
}

export interface FrozenNegotiation {
  readonly value: PlainValue;
  readonly secrets: readonly NamedSecret[];
}

const version = 1;

/** A state is about ten levels deep; more is not ours. */
const maxDepth = 40;

// What JSON cannot say stands as an object with one of these names only.
const marks = { secret: "$secret", body: "$body", integer: "$integer" } as const;

/** A negotiation as a plain value and the secrets it refers to, each once. */
export const freezeNegotiation = (state: Negotiation): FrozenNegotiation => {
  const names = new Map<Secret | SdpDocument, string>();
  const secrets: NamedSecret[] = [];
  const nameOf = (thing: Secret | SdpDocument): string => {
    const known = names.get(thing);
    if (known !== undefined) return known;
    const lent = thing instanceof Secret;
    const name = `${lent ? "key" : "body"}-${names.size + 1}`;
    names.set(thing, name);
    secrets.push({ name, secret: lent ? thing : Secret.take(writeSdp(thing)), lent });
    return name;
  };
  const freeze = (value: unknown): PlainValue => {
    if (value instanceof Secret) return { [marks.secret]: nameOf(value) };
    switch (typeof value) {
      case "function":
        // Only a held body is a function: see `hold`.
        return { [marks.body]: nameOf((value as () => SdpDocument)()) };
      case "bigint":
        return { [marks.integer]: String(value) };
      case "object":
        break;
      default:
        return value as PlainValue;
    }
    if (value === null) return null;
    if (Array.isArray(value)) return value.map(freeze);
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, inner]) => inner !== undefined)
        .map(([name, inner]) => [name, freeze(inner)]),
    );
  };
  return { value: { version, negotiation: freeze(state) }, secrets };
};

/** Why a value is not thawed: written by another version, not ours, or a secret that is not at hand. */
export type ThawFailure =
  | { readonly code: "version"; readonly found: string }
  | { readonly code: "malformed"; readonly at: string }
  | { readonly code: "secret-missing"; readonly name: string };

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

type Secrets = ReadonlyMap<string, Secret>;

interface Thawing {
  readonly secrets: Secrets;
  /** The first is the one that is told. */
  readonly failures: ThawFailure[];
}

const thawMark = (mark: string, text: unknown, thawing: Thawing, at: string): unknown => {
  const malformed = (): undefined => void thawing.failures.push({ code: "malformed", at });
  if (typeof text !== "string") return malformed();
  if (mark === marks.integer) return /^[0-9]{1,400}$/.test(text) ? BigInt(text) : malformed();
  const secret = thawing.secrets.get(text);
  if (secret === undefined || secret.released) {
    thawing.failures.push({ code: "secret-missing", name: text });
    return undefined;
  }
  if (mark === marks.secret) return secret;
  const parsed = secret.use((octets) => parseSdp(octets));
  return parsed.ok ? hold(parsed.document).document : malformed();
};

const thaw = (value: unknown, thawing: Thawing, at: string, depth: number): unknown => {
  if (depth > maxDepth) return void thawing.failures.push({ code: "malformed", at });
  if (Array.isArray(value)) return value.map((item, place) => thaw(item, thawing, `${at}/${place}`, depth + 1));
  if (!isRecord(value)) return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (first !== undefined && entries.length === 1 && Object.values<string>(marks).includes(first[0])) {
    return thawMark(first[0], first[1], thawing, at);
  }
  return Object.fromEntries(
    entries.map(([name, inner]) => [name, thaw(inner, thawing, `${at}/${name}`, depth + 1)] as const),
  );
};

const isNegotiation = (value: unknown): value is Negotiation =>
  isRecord(value) &&
  isRecord(value["facts"]) &&
  isRecord(value["facts"]["policy"]) &&
  isRecord(value["facts"]["registration"]) &&
  (value["phase"] === "open" || value["phase"] === "ended") &&
  Array.isArray(value["installed"]) &&
  Number.isSafeInteger(value["requests"]) &&
  isRecord(value["origins"]);

/**
 * The negotiation again. `secretsByName` holds what the seal gave back; its keys become the negotiation's own, and come
 * out as `zeroise` when their time is over; bodies are copied out of theirs. The value must be one that
 * `freezeNegotiation` made: its frame is checked, not every field.
 */
export const thawNegotiation = (value: PlainValue, secretsByName: Secrets): Result<Negotiation, ThawFailure> => {
  const found = isRecord(value) ? value["version"] : undefined;
  if (!isRecord(value) || found !== version) {
    return fail({ code: "version", found: typeof found === "number" ? String(found) : "none" });
  }
  const thawing: Thawing = { secrets: secretsByName, failures: [] };
  const state = thaw(value["negotiation"], thawing, "negotiation", 0);
  const [failure] = thawing.failures;
  if (failure !== undefined) return fail(failure);
  return isNegotiation(state) ? ok(state) : fail({ code: "malformed", at: "negotiation" });
};
