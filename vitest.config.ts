import { defineConfig } from "vitest/config";

// Tests read each package's sources through the "source" export condition: no build is needed to run them.
export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"], externalConditions: ["source"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts"],
    pool: "forks",
    // A busy machine is slow; only a test that hangs shall fail by its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
