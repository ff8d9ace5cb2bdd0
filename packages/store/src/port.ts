// The StateStore port. Owns the words drivers and elements share; must not know what is stored, nor how.

/** What can be kept: JSON values, so that every driver (memory, file, network) gives back the same thing. */
export type StateValue =
  | null
  | boolean
  | number
  | string
  | readonly StateValue[]
  | { readonly [name: string]: StateValue };

export interface StateEntry {
  readonly key: string;
  readonly value: StateValue;
}

/** One change of a batch: `put` writes or replaces, `delete` removes and is harmless when there is nothing. */
export type StateChange =
  | { readonly kind: "put"; readonly bucket: string; readonly key: string; readonly value: StateValue }
  | { readonly kind: "delete"; readonly bucket: string; readonly key: string };

export interface StatePage {
  /** Only keys that sort after this one. */
  readonly after?: string;
  /** At most this many entries (default 1000). */
  readonly limit?: number;
}

/**
 * Buckets of key and value. Every call is atomic; calls made one after the other take effect in that order, and a read
 * sees every change asked for before it. Names are bounded (SALLY_STORE_VALUE): 250 octets for a bucket, 1500 together
 * with the key. All calls reject with SALLY_STORE_CLOSED after `close`; a driver on a disk may also reject with
 * SALLY_STORE_BUSY, SALLY_STORE_IO and SALLY_STORE_CORRUPT. Media keys may be put here only as a sealer made them.
 */
export interface StateStore {
  get(bucket: string, key: string): Promise<StateValue | undefined>;
  /** Resolves once it is kept as safely as the driver can. Rejects SALLY_STORE_VALUE (not JSON, or too large) and SALLY_STORE_FULL. */
  put(bucket: string, key: string, value: StateValue): Promise<void>;
  /** Resolves to whether there was something to delete. */
  delete(bucket: string, key: string): Promise<boolean>;
  /** Entries in ascending order of their keys (by UTF-16 code unit), a page at a time. */
  list(bucket: string, page?: StatePage): Promise<readonly StateEntry[]>;
  /** All changes, in order, or none of them. Rejects like `put`. */
  batch(changes: readonly StateChange[]): Promise<void>;
  /** Resolves when all that was asked for before is done. Harmless when repeated. */
  close(): Promise<void>;
}
