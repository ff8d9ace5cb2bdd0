// How one entry looks in the file: an ordered key, and JSON text behind a checksum. Must not know LMDB's calls.
import { crc32 } from "node:zlib";
import type { StateValue } from "../port.ts";

export interface Change {
  readonly key: Buffer;
  /** What to keep under the key; undefined deletes. */
  readonly record: Buffer | undefined;
}

// One code unit in one to three octets, each on its own as UTF-8 would: octet order is then code unit order, which the
// port asks for, and a lone surrogate survives. UTF-8 proper gives neither.
const encodeText = (text: string, target: Buffer, start: number): number => {
  let at = start;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) target[at++] = unit;
    else {
      if (unit < 0x800) target[at++] = 0xc0 | (unit >> 6);
      else {
        target[at++] = 0xe0 | (unit >> 12);
        target[at++] = 0x80 | ((unit >> 6) & 0x3f);
      }
      target[at++] = 0x80 | (unit & 0x3f);
    }
  }
  return at;
};

const decodeText = (octets: Buffer): string => {
  const units: number[] = [];
  for (let at = 0; at < octets.length;) {
    const first = octets[at++] ?? 0;
    if (first < 0x80) units.push(first);
    else if (first < 0xe0) units.push(((first & 0x1f) << 6) | ((octets[at++] ?? 0) & 0x3f));
    else {
      const second = octets[at++] ?? 0;
      units.push(((first & 0x0f) << 12) | ((second & 0x3f) << 6) | ((octets[at++] ?? 0) & 0x3f));
    }
  }
  return String.fromCharCode(...units);
};

const scratch = Buffer.alloc(8192);

/** The key of an entry: bucket length plus one, bucket, key. Names are within `checkName`'s bounds. */
export const encodeKey = (bucket: string, key: string): Buffer => {
  const bucketEnd = encodeText(bucket, scratch, 1);
  scratch[0] = bucketEnd;
  return Buffer.from(scratch.subarray(0, encodeText(key, scratch, bucketEnd)));
};

/** The key inside its bucket of an encoded key. */
export const decodeKey = (encoded: Buffer): string => decodeText(encoded.subarray(encoded[0] ?? 0));

/** The first octets no key of the bucket starts with, but which sort after all of them. */
export const afterBucket = (bucket: string): Buffer => Buffer.concat([encodeKey(bucket, ""), Buffer.of(0xff)]);

/** The key of the format stamp: sorts before every entry, and no entry's key starts with a zero octet. */
export const stampKey = Buffer.of(0);

const checksumOctets = 4;

const checksum = (key: Buffer, text: Buffer): number => crc32(text, crc32(key));

/** Checksum over key and text, then the text. */
export const encodeRecord = (key: Buffer, text: string): Buffer => {
  const record = Buffer.allocUnsafe(checksumOctets + Buffer.byteLength(text));
  record.write(text, checksumOctets, "utf8");
  record.writeUInt32BE(checksum(key, record.subarray(checksumOctets)), 0);
  return record;
};

/** The record as it was written under this key, or nothing when either is not what it was. */
export const decodeRecord = (key: Buffer, record: Buffer): { readonly value: StateValue } | undefined => {
  if (!isIntact(key, record)) return undefined;
  try {
    return { value: JSON.parse(record.toString("utf8", checksumOctets)) as StateValue };
  } catch {
    return undefined;
  }
};

/** Whether the record is as it was written under this key. */
export const isIntact = (key: Buffer, record: Buffer): boolean =>
  record.length >= checksumOctets && checksum(key, record.subarray(checksumOctets)) === record.readUInt32BE(0);

// LMDB keeps what does not fit twice into a page (less headers) in whole pages of its own.
const pageOctets = 4096;
const inPage = 2034;

/** Whole pages that a record takes beside the tree, 0 for one that lies within a page of it. */
export const pagesOfRecord = (keyOctets: number, recordOctets: number): number =>
  10 + keyOctets + recordOctets <= inPage ? 0 : Math.ceil((24 + recordOctets) / pageOctets);

/** What an entry takes in the file, without what the tree above it and half-full pages take. */
export const charge = (keyOctets: number, recordOctets: number): number => {
  const pages = pagesOfRecord(keyOctets, recordOctets);
  return pages === 0 ? 10 + keyOctets + recordOctets : 34 + keyOctets + pages * pageOctets;
};
