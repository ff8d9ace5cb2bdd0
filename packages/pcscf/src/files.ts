// Reads the PEM files a configuration names. Owns nothing.
import { readPemFiles } from "@sallyport/kit";
import type { TlsMaterial } from "@sallyport/sip";
import { pcscfErrors } from "./errors.ts";

interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly ca?: string | undefined;
  readonly requireClientCertificate: boolean;
}

/** @throws SALLY_EDGE_FILE naming the path */
export const readTls = async ({ certificate, key, ca, requireClientCertificate }: TlsFiles): Promise<TlsMaterial> => {
  const read = await readPemFiles({ key, certificate, ca }, ({ path, what, cause }) =>
    pcscfErrors("SALLY_EDGE_FILE", what, { cause, where: path }),
  );
  return {
    key: read.key,
    cert: read.certificate,
    ...(read.ca === undefined ? {} : { ca: read.ca }),
    requireClientCertificate,
  };
};
