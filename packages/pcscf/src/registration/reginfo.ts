// Reads application/reginfo+xml: the few attributes a P-CSCF acts on. Owns a small bounded XML reader; knows no binding.
// RFC 3680 5. No document type, no entities but the five of XML, everything bounded; linear in the length of the input.

export interface RegContact {
  readonly uri: string;
  readonly state: string;
  readonly event: string;
  /** As the UE wrote them in its Contact (RFC 3680 5.3.2, RFC 5628 4). */
  readonly instance?: string;
  readonly regId?: string;
  /** Seconds. */
  readonly expires?: number;
}

export interface RegRecord {
  readonly aor: string;
  readonly state: string;
  readonly contacts: readonly RegContact[];
}

export interface RegInfo {
  readonly version: number;
  readonly state: "full" | "partial";
  readonly registrations: readonly RegRecord[];
}

type RegInfoFailure = "too-long" | "too-deep" | "too-many" | "syntax" | "doctype" | "not-reginfo";
export type RegInfoResult =
  | { readonly ok: true; readonly info: RegInfo }
  | { readonly ok: false; readonly code: RegInfoFailure };

const maxOctets = 65_536;
const maxDepth = 8;
const maxElements = 2048;
const maxAttributes = 32;

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

const plain = (text: string): string =>
  text.replace(/&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/g, (all, name, decimal, hex) => {
    if (typeof name === "string") return entities[name] ?? all;
    const code = typeof decimal === "string" ? Number(decimal) : Number.parseInt(String(hex), 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });

type Attributes = ReadonlyMap<string, string>;
type Step =
  | { readonly kind: "open"; readonly name: string; readonly attributes: Attributes; readonly empty: boolean }
  | { readonly kind: "close"; readonly name: string }
  | { readonly kind: "text"; readonly text: string };

const localName = (name: string): string => name.slice(name.indexOf(":") + 1);
const isBlank = (character: string | undefined): boolean =>
  character === " " || character === "\t" || character === "\r" || character === "\n";

/** The attributes of a tag from `at` on; undefined where they are none of XML. */
const attributesOf = (tag: string, from: number): Attributes | undefined => {
  const found = new Map<string, string>();
  let at = from;
  while (at < tag.length) {
    if (isBlank(tag[at])) {
      at += 1;
      continue;
    }
    const equals = tag.indexOf("=", at);
    if (equals < 0) return undefined;
    let open = equals + 1;
    while (isBlank(tag[open])) open += 1;
    const quote = tag[open];
    if (quote !== '"' && quote !== "'") return undefined;
    const close = tag.indexOf(quote, open + 1);
    const name = tag.slice(at, equals).trim();
    if (close < 0 || name === "" || found.size >= maxAttributes) return undefined;
    found.set(name, plain(tag.slice(open + 1, close)));
    at = close + 1;
  }
  return found;
};

const tagEnd = (text: string, from: number): number => {
  let quote: string | undefined;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
    } else if (character === '"' || character === "'") quote = character;
    else if (character === ">") return at;
    else if (character === "<") return -1;
  }
  return -1;
};

const readTag = (tag: string): Step | undefined => {
  if (tag.startsWith("/")) return { kind: "close", name: localName(tag.slice(1).trim()) };
  const empty = tag.endsWith("/");
  const inner = empty ? tag.slice(0, -1) : tag;
  let end = 0;
  while (end < inner.length && !isBlank(inner[end])) end += 1;
  const attributes = attributesOf(inner, end);
  return end === 0 || attributes === undefined
    ? undefined
    : { kind: "open", name: localName(inner.slice(0, end)), attributes, empty };
};

/** What is not markup to act on, with its end: comments and processing instructions. */
const skipped = [
  ["<!--", "-->"],
  ["<?", "?>"],
] as const;

/** Walks the document; stops with a failure, or when `take` gives one. */
const walk = (text: string, take: (step: Step) => RegInfoFailure | undefined): RegInfoFailure | undefined => {
  let at = 0;
  for (;;) {
    const open = text.indexOf("<", at);
    const between = open < 0 ? text.slice(at) : text.slice(at, open);
    const failure = between === "" ? undefined : take({ kind: "text", text: plain(between) });
    if (failure !== undefined || open < 0) return failure;
    const skip = skipped.find(([start]) => text.startsWith(start, open));
    if (skip !== undefined) {
      const end = text.indexOf(skip[1], open + skip[0].length);
      if (end < 0) return "syntax";
      at = end + skip[1].length;
      continue;
    }
    if (text.startsWith("<!", open)) return "doctype";
    const end = tagEnd(text, open + 1);
    const step = end < 0 ? undefined : readTag(text.slice(open + 1, end));
    if (step === undefined) return "syntax";
    const refused = take(step);
    if (refused !== undefined) return refused;
    at = end + 1;
  }
};

const seconds = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;

interface Draft {
  readonly attributes: Attributes;
  readonly contacts: RegContact[];
}

/** Never throws. */
export const parseRegInfo = (octets: Uint8Array): RegInfoResult => {
  if (octets.length > maxOctets) return { ok: false, code: "too-long" };
  const stack: string[] = [];
  const records: Draft[] = [];
  let root: Attributes | undefined;
  let contact: Attributes | undefined;
  /** What stands in the contact's elements of interest, and the one that is open. */
  let texts = new Map<string, string>();
  let field = "";
  let elements = 0;

  const closed = (name: string): RegInfoFailure | undefined => {
    if (stack.pop() !== name) return "syntax";
    const found = contact;
    if (name !== "contact" || found === undefined || stack.at(-1) !== "registration") return undefined;
    const expires = seconds(found.get("expires"));
    const [instance, regId] = [texts.get("+sip.instance")?.trim(), texts.get("reg-id")?.trim()];
    records.at(-1)?.contacts.push({
      uri: texts.get("uri")?.trim() ?? "",
      state: found.get("state") ?? "",
      event: found.get("event") ?? "",
      ...(expires === undefined ? {} : { expires }),
      ...(instance === undefined ? {} : { instance }),
      ...(regId === undefined ? {} : { regId }),
    });
    contact = undefined;
    return undefined;
  };

  const failure = walk(Buffer.from(octets).toString("utf8"), (step) => {
    if (step.kind === "text") {
      if (field !== "" && stack.at(-2) === "contact") texts.set(field, (texts.get(field) ?? "") + step.text);
      return undefined;
    }
    if (step.kind === "close") return closed(step.name);
    elements += 1;
    if (elements > maxElements) return "too-many";
    if (stack.length >= maxDepth) return "too-deep";
    const parent = stack.at(-1);
    if (parent === undefined) {
      if (root !== undefined || step.name !== "reginfo") return "not-reginfo";
      root = step.attributes;
    } else if (step.name === "registration" && parent === "reginfo") {
      records.push({ attributes: step.attributes, contacts: [] });
    } else if (step.name === "contact" && parent === "registration") {
      contact = step.attributes;
      texts = new Map();
      field = "";
    } else if (parent === "contact") {
      const name = step.name === "unknown-param" ? (step.attributes.get("name") ?? "").toLowerCase() : step.name;
      field = step.name === "uri" || name === "reg-id" || name === "+sip.instance" ? name : "";
    }
    stack.push(step.name);
    return step.empty ? closed(step.name) : undefined;
  });
  if (failure !== undefined) return { ok: false, code: failure };
  const version = seconds(root?.get("version"));
  if (root === undefined || version === undefined) return { ok: false, code: "not-reginfo" };
  if (stack.length > 0) return { ok: false, code: "syntax" };
  const registrations = records.map(({ attributes, contacts }) => ({
    aor: attributes.get("aor") ?? "",
    state: attributes.get("state") ?? "",
    contacts,
  }));
  return {
    ok: true,
    info: { version, state: root.get("state") === "partial" ? "partial" : "full", registrations },
  };
};
