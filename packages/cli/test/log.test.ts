// Log lines as a person reads them.
import { describe, expect, it } from "vitest";
import { textLine } from "../src/log.ts";

describe("a log line as text", () => {
  it("time, level, element and event first, then the fields, quoted where they hold a blank", () => {
    const record = {
      level: "warn",
      time: "2026-11-23T22:28:30.746Z",
      element: "edge",
      event: "gateway",
      id: "gw-a",
      reason: "Restart 901",
      names: ["gw-a.example"],
      untold: 3,
    };
    expect(textLine(JSON.stringify(record))).toBe(
      '22:28:30.746  warn   edge  gateway  id=gw-a  reason="Restart 901"  names="[\\"gw-a.example\\"]"  untold=3\n',
    );
  });

  it("what a stranger sent can not steer the terminal nor begin a line of its own", () => {
    const line = textLine(
      JSON.stringify({
        level: "info",
        time: "2026-11-23T22:28:30.746Z",
        element: "edge",
        event: "e",
        aor: "a\u001b[2J\u009bx\u202e\nb",
      }),
    );
    // oxlint-disable-next-line no-control-regex
    expect(line.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });
});
