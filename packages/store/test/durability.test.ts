import { once } from "node:events";
import { createInterface } from "node:readline";
import { seededRandom, silentLog } from "@sallyport/kit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lmdbStore, type StateStore } from "../src/index.ts";
import { compileProgram, type Program } from "./child/program.ts";
import { storePath } from "./paths.ts";

let program: Program;
beforeAll(() => {
  program = compileProgram();
}, 60_000);
afterAll(() => program.remove());

// More of them by hand: STORE_KILL_ROUNDS=300.
const rounds = Number(process.env["STORE_KILL_ROUNDS"] ?? 8);
const random = seededRandom("kill -9");
const number = (limit: number): number => random.bytes(4).readUInt32BE() % limit;

type Value = { readonly seq: number; readonly fill: string };

const sound = (value: Value): boolean => value.fill === String(value.seq % 10).repeat((value.seq * 37) % 5000);

// Everything a caller wrote in one batch is there, or nothing of it.
const lastOf = async (store: StateStore, caller: string): Promise<number> => {
  const [first, second, third] = await Promise.all(
    ["first", "second", "third"].map(async (bucket) => (await store.get(bucket, caller)) as Value | undefined),
  );
  const seq = first?.seq ?? 0;
  expect(second).toEqual(first);
  expect(third).toEqual(seq % 2 === 0 ? undefined : first);
  if (first !== undefined) {
    expect(sound(first)).toBe(true);
    expect(await store.get("log", `${caller}/${seq % 50}`)).toEqual(first);
  }
  return seq;
};

describe("durability", () => {
  it(
    `kill -9 in ${rounds} rounds: nothing acknowledged is missing, no batch is torn`,
    async () => {
      const path = storePath();
      const acknowledged = new Map<string, number>();
      let total = 0;
      for (let round = 0; round < rounds; round += 1) {
        const child = program.start("writer", [path, String(1 + number(8)), String(number(3))]);
        const lines = createInterface({ input: child.stdout ?? process.stdin });
        // Every third round ends while the program starts, opens the store or has just begun.
        const soon = round % 3 === 2;
        const victim = setTimeout(() => child.kill("SIGKILL"), soon ? 30 + number(250) : 20_000);
        let seen = 0;
        const lifetime = 1 + number(300);
        lines.on("line", (line) => {
          const [, caller = "", seq = ""] = /^(.+) (\d+)$/.exec(line) ?? [];
          acknowledged.set(caller, Number(seq));
          seen += 1;
          if (seen === lifetime) child.kill("SIGKILL");
        });
        await Promise.all([once(child, "exit"), once(lines, "close")]);
        clearTimeout(victim);
        expect(child.signalCode).toBe("SIGKILL");
        total += seen;

        const store = await lmdbStore({ path, log: silentLog });
        for (const [caller, seq] of acknowledged) {
          const last = await lastOf(store, caller);
          expect(last).toBeGreaterThanOrEqual(seq);
          // Only the one batch that was not acknowledged any more may be there as well.
          expect(last).toBeLessThanOrEqual(seq + 1);
          acknowledged.set(caller, last);
        }
        await store.close();
      }
      expect(total).toBeGreaterThan(rounds * 10);
    },
    60_000 + rounds * 3000,
  );
});
