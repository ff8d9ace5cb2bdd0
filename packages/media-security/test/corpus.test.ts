// Bodies as other people hold them against us: RFC examples, devices, hostile ones. One body a file; beside each its
// outcome in every role and mode. To add one: put a file in, run with `-u`, read what was written.
import { describe, expect, it } from "vitest";
import { checkPlayed } from "./support/corpus-check.ts";
import { corpusBodies, corpusFolder, tellOutcomes } from "./support/corpus.ts";

describe("bodies of others", () => {
  it("finds its files", () => expect(corpusBodies.length).toBeGreaterThan(100));

  it.each(corpusBodies.map((body) => [body.name, body] as const))("%s", async (name, { text }) => {
    const told = tellOutcomes(text, (played, at) => checkPlayed(played, `${name}, ${at}`));
    await expect(told).toMatchFileSnapshot(new URL(`${name}.expected`, corpusFolder).pathname);
  });
});
