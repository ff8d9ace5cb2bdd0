// Space for the pages of a commit, taken from the disk before LMDB asks for it. Its error path for a failed page write
// overruns a buffer and may end the process, so a full disk must be met here, where it is only an answer. Holds where a
// file's own blocks can be overwritten in place: not on file systems that copy on write.
import { closeSync, fstatSync, openSync, write } from "node:fs";
import { charge, pagesOfRecord, type Change } from "./record.ts";

/** What LMDB says about its trees before a commit. */
export interface TreeSizes {
  readonly pageOctets: number;
  readonly lastPage: number;
  readonly depth: number;
  /** Branch and leaf pages of the entries' tree. */
  readonly pages: number;
  /** Pages of the list of free pages. */
  readonly freePages: number;
}

/** What a commit is about to write. */
export interface Load {
  readonly changes: number;
  /** What the records take within pages of the tree, as `charge` counts. */
  readonly octets: number;
  /** Whole pages of long values. */
  readonly longPages: number;
}

// What LMDB says about its trees; its type definition leaves the shape open.
interface Statistics {
  readonly pageSize: number;
  readonly treeDepth: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly lastPageNumber: number;
  readonly free: Omit<Statistics, "free" | "lastPageNumber">;
}

/** The sizes in what LMDB's `getStats` gives. */
export const sizesFrom = (statistics: object): TreeSizes => {
  const stats = statistics as Statistics;
  const { free } = stats;
  return {
    pageOctets: stats.pageSize,
    lastPage: stats.lastPageNumber,
    depth: stats.treeDepth,
    pages: stats.treeBranchPageCount + stats.treeLeafPageCount,
    freePages: free.treeBranchPageCount + free.treeLeafPageCount + free.overflowPages,
  };
};

/** What a commit of these changes writes. */
export const loadOf = (changes: readonly Change[]): Load => {
  let octets = 0;
  let longPages = 0;
  for (const { key, record } of changes) {
    if (record === undefined) continue;
    const pages = pagesOfRecord(key.length, record.length);
    longPages += pages;
    octets += charge(key.length, pages === 0 ? record.length : 0) + 34;
  }
  return { changes: changes.length, octets, longPages };
};

/**
 * Pages a commit can take at most. Each page of the tree is copied once at most, and only on the path to a change; a
 * page is split only when it is full, which makes a quarter of a page's octets for each new one a safe measure; what was
 * freed goes to the list of free pages, which may be rewritten as a whole.
 */
export const pagesFor = (sizes: TreeSizes, load: Load): number => {
  const copied = Math.min(load.changes * (sizes.depth + 1), sizes.pages);
  const split = Math.min(load.changes * 2, Math.ceil((load.octets * 4) / sizes.pageOctets)) + 2 * (sizes.depth + 2);
  const freed = copied + 2 * load.longPages + 2 * load.changes;
  const list = 2 * sizes.freePages + 2 * Math.ceil((freed * 16) / sizes.pageOctets) + 16;
  return copied + Math.ceil(split * 1.1) + load.longPages + list;
};

/** The system's words for a full disk: no space, quota, file size limit. */
const fullCodes = new Set<unknown>(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Whether the error says that a file cannot grow. */
export const isDiskFull = (error: unknown): boolean => fullCodes.has((error as NodeJS.ErrnoException).code);

export interface Reserve {
  /** Makes the file at least `octets` long, with blocks of its own. Resolves to false when the disk is full. */
  ensure(octets: number): Promise<boolean>;
  close(): void;
}

const zeros = Buffer.alloc(256 * 1024);
const smallestStep = 1024 ** 2;
const largestStep = 64 * 1024 ** 2;

/** The reserve at the end of a file that exists. */
export const openReserve = (file: string): Reserve => {
  const descriptor = openSync(file, "r+");
  let length = fstatSync(descriptor).size;

  // Resolves to what the file grew by, a part of what was asked on a disk that is nearly full.
  const append = (octets: number): Promise<number> =>
    new Promise((resolve, reject) => {
      write(descriptor, zeros, 0, octets, length, (error, written) => {
        if (error === null) resolve(written);
        else if (isDiskFull(error)) resolve(0);
        else reject(error);
      });
    });

  const growTo = async (end: number): Promise<void> => {
    let written = 1;
    for (; length < end && written > 0; length += written) {
      written = await append(Math.min(zeros.length, end - length));
    }
  };

  return {
    ensure: async (octets) => {
      if (octets <= length) return true;
      const step = Math.min(largestStep, Math.max(smallestStep, Math.ceil(length / 8)));
      // A little more than is needed, so that the next commits need not ask; on a disk that is nearly full what there is.
      await growTo(Math.max(octets, length + step));
      return octets <= length;
    },
    close: () => closeSync(descriptor),
  };
};
