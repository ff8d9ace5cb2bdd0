// Compiles the gateway with the child programs into a throw-away directory, and starts them as processes of their own.
import { spawnSync, fork, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const packages = ["kit", "sdp", "srtp", "h248", "iq", "media-plane", "access-gateway"] as const;

export interface Program {
  /** Starts `child/<name>.ts` with a channel to it. */
  start(name: string, argument: string): ChildProcess;
  remove(): void;
}

export const compileProgram = (): Program => {
  const out = mkdtempSync(join(tmpdir(), "sallyport-gateway-"));
  const project = {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: {
      rootDir: join(root, "packages"),
      outDir: out,
      declaration: false,
      sourceMap: false,
      customConditions: ["source"],
      typeRoots: [join(root, "node_modules/@types")],
    },
    include: [
      ...packages.map((name) => join(root, "packages", name, "src/**/*.ts")),
      ...["gateway", "controller"].map((name) => join(root, `packages/access-gateway/test/child/${name}.ts`)),
    ],
  };
  writeFileSync(join(out, "tsconfig.json"), JSON.stringify(project));
  const done = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", out], {
    encoding: "utf8",
  });
  const main = join(out, "access-gateway/test/child/gateway.js");
  if (!existsSync(main)) throw new Error(`not compiled: ${done.stdout}${done.stderr}`);
  writeFileSync(join(out, "package.json"), JSON.stringify({ type: "module" }));
  mkdirSync(join(out, "node_modules/@sallyport"), { recursive: true });
  for (const name of packages) {
    const exported = { type: "module", exports: "./src/index.js" };
    writeFileSync(join(out, name, "package.json"), JSON.stringify(exported));
    symlinkSync(join(out, name), join(out, "node_modules/@sallyport", name));
  }
  // The native media engine, where it was built.
  symlinkSync(join(root, "packages/media-plane/native"), join(out, "media-plane/native"));
  symlinkSync(join(root, "node_modules/zod"), join(out, "node_modules/zod"));
  return {
    start: (name, argument) =>
      fork(join(out, "access-gateway/test/child", `${name}.js`), [argument], { execArgv: ["--expose-gc"] }),
    remove: () => rmSync(out, { recursive: true, force: true }),
  };
};
