import { describe, expect, it } from "vitest";
import { coverage, coveragePage, namesIn, requirements, unknownNames } from "../src/index.ts";

const titles = [
  { file: "a.test.ts", title: "TS 33.328 7.2.1 step 2, 7.2.1 step 3: takes e2ae to RTP" },
  { file: "a.test.ts", title: "TS 33.328 7.1 (a): the UE indicates" },
  { file: "b.test.ts", title: "TS 33.328 7.9 step 1: names nothing" },
  { file: "b.test.ts", title: "invariant 3: no clause" },
];

describe("coverage of the standard", () => {
  it("finds the rows a title names, several in one title too", () => {
    expect(namesIn(titles[0]?.title ?? "")).toEqual(["TS 33.328 7.2.1 step 2", "TS 33.328 7.2.1 step 3"]);
    const proven = coverage(requirements, titles).filter(({ tests }) => tests.length > 0);
    expect(proven.map(({ requirement }) => `${requirement.clause} ${requirement.part}`)).toEqual([
      "7.1 (a)",
      "7.2.1 step 2",
      "7.2.1 step 3",
    ]);
  });

  it("reports a title that names no row, and a row without a test", () => {
    expect(unknownNames(requirements, titles)).toEqual(["TS 33.328 7.9 step 1"]);
    const page = coveragePage(coverage(requirements, titles));
    expect(page).toContain(`3 of ${requirements.length} rows have a test.`);
    expect(page).toContain("| 7.3.1 step 9 | IMS-AGW |");
    expect(page).toMatch(/7\.3\.1 \(b\).*\*\*no test\*\*/);
  });

  it("writes the same page in whatever order the tests were listed", () => {
    const more = [...titles, { file: "0.test.ts", title: "TS 33.328 7.1 (a): again" }];
    expect(coveragePage(coverage(requirements, more))).toBe(coveragePage(coverage(requirements, more.toReversed())));
  });

  it("has each row once", () => {
    const names = requirements.map(({ clause, part }) => `${clause} ${part}`);
    expect(new Set(names).size).toBe(names.length);
  });
});
