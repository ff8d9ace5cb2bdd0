// Holds the house to its ranks: a package imports only packages of a lower rank, only through their door, and only what its
// package.json and tsconfig.json declare. Fails too when it sees fewer files than git tracks, so that it can not be green by blindness.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const ranks = {
  kit: 0,
  "test-authority": 0,
  sip: 1,
  sdp: 1,
  srtp: 1,
  h248: 1,
  "media-security": 2,
  iq: 2,
  "media-plane": 2,
  store: 2,
  pcscf: 3,
  "access-gateway": 3,
  ue: 3,
  "ims-core": 3,
  api: 4,
  conformance: 4,
  cli: 5,
  lab: 6,
  sallyport: 7,
};
// Tests may set up what their package does not import: these, and any package of a lower rank.
const testTools = new Set(["vitest", "fast-check"]);
// `import ... from "x"`, `export ... from "x"` and `import "x"` at a statement's start, and `import("x")` anywhere.
const importPattern = /(?:^\s*(?:import|export)\s(?:[^;"'`]*?\sfrom\s*)?|^\}\s*from\s*|\bimport\()["']([^"']+)["']/gm;

const read = (path) => readFileSync(join(root, path), "utf8");
const json = (path) => JSON.parse(read(path));
const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\n").filter(Boolean);

/** What a test may lean on outside its package: the tests' support of a package of a lower rank, and the tests' own configuration. */
const isTestSupport = (target, folder) => {
  const [top, other, area] = target.split(sep);
  return target === "vitest.config.ts" || (top === "packages" && area === "test" && ranks[other] < ranks[folder]);
};

const complaints = [];
const complain = (place, what) => complaints.push(`${place}: ${what}`);
const packages = readdirSync(join(root, "packages")).filter((name) =>
  existsSync(join(root, "packages", name, "package.json")),
);
const nameOf = Object.fromEntries(packages.map((folder) => [json(`packages/${folder}/package.json`).name, folder]));
const tracked = git("ls-files", "packages/*.ts");
const files = [...new Set([...tracked, ...git("ls-files", "--others", "--exclude-standard", "packages/*.ts")])].filter(
  (file) => existsSync(join(root, file)),
);
const used = Object.fromEntries(packages.map((folder) => [folder, new Set()]));
let imports = 0;

for (const folder of packages) {
  if (!(folder in ranks)) complain(`packages/${folder}`, "has no rank in scripts/check-layers.mjs");
}

for (const file of files) {
  const [, folder, area] = file.split("/");
  const declared = json(`packages/${folder}/package.json`);
  const isTest = area === "test" || area === "bench";
  for (const [, specifier] of read(file).matchAll(importPattern)) {
    imports += 1;
    if (specifier.startsWith(".")) {
      const target = normalize(join(dirname(file), specifier));
      const inside = `packages${sep}${folder}${sep}${isTest ? "" : `src${sep}`}`;
      if (!target.startsWith(inside) && !(isTest && isTestSupport(target, folder)))
        complain(file, `reaches out of its package with "${specifier}"`);
      continue;
    }
    if (specifier.startsWith("node:")) continue;
    if (builtinModules.includes(specifier)) {
      complain(file, `imports "${specifier}" without the node: prefix`);
      continue;
    }
    const name = specifier
      .split("/")
      .slice(0, specifier.startsWith("@") ? 2 : 1)
      .join("/");
    const target = nameOf[name];
    if (target === undefined) {
      const known = name in (declared.dependencies ?? {}) || (isTest && testTools.has(name));
      if (!known) complain(file, `imports "${name}", which its package.json does not declare`);
      if (!isTest) used[folder].add(name);
      continue;
    }
    if (specifier !== name) complain(file, `goes past the door of ${name} with "${specifier}"`);
    if (ranks[target] >= ranks[folder] && target !== folder) {
      complain(file, `rank ${ranks[folder]} (${folder}) may not import rank ${ranks[target]} (${target})`);
    }
    if (isTest) continue;
    used[folder].add(name);
    if (!(name in (declared.dependencies ?? {})))
      complain(file, `imports ${name}, which its package.json does not declare`);
  }
}

for (const folder of packages) {
  const declared = Object.keys(json(`packages/${folder}/package.json`).dependencies ?? {});
  for (const name of declared) {
    if (!used[folder].has(name))
      complain(`packages/${folder}/package.json`, `declares ${name}, which nothing in src imports`);
  }
  const references = json(`packages/${folder}/tsconfig.json`)
    .references.map(({ path }) => path.replace("../", ""))
    .sort();
  const expected = declared.flatMap((name) => nameOf[name] ?? []).sort();
  if (references.join() !== expected.join()) {
    complain(`packages/${folder}/tsconfig.json`, `references [${references}] but package.json declares [${expected}]`);
  }
}

if (files.length < tracked.length) complain("packages", `read ${files.length} files, but git tracks ${tracked.length}`);
if (imports < files.length)
  complain("packages", `found only ${imports} imports in ${files.length} files: the check is blind`);

for (const complaint of complaints) console.error(complaint);
console.log(
  `layers: ${packages.length} packages, ${files.length} files, ${imports} imports, ${complaints.length} complaints`,
);
process.exitCode = complaints.length === 0 ? 0 : 1;
