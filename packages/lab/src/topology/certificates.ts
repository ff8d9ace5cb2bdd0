// Where the throw-away certificates of the lab lie, and what is said when they are not there.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { labErrors } from "../errors.ts";

export interface LabCertificates {
  readonly folder: string;
  /** The lab's authority, PEM file. */
  readonly ca: string;
}

/** The certificates that `npm run setup` made. @throws SALLY_LAB_CERTIFICATES */
export const labCertificates = (
  folder = fileURLToPath(new URL("../../../../.sallyport/certificates", import.meta.url)),
): LabCertificates => {
  const ca = join(folder, "ca.crt");
  if (!existsSync(ca)) throw labErrors("SALLY_LAB_CERTIFICATES", "", { where: folder });
  return { folder, ca };
};

/** Paths of an element's certificate and key. */
export const certificate = ({ folder }: LabCertificates, element: string) => ({
  certificate: join(folder, `${element}.crt`),
  key: join(folder, `${element}.key`),
});
