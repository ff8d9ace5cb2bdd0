// `npm test`: every check and every test of the project. Last line: N passed, N failed. Skipped tests are named above it.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const reportFile = join(root, ".sallyport", "test-report.json");
const bin = (name) => join(root, "node_modules", ".bin", name);

let passed = 0;
let failed = 0;
const skipped = [];

const run = (command, args, show) =>
  spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: show ? "inherit" : "pipe",
    maxBuffer: 64 * 1024 * 1024,
  });

const check = (name, command, args, advice) => {
  const started = performance.now();
  const done = run(command, args, false);
  const time = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  if (done.status === 0) {
    passed += 1;
    console.log(`check  ${name.padEnd(16)} ok (${time})`);
    return;
  }
  failed += 1;
  console.log(
    `check  ${name.padEnd(16)} FAILED (${time})\n${`${done.stdout ?? ""}${done.stderr ?? ""}`.trim()}\n${advice}`,
  );
};

check("types", process.execPath, [bin("tsc"), "-p", "tsconfig.check.json"], "Mend the types above.");
check("layers", process.execPath, ["scripts/check-layers.mjs"], "docs/architecture.md says who may import whom.");
check("lint", bin("oxlint"), ["--deny-warnings"], "Mend the places above.");
check("format", bin("oxfmt"), ["--check"], "Run `npm run format`.");
check("unused", bin("knip"), [], "Remove what nothing uses, or use it.");

mkdirSync(join(root, ".sallyport"), { recursive: true });
rmSync(reportFile, { force: true });
const vitest = run(
  process.execPath,
  [
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${reportFile}`,
  ],
  true,
);

let report;
try {
  report = JSON.parse(readFileSync(reportFile, "utf8"));
} catch {
  console.log("The test run left no report: it broke before its end; the lines above say where.");
}
if (report === undefined || report.numTotalTests === 0) failed += 1;
else {
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  // A file that failed although none of its tests did: it could not be read, or what its tests stand on did not come up.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"),
  );
  failed += broken.length;
  for (const file of report.testResults) {
    if (broken.includes(file)) continue;
    for (const test of file.assertionResults) {
      if (test.status === "skipped" || test.status === "pending" || test.status === "todo") skipped.push(test.fullName);
    }
  }
  if (vitest.status !== 0 && report.numFailedTests + broken.length === 0) {
    failed += 1;
    console.log(
      `The test run ended with exit code ${vitest.status} although no test failed: an error outside the tests, printed above.`,
    );
  }
  check(
    "documentation",
    process.execPath,
    ["scripts/docs.mjs", "--check", "--report", reportFile],
    "Run `npm run docs` and look at what changed.",
  );
}

if (skipped.length > 0)
  console.log(`\nSkipped, for want of what the name in brackets says:\n  ${skipped.join("\n  ")}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
