// Compiles the load generator beside the engine, from the same sources; it links the system's libcrypto.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startChild } from "./child.mjs";

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

/**
 * The load between `local` and the relay at `relay`, `rate` packets/s in all; `suite` by its place among ours, `core` -1 where it is
 * not bound to one, `polled` the interface whose queue it polls, `within` the command it is started by.
 */
export const startGenerator = ({
  local,
  relay,
  suite = 0,
  rate,
  warmMs,
  measureMs,
  core = -1,
  payload = 160,
  polled = "-",
  within = [],
}) => {
  const [command, ...rest] = [...within, generator];
  const settings = [local, relay, suite, rate, warmMs, measureMs, core, payload, polled].map(String);
  return startChild(command, [...rest, ...settings], { show: true });
};
