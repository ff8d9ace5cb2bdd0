// Kamailio as the core: its configuration filled in, started and awaited.
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { domain } from "./edges.ts";
import { freePort, installed, ready, start, temporaryFolder } from "./program.ts";

const moduleFolders = ["x86_64-linux-gnu", "aarch64-linux-gnu", "."].map((part) =>
  join("/usr/lib", part, "kamailio/modules/"),
);

export const haveKamailio = installed("kamailio");

export interface Kamailio {
  readonly port: number;
  /** What it logged. */
  readonly output: string;
  stop(): Promise<void>;
}

export const startKamailio = async (algorithm: "MD5" | "SHA-256"): Promise<Kamailio> => {
  const folder = await temporaryFolder("kamailio");
  const port = await freePort();
  const template = await readFile(fileURLToPath(new URL("../kamailio.cfg", import.meta.url)), "utf8");
  const modules = moduleFolders.find((each) => existsSync(each)) ?? "";
  const values: Readonly<Record<string, string>> = {
    PORT: String(port),
    DOMAIN: domain,
    ALGORITHM: algorithm,
    MODULES: modules,
  };
  const file = join(folder.path, "kamailio.cfg");
  await writeFile(
    file,
    template.replaceAll(/@([A-Z]+)@/g, (whole, name: string) => values[name] ?? whole),
  );
  const runtime = join(folder.path, "run");
  await mkdir(runtime);
  const program = start({
    program: "kamailio",
    args: ["-DD", "-E", "-f", file, "-w", folder.path, "-Y", runtime, "-m", "64", "-M", "8"],
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
    get output() {
      return program.output;
    },
    stop,
  };
};
