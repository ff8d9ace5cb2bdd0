// Reads the files of one identity on TLS and judges them together, so that a wrong one is named at the start.
import { readFile } from "node:fs/promises";
import { faultOf } from "./fault.ts";
import { pemFault, type PemFault, type PemTexts } from "./pem.ts";

interface FileFault extends PemFault {
  readonly path: string;
  readonly cause?: unknown;
}

/** The texts of the files that are named, under the same names. @throws what `refuse` makes of the first that can not be used */
export const readPemFiles = async <const P extends PemTexts>(
  paths: P,
  refuse: (fault: FileFault) => Error,
): Promise<{ readonly [N in keyof P]: P[N] }> => {
  const texts: Record<string, string> = {};
  const named = Object.entries(paths).filter((each): each is [keyof PemTexts, string] => each[1] !== undefined);
  for (const [part, path] of named)
    texts[part] = await readFile(path, "utf8").catch((cause: unknown) => {
      throw refuse({ part, path, what: `${faultOf(cause)}.`, cause });
    });
  const fault = pemFault(texts);
  if (fault !== undefined) throw refuse({ ...fault, path: paths[fault.part] ?? fault.part });
  return texts as { readonly [N in keyof P]: P[N] };
};
