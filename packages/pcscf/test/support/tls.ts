// Certificates for edges and peers of a test, and the files an edge reads them from.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsMaterial } from "@sallyport/sip";
import { createAuthority } from "@sallyport/test-authority";

export interface TestTls {
  /** For the edge's configuration. */
  readonly files: { readonly certificate: string; readonly key: string; readonly ca: string };
  /** What a UE shows. */
  readonly ue: TlsMaterial;
  close(): void;
}

export const openTls = async (): Promise<TestTls> => {
  const authority = await createAuthority();
  const folder = mkdtempSync(join(tmpdir(), "sallyport-pcscf-"));
  const edge = await authority.issue([{ type: "ip", value: "127.0.0.1" }]);
  const files = { certificate: join(folder, "edge.pem"), key: join(folder, "edge.key"), ca: join(folder, "ca.pem") };
  writeFileSync(files.certificate, edge.cert);
  writeFileSync(files.key, edge.key);
  writeFileSync(files.ca, edge.ca ?? "");
  return {
    files,
    ue: await authority.issue([{ type: "dns", value: "ue.example" }]),
    close: () => rmSync(folder, { recursive: true }),
  };
};
