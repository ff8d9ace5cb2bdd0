// Reads one YAML file against one schema. Owns the wording of configuration errors: file, line, column, what is allowed.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { faultOf } from "@sallyport/kit";
import { LineCounter, isMap, isNode, parseDocument, type Document } from "yaml";
import * as z from "zod";
import { cliErrors } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** Limits a file to what a person writes: larger ones are a mistake. */
const maxFileOctets = 1_048_576;

type Path = readonly (string | number)[];

/** Where a node, a key or, when it is missing, its nearest parent stands: `file:line:column`. */
const placeOf = (file: string, document: Document, counter: LineCounter, path: Path, key?: string): string => {
  const at = (offset: number): string => {
    const { line, col } = counter.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (key !== undefined && length === path.length && isMap(node)) {
      const pair = node.items.find((item) => isNode(item.key) && String(item.key) === key);
      if (pair !== undefined && isNode(pair.key) && pair.key.range) return at(pair.key.range[0]);
    }
    if (isNode(node) && node.range) return at(node.range[0]);
  }
  return `${file}:1:1`;
};

/** Of a complaint about nothing only what was expected is worth reading. */
const expectation = (message: string): string =>
  message.replace(/^Invalid input: /, "").replace(/, received undefined$/, "");

const dotted = (path: Path): string =>
  path.map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`)).join("");

const allowedKeys = (schema: z.ZodType, path: Path): readonly string[] => {
  let at: unknown = z.toJSONSchema(schema, { unrepresentable: "any", io: "input" });
  for (const part of path) {
    const step: Readonly<Record<string, unknown>> | undefined = isRecord(at) ? at : undefined;
    at =
      typeof part === "number"
        ? step?.["items"]
        : isRecord(step?.["properties"])
          ? step["properties"][part]
          : undefined;
  }
  const properties = isRecord(at) ? at["properties"] : undefined;
  return isRecord(properties) ? Object.keys(properties) : [];
};

/** Each key that is not known, with the one that was meant; those that are known stand with the first. */
const unknownKeys = (keys: readonly string[], path: Path, known: readonly string[]): readonly string[] =>
  keys.map((key, at) => {
    const meant = nearest(key, known);
    const list = at > 0 || known.length === 0 ? "" : ` Known keys: ${known.join(", ")}.`;
    const hint = meant === undefined ? "" : ` Did you mean ${meant}?`;
    return `${dotted([...path, key])}: this key is not known here.${list}${hint}`;
  });

/** What stands in a file that holds no keys. */
const noKeys = (raw: unknown): string | undefined =>
  raw === null || raw === undefined
    ? "the file is empty; a sample with every key explained is in config/."
    : isRecord(raw)
      ? undefined
      : `the file holds ${Array.isArray(raw) ? "a list" : "a text"}, where keys are expected (name: value).`;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const reachesInto = (value: unknown, path: Path): unknown => {
  let at = value;
  for (const part of path)
    at = isRecord(at) || Array.isArray(at) ? (at as Record<string | number, unknown>)[part] : undefined;
  return at;
};

/** Turns relative paths into absolute ones: every string whose schema carries `.meta({ path: true })`. An empty one is none. */
const resolvePaths = (value: unknown, schema: unknown, folder: string): unknown => {
  if (!isRecord(schema)) return value;
  const choices = schema["anyOf"] ?? schema["oneOf"] ?? schema["allOf"];
  if (Array.isArray(choices)) return choices.reduce<unknown>((at, choice) => resolvePaths(at, choice, folder), value);
  if (typeof value === "string") return schema["path"] === true && value !== "" ? resolve(folder, value) : value;
  if (Array.isArray(value)) return value.map((item) => resolvePaths(item, schema["items"], folder));
  if (!isRecord(value)) return value;
  const properties = isRecord(schema["properties"]) ? schema["properties"] : {};
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      resolvePaths(item, properties[key] ?? schema["additionalProperties"], folder),
    ]),
  );
};

/** What YAML text means under a schema, with relative paths resolved against the file's folder. @throws SALLY_CONFIG_* */
export const parseConfiguration = <S extends z.ZodType>(file: string, text: string, schema: S): z.output<S> => {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, strict: true, uniqueKeys: true });
  const [syntax] = document.errors;
  if (syntax !== undefined) {
    const { line, col } = counter.linePos(syntax.pos[0]);
    const several =
      syntax.code === "MULTIPLE_DOCS" ? "It holds more than one document; take the line --- out" : undefined;
    throw cliErrors(
      "SALLY_CONFIG_SYNTAX",
      `${several ?? syntax.message.split("\n")[0]?.replace(/ at line .*$/, "")}.`,
      {
        where: `${file}:${line}:${col}`,
      },
    );
  }
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 50 });
  } catch (cause) {
    throw cliErrors("SALLY_CONFIG_SYNTAX", cause instanceof Error ? `${cause.message}.` : "", {
      where: `${file}:1:1`,
      cause,
    });
  }
  const nothing = noKeys(raw);
  if (nothing !== undefined) throw cliErrors("SALLY_CONFIG_VALUE", nothing, { where: `${file}:1:1` });
  const checked = schema.safeParse(
    resolvePaths(raw, z.toJSONSchema(schema, { unrepresentable: "any", io: "input" }), dirname(resolve(file))),
  );
  if (checked.success) return checked.data;
  const complaints = checked.error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code === "unrecognized_keys") {
      const said = unknownKeys(issue.keys, path, allowedKeys(schema, path));
      return issue.keys.map((key, at) => ({
        where: placeOf(file, document, counter, path, key),
        what: said[at] ?? key,
      }));
    }
    const missing = reachesInto(raw, path) === undefined;
    return [
      {
        where: placeOf(file, document, counter, path),
        what: `${dotted(path) || "the file"}: ${missing ? `is missing; ${expectation(issue.message)}` : issue.message}.`,
      },
    ];
  });
  const [first, ...rest] = complaints;
  throw cliErrors(
    "SALLY_CONFIG_VALUE",
    [first?.what, ...rest.map(({ where, what }) => `\n${where}: ${what}`)].join(""),
    {
      where: first?.where ?? file,
    },
  );
};

/** Reads and checks a file. @throws SALLY_CONFIG_READ, SALLY_CONFIG_SYNTAX, SALLY_CONFIG_VALUE */
export const loadConfiguration = <S extends z.ZodType>(file: string, schema: S): z.output<S> => {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw cliErrors("SALLY_CONFIG_READ", `${faultOf(cause)}.`, { where: file, cause });
  }
  if (text.length > maxFileOctets) throw cliErrors("SALLY_CONFIG_READ", "It is larger than 1 MiB.", { where: file });
  return parseConfiguration(file, text, schema);
};
