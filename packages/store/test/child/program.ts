// Compiles the package with a child program into a throw-away directory, so that tests can start processes of their own
// and kill them, whatever was built before.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../..", import.meta.url));

export interface Program {
  /** Starts `child/<name>.ts` with these arguments. */
  start(
    name: string,
    args: readonly string[],
    options?: { readonly uid?: number; readonly shell?: string },
  ): ChildProcess;
  /** Lets other users run it. */
  allow(): void;
  remove(): void;
}

export const compileProgram = (): Program => {
  const out = mkdtempSync(join(tmpdir(), "sallyport-program-"));
  const project = {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: {
      rootDir: join(root, "packages"),
      outDir: out,
      declaration: false,
      sourceMap: false,
      typeRoots: [join(root, "node_modules/@types")],
    },
    include: [join(root, "packages/kit/src/*.ts"), join(root, "packages/store/test/child/*.ts")],
  };
  writeFileSync(join(out, "tsconfig.json"), JSON.stringify(project));
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", out]);
  writeFileSync(join(out, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(out, "kit/package.json"), JSON.stringify({ type: "module", exports: "./src/index.js" }));
  mkdirSync(join(out, "node_modules/@sallyport"), { recursive: true });
  symlinkSync(join(out, "kit"), join(out, "node_modules/@sallyport/kit"));
  symlinkSync(join(root, "node_modules/lmdb"), join(out, "node_modules/lmdb"));
  return {
    start: (name, args, { uid, shell } = {}) => {
      const command = [process.execPath, join(out, "store/test/child", `${name}.js`), ...args];
      const stdio = ["ignore", "pipe", "pipe"] as const;
      const as = uid === undefined ? {} : { uid };
      if (shell === undefined) return spawn(command[0] ?? "", command.slice(1), { stdio: [...stdio], ...as });
      return spawn("/bin/sh", ["-c", `${shell}; exec "$@"`, "sh", ...command], { stdio: [...stdio], ...as });
    },
    allow: () => chmodSync(out, 0o755),
    remove: () => rmSync(out, { recursive: true, force: true }),
  };
};

/** All of a stream as text, and how the process ended. */
export const outcome = async (
  child: ChildProcess,
): Promise<{
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
  readonly signal: string | null;
}> => {
  let out = "";
  let err = "";
  child.stdout?.on("data", (octets: Buffer) => (out += octets.toString()));
  child.stderr?.on("data", (octets: Buffer) => (err += octets.toString()));
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ out, err, code, signal })));
};
