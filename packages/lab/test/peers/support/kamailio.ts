// Kamailio as the core: its configuration filled in, started and awaited.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { labCertificates } from "../../../src/topology/certificates.ts";
import { domain } from "./edges.ts";
import { freePort, installed, ready, start, temporaryFolder } from "./program.ts";

const moduleFolders = ["x86_64-linux-gnu", "aarch64-linux-gnu", "."].map((part) =>
  join("/usr/lib", part, "kamailio/modules/"),
);

export const haveKamailio = installed("kamailio");

/** What of `kamailio.cfg` is taken besides the usual. */
export type KamailioPart = "TLS" | "TOPOH" | "TOPOS" | "OUTBOUND" | "FORWARD" | "RTPENGINE";

const moduleOf: Readonly<Partial<Record<KamailioPart, string>>> = {
  TLS: "tls.so",
  TOPOS: "db_sqlite.so",
  OUTBOUND: "outbound.so",
};

export interface Kamailio {
  readonly port: number;
  readonly tlsPort: number;
  /** What it logged. */
  readonly output: string;
  stop(): Promise<void>;
}

const shell = "sqlite3";
const tables = "/usr/share/kamailio/db_sqlite";

/** Whether the module behind a part is installed, and what makes its tables. */
export const haveKamailioPart = (part: KamailioPart): boolean => {
  const file = moduleOf[part];
  const there = file === undefined || moduleFolders.some((folder) => existsSync(join(folder, file)));
  return there && (part !== "TOPOS" || installed(shell));
};

/** A database for topos, by the statements that come with the module. */
const makeDatabase = (file: string): void => {
  for (const each of ["standard", "topos"])
    execFileSync(shell, [file], { input: readFileSync(join(tables, `${each}-create.sql`)) });
};

export interface KamailioOptions {
  readonly parts?: readonly KamailioPart[];
  /** Control port of rtpengine. */
  readonly relay?: number;
}

export const startKamailio = async (
  algorithm: "MD5" | "SHA-256",
  { parts = [], relay = 0 }: KamailioOptions = {},
): Promise<Kamailio> => {
  const folder = await temporaryFolder("kamailio");
  const [port, tlsPort] = [await freePort(), await freePort()];
  const template = await readFile(fileURLToPath(new URL("../kamailio.cfg", import.meta.url)), "utf8");
  const modules = moduleFolders.find((each) => existsSync(each)) ?? "";
  const values: Readonly<Record<string, string>> = {
    PORT: String(port),
    DOMAIN: domain,
    ALGORITHM: algorithm,
    MODULES: modules,
    FOLDER: folder.path,
    CERTIFICATES: labCertificates().folder,
    TLSPORT: String(tlsPort),
    RELAY: String(relay),
  };
  if (parts.includes("TOPOS")) makeDatabase(join(folder.path, "topos.db"));
  const file = join(folder.path, "kamailio.cfg");
  await writeFile(
    file,
    template.replaceAll(/@([A-Z]+)@/g, (whole, name: string) => values[name] ?? whole),
  );
  const runtime = join(folder.path, "run");
  await mkdir(runtime);
  const program = start({
    program: "kamailio",
    args: [
      "-DD",
      "-E",
      "-f",
      file,
      "-w",
      folder.path,
      "-Y",
      runtime,
      "-m",
      "64",
      "-M",
      "8",
      ...parts.flatMap((part) => ["-A", part]),
    ],
    folder: folder.path,
  });
  const stop = async (): Promise<void> => {
    await program.stop();
    await folder.remove();
  };
  try {
    await ready(program, "udp", port);
    await ready(program, "tcp", port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    tlsPort,
    get output() {
      return program.output;
    },
    stop,
  };
};
