// The directory of a store and what may lie in it: rights, kinds of files, and who has it open. Looks at everything LMDB
// would look at first, because an `open` that fails inside the library leaves it in an undefined state.
import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import { storeErrors } from "../errors.ts";
import { isDiskFull } from "./reserve.ts";

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

const access = (path: string, detail: string, cause?: unknown): Error =>
  storeErrors("SALLY_STORE_ACCESS", detail, { where: path, cause });

const statOf = (path: string): Stats | undefined => {
  try {
    return statSync(path);
  } catch (error) {
    if (reasonOf(error) === "ENOENT") return undefined;
    throw access(path, `It cannot be looked at (${reasonOf(error)}).`, error);
  }
};

const requireAccess = (path: string, mode: number, what: string): void => {
  try {
    accessSync(path, mode);
  } catch (error) {
    throw access(path, `${what} (${reasonOf(error)}).`, error);
  }
};

/** A file of the store, if it is there: a plain file that may be read and written. */
const checkFile = (path: string): Stats | undefined => {
  const stat = statOf(path);
  if (stat === undefined) return undefined;
  if (!stat.isFile()) throw storeErrors("SALLY_STORE_CORRUPT", "It is not a file.", { where: path });
  requireAccess(path, constants.R_OK | constants.W_OK, "It cannot be read and written");
  return stat;
};

// What LMDB writes while it opens a directory for the first time, written and taken back: it must not fail there.
const requireRoom = (directory: string): void => {
  const probe = join(directory, "room.tmp");
  try {
    writeFileSync(probe, Buffer.alloc(64 * 1024), { mode: 0o600 });
  } catch (error) {
    if (isDiskFull(error)) throw storeErrors("SALLY_STORE_FULL", "The disk is full.", { where: directory });
    throw access(directory, `It cannot be written (${reasonOf(error)}).`, error);
  } finally {
    rmSync(probe, { force: true });
  }
};

export interface StoreFiles {
  /** The directory without links, so that one store has one name. */
  readonly directory: string;
  readonly data: string;
  /** Octets of the data file, 0 when there is none yet. */
  readonly octets: number;
}

/**
 * Makes the directory (0700) when it is missing and checks what is there.
 * @throws SALLY_STORE_ACCESS, SALLY_STORE_CORRUPT, SALLY_STORE_FULL
 */
export const prepareDirectory = (path: string): StoreFiles => {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw access(path, `It cannot be made (${reasonOf(error)}).`, error);
  }
  const stat = statOf(path);
  if (stat === undefined || !stat.isDirectory()) throw access(path, "It is not a directory.");
  if ((stat.mode & 0o077) !== 0) {
    throw access(path, `Others may use it: its mode is ${(stat.mode & 0o777).toString(8).padStart(4, "0")}, not 0700.`);
  }
  requireAccess(path, constants.R_OK | constants.W_OK | constants.X_OK, "It cannot be read and written");
  const directory = realpathSync(path);
  const data = join(directory, "data.mdb");
  const lock = checkFile(join(directory, "lock.mdb"))?.size ?? 0;
  const octets = checkFile(data)?.size ?? 0;
  if (lock === 0 || octets === 0) requireRoom(directory);
  return { directory, data, octets };
};

const openHere = new Set<string>();

/**
 * Notes that this process has the directory open; returns how to give it back.
 * @throws SALLY_STORE_IN_USE
 */
export const holdDirectory = (directory: string): (() => void) => {
  const { dev, ino } = lstatSync(directory);
  const name = `${dev}:${ino}`;
  if (openHere.has(name)) {
    throw storeErrors("SALLY_STORE_IN_USE", "This process has it open.", { where: directory });
  }
  openHere.add(name);
  return () => void openHere.delete(name);
};

/** Process ids in LMDB's list of readers (`mdb_reader_list`: pid, thread, transaction), without this one. */
export const otherProcesses = (readerList: string, own = process.pid): readonly number[] =>
  readerList
    .split("\n")
    .map((line) => Number(/^\s*(\d+)\s/.exec(line)?.[1] ?? own))
    .filter((pid) => pid !== own);
