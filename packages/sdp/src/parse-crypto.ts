// Owns reading a=crypto by the grammar of RFC 4568 section 9. Keys go straight into `Secret`, and out of memory when the
// line turns out unusable. Must not know what a suite means: key lengths are somebody else's rule.
import { Secret } from "@sallyport/kit";
import { decodeBase64 } from "./base64.ts";
import { releaseCrypto, type CryptoAttribute, type CryptoKey, type SessionParam } from "./crypto.ts";

/** Which production the text broke; `length` is our limit. */
export type CryptoParseCode =
  | "length"
  | "octet"
  | "tag"
  | "suite"
  | "key-params"
  | "key-method"
  | "base64"
  | "lifetime"
  | "mki"
  | "session-param";

export type CryptoParseResult =
  | { readonly ok: true; readonly crypto: CryptoAttribute }
  | { readonly ok: false; readonly code: CryptoParseCode; readonly offset: number };

const maxLength = 4096;
const maxKeys = 16;
const maxParams = 32;
const maxKeyCharacters = 344; // 256 octets and a little: far above any registered suite

interface Word {
  readonly text: string;
  readonly offset: number;
}

type Refusal = { readonly ok: false; readonly code: CryptoParseCode; readonly offset: number };

const refuse = (code: CryptoParseCode, offset: number): Refusal => ({ ok: false, code, offset });

/** Reads what stands after `a=crypto:`. `offset` of a refusal counts characters of `value`. */
export const parseCrypto = (value: string): CryptoParseResult => {
  if (value.length > maxLength) return refuse("length", maxLength);
  const words = splitWords(value);
  if (!Array.isArray(words)) return words;
  const [tag, suite, keyParams, ...params] = words;
  if (tag === undefined || !/^[0-9]{1,9}$/.test(tag.text)) return refuse("tag", tag?.offset ?? value.length);
  if (suite === undefined || !/^[A-Za-z0-9_]+$/.test(suite.text)) return refuse("suite", suite?.offset ?? value.length);
  if (keyParams === undefined) return refuse("key-params", value.length);
  if (params.length > maxParams) return refuse("length", params[maxParams]?.offset ?? 0);
  const made: CryptoKey[] = [];
  const keys = parseKeyParams(keyParams, made);
  const sessionParams = keys.ok ? parseSessionParams(params, made) : keys;
  if (keys.ok && sessionParams.ok) {
    const crypto = { tag: Number(tag.text), suite: suite.text, keys: keys.keys, sessionParams: sessionParams.params };
    return { ok: true, crypto };
  }
  releaseCrypto({ tag: 0, suite: "", keys: made, sessionParams: [] });
  return sessionParams.ok ? refuse("key-params", 0) : sessionParams;
};

/** Words between blanks; blanks around the whole are tolerated, characters outside VCHAR are not. */
const splitWords = (value: string): Word[] | Refusal => {
  const words: Word[] = [];
  let start = -1;
  for (let at = 0; at <= value.length; at += 1) {
    const octet = at === value.length ? 0x20 : value.charCodeAt(at);
    if (octet === 0x20 || octet === 0x09) {
      if (start !== -1) words.push({ text: value.slice(start, at), offset: start });
      start = -1;
    } else if (octet < 0x21 || octet > 0x7e) return refuse("octet", at);
    else if (start === -1) start = at;
  }
  return words;
};

type KeysResult = { readonly ok: true; readonly keys: readonly CryptoKey[] } | Refusal;

/** `made` collects every key that came into being, also those of a line that is refused later. */
const parseKeyParams = (word: Word, made: CryptoKey[]): KeysResult => {
  const keys: CryptoKey[] = [];
  let offset = word.offset;
  for (const text of word.text.split(";", maxKeys + 1)) {
    if (keys.length === maxKeys) return refuse("length", offset);
    const key = parseKeyParam({ text, offset });
    if (!key.ok) return key;
    keys.push(key.key);
    made.push(key.key);
    offset += text.length + 1;
  }
  // RFC 4568 6.1: with several keys each has an MKI, all of one length; two keys under one MKI could not be told apart.
  const [first] = keys;
  if (keys.length > 1) {
    const lengths = new Set(keys.map((key) => key.mki?.length));
    const values = new Set(keys.map((key) => key.mki?.value));
    if (first?.mki === undefined || lengths.size !== 1 || values.size !== keys.length)
      return refuse("mki", word.offset);
  }
  return { ok: true, keys };
};

const parseKeyParam = ({ text, offset }: Word): { readonly ok: true; readonly key: CryptoKey } | Refusal => {
  const colon = text.indexOf(":");
  if (colon === -1) return refuse("key-params", offset);
  const method = text.slice(0, colon);
  if (!/^[A-Za-z0-9_]+$/.test(method)) return refuse("key-params", offset);
  if (method.toLowerCase() !== "inline") return refuse("key-method", offset);
  const [keySalt = "", ...rest] = text.slice(colon + 1).split("|", 4);
  if (rest.length > 2) return refuse("key-params", offset);
  // 6.1: lifetime and MKI are told apart by the colon, and stand in this order.
  const last = rest.at(-1);
  const mkiText = last?.includes(":") === true ? last : undefined;
  const lifetimeText = rest.length === 2 || mkiText === undefined ? rest[0] : undefined;
  const lifetime = lifetimeText === undefined ? undefined : parseLifetime(lifetimeText);
  if (lifetimeText !== undefined && lifetime === undefined) return refuse("lifetime", offset);
  const mki = mkiText === undefined ? undefined : parseMki(mkiText);
  if ((mkiText !== undefined && mki === undefined) || (rest.length === 2 && mki === undefined)) {
    return refuse("mki", offset);
  }
  const octets = keySalt.length > maxKeyCharacters ? undefined : decodeBase64(keySalt);
  if (octets === undefined) return refuse("base64", offset + colon + 1);
  const key: CryptoKey = { master: Secret.take(octets), lifetime, lifetimeText, mki };
  return { ok: true, key };
};

/** `["2^"] 1*DIGIT`. The bounds keep a stranger from making us compute a number of a billion digits. */
const parseLifetime = (text: string): bigint | undefined => {
  const power = /^2\^([0-9]{1,3})$/.exec(text)?.[1];
  if (power !== undefined) return Number(power) <= 128 ? 1n << BigInt(power) : undefined;
  if (!/^[0-9]{1,39}$/.test(text)) return undefined;
  const packets = BigInt(text);
  return packets > 0n ? packets : undefined;
};

/** `mki-value ":" mki-length`: decimal, 1 to 128 octets, and the value fits. 309 digits write 128 octets. */
const parseMki = (text: string): { value: bigint; length: number } | undefined => {
  const match = /^([0-9]{1,309}):([0-9]{1,3})$/.exec(text);
  if (match === null) return undefined;
  const length = Number(match[2]);
  const value = BigInt(match[1] as string);
  if (length < 1 || length > 128 || value >> BigInt(8 * length) !== 0n) return undefined;
  return { value, length };
};

type ParamsResult = { readonly ok: true; readonly params: readonly SessionParam[] } | Refusal;

const parseSessionParams = (words: readonly Word[], made: CryptoKey[]): ParamsResult => {
  const params: SessionParam[] = [];
  const seen = new Set<string>();
  for (const word of words) {
    const param = parseSessionParam(word, made);
    if (!param.ok) return param;
    // Said twice, a parameter could mean one thing to us and another to the peer.
    if (param.param.kind !== "extension" && seen.has(param.param.kind)) return refuse("session-param", word.offset);
    seen.add(param.param.kind);
    params.push(param.param);
  }
  return { ok: true, params };
};

const parseSessionParam = (
  word: Word,
  made: CryptoKey[],
): { readonly ok: true; readonly param: SessionParam } | Refusal => {
  const is = (param: SessionParam) => ({ ok: true, param }) as const;
  const { text, offset } = word;
  const bad = refuse("session-param", offset);
  const equals = text.indexOf("=");
  const value = equals === -1 ? "" : text.slice(equals + 1);
  switch ((equals === -1 ? text : text.slice(0, equals + 1)).toUpperCase()) {
    case "UNENCRYPTED_SRTP":
      return is({ kind: "UNENCRYPTED_SRTP" });
    case "UNENCRYPTED_SRTCP":
      return is({ kind: "UNENCRYPTED_SRTCP" });
    case "UNAUTHENTICATED_SRTP":
      return is({ kind: "UNAUTHENTICATED_SRTP" });
    case "KDR=":
      return /^[0-9]{1,2}$/.test(value) && Number(value) <= 24 ? is({ kind: "KDR", value: Number(value) }) : bad;
    case "WSH=":
      return /^[0-9]{2,9}$/.test(value) && Number(value) >= 64 ? is({ kind: "WSH", value: Number(value) }) : bad;
    case "FEC_ORDER=": {
      const order = value.toUpperCase();
      return order === "FEC_SRTP" || order === "SRTP_FEC" ? is({ kind: "FEC_ORDER", value: order }) : bad;
    }
    case "FEC_KEY=": {
      const keys = parseKeyParams({ text: value, offset: offset + equals + 1 }, made);
      return keys.ok ? is({ kind: "FEC_KEY", keys: keys.keys }) : keys;
    }
    default: {
      // A key in a place where no key belongs (a blank after ";", say) would end up in plain text.
      if (/inline/i.test(text)) return bad;
      const mayIgnore = text.startsWith("-");
      const name = mayIgnore ? text.slice(1) : text;
      // RFC 4568 9.2: "first character must not be dash".
      return name === "" || name.startsWith("-") ? bad : is({ kind: "extension", text: name, mayIgnore });
    }
  }
};
