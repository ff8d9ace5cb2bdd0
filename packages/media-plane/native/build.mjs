// Compiles the native media engine with the system's C++ compiler: no network, no package, seconds. Safe to run at any moment:
// what is up to date is left alone. Without a compiler or headers it says so in one line and the portable engine serves.
// Why not node-gyp: it wants Python and a download of headers, and gives nothing for one shared object of a few files.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const native = fileURLToPath(new URL(".", import.meta.url));
const folders = ["core", "engine", "door"];
const output = join(native, "build", "sallyport-media.node");

/** Why the portable engine has to serve. */
export class NotBuilt extends Error {}

/** Node-API's headers: beside this Node, where npm unpacked them for it, or where the caller says. */
const headers = () => {
  const version = process.versions.node;
  const places = [
    process.env.npm_config_nodedir && join(process.env.npm_config_nodedir, "include", "node"),
    process.config.variables.nodedir && join(process.config.variables.nodedir, "include", "node"),
    join(dirname(process.execPath), "..", "include", "node"),
    join(homedir(), ".cache", "node-gyp", version, "include", "node"),
    "/usr/include/node",
    "/usr/local/include/node",
  ];
  const found = places.find((place) => place && existsSync(join(place, "node_api.h")));
  if (found === undefined) throw new NotBuilt("the headers of Node (node_api.h) are not on this machine");
  return found;
};

const compiler = () => {
  for (const name of [process.env.CXX, "g++", "clang++", "c++"]) {
    if (name && spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0) return name;
  }
  throw new NotBuilt("there is no C++ compiler (install g++)");
};

const filesIn = (ending) =>
  folders.flatMap((folder) =>
    readdirSync(join(native, folder))
      .filter((name) => ending.test(name))
      .toSorted()
      .map((name) => join(folder, name)),
  );

const run = (command, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: native, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stdout.on("data", (text) => (said += text));
    child.stderr.on("data", (text) => (said += text));
    child.on("error", reject);
    child.on("close", (status) =>
      status === 0 ? resolve() : reject(new NotBuilt(`the compiler refused it:\n${said.slice(0, 4000)}`)),
    );
  });

/** A sentence: what was done. Throws `NotBuilt` with the reason when the portable engine has to serve. */
const buildNative = async () => {
  if (process.platform !== "linux") throw new NotBuilt(`it runs on Linux only, this is ${process.platform}`);
  const include = headers();
  const cxx = compiler();
  const flags = [
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-fno-plt",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-pthread",
    "-I",
    include,
  ];
  const sources = filesIn(/\.cpp$/);
  mkdirSync(join(native, "build", "objects"), { recursive: true });
  // An object is kept while its source, every header and the way it is compiled are the same.
  const common = createHash("sha256").update(JSON.stringify([cxx, flags, process.arch]));
  for (const file of filesIn(/\.hpp$/)) common.update(file).update(readFileSync(join(native, file)));
  const commonDigest = common.digest("hex");
  const digestOf = (source) =>
    createHash("sha256")
      .update(commonDigest)
      .update(readFileSync(join(native, source)))
      .digest("hex");
  const objects = sources.map((source) => {
    const object = join("build", "objects", `${source.replaceAll(/[/.]/g, "-")}.o`);
    return { source, object, digest: digestOf(source), stamp: join(native, `${object}.stamp`) };
  });
  const fresh = ({ stamp, digest }) => existsSync(stamp) && readFileSync(stamp, "utf8") === digest;
  const waiting = objects.filter((one) => !fresh(one));
  // Written after linking: a build that was stopped half way is taken up again.
  const linked = { stamp: `${output}.stamp`, digest: objects.map(({ digest }) => digest).join("\n") };
  if (waiting.length === 0 && existsSync(output) && fresh(linked)) return "up to date";
  const count = waiting.length;
  const work = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      await run(cxx, [...flags, "-c", one.source, "-o", one.object]);
      writeFileSync(one.stamp, one.digest);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  // Renamed into place: a running process keeps the object it has mapped.
  await run(cxx, ["-shared", "-pthread", "-o", `${output}.new`, ...objects.map(({ object }) => object)]);
  renameSync(`${output}.new`, output);
  writeFileSync(linked.stamp, linked.digest);
  return `compiled ${count} files with ${cxx}`;
};

/** For a setup that goes on either way: one sentence, what was done or why the portable engine serves. */
export const buildOrSay = async () => {
  try {
    return await buildNative();
  } catch (error) {
    if (!(error instanceof NotBuilt)) throw error;
    return `not built, the portable one serves: ${error.message}`;
  }
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`native media engine: ${await buildOrSay()}\n`);
}
