// Test fixture: builds the programs of native/test and runs them; tells why when this machine cannot build.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../native/test", import.meta.url));

/** Node's own OpenSSL headers, for machines that have the library without its headers. */
const nodeHeaders = join(dirname(dirname(process.execPath)), "include", "node");

const compiles = (flags: readonly string[]): boolean =>
  spawnSync("g++", [...flags, "-E", "-x", "c++", "-include", "openssl/evp.h", "/dev/null"], { stdio: "ignore" })
    .status === 0;

const settings = (): readonly string[] | string => {
  for (const tool of ["make", "g++"]) {
    if (spawnSync(tool, ["--version"], { stdio: "ignore" }).status !== 0) return `to run: install ${tool}`;
  }
  if (compiles([])) return [];
  if (existsSync(join(nodeHeaders, "openssl", "evp.h")) && compiles(["-I", nodeHeaders])) {
    return [`OPENSSL_FLAGS=-I${nodeHeaders}`, "OPENSSL_LIBS=-l:libcrypto.so.3"];
  }
  return "to run: install the headers of OpenSSL 3 (libssl-dev)";
};

const flags = settings();

/** Why nothing can be built here, or undefined. */
export const missing: string | undefined = typeof flags === "string" ? flags : undefined;

/** Two test files may build at once: the second waits for the first, where `flock` is there. */
const locked: readonly string[] =
  spawnSync("flock", ["--version"], { stdio: "ignore" }).status === 0 ? ["flock", join(folder, "Makefile")] : [];

/** Builds and gives the program's path. */
export const build = (program: string, variant: "release" | "sanitize" | "thread" = "release"): string => {
  const options = typeof flags === "string" ? [] : flags;
  const make = ["make", "-s", "-j2", "-C", folder, `VARIANT=${variant}`, ...options, program];
  const [command = "make", ...rest] = [...locked, ...make];
  execFileSync(command, rest, { stdio: "pipe" });
  return join(folder, "out", variant, program);
};

/** Runs a program of ours; with `mayFail` gives what it wrote even so. Otherwise fails with what it wrote on standard error. */
export const run = (
  program: string,
  input: Uint8Array = Buffer.alloc(0),
  mayFail = false,
  args: readonly string[] = [],
): Buffer => {
  const { status, signal, stdout, stderr } = spawnSync(program, args, { input, maxBuffer: 1 << 30 });
  if (status !== 0 && !(mayFail && status === 1 && stdout.length > 0))
    throw new Error(`${program}: ${status ?? signal}: ${stderr.toString()}`);
  return stdout;
};
