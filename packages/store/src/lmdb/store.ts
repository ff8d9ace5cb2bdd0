// The lmdb driver of the StateStore port: the default in service. One directory, one process; what was acknowledged is on
// the disk. Owns the way from the port's words to octets; must not know LMDB itself.
import { systemClock, type Clock, type Log } from "@sallyport/kit";
import { storeErrors } from "../errors.ts";
import type { StateStore } from "../port.ts";
import { checkName, defaultMaxValue, encodeValue } from "../value.ts";
import { openEngine } from "./engine.ts";
import { afterBucket, decodeRecord, encodeKey, encodeRecord, type Change } from "./record.ts";
import { createWriter } from "./writer.ts";

export interface LmdbStoreOptions {
  /** The store's own directory; made with mode 0700 when it is missing, refused when others may use it. */
  readonly path: string;
  /**
   * Octets all entries may take together (default 1 GiB). The file stays below about three times this: trees of pages
   * are never quite full, and a commit writes before it frees.
   */
  readonly maxOctets?: number;
  /** Octets of one value as JSON text (default 65 536). */
  readonly maxValue?: number;
  /** Milliseconds from one commit to the next under load (default 5): fewer, larger commits cost less. */
  readonly paceMs?: number;
  readonly log: Log;
  readonly clock?: Clock;
}

// A timer of the system clock does not keep the process alive; a change that waits must.
const patientClock: Clock = {
  now: () => systemClock.now(),
  after: (ms, run) => {
    const handle = setTimeout(run, ms);
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Opens the store in a directory, and looks its whole file through first (about 300 MB/s).
 *
 * A call resolves when its changes are on the disk: they survive `kill -9` and loss of power. A read waits for changes
 * of the same key that were asked for before it, `list` for all of them. On a full disk changes are rejected with SALLY_STORE_FULL for
 * as long as it is full, and reads go on; the space for a commit is taken beforehand, in steps of 1 MiB or more. A second process, or a second store in this one, is refused while the first is open; processes
 * that do not see each other's process ids (containers that share the directory) must be kept apart by whoever runs them.
 * @throws SALLY_STORE_ACCESS, SALLY_STORE_IN_USE, SALLY_STORE_CORRUPT, SALLY_STORE_FORMAT, SALLY_STORE_FULL
 */
export const lmdbStore = async (options: LmdbStoreOptions): Promise<StateStore> => {
  const { path, log, maxOctets = 1024 ** 3, maxValue = defaultMaxValue } = options;
  // Address space only: what the file may grow to, without the library mapping it anew.
  const engine = await openEngine(path, Math.max(maxOctets * 4, 64 * 1024 ** 2), log);
  const clock = options.clock ?? patientClock;
  let quietUntil = Number.NEGATIVE_INFINITY;
  const writer = createWriter({
    engine,
    clock,
    maxOctets,
    maxWaiting: 64 * 1024 ** 2,
    paceMs: options.paceMs ?? 5,
    onDiskFull: () => {
      if (clock.now() < quietUntil) return;
      quietUntil = clock.now() + 60_000;
      log.error("state store cannot grow: disk full", { file: engine.file });
    },
  });
  let closed: Promise<void> | undefined;

  const assertOpen = (): void => {
    if (closed !== undefined) throw storeErrors("SALLY_STORE_CLOSED");
  };

  // The library throws plain errors; the port promises ours.
  const reading = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if ((error as Error).name === "SallyportError") throw error;
      throw storeErrors("SALLY_STORE_IO", "It cannot be read.", { where: engine.file, cause: error });
    }
  };

  // A change that is on its way is what a later read sees, once it is known to have been made.
  const recordOf = async (key: Buffer): Promise<Buffer | undefined> => {
    const pending = writer.pending(key);
    if (pending !== undefined && (await pending.made)) return pending.record;
    return reading(() => engine.get(key));
  };

  const put = (bucket: string, key: string, text: string): Change => {
    const encoded = encodeKey(bucket, key);
    return { key: encoded, record: encodeRecord(encoded, text) };
  };

  return {
    get: async (bucket, key) => {
      assertOpen();
      checkName(bucket, key);
      const encoded = encodeKey(bucket, key);
      const octets = await recordOf(encoded);
      if (octets === undefined) return undefined;
      const record = decodeRecord(encoded, octets);
      if (record !== undefined) return record.value;
      throw storeErrors("SALLY_STORE_CORRUPT", "An entry is not what was written.", { where: engine.file });
    },
    put: async (bucket, key, value) => {
      assertOpen();
      checkName(bucket, key);
      await writer.submit([put(bucket, key, encodeValue(bucket, key, value, maxValue))]);
    },
    delete: async (bucket, key) => {
      assertOpen();
      checkName(bucket, key);
      const [found] = await writer.submit([{ key: encodeKey(bucket, key), record: undefined }]);
      return found === true;
    },
    list: async (bucket, { after, limit = 1000 } = {}) => {
      assertOpen();
      checkName(bucket, after);
      if (limit <= 0) return [];
      const start =
        after === undefined ? encodeKey(bucket, "") : Buffer.concat([encodeKey(bucket, after), Buffer.of(0)]);
      await writer.settled();
      return reading(() => engine.range(start, afterBucket(bucket), limit));
    },
    batch: async (changes) => {
      assertOpen();
      const encoded = changes.map((change): Change => {
        checkName(change.bucket, change.key);
        if (change.kind === "delete") return { key: encodeKey(change.bucket, change.key), record: undefined };
        return put(change.bucket, change.key, encodeValue(change.bucket, change.key, change.value, maxValue));
      });
      if (encoded.length > 0) await writer.submit(encoded);
    },
    close: () => {
      closed ??= writer.finish().then(() => engine.close());
      return closed;
    },
  };
};
