import { memoryLog, seededRandom, silentLog, VirtualClock } from "@sallyport/kit";
import { open as openLmdb } from "lmdb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lmdbStore } from "../src/index.ts";
import type { CommitFailure } from "../src/lmdb/engine.ts";
import { charge, type Change } from "../src/lmdb/record.ts";
import { loadOf, pagesFor, sizesFrom } from "../src/lmdb/reserve.ts";
import { createWriter, type Writer } from "../src/lmdb/writer.ts";
import { compileProgram, outcome, type Program } from "./child/program.ts";
import { storePath } from "./paths.ts";

let program: Program;
beforeAll(() => {
  program = compileProgram();
}, 60_000);
afterAll(() => program.remove());

describe("a full disk", () => {
  it("rejects SALLY_STORE_FULL, answers reads, loses nothing, and goes on when there is room", async () => {
    const path = storePath();
    // The system refuses a file above this many blocks just as it refuses one on a full disk: in the middle of a commit.
    const limited = await outcome(program.start("filler", [path], { shell: "ulimit -f 3072" }));
    expect(limited).toMatchObject({ code: 0, signal: null });
    const said = JSON.parse(limited.out) as Record<string, unknown> & { acknowledged: number; messages: string[] };
    expect(said).toMatchObject({ refused: 15, deleted: 15, readsWhileFull: 15, codes: ["SALLY_STORE_FULL"] });
    expect(said.acknowledged).toBeGreaterThan(100);
    expect(said.messages).toEqual([expect.stringContaining("The disk is full.")]);
    // One record a minute, not one for each refused call.
    const records = said["records"] as { readonly level: string; readonly event: string }[];
    expect(records.filter(({ level }) => level === "error").length).toBe(1);
    expect(limited.err).toBe("");

    const store = await lmdbStore({ path, log: silentLog });
    const kept = await store.list("b", { limit: 100_000 });
    expect(kept.length).toBe(said.acknowledged);
    expect((await store.list("c", { limit: 100_000 })).length).toBe(said.acknowledged);
    expect(kept.every(({ value }) => value === "v".repeat(3000))).toBe(true);
    await store.put("b", "more", 1);
    await store.close();

    // Full once more, from where it is, then nothing but a restart.
    const again = await outcome(program.start("filler", [path], { shell: "ulimit -f 3072" }));
    expect(again).toMatchObject({ code: 0, signal: null });
    expect(JSON.parse(again.out)).toMatchObject({ refused: 15, deleted: 15, codes: ["SALLY_STORE_FULL"] });
    const last = await lmdbStore({ path, log: silentLog });
    expect((await last.list("b", { limit: 100_000 })).length).toBeGreaterThan(said.acknowledged);
    await last.close();
  });

  it("refuses to begin a store where there is no room for one, and begins it once there is", async () => {
    const path = storePath();
    const limited = await outcome(program.start("opener", [path], { shell: "ulimit -f 0" }));
    expect(limited).toMatchObject({ code: 0, signal: null });
    expect(JSON.parse(limited.out)).toMatchObject({ ok: false, code: "SALLY_STORE_FULL" });
    const store = await lmdbStore({ path, log: silentLog });
    await store.put("b", "k", 1);
    await store.close();
  });
});

describe("the space taken beforehand", () => {
  it("is enough for every commit of a store that grows, shrinks and is used again", async () => {
    const random = seededRandom("space");
    const number = (limit: number): number => random.bytes(4).readUInt32BE() % limit;
    const db = openLmdb<Buffer, Buffer>({
      path: storePath(),
      noSubdir: false,
      encoding: "binary",
      keyEncoding: "binary",
      noSync: true,
      eventTurnBatching: false,
    } as Parameters<typeof openLmdb>[0]);
    let grown = 0;
    for (let round = 0; round < 90; round += 1) {
      const count = number(15) === 0 ? 800 : 1 + number(40);
      const largest = [100, 1900, 2100, 60_000][number(count > 100 ? 2 : 4)] ?? 0;
      const deleting = round % 30 > 20;
      const changes = new Map<string, Change>();
      for (let index = 0; index < count; index += 1) {
        const name = `${number(6000)}`.padEnd(number(2) === 0 ? 8 : 1200, "k");
        const record = deleting || number(4) === 0 ? undefined : Buffer.alloc(number(largest));
        changes.set(name, { key: Buffer.from(name), record });
      }
      const all = [...changes.values()];
      const before = sizesFrom(db.getStats());
      await db.batch(() => {
        for (const { key, record } of all) void (record === undefined ? db.remove(key) : db.put(key, record));
      });
      const used = sizesFrom(db.getStats()).lastPage - before.lastPage;
      expect(used).toBeLessThanOrEqual(pagesFor(before, loadOf(all)));
      grown += used;
    }
    expect(grown).toBeGreaterThan(1000);
    await db.close();
  });
});

describe("maxOctets", () => {
  it("refuses what would not fit, takes what makes room, and remembers over a restart", async () => {
    const path = storePath();
    const open = () => lmdbStore({ path, log: silentLog, maxOctets: 100_000, paceMs: 0 });
    let store = await open();
    const value = "v".repeat(800);
    const results = await Promise.allSettled(
      Array.from({ length: 200 }, (_, index) => store.put("b", `${1000 + index}`, value)),
    );
    const kept = results.filter(({ status }) => status === "fulfilled").length;
    expect(kept).toBe(Math.floor((100_000 - charge(1, 18)) / charge(6, 806)));
    const refused = results.find((result) => result.status === "rejected");
    expect(refused?.reason).toMatchObject({ code: "SALLY_STORE_FULL", sipStatus: 503 });
    await store.close();

    store = await open();
    await expect(store.put("b", "more", value)).rejects.toMatchObject({ code: "SALLY_STORE_FULL" });
    await store.put("b", "1000", value);
    await store.batch([
      { kind: "delete", bucket: "b", key: "1001" },
      { kind: "put", bucket: "b", key: "more", value },
    ]);
    const tooMuch = [
      { kind: "delete", bucket: "b", key: "1002" },
      { kind: "put", bucket: "c", key: "1", value },
      { kind: "put", bucket: "c", key: "2", value },
    ] as const;
    await expect(store.batch(tooMuch)).rejects.toMatchObject({ code: "SALLY_STORE_FULL" });
    expect(await store.get("b", "1002")).toBe(value);
    expect((await store.list("b")).length).toBe(kept);
    await store.close();
  });
});

describe("the queue", () => {
  const change = (key: string, octets?: number): Change => ({
    key: Buffer.from(key),
    record: octets === undefined ? undefined : Buffer.alloc(octets),
  });

  interface Bench {
    readonly writer: Writer;
    readonly clock: VirtualClock;
    readonly groups: number[];
    readonly fulls: number[];
    readonly answers: (CommitFailure | Error)[];
    readonly held: Map<string, number>;
  }

  const bench = (
    options: { readonly maxWaiting?: number; readonly paceMs?: number; readonly maxOctets?: number } = {},
  ): Bench => {
    const clock = new VirtualClock();
    const groups: number[] = [];
    const fulls: number[] = [];
    const answers: (CommitFailure | Error)[] = [];
    const held = new Map<string, number>();
    const writer = createWriter({
      engine: {
        file: "data.mdb",
        chargedAtOpen: 0,
        sizeOf: (key) => held.get(key.toString()),
        commit: async (changes) => {
          groups.push(changes.length);
          await new Promise((resolve) => setImmediate(resolve));
          const answer = answers.shift();
          if (answer instanceof Error) throw answer;
          if (answer !== undefined) return answer;
          for (const { key, record } of changes) {
            if (record === undefined) held.delete(key.toString());
            else held.set(key.toString(), record.length);
          }
          return undefined;
        },
      },
      clock,
      maxOctets: options.maxOctets ?? 1e9,
      maxWaiting: options.maxWaiting ?? 1e9,
      paceMs: options.paceMs ?? 0,
      onDiskFull: () => fulls.push(groups.length),
    });
    return { writer, clock, groups, fulls, answers, held };
  };

  it("gathers what is asked for while a group is written, and paces groups under load", async () => {
    const { writer, clock, groups } = bench({ paceMs: 5 });
    await writer.submit([change("a", 1)]);
    const next = Array.from({ length: 50 }, (_, index) => writer.submit([change(`${index}`, 1)]));
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(groups).toEqual([1]);
    clock.advance(5);
    await Promise.all(next);
    expect(groups).toEqual([1, 50]);
    const last = writer.submit([change("z", 1)]);
    await writer.finish();
    await last;
    expect(groups).toEqual([1, 50, 1]);
  });

  it("writes large groups in parts, but never a call", async () => {
    const { writer, groups } = bench();
    const many = Array.from({ length: 800 }, (_, index) => change(`${index}`, 1));
    await Promise.all([writer.submit(many), writer.submit(many.slice(0, 10)), writer.submit([...many, ...many])]);
    expect(groups).toEqual([800, 800]);
  });

  it("bounds what waits: SALLY_STORE_BUSY, and room again when it is written", async () => {
    const { writer } = bench({ maxWaiting: 10_000 });
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => writer.submit([change(`${index}`, 935)])),
    );
    expect(results.map(({ status }) => status === "fulfilled").lastIndexOf(true)).toBe(9);
    expect(results[10]).toMatchObject({ reason: { code: "SALLY_STORE_BUSY", sipStatus: 503 } });
    await writer.submit([change("next", 9000)]);
    // One call larger than all that may wait is let through alone.
    await writer.submit([change("large", 20_000)]);
  });

  it("rejects a whole group with a full disk, and keeps its books", async () => {
    const { writer, groups, fulls, answers, held } = bench();
    await writer.submit([change("a", 100)]);
    const before = writer.charged;
    answers.push("full", "full");
    for (let round = 0; round < 2; round += 1) {
      const calls = await Promise.allSettled([writer.submit([change("b", 100)]), writer.submit([change("a")])]);
      for (const call of calls) expect(call).toMatchObject({ reason: { code: "SALLY_STORE_FULL" } });
      expect([writer.charged, held.get("a")]).toEqual([before, 100]);
    }
    expect(fulls).toEqual([2, 3]);
    expect(await writer.submit([change("a")])).toEqual([true]);
    expect([groups.length, writer.charged]).toEqual([4, 0]);
  });

  it("writes nothing any more once the file failed", async () => {
    for (const failure of ["broken", new Error("unexpected")] as const) {
      const { writer, clock, groups, answers } = bench();
      answers.push(failure);
      const calls = [writer.submit([change("a", 1)]), writer.submit([change("b", 1)])];
      for (const call of calls) await expect(call).rejects.toMatchObject({ code: "SALLY_STORE_IO", sipStatus: 503 });
      clock.advance(100_000);
      await expect(writer.submit([change("c", 1)])).rejects.toMatchObject({ code: "SALLY_STORE_IO" });
      expect(groups.length).toBe(1);
      await writer.finish();
    }
  });

  it("keeps exact books under random calls, failures and limits", async () => {
    const random = seededRandom("books");
    const number = (limit: number): number => random.bytes(4).readUInt32BE() % limit;
    const { writer, clock, answers, held } = bench({ maxOctets: 3000 });
    for (let round = 0; round < 200; round += 1) {
      if (number(5) === 0) answers.push("full");
      await Promise.allSettled(
        Array.from({ length: number(8) }, () =>
          writer.submit(
            Array.from({ length: 1 + number(3) }, () =>
              change(`${number(12)}`, number(3) === 0 ? undefined : number(300)),
            ),
          ),
        ),
      );
      clock.advance(1000);
      const sum = [...held].reduce((total, [key, octets]) => total + charge(key.length, octets), 0);
      expect(writer.charged).toBe(sum);
      expect(sum).toBeLessThanOrEqual(3000);
    }
    expect(held.size).toBeGreaterThan(0);
  });
});

describe("what it logs", () => {
  it("names the file and never a value", async () => {
    const { log, records } = memoryLog();
    const store = await lmdbStore({ path: storePath(), log });
    await store.put("b", "k", "inline:c2VjcmV0");
    await store.close();
    expect(JSON.stringify(records)).not.toContain("c2VjcmV0");
  });
});
