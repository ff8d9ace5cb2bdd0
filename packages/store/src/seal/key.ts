// Reads the operator's sealing key from a file or the environment. Owns the checks of rights and form; no error carries
// a part of what was read.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { Secret } from "@sallyport/kit";
import { storeErrors } from "../errors.ts";

export interface SealingKeySource {
  /** A file of 32 octets, raw or as base64 or hex, that nobody but its owner may read. */
  readonly file?: string;
  /** The name of an environment variable with the key as base64 or hex. */
  readonly env?: string;
  /** Where `env` is looked up (default `process.env`). */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

const keyOctets = 32;
const longestFile = 256;

const refuse = (detail: string, where?: string): Error =>
  storeErrors("SALLY_STORE_SEALING_KEY", detail, where === undefined ? {} : { where });

// 64 hexadecimal digits, or base64 (either alphabet, padding or not) of 32 octets written the one canonical way.
const decode = (text: string): Buffer | undefined => {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const octets = Buffer.from(text, "base64");
  const canonical = text.replaceAll("-", "+").replaceAll("_", "/").slice(0, 43);
  return octets.length === keyOctets && octets.toString("base64").slice(0, 43) === canonical ? octets : undefined;
};

const keyFrom = (octets: Buffer | undefined, where: string): Secret => {
  if (octets === undefined) throw refuse("It is not 32 octets as base64 or hex.", where);
  if (octets.every((octet) => octet === octets[0])) throw refuse("All its octets are the same.", where);
  return Secret.take(octets);
};

const readFile = (file: string): Buffer => {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    throw refuse(`The file cannot be opened (${(error as NodeJS.ErrnoException).code ?? "unknown"}).`, file);
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw refuse("It is not a file.", file);
    if ((stat.mode & 0o077) !== 0) {
      throw refuse(`Others may use the file: its mode is ${(stat.mode & 0o777).toString(8).padStart(4, "0")}.`, file);
    }
    const octets = Buffer.alloc(longestFile);
    return octets.subarray(0, readSync(descriptor, octets, 0, longestFile, 0));
  } finally {
    closeSync(descriptor);
  }
};

/**
 * The key for a `sealer`; the caller releases it.
 * @throws SALLY_STORE_SEALING_KEY when there is not exactly one source, or it is missing, open to others or no key
 */
export const readSealingKey = ({ file, env, environment = process.env }: SealingKeySource): Secret => {
  if ((file === undefined) === (env === undefined)) throw refuse("Give a file or an environment variable, not both.");
  if (file !== undefined) {
    const octets = readFile(file);
    try {
      if (octets.length === keyOctets) return keyFrom(Buffer.from(octets), file);
      return keyFrom(decode(octets.toString("latin1").trim()), file);
    } finally {
      octets.fill(0);
    }
  }
  const text = environment[env ?? ""];
  if (text === undefined || text === "") throw refuse("The environment variable is not set.", env);
  return keyFrom(decode(text.trim()), env ?? "");
};
