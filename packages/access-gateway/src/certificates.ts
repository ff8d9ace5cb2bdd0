// Owns the certificates of the connection to a controller: read when the gateway starts and before each connection, because they
// are renewed while it runs (TS 33.310) and to start it again would end its calls. Knows no connection.
import type { IqTlsMaterial } from "@sallyport/iq";
import { readPemFiles, SallyportError, type Log } from "@sallyport/kit";
import { accessGatewayErrors } from "./errors.ts";

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

const read = async ({ certificate, key, ca }: CertificateFiles): Promise<IqTlsMaterial> => {
  const found = await readPemFiles({ certificate, key, ca }, ({ path, what, cause }) =>
    accessGatewayErrors("SALLY_GW_FILE", what, { where: path, cause }),
  );
  return { cert: found.certificate, key: found.key, ca: found.ca };
};

/** What is in the files now; where that can not be used, what was before. @throws SALLY_GW_FILE at the start only */
export const certificatesOf = async (files: CertificateFiles, log: Log): Promise<() => Promise<IqTlsMaterial>> => {
  let good = await read(files);
  let told: string | undefined;
  return async () => {
    try {
      good = await read(files);
      told = undefined;
    } catch (error) {
      const why = error instanceof SallyportError ? error.message : "";
      if (why !== told) log.warn("certificates can not be used, the earlier ones serve", { why });
      told = why;
    }
    return good;
  };
};
