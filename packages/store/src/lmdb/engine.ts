// The shell around the lmdb library: opens one environment, looks its file through, reads, and commits one group of
// changes at a time. Knows octets and durability; must not know buckets' meaning, queues or limits.
//
// Durability: no `overlappingSync`, no `noSync`, no `noMetaSync`. A commit is LMDB's own: pages, fdatasync, then the meta
// page through an O_DSYNC descriptor, on a thread of libuv's pool. When its promise resolves the group is on the disk;
// killed or powered off at any moment before, the file still has the meta page of the group before.
import { closeSync, constants as fsConstants, openSync, readSync } from "node:fs";
import { open as openLmdb, type RootDatabase } from "lmdb";
import type { Log } from "@sallyport/kit";
import { storeErrors } from "../errors.ts";
import type { StateEntry } from "../port.ts";
import { holdDirectory, otherProcesses, prepareDirectory, type StoreFiles } from "./directory.ts";
import { readMeta, type Meta } from "./pages.ts";
import { charge, decodeKey, decodeRecord, encodeRecord, isIntact, stampKey } from "./record.ts";
import type { Change } from "./record.ts";
import { loadOf, openReserve, pagesFor, sizesFrom } from "./reserve.ts";
import { verify, type ReadAt } from "./verify.ts";

/** The format of this version: 1, octet-ordered keys and CRC-32 before JSON text. */
const format = 1;

export type CommitFailure = "full" | "broken";

export interface Engine {
  /** The data file, for messages. */
  readonly file: string;
  /** What all entries take, as `charge` counts, when the file was opened. */
  readonly chargedAtOpen: number;
  /** Octets of the record under the key. */
  sizeOf(key: Buffer): number | undefined;
  get(key: Buffer): Buffer | undefined;
  range(start: Buffer, end: Buffer, limit: number): readonly StateEntry[];
  /** Resolves when all changes are durable, or to why none of them was made. One at a time. */
  commit(changes: readonly Change[]): Promise<CommitFailure | undefined>;
  close(): Promise<void>;
}

const corrupt = (file: string, detail: string, cause?: unknown): Error =>
  storeErrors("SALLY_STORE_CORRUPT", detail, { where: file, cause });

// Both meta pages, the newer one first; the library picks alike.
const readMetas = (file: string, octets: number, read: ReadAt): readonly [newest: Meta, older: Meta] => {
  const first = Buffer.alloc(Math.min(512, octets));
  read(first, 0);
  const one = readMeta(first);
  if (typeof one === "string") throw corrupt(file, one);
  const second = Buffer.alloc(512);
  const two = read(second, one.pageSize) ? readMeta(second) : "It ends before its second page.";
  if (typeof two === "string") throw corrupt(file, two);
  // Transactions write these two in turn: even ones the first, odd ones the second.
  const turns = (one.transaction & 1) === 0 && ((two.transaction & 1) === 1 || two.transaction === 0);
  if (one.pageSize !== two.pageSize || !turns || Math.abs(one.transaction - two.transaction) > 1) {
    throw corrupt(file, "Its first two pages disagree.");
  }
  const [meta, older] = one.transaction >= two.transaction ? [one, two] : [two, one];
  // A commit that gave pages back may end before its last page, but not far.
  const slack = 64 * 1024 * 1024;
  if (meta.lastPage * meta.pageSize > octets + slack) throw corrupt(file, "It was cut short.");
  return [meta, older];
};

const withFile = <T>(file: string, use: (read: ReadAt) => T): T => {
  const descriptor = openSync(file, fsConstants.O_RDONLY);
  try {
    return use((target, offset) => readSync(descriptor, target, 0, target.length, offset) === target.length);
  } finally {
    closeSync(descriptor);
  }
};

const checkStamp = (file: string, key: Buffer, record: Buffer): void => {
  const written = key.equals(stampKey) ? (decodeRecord(key, record)?.value as { format?: unknown } | null) : undefined;
  const found = written?.format;
  if (typeof found !== "number") throw storeErrors("SALLY_STORE_FORMAT", "It bears no stamp.", { where: file });
  if (found > format) {
    throw storeErrors("SALLY_STORE_FORMAT", `Its format is ${found}; this version reads up to ${format}.`, {
      where: file,
    });
  }
};

// Returns what the entries are charged; throws when the file is not a sound store of a format we read.
const inspect = (file: string, octets: number): { readonly charged: number; readonly empty: boolean } =>
  withFile(file, (read) => {
    let charged = 0;
    let empty = true;
    const wrong = verify(readMetas(file, octets, read), octets, read, (key, record) => {
      if (empty) checkStamp(file, key, record);
      empty = false;
      charged += charge(key.length, record.length);
      return isIntact(key, record) ? undefined : "An entry is not what was written.";
    });
    if (wrong !== undefined) throw corrupt(file, wrong);
    return { charged, empty };
  });

const refuseOthers = (db: RootDatabase<Buffer, Buffer>, directory: string): void => {
  // Takes our place in the list of readers first, so that of two processes at least one sees the other.
  db.useReadTransaction().done();
  db.readerCheck();
  const [other] = otherProcesses(db.readerList());
  if (other !== undefined) {
    throw storeErrors("SALLY_STORE_IN_USE", `Process ${other} has it open.`, { where: directory });
  }
};

const openEnvironment = (files: StoreFiles, mapOctets: number): RootDatabase<Buffer, Buffer> =>
  openLmdb<Buffer, Buffer>({
    path: files.directory,
    noSubdir: false,
    encoding: "binary",
    keyEncoding: "binary",
    mapSize: mapOctets,
    overlappingSync: false,
    eventTurnBatching: false,
    maxDbs: 1,
    permissionsMode: 0o600,
  } as Parameters<typeof openLmdb>[0]);

const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);

/**
 * Opens, or makes, the store in a directory.
 * @throws SALLY_STORE_ACCESS, SALLY_STORE_IN_USE, SALLY_STORE_CORRUPT, SALLY_STORE_FORMAT, SALLY_STORE_FULL
 */
export const openEngine = async (path: string, mapOctets: number, log: Log): Promise<Engine> => {
  const files = prepareDirectory(path);
  const release = holdDirectory(files.directory);
  let db: RootDatabase<Buffer, Buffer> | undefined;
  try {
    if (files.octets > 0) withFile(files.data, (read) => readMetas(files.data, files.octets, read));
    db = openEnvironment(files, mapOctets);
    refuseOthers(db, files.directory);
    const { charged, empty } = inspect(files.data, prepareDirectory(path).octets);
    const engine = engineOn(db, files.data, charged, release, log);
    if (empty) {
      const failure = await engine.commit([
        { key: stampKey, record: encodeRecord(stampKey, JSON.stringify({ format })) },
      ]);
      if (failure === "full") throw storeErrors("SALLY_STORE_FULL", "The disk is full.", { where: files.data });
      if (failure !== undefined) throw storeErrors("SALLY_STORE_IO", undefined, { where: files.data });
    }
    log.info("state store open", { file: files.data, octets: charged, new: empty });
    return engine;
  } catch (error) {
    await db?.close();
    release();
    throw error;
  }
};

const engineOn = (
  db: RootDatabase<Buffer, Buffer>,
  file: string,
  chargedAtOpen: number,
  release: () => void,
  log: Log,
): Engine => {
  const reserve = openReserve(file);
  return {
    file,
    chargedAtOpen,
    sizeOf: (key) => db.getBinaryFast(key)?.length,
    get: (key) => {
      const octets = db.getBinary(key);
      return octets === undefined ? undefined : asBuffer(octets);
    },
    range: (start, end, limit) => {
      const entries: StateEntry[] = [];
      for (const { key, value } of db.getRange({ start, end, limit })) {
        const octets = asBuffer(key);
        const record = decodeRecord(octets, asBuffer(value));
        if (record === undefined) throw corrupt(file, "An entry is not what was written.");
        entries.push({ key: decodeKey(octets), value: record.value });
      }
      return entries;
    },
    commit: async (changes) => {
      try {
        const sizes = sizesFrom(db.getStats());
        const pages = sizes.lastPage + 1 + pagesFor(sizes, loadOf(changes));
        if (!(await reserve.ensure(pages * sizes.pageOctets))) return "full";
        await db.batch(() => {
          for (const { key, record } of changes) {
            // Settled by the batch around them.
            if (record === undefined) void db.remove(key);
            else void db.put(key, record);
          }
        });
        return undefined;
      } catch (error) {
        // The library rejects with a promise of the reason; unless somebody waits for that, the process ends.
        const { commitError } = error as { readonly commitError?: Promise<never> };
        const reason: unknown = await commitError?.catch((underneath: unknown) => underneath);
        log.error("state store commit failed", { file, reason: String(reason ?? error) });
        return "broken";
      }
    },
    close: async () => {
      await db.close();
      reserve.close();
      release();
    },
  };
};
