// The demonstration as a test: the story of `sallyport lab` runs once, and every word it prints is checked against the wires.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tellStory, type Story } from "../src/demo/scenario.ts";
import { allPassed, ribbonOf, storyText } from "../src/demo/screen.ts";
import { ladderPicture } from "../src/ladder/picture.ts";
import { labCertificates } from "../src/topology/certificates.ts";
import { verdictRows } from "../src/verdict/table.ts";
import { held, openLab, type TestLab } from "./support/lab.ts";
import { sipBetween } from "./support/wires.ts";

const pictureFile = fileURLToPath(new URL("../../../docs/ladder.svg", import.meta.url));

describe("the demonstration", () => {
  let lab: TestLab;
  let story: Story;
  const said: string[] = [];

  beforeAll(async () => {
    lab = await openLab();
    story = await tellStory(lab, labCertificates(), { say: (line) => said.push(line) });
  });
  afterAll(() => lab?.close());

  it("passes every row of its verdict", () => {
    expect(verdictRows(story.facts).filter(({ passed }) => !passed)).toEqual([]);
    expect(verdictRows(story.facts)).toHaveLength(8);
    expect(allPassed(story)).toBe(true);
  });

  it("TS 33.328 7.2.1 step 9, 7.3.1 step 9: shows o1 to o9 and t1 to t9 once each", () => {
    const steps = storyText(story).flatMap((line) => line.slice(0, 7).match(/\b[ot]\d\b/g) ?? []);
    const wanted = ["o", "t"].flatMap((side) => Array.from({ length: 9 }, (_, index) => `${side}${index + 1}`));
    expect(steps.toSorted()).toEqual(wanted.toSorted());
  });

  it("prints nothing wider than 80 columns", () => {
    const wide = [...said, ...storyText(story)].filter((line) => line.length > 80);
    expect(wide).toEqual([]);
    expect(storyText(story).length).toBeGreaterThan(40);
  });

  it("draws docs/ladder.svg, byte for byte", () => {
    const picture = ladderPicture(story.cast, story.ladder, ribbonOf(story));
    if (process.env["UPDATE_PICTURES"] === "1") writeFileSync(pictureFile, picture);
    expect(picture, "run with UPDATE_PICTURES=1 and look at what changed").toBe(readFileSync(pictureFile, "utf8"));
  });

  it("TS 33.328 7.3.1 (b): what the rogue in the core sent reached carol's edge, and carol without its words", () => {
    const words = /3ge2ae|a=crypto|security-server|mediasec/i;
    const forged = sipBetween(lab.recorder.sightings, { from: "edge-b", to: "carol" }).filter(({ message }) =>
      message.headers.some(({ name, value }) => name === "call-id" && value.startsWith("forged-")),
    );
    expect(forged.map(({ message }) => message.kind === "request" && message.method)).toContain("INVITE");
    expect(forged.filter(({ octets }) => words.test(octets.toString("latin1")))).toEqual([]);
  });

  it("invariant 10: leaves no call and no context behind", () => {
    for (const side of [lab.a, lab.b])
      expect(held(side)).toMatchObject({ calls: 0, edgeContexts: 0, contexts: 0, terminations: 0, mediaPorts: 0 });
  });
});
