// Reads a whole store file without LMDB and says whether it is sound. LMDB trusts its pages: a wrong number in one kills
// the process or overwrites what was acknowledged, so nothing is handed to it before every page in use was looked at.
import {
  bigData,
  countNodes,
  countOverflow,
  headerOctets,
  readNode,
  readOverflowReference,
  transactionOf,
} from "./pages.ts";
import type { Meta, Node, Tree } from "./pages.ts";

/** Fills `target` with the octets at `offset`; false when the file ends before. */
export type ReadAt = (target: Buffer, offset: number) => boolean;

interface Pages {
  readonly meta: Meta;
  readonly read: ReadAt;
  readonly used: Uint8Array;
  readonly filePages: number;
}

interface Visit {
  readonly compare: (a: Buffer, b: Buffer) => number;
  /** Says what is wrong with an entry. */
  readonly entry: (key: Buffer, value: Buffer) => string | undefined;
  readonly minBranch: number;
}

class Damage extends Error {}

const damage = (reason: string): never => {
  throw new Damage(reason);
};

const isUsed = ({ used }: Pages, page: number): boolean => ((used[page >> 3] ?? 0) & (1 << (page & 7))) !== 0;

const claim = (pages: Pages, first: number, count = 1): void => {
  if (first < 2 || first + count - 1 > pages.meta.lastPage) damage(`Page ${first} does not exist.`);
  if (first + count > pages.filePages) damage(`It ends before page ${first + count - 1}: it was cut short.`);
  for (let page = first; page < first + count; page += 1) {
    if (isUsed(pages, page)) damage(`Page ${page} is used twice.`);
    pages.used[page >> 3] = (pages.used[page >> 3] ?? 0) | (1 << (page & 7));
  }
};

const readPage = (pages: Pages, target: Buffer, page: number): void => {
  if (!pages.read(target, page * pages.meta.pageSize)) damage(`Page ${page} cannot be read.`);
};

const readOverflow = (pages: Pages, data: Buffer, size: number): { readonly value: Buffer; readonly pages: number } => {
  const { page, pages: count } = readOverflowReference(data);
  if (count < 1 || count * pages.meta.pageSize < size + headerOctets) damage("A long value has too few pages.");
  claim(pages, page, count);
  const octets = Buffer.allocUnsafe(count * pages.meta.pageSize);
  readPage(pages, octets, page);
  if (countOverflow(octets, page, pages.meta.transaction) !== count)
    damage(`Page ${page} is not the long value it should be.`);
  return { value: octets.subarray(headerOctets, headerOctets + size), pages: count };
};

// In key order, so that one comparison with the entry before finds every page that is out of its place.
const walk = (pages: Pages, tree: Tree, visit: Visit): void => {
  if (tree.root === undefined) {
    if (tree.entries !== 0) damage("A tree has lost its root.");
    return;
  }
  if (tree.depth < 1 || tree.depth > 32) damage("A tree is impossibly deep.");
  const counted = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 };
  const buffers = Array.from({ length: tree.depth }, () => Buffer.allocUnsafe(pages.meta.pageSize));
  let last: Buffer | undefined;
  let bound: Buffer | undefined;

  const leafEntry = (page: number, node: Node): void => {
    if ((node.flags & ~bigData) !== 0) damage("It holds what a store does not.");
    if (last !== undefined && visit.compare(last, node.key) >= 0) damage(`Page ${page} is out of order.`);
    if (bound !== undefined && visit.compare(bound, node.key) > 0) damage(`Page ${page} is out of order.`);
    bound = undefined;
    last = Buffer.from(node.key);
    let value = node.data;
    if ((node.flags & bigData) !== 0) {
      const long = readOverflow(pages, node.data, node.size);
      value = long.value;
      counted.overflowPages += long.pages;
    }
    const wrong = visit.entry(node.key, value);
    if (wrong !== undefined) damage(`${wrong} (page ${page})`);
    counted.entries += 1;
  };

  const descend = (page: number, depth: number): void => {
    claim(pages, page);
    const buffer = buffers[depth] ?? damage("A tree is deeper than it says.");
    readPage(pages, buffer, page);
    const { leaf, count, octets } =
      countNodes(buffer, page, pages.meta.transaction) ?? damage(`Page ${page} is not the page it should be.`);
    if (leaf !== (depth === tree.depth - 1)) damage(`Page ${page} is at the wrong depth.`);
    if (count < (leaf ? 1 : visit.minBranch)) damage(`Page ${page} has too few entries.`);
    if (leaf) counted.leafPages += 1;
    else counted.branchPages += 1;
    let taken = 0;
    for (let index = 0; index < count; index += 1) {
      const node = readNode(buffer, leaf, index) ?? damage(`Page ${page} is not laid out as a page is.`);
      taken += node.octets;
      if (leaf) leafEntry(page, node);
      else {
        // The first key of a branch means "everything below the second" and is not looked at.
        if (index > 0) {
          if (last !== undefined && visit.compare(last, node.key) >= 0) damage(`Page ${page} is out of order.`);
          bound = Buffer.from(node.key);
        }
        descend(node.child, depth + 1);
      }
    }
    // Every octet above the free space belongs to exactly one node; LMDB moves them as one block.
    if (taken !== octets) damage(`Page ${page} is not laid out as a page is.`);
  };

  descend(tree.root, 0);
  for (const name of ["branchPages", "leafPages", "overflowPages", "entries"] as const) {
    if (counted[name] !== tree[name]) damage(`It should hold ${tree[name]} ${name}, but holds ${counted[name]}.`);
  }
};

// A record of the free list: how many numbers follow, then page numbers; a negative number is the length of the run that
// starts at the next one, zero is an unused place.
const freeRuns = (value: Buffer): readonly (readonly [first: number, count: number])[] => {
  const length = value.length < 8 ? -1 : Number(value.readBigUInt64LE(0));
  if (length < 0 || (length + 1) * 8 > value.length) return damage("The list of free pages is cut short.");
  const runs: [number, number][] = [];
  let run = 1;
  for (let index = 1; index <= length; index += 1) {
    const entry = Number(value.readBigInt64LE(index * 8));
    if (entry < 0) run = -entry;
    else {
      if (entry > 0) runs.push([entry, run]);
      run = 1;
    }
  }
  return runs;
};

const compareNumbers = (a: Buffer, b: Buffer): number => {
  if (a.length !== 8 || b.length !== 8) return damage("The list of free pages has a wrong key.");
  const [left, right] = [a.readBigUInt64LE(0), b.readBigUInt64LE(0)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
};

// Every page but the first two is in use or free, none both, none twice: LMDB writes into what is listed as free.
const checkFree = (pages: Pages, runs: readonly (readonly [first: number, count: number])[]): void => {
  const { lastPage } = pages.meta;
  let next = 2;
  for (const [first, count] of [...runs].sort((a, b) => a[0] - b[0])) {
    if (first < next || first + count - 1 > lastPage) damage(`The list of free pages is wrong about page ${first}.`);
    for (let page = first; page < first + count && page < pages.filePages; page += 1) {
      if (isUsed(pages, page)) damage(`Page ${page} is free and in use.`);
    }
    next = first + count;
  }
};

// A commit writes a new root, so a meta page whose number is not that of its root was changed; of the older one too, or
// the newer could be made the older. Its pages are whole: only the next commit but one may write there.
const checkRoot = (pages: Pages, meta: Meta): void => {
  const { root } = meta.main;
  if (root === undefined) {
    if (meta.transaction !== 0) damage("A tree has lost its root.");
    return;
  }
  const page = Buffer.alloc(meta.pageSize);
  readPage(pages, page, root);
  if (transactionOf(page, root) !== meta.transaction) damage("Its first two pages are not those of its last changes.");
};

/**
 * Looks at every page in use and hands each entry, in key order, to `entry`, which may say what is wrong with it.
 * Returns what is wrong with the file in words, or nothing.
 */
export const verify = (
  [meta, older]: readonly [newest: Meta, older: Meta],
  fileOctets: number,
  read: ReadAt,
  entry: (key: Buffer, value: Buffer) => string | undefined,
): string | undefined => {
  const filePages = Math.floor(fileOctets / meta.pageSize);
  const pages: Pages = { meta, read, filePages, used: new Uint8Array((filePages >> 3) + 1) };
  const free: (readonly [number, number])[] = [];
  try {
    checkRoot(pages, meta);
    checkRoot(pages, older);
    walk(pages, meta.main, { compare: (a, b) => a.compare(b), entry, minBranch: 2 });
    walk(pages, meta.free, {
      compare: compareNumbers,
      minBranch: 1,
      entry: (key, value) => {
        compareNumbers(key, key);
        for (const run of freeRuns(value)) free.push(run);
        return undefined;
      },
    });
    checkFree(pages, free);
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw error;
  }
};
