#!/usr/bin/env node
// The command's door: says what to do when the checkout has not been set up yet.
try {
  const { main } = await import("../dist/main.js");
  process.exitCode = await main(process.argv);
} catch (error) {
  if (error?.code !== "ERR_MODULE_NOT_FOUND") throw error;
  process.stderr.write(
    `${error.message}\nThis checkout is not set up: run \`npm run setup\` in its root, then try again.\n`,
  );
  process.exitCode = 1;
}
