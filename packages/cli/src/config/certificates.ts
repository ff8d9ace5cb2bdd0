// Which certificates a configuration names, and when they expire. Whether they can be used is the element's to say.
import { readFileSync } from "node:fs";
import type { CertificateFacts } from "@sallyport/api";
import { validityOf } from "@sallyport/kit";

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Values of `certificate` and `ca` in every `tls` section. */
const filesIn = (value: unknown): readonly string[] => {
  if (Array.isArray(value)) return value.flatMap(filesIn);
  if (!isRecord(value)) return [];
  const { tls } = value;
  const own = isRecord(tls) ? [tls["certificate"], tls["ca"]].filter((each) => typeof each === "string") : [];
  return [...own, ...Object.values(value).flatMap(filesIn)];
};

const read = (file: string): readonly CertificateFacts[] => {
  try {
    const validity = validityOf(readFileSync(file, "utf8"));
    return validity === undefined ? [] : [{ file, ...validity }];
  } catch {
    return [];
  }
};

/** Each file once; those that can not be read are left out. */
export const certificatesOf = (config: unknown): readonly CertificateFacts[] =>
  [...new Set(filesIn(config))].flatMap(read);
