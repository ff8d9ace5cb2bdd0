// A day's worth of random calls through a whole edge: whatever happens on the way, nothing is left when it is over.
// `SALLYPORT_SCRIPTS=100000 npx vitest run packages/lab/test/scripts.test.ts` plays that many calls; `npm test` a few hundred.
// A failure names its seed and its path, and shows the smallest script that still fails.
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { learnIdle, play } from "./scripts/play.ts";
import { scripts } from "./scripts/script.ts";

const usual = 250;
const wanted = Number(process.env["SALLYPORT_SCRIPTS"] ?? usual);
const isDay = wanted > usual;
/** Another day: any whole number. */
const seed = Number(process.env["SALLYPORT_SCRIPTS_SEED"] ?? 20_261_123);
const size = isDay ? { min: 20, max: 60 } : { min: 1, max: 12 };
const perScript = isDay ? 40 : 5;

describe("scripted calls", () => {
  let idle = 0;
  beforeAll(async () => {
    idle = await learnIdle();
  });

  it(
    "invariants 1, 2 and 10: random calls over a bad network leave no context, call, transaction, binding, timer or socket",
    { timeout: Math.max(120_000, wanted * 200) },
    async () => {
      const ends = new Map<string, number>();
      let [calls, messages, applied] = [0, 0, 0];
      await fc.assert(
        fc.asyncProperty(scripts(size), async (script) => {
          const verdict = await play(script, idle);
          calls += script.calls.length;
          messages += verdict.messages;
          applied += verdict.applied;
          for (const [how, count] of verdict.ends) ends.set(how, (ends.get(how) ?? 0) + count);
          expect(verdict.wrong).toEqual([]);
        }),
        { seed, numRuns: Math.ceil(wanted / perScript), interruptAfterTimeLimit: isDay ? wanted * 150 : 60_000 },
      );
      if (isDay) console.log({ calls, messages, applied, ends: Object.fromEntries(ends) });
      // The day was worth something: legs ended in many ways, and many calls had been protected.
      expect(ends.size).toBeGreaterThan(15);
      expect(applied).toBeGreaterThan(calls / 10);
    },
  );
});
