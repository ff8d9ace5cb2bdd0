// Reads the PEM files a configuration names. Owns nothing.
import { readFile } from "node:fs/promises";
import type { TlsMaterial } from "@sallyport/sip";
import { pcscfErrors } from "./errors.ts";

interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly ca?: string | undefined;
  readonly requireClientCertificate: boolean;
}

const read = async (path: string): Promise<string> => {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw pcscfErrors("SALLY_EDGE_FILE", (cause as NodeJS.ErrnoException).code ?? "", { cause, where: path });
  }
};

/** @throws SALLY_EDGE_FILE naming the path */
export const readTls = async (files: TlsFiles): Promise<TlsMaterial> => ({
  key: await read(files.key),
  cert: await read(files.certificate),
  ...(files.ca === undefined ? {} : { ca: await read(files.ca) }),
  requireClientCertificate: files.requireClientCertificate,
});
