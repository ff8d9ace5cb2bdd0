// Opaque names this edge puts into Path and Record-Route. Owns their sealing; must not know what they name.
// RFC 3327 5.2 and RFC 5626 5.2: nobody else may be able to make one.
import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from "node:crypto";

/** `path` names a binding, `call` a call leg, `dialog` the binding of a dialog that is no call, `watch` a subscription of ours. */
type TokenKind = "path" | "call" | "dialog" | "watch";

export interface Tokens {
  /** `subject` must be made of letters, digits, `-` and `_`. The result fits the user part of a SIP URI. */
  seal(kind: TokenKind, subject: string): string;
  /** The kind and subject of a token this edge sealed; undefined for anything else. */
  open(text: string | undefined): { readonly kind: TokenKind; readonly subject: string } | undefined;
}

const letters: Readonly<Record<TokenKind, string>> = { path: "p", call: "c", dialog: "d", watch: "w" };
const kinds = new Map(Object.entries(letters).map(([kind, letter]) => [letter, kind as TokenKind]));

/**
 * Tokens known to be ours, so that a dialog's later requests cost no MAC; both ends of a call send theirs a few times, and a
 * registration is challenged under the same one.
 */
const maxKnown = 4_096;

const remembering = <V>(): { get(key: string): V | undefined; put(key: string, value: V): V } => {
  // Two generations: the older goes when the younger is full.
  let young = new Map<string, V>();
  let old = new Map<string, V>();
  return {
    get: (key) => young.get(key) ?? old.get(key),
    put: (key, value) => {
      if (young.size >= maxKnown / 2) {
        old = young;
        young = new Map();
      }
      young.set(key, value);
      return value;
    },
  };
};

const macOf = (key: KeyObject, text: string): Buffer => createHmac("sha256", key).update(text).digest().subarray(0, 16);

/** @param octets the sealing key, at least 16 octets; the same on every edge that shares a store */
export const createTokens = (octets: Uint8Array): Tokens => {
  const key = createSecretKey(octets);
  const opened = remembering<ReturnType<Tokens["open"]>>();
  const sealed = remembering<string>();
  return {
    seal: (kind, subject) => {
      const text = `${letters[kind]}.${subject}`;
      const before = sealed.get(text);
      if (before !== undefined) return before;
      const made = sealed.put(text, `${text}.${macOf(key, text).toString("base64url")}`);
      opened.put(made, { kind, subject });
      return made;
    },
    open: (text) => {
      if (text === undefined || text.length > 128) return undefined;
      const before = opened.get(text);
      if (before !== undefined) return before;
      const cut = text.lastIndexOf(".");
      const kind = kinds.get(text.charAt(0));
      if (kind === undefined || text.charAt(1) !== "." || cut < 2) return undefined;
      const given = Buffer.from(text.slice(cut + 1), "base64url");
      const due = macOf(key, text.slice(0, cut));
      if (given.length !== due.length || !timingSafeEqual(given, due)) return undefined;
      // A copy of its own: a piece of a message would keep all of it.
      const own = Buffer.from(text, "latin1").toString("latin1");
      return opened.put(own, { kind, subject: own.slice(2, cut) });
    },
  };
};
