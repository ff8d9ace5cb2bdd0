// Makes a checkout ready to run: Node, dependencies, TypeScript, the native media engine, throw-away certificates. Needs nothing but Node and npm.
// Each step prints one line with its time; a step that is up to date is quick. Safe to run again at any moment.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const at = (...parts) => join(root, ...parts);
const oldestNode = [20, 19];

class StepFailed extends Error {}

const run = (command, args, advice) => {
  const done = spawnSync(command, args, { cwd: root, encoding: "utf8", env: { ...process.env, FORCE_COLOR: "0" } });
  if (done.error !== undefined)
    throw new StepFailed(`${command} could not be started: ${done.error.message}\n${advice}`);
  if (done.status !== 0) throw new StepFailed(`${`${done.stdout}${done.stderr}`.trim().slice(-4000)}\n${advice}`);
};

const checkNode = () => {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) {
    throw new StepFailed(
      `Node ${process.versions.node} is too old: ${oldestNode.join(".")} or newer is needed. Install a current LTS and start again.`,
    );
  }
  return `Node ${process.versions.node}`;
};

// npm ci empties node_modules first, so it runs only when the lock file or the platform differs from the last time.
const installDependencies = () => {
  const stampFile = at("node_modules", ".sallyport-stamp");
  const stamp = createHash("sha256")
    .update(readFileSync(at("package-lock.json")))
    .update(`${process.platform} ${process.arch} ${process.versions.modules}`)
    .digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return "up to date";
  run(
    "npm",
    ["ci", "--no-audit", "--no-fund"],
    "`npm ci` failed: check that the npm registry can be reached, then start again.",
  );
  writeFileSync(stampFile, stamp);
  return "installed";
};

const compile = () => {
  run(
    process.execPath,
    [at("node_modules", "typescript", "bin", "tsc"), "-b"],
    "TypeScript did not compile: the lines above name file and line. After a merge, `rm -rf packages/*/dist` and start again.",
  );
  return "compiled";
};

// A machine without a compiler is no failure: the portable engine moves the same packets, fewer of them.
const buildMediaEngine = async () => (await import("../packages/media-plane/native/build.mjs")).buildOrSay();

const makeCertificates = async () => {
  const { makeLabCertificates, makeSealingKey } = await import("./certificates.mjs");
  const folder = at(".sallyport", "certificates");
  mkdirSync(folder, { recursive: true });
  makeSealingKey(at(".sallyport", "sealing.key"));
  return (await makeLabCertificates(folder)) ? "made in .sallyport/certificates" : "up to date";
};

const steps = [
  ["node", checkNode],
  ["dependencies", installDependencies],
  ["typescript", compile],
  ["media engine", buildMediaEngine],
  ["certificates", makeCertificates],
];

for (const [name, step] of steps) {
  const started = performance.now();
  try {
    const outcome = await step();
    console.log(`setup  ${name.padEnd(13)} ${outcome} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    console.error(`setup  ${name.padEnd(13)} FAILED\n${error instanceof StepFailed ? error.message : error.stack}`);
    process.exit(1);
  }
}
