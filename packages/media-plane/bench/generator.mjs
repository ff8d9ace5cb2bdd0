// Compiles the load generator beside the engine, from the same sources; it links the system's libcrypto.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const native = fileURLToPath(new URL("../native", import.meta.url));
export const generator = join(native, "build", "generator");

const filesIn = (folder, ending) =>
  readdirSync(join(native, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => join(native, folder, name));

/** @throws when there is no compiler or no libcrypto: the benchmark cannot run then. */
export const buildGenerator = () => {
  const sources = [
    join(native, "bench", "generator.cpp"),
    ...["uring.cpp", "sockets.cpp", "record.cpp"].map((name) => join(native, "engine", name)),
    ...filesIn("core", ".cpp"),
  ];
  const newest = Math.max(
    ...[...sources, ...["core", "engine", "bench"].flatMap((folder) => filesIn(folder, ".hpp"))].map(
      (file) => statSync(file).mtimeMs,
    ),
  );
  if (existsSync(generator) && statSync(generator).mtimeMs > newest) return;
  mkdirSync(join(native, "build"), { recursive: true });
  const flags = ["-std=c++17", "-O2", "-pthread", ...sources, "-o", generator, "-lcrypto"];
  const done = spawnSync(process.env.CXX ?? "g++", flags, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`the load generator does not compile (g++, libssl-dev):\n${done.stderr}`);
};
