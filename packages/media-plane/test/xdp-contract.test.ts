// The contract over the xdp engine: the plane stands in one network namespace, its peers in another, and packets cross a pair of
// virtual Ethernet interfaces. This file runs itself once more within the plane's namespace. Skipped by name where that cannot be.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@sallyport/kit";
import { loadAddon } from "../src/native/addon.ts";
import { createNativePlane } from "../src/native/native-plane.ts";
import { mediaPlaneContract } from "./contract.ts";
import { ground } from "./ground.ts";
import { makeLink, noNamespaces } from "./xdp/namespaces.ts";

const addon = loadAddon();
const missing = typeof addon === "string" ? addon : noNamespaces;
const { far } = ground;

if (far !== undefined && typeof addon !== "string") {
  mediaPlaneContract("xdp over veth", () => {
    const plane = createNativePlane(addon, {
      clock: systemClock,
      log: silentLog,
      portRange: { first: 23_000, last: 23_999 },
      interfaces: [far.interface],
    });
    if (typeof plane === "string") throw new Error(plane);
    return plane;
  });
} else {
  describe(`media plane contract: xdp${missing === undefined ? "" : ` (${missing})`}`, () => {
    it.skipIf(missing !== undefined)(
      "what holds for every engine holds for packets that go past the kernel's sockets",
      () => {
        const link = makeLink();
        try {
          const root = fileURLToPath(new URL("../../..", import.meta.url));
          const vitest = fileURLToPath(new URL("../../../node_modules/vitest/vitest.mjs", import.meta.url));
          const args = ["netns", "exec", link.near, process.execPath, vitest, "run", "--root", root, "--reporter=json"];
          const { stdout, stderr } = spawnSync("ip", [...args, fileURLToPath(import.meta.url)], {
            encoding: "utf8",
            env: { ...process.env, SALLYPORT_MEDIA_GROUND: JSON.stringify(link) },
            maxBuffer: 1 << 28,
          });
          const start = stdout.indexOf("{");
          if (start < 0) throw new Error(stderr);
          const { numTotalTests, testResults } = JSON.parse(stdout.slice(start)) as {
            readonly numTotalTests: number;
            readonly testResults: readonly {
              readonly message: string;
              readonly assertionResults: readonly {
                readonly status: string;
                readonly fullName: string;
                readonly failureMessages: readonly string[];
              }[];
            }[];
          };
          const all = testResults.flatMap(({ assertionResults }) => assertionResults);
          const failed = all.filter(({ status }) => status !== "passed");
          expect(failed.map((one) => `${one.fullName}: ${one.status} ${one.failureMessages.join("\n")}`)).toEqual([]);
          expect(testResults.map(({ message }) => message).join("")).toBe("");
          expect(numTotalTests).toBeGreaterThan(60);
        } finally {
          link.remove();
        }
      },
      300_000,
    );
  });
}
