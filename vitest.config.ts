import { defineConfig } from "vitest/config";

// Tests read each package's sources through the "source" export condition: no build is needed to run them.
export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"], externalConditions: ["source"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts"],
    pool: "forks",
    testTimeout: 20_000,
  },
});
