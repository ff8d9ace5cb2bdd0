// An access gateway in a process of its own, that can be killed or asked to end.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificate, labCertificates } from "../../src/topology/certificates.ts";
import { sallyport, type Run } from "./processes.ts";

export interface GatewayProcess {
  readonly run: Run;
  /** Ends it if it still runs, and removes its files. */
  close(): Promise<void>;
}

/** Starts gateway `name` (gw-a, gw-b) for the Iq port of `edge`; it registers by itself. */
export const startGatewayProcess = (options: {
  readonly name: "gw-a" | "gw-b";
  readonly edge: "edge-a" | "edge-b";
  readonly port: number;
  readonly media: { readonly first: number; readonly last: number };
}): GatewayProcess => {
  const { name, edge, port, media } = options;
  const certificates = labCertificates();
  const folder = mkdtempSync(join(tmpdir(), "sallyport-gateway-"));
  const file = join(folder, "gateway.yaml");
  // JSON is YAML.
  writeFileSync(
    file,
    JSON.stringify({
      id: `${name}.lab.example`,
      controllers: [
        {
          address: "127.0.0.1",
          port,
          protocol: "tls",
          tls: { ...certificate(certificates, name), ca: certificates.ca },
          certificateName: `${edge}.lab.example`,
        },
      ],
      interfaces: { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } },
      ports: media,
      retry: { firstMs: 50, longestMs: 200 },
    }),
  );
  const run = sallyport(["gateway", "--config", file], folder);
  return {
    run,
    close: async () => {
      run.kill("SIGKILL");
      await run.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
