// LMDB's pages as octets (data format 2, 64-bit little-endian): where headers, nodes and tree roots are. Every read is
// bounded and says so with `undefined`, because the library itself follows a wrong number out of its mapping and dies.

export interface Tree {
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** Page number, or undefined for an empty tree. */
  readonly root: number | undefined;
}

export interface Meta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly free: Tree;
  readonly main: Tree;
}

export const headerOctets = 24;
const metaOctets = 144;
const magic = 0xbeefc0de;
const integerKeys = 0x08;
const noPage = 0xffff_ffff_ffff_ffffn;

/** Page kinds, the flags of a page header. */
const pageKind = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const;

// Numbers beyond 2^53 become imprecise but stay too large for every bound they are held against.
const u64 = (octets: Buffer, at: number): number => Number(octets.readBigUInt64LE(at));

const readTree = (octets: Buffer, at: number): Tree => ({
  depth: octets.readUInt16LE(at + 6),
  branchPages: u64(octets, at + 8),
  leafPages: u64(octets, at + 16),
  overflowPages: u64(octets, at + 24),
  entries: u64(octets, at + 32),
  root: octets.readBigUInt64LE(at + 40) === noPage ? undefined : u64(octets, at + 40),
});

/** What a meta page says; a reason in words when it is none of this format. */
export const readMeta = (page: Buffer): Meta | string => {
  if (page.length < headerOctets + metaOctets) return "It ends before its second page.";
  if (page.readUInt16LE(18) !== pageKind.meta) return "It does not begin as a store does.";
  const meta = page.subarray(headerOctets);
  if (meta.readUInt32LE(0) !== magic) return "It does not begin as a store does.";
  if (meta.readUInt32LE(4) !== 2) return "Its LMDB data format is not 2.";
  // A fixed mapping address, or flags of trees that this store never makes: LMDB would act upon them.
  if (meta.readBigUInt64LE(8) !== 0n || meta.readUInt16LE(28) !== integerKeys || meta.readUInt16LE(76) !== 0) {
    return "It holds what a store does not.";
  }
  const pageSize = meta.readUInt32LE(24);
  if (pageSize < 512 || pageSize > 32_768 || (pageSize & (pageSize - 1)) !== 0) return "Its page size is impossible.";
  return {
    pageSize,
    lastPage: u64(meta, 120),
    transaction: u64(meta, 128),
    free: readTree(meta, 24),
    main: readTree(meta, 72),
  };
};

export interface Node {
  /** LMDB's node flags on a leaf, 0 on a branch. */
  readonly flags: number;
  readonly key: Buffer;
  /** The child on a branch. */
  readonly child: number;
  /** Octets of the value on a leaf. */
  readonly size: number;
  /** The value, or what points to it when it lies outside. */
  readonly data: Buffer;
  /** What the node takes on its page, nodes being at even places. */
  readonly octets: number;
}

/** Node flag: the value lies in overflow pages. */
export const bigData = 0x01;
const overflowReference = 24;
const nodeHeader = 8;

const even = (octets: number): number => octets + (octets & 1);

/** The transaction that wrote a page; undefined when the page does not bear this number. */
export const transactionOf = (page: Buffer, number: number): number | undefined =>
  u64(page, 0) === number ? u64(page, 8) : undefined;

// A page of this number and kind that no later transaction wrote: LMDB takes one with a later number for its own copy.
const isPage = (page: Buffer, number: number, transaction: number): boolean =>
  u64(page, 0) === number && u64(page, 8) <= transaction;

/** Nodes on a branch or leaf page; undefined when the header is not of such a page with this number. */
export const countNodes = (
  page: Buffer,
  number: number,
  transaction: number,
): { readonly leaf: boolean; readonly count: number; readonly octets: number } | undefined => {
  const kind = page.readUInt16LE(18);
  const lower = page.readUInt16LE(20);
  const upper = page.readUInt16LE(22);
  const room = page.length - headerOctets;
  if (!isPage(page, number, transaction) || (kind !== pageKind.branch && kind !== pageKind.leaf)) return undefined;
  if (lower > upper || upper > room || lower % 2 !== 0) return undefined;
  return { leaf: kind === pageKind.leaf, count: lower >> 1, octets: room - upper };
};

/** The node at `index`; undefined when it does not lie within the page. */
export const readNode = (page: Buffer, leaf: boolean, index: number): Node | undefined => {
  const upper = page.readUInt16LE(22);
  const offset = page.readUInt16LE(headerOctets + index * 2);
  const at = offset + headerOctets;
  if (offset < upper || offset % 2 !== 0 || at + nodeHeader > page.length) return undefined;
  const low = page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 0x1_0000;
  const third = page.readUInt16LE(at + 4);
  const keyStart = at + nodeHeader;
  const keyEnd = keyStart + page.readUInt16LE(at + 6);
  if (keyEnd > page.length) return undefined;
  const key = page.subarray(keyStart, keyEnd);
  if (!leaf) {
    const octets = even(keyEnd - at);
    return { flags: 0, key, child: low + third * 0x1_0000_0000, size: 0, data: page.subarray(keyEnd, keyEnd), octets };
  }
  const inside = (third & bigData) === 0 ? low : overflowReference;
  if (keyEnd + inside > page.length) return undefined;
  return {
    flags: third,
    key,
    child: 0,
    size: low,
    data: page.subarray(keyEnd, keyEnd + inside),
    octets: even(keyEnd + inside - at),
  };
};

/** Where a value in overflow pages begins, and how many pages it takes. */
export const readOverflowReference = (data: Buffer): { readonly page: number; readonly pages: number } => ({
  page: u64(data, 0),
  pages: u64(data, 16),
});

/** Pages of an overflow value, from its first page; undefined when it is none with this number. */
export const countOverflow = (page: Buffer, number: number, transaction: number): number | undefined =>
  isPage(page, number, transaction) && page.readUInt16LE(18) === pageKind.overflow ? page.readUInt32LE(20) : undefined;
