// Owns reading and editing of header fields. Every edit gives a new message that shares the untouched fields, so what
// was not edited is written back octet for octet. RFC 3261 7.3.1.
import { createField, replaceFieldValue } from "./field.ts";
import { splitList } from "./list.ts";
import type { HeaderField, SipMessage } from "./message.ts";
import { canonicalName } from "./names.ts";

/** The value of the first field of that name. */
export const headerValue = (message: SipMessage, name: string): string | undefined => {
  for (const field of message.headers) if (field.name === name) return field.value;
  const wanted = canonicalName(name);
  if (wanted === name) return undefined;
  for (const field of message.headers) if (field.name === wanted) return field.value;
  return undefined;
};

/** The values of all fields of that name, one per field. */
export const headerValues = (message: SipMessage, name: string): readonly string[] => {
  const wanted = canonicalName(name);
  const values: string[] = [];
  for (const field of message.headers) if (field.name === wanted) values.push(field.value);
  return values;
};

/**
 * The comma separated elements over all fields of that name. Not for headers whose values contain bare commas: Date,
 * Call-ID, WWW-Authenticate, Authorization and their proxy kin.
 */
export const headerList = (message: SipMessage, name: string): readonly string[] => {
  const wanted = canonicalName(name);
  let first: readonly string[] | undefined;
  let all: string[] | undefined;
  for (const field of message.headers) {
    if (field.name !== wanted) continue;
    const own = splitList(field.value);
    if (first === undefined) first = own;
    else {
      // Not spread for each field: there may be many.
      all ??= [...first];
      for (const element of own) all.push(element);
    }
  }
  return all ?? first ?? [];
};

/** The first element of that name, as `headerList(...)[0]` would give it. */
export const topListElement = (message: SipMessage, name: string): string | undefined => {
  const wanted = canonicalName(name);
  for (const field of message.headers) {
    if (field.name !== wanted) continue;
    const [top] = splitList(field.value);
    if (top !== undefined) return top;
  }
  return undefined;
};

const hasField = (message: SipMessage, canonical: string): boolean => {
  for (const field of message.headers) if (field.name === canonical) return true;
  return false;
};

/** Written out, not spread: both shapes stay the same however often a message is edited. */
const withHeaders = <M extends SipMessage>(message: M, headers: readonly HeaderField[]): M => {
  const { body, startLine } = message;
  const edited: SipMessage =
    message.kind === "request"
      ? { kind: "request", method: message.method, uri: message.uri, startLine, headers, body }
      : { kind: "response", status: message.status, reason: message.reason, startLine, headers, body };
  return edited as M;
};

/** Replaces the first field of that name where it stands and drops the others; adds one at the end when there is none. */
export const setHeader = <M extends SipMessage>(message: M, name: string, value: string): M =>
  hasField(message, canonicalName(name)) ? replaceHeader(message, name, [value]) : appendHeader(message, name, value);

/** Drops every field of that name. */
export const removeHeader = <M extends SipMessage>(message: M, name: string): M => {
  const wanted = canonicalName(name);
  if (!hasField(message, wanted)) return message;
  return withHeaders(
    message,
    message.headers.filter((field) => field.name !== wanted),
  );
};

/** Adds a field before the first of that name, or before all others when there is none. */
export const prependHeader = <M extends SipMessage>(message: M, name: string, value: string): M => {
  const field = createField(name, value);
  const first = message.headers.findIndex((other) => other.name === field.name);
  return withHeaders(message, message.headers.toSpliced(Math.max(0, first), 0, field));
};

/** Adds a field after the last of that name, or at the end when there is none. */
export const appendHeader = <M extends SipMessage>(message: M, name: string, value: string): M => {
  const field = createField(name, value);
  const last = message.headers.findLastIndex((other) => other.name === field.name);
  return withHeaders(message, message.headers.toSpliced(last < 0 ? message.headers.length : last + 1, 0, field));
};

/** One field per value at the place of the first field of that name (at the end when there is none); `[]` removes. */
export const replaceHeader = <M extends SipMessage>(message: M, name: string, values: readonly string[]): M => {
  const wanted = canonicalName(name);
  const fields = values.map((value) => createField(name, value));
  if (!hasField(message, wanted)) {
    return fields.length === 0 ? message : withHeaders(message, [...message.headers, ...fields]);
  }
  const headers: HeaderField[] = [];
  let placed = false;
  for (const field of message.headers) {
    if (field.name !== wanted) headers.push(field);
    else if (!placed) {
      placed = true;
      for (const own of fields) headers.push(own);
    }
  }
  return withHeaders(message, headers);
};

/** Puts another element in the place of the first one; adds one before all others when there is none. */
export const replaceTopListElement = <M extends SipMessage>(message: M, name: string, value: string): M => {
  const wanted = canonicalName(name);
  const at = message.headers.findIndex((field) => field.name === wanted);
  const field = message.headers[at];
  // Alone in its field, as nearly always: the field goes.
  if (field !== undefined && !field.value.includes(",") && field.value.trim() !== "")
    return withHeaders(message, message.headers.with(at, createField(name, value)));
  return prependHeader(removeTopListElement(message, name), name, value);
};

/** Drops the elements `keep` refuses; fields that lose nothing keep their raw text, fields left empty go. */
export const filterHeaderList = <M extends SipMessage>(
  message: M,
  name: string,
  keep: (element: string) => boolean,
): M => {
  const wanted = canonicalName(name);
  if (!hasField(message, wanted)) return message;
  let changed = false;
  const headers: HeaderField[] = [];
  for (const field of message.headers) {
    if (field.name !== wanted) {
      headers.push(field);
      continue;
    }
    const elements = splitList(field.value);
    const kept = elements.filter((element) => keep(element));
    if (kept.length === elements.length) headers.push(field);
    else {
      changed = true;
      if (kept.length > 0) headers.push(replaceFieldValue(field, kept.join(", ")));
    }
  }
  return changed ? withHeaders(message, headers) : message;
};

/** The elements `keep` lets stand, as a value; the value itself where it keeps all, undefined where it keeps none. */
export const filterList = (value: string, keep: (element: string) => boolean): string | undefined => {
  const elements = splitList(value);
  let kept: string[] | undefined;
  for (let at = 0; at < elements.length; at += 1) {
    const element = elements[at] as string;
    if (keep(element)) kept?.push(element);
    else kept ??= elements.slice(0, at);
  }
  if (kept === undefined) return value;
  return kept.length === 0 ? undefined : kept.join(", ");
};

/** What becomes of a header's value: undefined drops the field, the same value leaves it as it was written. */
export type Sieve<C> = (value: string, context: C) => string | undefined;

/**
 * Edits all headers in one pass. `sieves` are by canonical (lower-case, long) name; fields of other names pass. A message
 * that loses nothing comes back itself.
 */
export const sieveHeaders = <M extends SipMessage, C>(
  message: M,
  sieves: ReadonlyMap<string, Sieve<C>>,
  context: C,
): M => {
  const { headers } = message;
  let out: HeaderField[] | undefined;
  for (let at = 0; at < headers.length; at += 1) {
    const field = headers[at] as HeaderField;
    const sieve = sieves.get(field.name);
    const value = sieve === undefined ? field.value : sieve(field.value, context);
    if (value === field.value) {
      out?.push(field);
      continue;
    }
    out ??= headers.slice(0, at);
    if (value !== undefined) out.push(replaceFieldValue(field, value));
  }
  return out === undefined ? message : withHeaders(message, out);
};

/** Drops the first element of that name, the top Via or Route, also where it shares its field with others. */
export const removeTopListElement = <M extends SipMessage>(message: M, name: string): M => {
  let top = true;
  return filterHeaderList(message, name, () => {
    const keep = !top;
    top = false;
    return keep;
  });
};
