// The contract over the xdp engine: the plane stands in one network namespace, its peers in another, and packets cross a pair of
// virtual Ethernet interfaces. This file runs itself once more within the plane's namespace. Skipped by name where that cannot be.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@sallyport/kit";
import { loadAddon } from "../src/native/addon.ts";
import { createNativePlane } from "../src/native/native-plane.ts";
import { mediaPlaneContract } from "./contract.ts";
import { ground } from "./ground.ts";
import { noNamespaces } from "./xdp/namespaces.ts";
import { runWithin } from "./xdp/within.ts";

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
  const outcomes = missing === undefined ? await runWithin(fileURLToPath(import.meta.url)) : [];
  describe(`between namespaces${missing === undefined ? "" : ` (${missing})`}`, () => {
    it.skipIf(missing !== undefined)("the contract was run as a whole", () => {
      expect(outcomes.length).toBeGreaterThan(60);
    });
    it.each(outcomes.filter(({ status }) => status === "passed" || status === "failed"))(
      "$fullName",
      ({ status, failureMessages }) => {
        expect([status, ...failureMessages]).toEqual(["passed"]);
      },
    );
  });
}
