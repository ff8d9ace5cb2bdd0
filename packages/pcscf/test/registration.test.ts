import { afterEach, describe, expect, it } from "vitest";
import { headerList, headerValue, headerValues } from "@sallyport/sip";
import { openScenario, type Scenario } from "./support/scenario.ts";
import { textOf } from "./support/peer.ts";

let scenario: Scenario;
afterEach(async () => {
  await scenario.close();
});

describe("registration", () => {
  it("TS 33.328 7.1: the media Security-Server stands in the 401 and in the 200, in the draft dialect", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const { challenge, ok } = await alice.register({ dialect: "draft" });
    expect(headerValues(challenge, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(headerValues(ok, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(scenario.edge.registrations()).toMatchObject([
      { aor: alice.aor, dialect: "draft", indications: { ueE2ae: true, networkE2ae: true } },
    ]);
  });
});
void headerList;
void headerValue;
void textOf;
