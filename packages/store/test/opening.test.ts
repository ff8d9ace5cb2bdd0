import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { memoryLog, seededRandom, silentLog } from "@sallyport/kit";
import { open as openLmdb } from "lmdb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lmdbStore, type StateStore } from "../src/index.ts";
import { openEngine } from "../src/lmdb/engine.ts";
import { readMeta, type Meta } from "../src/lmdb/pages.ts";
import { encodeRecord, stampKey } from "../src/lmdb/record.ts";
import { verify } from "../src/lmdb/verify.ts";
import { compileProgram, outcome, type Program } from "./child/program.ts";
import { storePath } from "./paths.ts";

let program: Program;
beforeAll(() => {
  program = compileProgram();
}, 60_000);
afterAll(() => program.remove());

const open = (path: string): Promise<StateStore> => lmdbStore({ path, log: silentLog, paceMs: 0 });

const refused = async (path: string, code: string, where: string): Promise<string> => {
  const error = await open(path).then(
    () => new Error("it opened"),
    (reason: unknown) => reason as Error,
  );
  expect(error).toMatchObject({ name: "SallyportError", code });
  expect(error.message).toContain(where);
  return error.message;
};

const content = async (store: StateStore): Promise<unknown> => [
  await store.list("short", { limit: 10_000 }),
  await store.list("long", { limit: 10_000 }),
];

// Three levels of pages, long values, and a list of free pages that is longer than one page.
const fill = async (path: string): Promise<unknown> => {
  const store = await open(path);
  const random = seededRandom("fill");
  for (let round = 0; round < 3; round += 1) {
    const jobs: Promise<unknown>[] = [];
    for (let index = 0; index < 1500; index += 1) {
      const key = `${index}`.padStart(40 + (index % 200), "k");
      const size = random.bytes(2).readUInt16BE();
      if (index % 5 === round) jobs.push(store.delete("short", key), store.delete("long", key));
      else if (index % 8 === 7 && round !== 1) jobs.push(store.put("long", key, "l".repeat(2000 + (size % 30_000))));
      else jobs.push(store.put("short", key, { seq: index, text: "s".repeat(size % 300) }));
    }
    await Promise.all(jobs);
  }
  const all = await content(store);
  await store.close();
  return all;
};

describe("opening", () => {
  it("makes its directory 0700 and its files 0600, and keeps them", async () => {
    const path = join(storePath(), "deeper");
    for (const round of [0, 1]) {
      const { log, records } = memoryLog();
      const store = await lmdbStore({ path, log });
      expect(records).toMatchObject([{ level: "info", event: "state store open", fields: { new: round === 0 } }]);
      await store.put("b", "k", round);
      await store.close();
    }
    for (const directory of [path, dirname(path)]) expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const file of ["data.mdb", "lock.mdb"]) expect(statSync(join(path, file)).mode & 0o777).toBe(0o600);
  });

  it("refuses a directory that others may use, and leaves its mode alone", async () => {
    const path = storePath();
    mkdirSync(path);
    for (const mode of [0o755, 0o710, 0o701, 0o770]) {
      chmodSync(path, mode);
      expect(await refused(path, "SALLY_STORE_ACCESS", path)).toContain(mode.toString(8));
      expect(statSync(path).mode & 0o777).toBe(mode);
      expect(existsSync(join(path, "data.mdb"))).toBe(false);
    }
  });

  it("refuses a file in the directory's place, and directories in its files' places", async () => {
    const path = storePath();
    writeFileSync(path, "a file");
    await refused(path, "SALLY_STORE_ACCESS", path);
    rmSync(path);
    for (const file of ["data.mdb", "lock.mdb"]) {
      mkdirSync(join(path, file), { recursive: true, mode: 0o700 });
      chmodSync(path, 0o700);
      await refused(path, "SALLY_STORE_CORRUPT", join(path, file));
      rmSync(path, { recursive: true });
    }
  });

  it.skipIf(process.getuid?.() !== 0)("says so when it has no rights, for each file and the directory", async () => {
    const path = storePath();
    await fill(path);
    const nobody = 65_534;
    chmodSync(dirname(path), 0o755);
    const asNobody = async (): Promise<{ readonly code?: string; readonly message?: string }> => {
      const ended = await outcome(program.start("opener", [path], { uid: nobody }));
      expect(ended).toMatchObject({ code: 0, signal: null });
      return JSON.parse(ended.out) as { readonly code?: string; readonly message?: string };
    };
    program.allow();
    expect(await asNobody()).toMatchObject({ code: "SALLY_STORE_ACCESS" });
    chownSync(path, nobody, nobody);
    const answer = await asNobody();
    expect(answer).toMatchObject({ code: "SALLY_STORE_ACCESS" });
    expect(answer.message).toMatch(/(data|lock)\.mdb: .*EACCES/);
    for (const file of ["data.mdb", "lock.mdb"]) chownSync(join(path, file), nobody, nobody);
    expect(await asNobody()).toMatchObject({ ok: true });
  });

  it("refuses a second store on the same path in this process, also by another name, until the first is closed", async () => {
    const path = storePath();
    const first = await open(path);
    await refused(path, "SALLY_STORE_IN_USE", path);
    await refused(join(path, "..", "state", "."), "SALLY_STORE_IN_USE", path);
    await first.put("b", "k", 1);
    await first.close();
    const second = await open(path);
    expect(await second.get("b", "k")).toBe(1);
    await second.close();
  });

  it("refuses a path that another process has open, and takes it over when that was killed", async () => {
    const path = storePath();
    const child = program.start("opener", [path, "stay"]);
    await once(child.stdout ?? child, "data");
    for (let round = 0; round < 3; round += 1) {
      expect(await refused(path, "SALLY_STORE_IN_USE", path)).toContain(`Process ${child.pid} `);
    }
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = await open(path);
    const late = await outcome(program.start("opener", [path]));
    expect(JSON.parse(late.out)).toMatchObject({ ok: false, code: "SALLY_STORE_IN_USE" });
    await store.put("b", "k", 1);
    await store.close();
    expect(JSON.parse((await outcome(program.start("opener", [path]))).out)).toMatchObject({ ok: true, entries: 1 });
  });

  it("refuses a newer format and a file of somebody else, and changes neither", async () => {
    const path = storePath();
    const engine = await openEngine(path, 1024 ** 2, silentLog);
    await engine.commit([{ key: stampKey, record: encodeRecord(stampKey, JSON.stringify({ format: 2, more: [] })) }]);
    await engine.close();
    const newer = readFileSync(join(path, "data.mdb"));
    expect(await refused(path, "SALLY_STORE_FORMAT", join(path, "data.mdb"))).toContain("format is 2");
    expect(readFileSync(join(path, "data.mdb")).equals(newer)).toBe(true);

    const foreign = storePath();
    mkdirSync(foreign, { mode: 0o700 });
    const other = openLmdb({ path: foreign, noSubdir: false, overlappingSync: false });
    await other.put("somebody", "else's");
    await other.close();
    await refused(foreign, "SALLY_STORE_FORMAT", join(foreign, "data.mdb"));
  });

  it("takes an empty file for a new store, and refuses one of any other length that is no store", async () => {
    const path = storePath();
    mkdirSync(path, { mode: 0o700 });
    const file = join(path, "data.mdb");
    const random = seededRandom("no store");
    for (const length of [1, 167, 168, 511, 512, 4095, 4096, 8191, 8192, 100_000]) {
      for (const octets of [Buffer.alloc(length), random.bytes(length)]) {
        writeFileSync(file, octets);
        await refused(path, "SALLY_STORE_CORRUPT", file);
        expect(readFileSync(file).equals(octets)).toBe(true);
      }
    }
    truncateSync(file, 0);
    const store = await open(path);
    await store.put("b", "k", 1);
    await store.close();
  });
});

describe("a damaged file", () => {
  // What is done to a copy of a sound file.
  type Blow = (octets: Buffer, number: (limit: number) => number) => Buffer;
  const page = 4096;
  const pageOf = (octets: Buffer, number: (limit: number) => number): number => number(octets.length / page) * page;
  const blows: Readonly<Record<string, Blow>> = {
    "cut short": (octets, number) => octets.subarray(0, number(octets.length)),
    "cut at a page": (octets, number) => octets.subarray(0, pageOf(octets, number)),
    "random octets": (octets, number) => {
      const length = 1 + number(64);
      seededRandom(number(2 ** 32))
        .bytes(length)
        .copy(octets, number(octets.length - length));
      return octets;
    },
    "random octets in a page's header": (octets, number) => {
      octets[pageOf(octets, number) + number(24)] = number(256);
      return octets;
    },
    "random octets in a page's table": (octets, number) => {
      octets[pageOf(octets, number) + 24 + number(40)] = number(256);
      return octets;
    },
    "one bit in the first pages": (octets, number) => {
      const at = number(2) * page + number(24 + 144);
      octets[at] = (octets[at] ?? 0) ^ (1 << number(8));
      return octets;
    },
    "a page of zeros": (octets, number) => {
      const at = pageOf(octets, number);
      return octets.fill(0, at, at + page);
    },
    "a page over another": (octets, number) => {
      octets.copyWithin(pageOf(octets, number), pageOf(octets, number), pageOf(octets, number) + page);
      return octets;
    },
    "random octets all over": (octets, number) => octets.fill(seededRandom(number(2 ** 32)).bytes(4093)),
  };
  const each = Number(process.env["STORE_DAMAGE_ROUNDS"] ?? 6);

  let sound: Buffer;
  let whole: unknown;
  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), "sallyport-store-"));
    whole = await fill(join(directory, "state"));
    const octets = readFileSync(join(directory, "state/data.mdb"));
    // Without the space that is kept for commits to come: every page counts.
    const [last = 0] = [octets, octets.subarray(page)]
      .map((from) => (readMeta(from) as Meta).lastPage)
      .sort((a, b) => b - a);
    sound = octets.subarray(0, (last + 1) * page);
    rmSync(directory, { recursive: true });
  });

  // Looks through the octets as opening would; also says which pages were read.
  const look = (octets: Buffer): { readonly wrong: string | undefined; readonly pages: ReadonlySet<number> } => {
    const pages = new Set<number>();
    const [one, two] = [octets, octets.subarray(page)].map((from) => readMeta(from) as Meta) as [Meta, Meta];
    const read = (target: Buffer, offset: number): boolean => {
      pages.add(offset / page);
      return octets.copy(target, 0, offset) === target.length;
    };
    const metas = one.transaction > two.transaction ? ([one, two] as const) : ([two, one] as const);
    return { wrong: verify(metas, octets.length, read, () => undefined), pages };
  };

  it("a page of a later transaction, which LMDB would write into: refused, whichever it is", () => {
    const { wrong, pages } = look(sound);
    expect(wrong).toBeUndefined();
    const live = [...pages];
    expect(live.length).toBeGreaterThan(300);
    for (let index = 0; index < live.length; index += 7) {
      const octets = Buffer.from(sound);
      octets.writeBigUInt64LE(2n ** 40n, (live[index] ?? 0) * page + 8);
      expect(look(octets).wrong).toMatch(/page/i);
    }
  });

  it("a page in use that the list of free pages names: refused", () => {
    const { pages } = look(sound);
    const [used = 0] = [...pages].slice(5);
    // The list is read last: numbers of eight octets from a long value's beginning, or at a leaf's end.
    const start = ([...pages].at(-1) ?? 0) * page;
    const places = [
      ...Array.from({ length: 40 }, (_, index) => 32 + index * 96),
      ...Array.from({ length: 40 }, (_, index) => page - 8 - index * 8),
    ];
    let found = 0;
    for (const at of places) {
      const octets = Buffer.from(sound);
      octets.writeBigUInt64LE(BigInt(used), start + at);
      found += Number(look(octets).wrong?.includes("free and in use") === true);
    }
    expect(found).toBeGreaterThan(0);
  });

  it("another number in either of the first two pages, so that the state before would be taken: refused", async () => {
    const path = storePath();
    mkdirSync(path, { mode: 0o700 });
    for (const at of [24 + 128, page + 24 + 128]) {
      for (const step of [1, 2, 3, 4, 8, 100, -1, -2, -3, -4]) {
        const octets = Buffer.from(sound);
        octets.writeBigUInt64LE(octets.readBigUInt64LE(at) + BigInt(step), at);
        writeFileSync(join(path, "data.mdb"), octets);
        await refused(path, "SALLY_STORE_CORRUPT", join(path, "data.mdb"));
      }
    }
  });

  it("one of the first two pages over the other, so that the state before would be taken: refused", async () => {
    const path = storePath();
    mkdirSync(path, { mode: 0o700 });
    for (const [to, from] of [
      [0, page],
      [page, 0],
    ] as const) {
      const octets = Buffer.from(sound);
      octets.copyWithin(to, from, from + page);
      writeFileSync(join(path, "data.mdb"), octets);
      await refused(path, "SALLY_STORE_CORRUPT", join(path, "data.mdb"));
    }
  });

  it.each(Object.keys(blows))("%s: refused by name, or nothing that counts was hit", async (name) => {
    const path = storePath();
    const file = join(path, "data.mdb");
    mkdirSync(path, { mode: 0o700 });
    const random = seededRandom(name);
    const number = (limit: number): number => random.bytes(4).readUInt32BE() % Math.max(1, Math.floor(limit));
    let damaged = 0;
    for (let round = 0; round < each; round += 1) {
      const blow = blows[name] ?? ((octets) => octets);
      writeFileSync(file, blow(Buffer.from(sound), number));
      const store = await open(path).catch((error: unknown) => error as Error);
      if (store instanceof Error) {
        damaged += 1;
        expect(store).toMatchObject({
          name: "SallyportError",
          code: expect.stringMatching(/^SALLY_STORE_(CORRUPT|FORMAT)$/),
        });
        expect(store.message).toContain(file);
        expect(store.message).toContain("(SALLY_STORE_");
        continue;
      }
      // It was taken for sound: then it is, for reading and for writing.
      expect(await content(store)).toEqual(whole);
      await Promise.all(
        Array.from({ length: 200 }, (_, index) => store.put("new", `${index}`, "n".repeat(index * 20))),
      );
      expect(await content(store)).toEqual(whole);
      await store.close();
      const again = await open(path);
      expect(await content(again)).toEqual(whole);
      await again.close();
    }
    if (name === "cut short" || name === "cut at a page" || name === "random octets all over") {
      expect(damaged).toBe(each);
    }
  });
});
