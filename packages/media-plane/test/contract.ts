// What every engine behind the MediaPlane port must do, with real sockets on loopback: the portable one now, a native one
// later. Needs nothing of an engine but the port; what turns on time is tested by each engine with its own clock.
import { describe } from "vitest";
import type { MediaPlane } from "../src/index.ts";
import { harnessFor } from "./contract/harness.ts";
import { indicesContract } from "./contract/indices.ts";
import { keysContract } from "./contract/keys.ts";
import { lifeContract } from "./contract/life.ts";
import { passageContract } from "./contract/passage.ts";
import { protectionContract } from "./contract/protection.ts";
import { rulesContract } from "./contract/rules.ts";
import { receivingContract } from "./contract/receiving.ts";
import { trafficContract } from "./contract/traffic.ts";
import { unverifiedContract } from "./contract/unverified.ts";
import { wayContract } from "./contract/way.ts";

/** Runs the contract; `createPlane` gives a new plane for each test, the contract shuts it down. */
export const mediaPlaneContract = (name: string, createPlane: () => MediaPlane): void => {
  describe(`media plane contract: ${name}`, () => {
    const harness = harnessFor(createPlane);
    protectionContract(harness);
    unverifiedContract(harness);
    keysContract(harness);
    passageContract(harness);
    indicesContract(harness);
    receivingContract(harness);
    rulesContract(harness);
    trafficContract(harness);
    wayContract(harness);
    lifeContract(harness);
  });
};
