// Golden pairs: what comes in, and octet for octet what leaves. Keys come from a seeded generator.
import { describe, expect, it } from "vitest";
import { forwarded, openCall } from "./support/call.ts";
import { goldens } from "./support/golden.ts";

describe("golden descriptions", () => {
  it("finds its files", () => expect(goldens.length).toBeGreaterThan(12));

  it.each(goldens.map((golden) => [golden.title, golden] as const))("%s", (_, golden) => {
    const call = openCall(golden.facts, "golden");
    for (const step of golden.steps) {
      const extra = { carrier: step.carrier, ...(step.branch === undefined ? {} : { branch: step.branch }) };
      const effects =
        step.kind === "offer" ? call.offer(step.from, step.input, extra) : call.answer(step.from, step.input, extra);
      const refusal = effects.find((effect) => effect.kind === "refuse" || effect.kind === "end-call");
      const left =
        refusal?.kind === "refuse"
          ? `refuse ${refusal.status} ${refusal.reason}\n`
          : refusal?.kind === "end-call"
            ? `end-call ${refusal.coreStatus} ${refusal.reason}\n`
            : forwarded(effects).replaceAll("\r\n", "\n");
      expect(left, golden.name).toBe(`${step.expected.join("\n")}\n`);
    }
  });
});
