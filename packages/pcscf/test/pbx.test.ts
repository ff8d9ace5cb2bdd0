// A PBX on a trunk: one registration for a range of numbers (RFC 6140, wildcarded public identities of TS 23.003 13.4A).
import * as fc from "fast-check";
import { headerValue } from "@sallyport/sip";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isWildcard, standsFor } from "../src/routing/wildcard.ts";
import { originate } from "./support/calls.ts";
import { coreRequest, openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer } from "./support/sdp.ts";

describe("wildcarded public identities", () => {
  it.each([
    ["sip:+4930123!.*!@home.example", "sip:+493012345@home.example", true],
    ["sip:+4930123!.*!@home.example", "sip:+4930123@HOME.example;user=phone", true],
    ["sip:+4930123!.*!@home.example", "sip:+4930124@home.example", false],
    ["sip:+4930123!.*!@home.example", "sip:+493012345@other.example", false],
    ["sip:+4930123!.*!@home.example", "sip:+4930123", false],
    ["sip:+4930123![0-9]{2}!@home.example", "sip:+493012345@home.example", true],
    ["sip:+4930123![0-9]{2}!@home.example", "sip:+4930123456@home.example", false],
    ["sip:+4930123![0-9]{1,3}!@home.example", "sip:+4930123456@home.example", true],
    ["sip:+4930123![1-4]0!@home.example", "sip:+493012350@home.example", false],
    ["tel:+4930123!.*!", "tel:+49-30-123-45", true],
    ["tel:+4930123!.*!", "sip:+493012345@home.example", false],
    // What is not followed stands for nobody.
    ["sip:!(a+)+b!@home.example", "sip:aaab@home.example", false],
    ["sip:!a*a*a*!@home.example", "sip:aaa@home.example", false],
    ["sip:![9-0]!@home.example", "sip:5@home.example", false],
    ["sip:!a{3,1}!@home.example", "sip:aa@home.example", false],
    ["sip:a!b@home.example", "sip:a!b@home.example", false],
  ])("TS 23.003 13.4A: %s for %s: %s", (wildcard, identity, expected) => {
    expect(standsFor(wildcard, identity)).toBe(expected);
  });

  it("a mark in a user part alone makes no wildcard", () => {
    expect(["sip:a!b@home.example", "sip:ab@home.example", "sip:a!b!c!d@home.example"].some(isWildcard)).toBe(false);
  });

  it("any expression against any number: an answer, never an error", () => {
    const piece = fc.constantFrom(
      "a",
      "0",
      ".",
      "[0-9]",
      "[z-a]",
      "*",
      "+",
      "?",
      "{2}",
      "{9,1}",
      "{1,",
      "(",
      ")",
      "|",
      "\\",
      "!",
    );
    const expression = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(expression, fc.string({ maxLength: 80 }), (between, user) => {
        expect(typeof standsFor(`sip:+49!${between}!@home.example`, `sip:+49${user}@home.example`)).toBe("boolean");
      }),
    );
  });
});

describe("a PBX behind the edge", () => {
  let scenario: Scenario;
  let pbx: TestUe;
  let path: string;
  beforeEach(async () => {
    scenario = await openScenario();
    pbx = await scenario.ue("pbx");
    const ranges = "<sip:+4930123!.*!@home.example>, <tel:+4930123!.*!>";
    ({ path } = await pbx.register({ grant: [["P-Associated-URI", ranges]] }));
  });
  afterEach(() => scenario.close());

  it.each([
    ["<sip:+493012345@home.example;user=phone>", "<sip:+493012345@home.example>"],
    ["<tel:+493012345>", "<tel:+493012345>"],
    // Not of its range: the default one.
    ["<sip:+493099999@home.example>", "<sip:pbx@home.example>"],
  ])("TS 24.229 5.2.6.3.3: it prefers %s and calls as %s", async (preferred, asserted) => {
    const { arrived } = await originate(scenario, pbx, { headers: [["P-Preferred-Identity", preferred]] });
    expect(headerValue(arrived.request, "p-asserted-identity")).toBe(asserted);
  });

  it("RFC 6140 5.2, TS 24.229 5.2.6.4: it is called by any of its numbers, and answers as that one", async () => {
    const number = "<sip:+493012345@home.example>";
    const uri = `sip:+493012345@127.0.0.1:${pbx.port}`;
    const headers = [["P-Called-Party-ID", number]] as const;
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", uri, { route: [path], headers, body: coreSdp() }),
    );
    const arrived = await pbx.expect("INVITE");
    expect(arrived.request.uri).toBe(uri);
    pbx.respond(arrived, 200, { headers: [["Contact", `<${pbx.contact}>`]], body: ueAnswer() });
    expect(headerValue(await sent.final(), "p-asserted-identity")).toBe(number);
  });
});
