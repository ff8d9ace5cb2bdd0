import { describe, expect, it } from "vitest";
import { interning, ownText } from "../src/index.ts";

describe("text that is kept", () => {
  it("stays the same text, octets above 127 and characters above 255 included", () => {
    for (const text of [
      "",
      "short",
      "sip:alice@example.test;transport=tcp",
      "Grüße aus der Vermittlungsstelle",
      "日本語の表示名はここにあります",
    ])
      expect(ownText(text)).toBe(text);
  });

  it("equal texts are remembered up to the bound", () => {
    const word = interning(2);
    expect([word("P-CSCF of the first network"), word("two"), word("three"), word("three")]).toEqual([
      "P-CSCF of the first network",
      "two",
      "three",
      "three",
    ]);
  });
});
