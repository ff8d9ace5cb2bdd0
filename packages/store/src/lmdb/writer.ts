// The queue before the file: gathers calls into groups, one group in the file at a time, and keeps the books of what the
// store holds. A call is made as a whole or not at all; because the group before has ended when the next one is put
// together, its limits and answers are exact. Must not know LMDB.
import type { Clock } from "@sallyport/kit";
import { storeErrors } from "../errors.ts";
import type { Engine } from "./engine.ts";
import { charge, type Change } from "./record.ts";

export interface WriterOptions {
  readonly engine: Pick<Engine, "sizeOf" | "commit" | "file" | "chargedAtOpen">;
  readonly clock: Clock;
  /** What all entries may take, as `charge` counts. */
  readonly maxOctets: number;
  /** Octets of changes that may wait. */
  readonly maxWaiting: number;
  /** From the beginning of one group to that of the next at least: a commit costs the same for one change and for many. */
  readonly paceMs: number;
  /** Told of each group that the disk had no room for. */
  onDiskFull(): void;
}

export interface Writer {
  /** Resolves, when all changes are durable, to whether each found something under its key. */
  submit(changes: readonly Change[]): Promise<readonly boolean[]>;
  /** The last change of this key that has not ended, and how it will: resolves to whether it was made. */
  pending(key: Buffer): { readonly record: Buffer | undefined; readonly made: Promise<boolean> } | undefined;
  /** Resolves when every call submitted before has ended, however, and none submitted after; undefined at rest. */
  settled(): Promise<void> | undefined;
  /** Writes what waits without pacing, then resolves. */
  finish(): Promise<void>;
  /** What all entries take now. */
  readonly charged: number;
}

interface Call {
  readonly changes: readonly Change[];
  /** The names of the changed keys, in the order of the changes. */
  readonly names: readonly string[];
  readonly octets: number;
  readonly resolve: (found: readonly boolean[]) => void;
  readonly reject: (error: Error) => void;
}

interface Group {
  readonly calls: { readonly call: Call; readonly found: readonly boolean[] }[];
  /** The last change of each key, by the key's octets as text. */
  readonly changes: Map<string, Change>;
  charged: number;
}

interface Pending {
  readonly record: Buffer | undefined;
  readonly made: Promise<boolean>;
}

const maxGroup = 1000;

const nameOf = (key: Buffer): string => key.toString("latin1");

const chargeOf = (key: Buffer, octets: number | undefined): number =>
  octets === undefined ? 0 : charge(key.length, octets);

export const createWriter = (options: WriterOptions): Writer => {
  const { engine, clock, maxOctets } = options;
  const queue: Call[] = [];
  const pending = new Map<string, Pending>();
  const drains: (() => void)[] = [];
  let waiting = 0;
  let charged = engine.chargedAtOpen;
  let scheduled = false;
  let writing = false;
  let finishing = false;
  let broken = false;
  let lastStart = Number.NEGATIVE_INFINITY;
  let wake: (() => void) | undefined;

  const full = (detail: string): Error => storeErrors("SALLY_STORE_FULL", detail, { where: engine.file });
  const ioError = (): Error => storeErrors("SALLY_STORE_IO", undefined, { where: engine.file });

  // What a call would change, seen after the calls before it in the group.
  const join = (group: Group, call: Call): void => {
    const own = new Map<string, Change>();
    const found: boolean[] = [];
    let size = group.charged;
    call.changes.forEach((change, index) => {
      const name = call.names[index] ?? "";
      const before = own.get(name) ?? group.changes.get(name);
      const was = before === undefined ? engine.sizeOf(change.key) : before.record?.length;
      found.push(was !== undefined);
      size += chargeOf(change.key, change.record?.length) - chargeOf(change.key, was);
      own.set(name, change);
    });
    if (size > maxOctets && size > group.charged) return call.reject(full(`Its limit is ${maxOctets} octets.`));
    for (const [name, change] of own) group.changes.set(name, change);
    group.charged = size;
    group.calls.push({ call, found });
  };

  const gather = (): Group => {
    const group: Group = { calls: [], changes: new Map(), charged };
    let taken = 0;
    for (const call of queue) {
      if (taken > 0 && (queue[taken - 1]?.changes.length === 0 || group.changes.size + call.changes.length > maxGroup))
        break;
      taken += 1;
      waiting -= call.octets;
      try {
        join(group, call);
      } catch (error) {
        call.reject(error as Error);
      }
    }
    queue.splice(0, taken);
    return group;
  };

  const write = async (group: Group): Promise<void> => {
    const failure =
      group.changes.size === 0
        ? undefined
        : await engine.commit([...group.changes.values()]).catch((): "broken" => "broken");
    if (failure === undefined) {
      charged = group.charged;
      for (const { call, found } of group.calls) call.resolve(found);
      return;
    }
    if (failure === "full") options.onDiskFull();
    else broken = true;
    for (const { call } of group.calls) call.reject(failure === "full" ? full("The disk is full.") : ioError());
  };

  const refuseWaiting = (): void => {
    for (const call of queue.splice(0)) {
      waiting -= call.octets;
      call.reject(ioError());
    }
  };

  const turn = async (): Promise<void> => {
    scheduled = false;
    wake = undefined;
    writing = true;
    lastStart = clock.now();
    if (broken) refuseWaiting();
    else await write(gather());
    writing = false;
    if (queue.length > 0) return schedule();
    // Whoever read last goes first: the file is closed after this.
    setImmediate(() => drains.splice(0).forEach((done) => done()));
  };

  const schedule = (): void => {
    if (scheduled || writing) return;
    scheduled = true;
    const rest = finishing ? 0 : lastStart + options.paceMs - clock.now();
    if (rest <= 0) {
      setImmediate(() => void turn());
      return;
    }
    const timer = clock.after(rest, () => void turn());
    wake = () => {
      timer.cancel();
      void turn();
    };
  };

  const submit = (changes: readonly Change[]): Promise<readonly boolean[]> => {
    const octets = changes.reduce((sum, { key, record }) => sum + key.length + (record?.length ?? 0) + 64, 0);
    if (waiting > 0 && waiting + octets > options.maxWaiting) {
      return Promise.reject(storeErrors("SALLY_STORE_BUSY", undefined, { where: engine.file }));
    }
    waiting += octets;
    const names = changes.map(({ key }) => nameOf(key));
    const ended = new Promise<readonly boolean[]>((resolve, reject) =>
      queue.push({ changes, names, octets, resolve, reject }),
    );
    const made = ended.then(
      () => true,
      () => false,
    );
    const mine = changes.map(({ record }): Pending => ({ record, made }));
    names.forEach((name, index) => pending.set(name, mine[index] as Pending));
    void made.then(() =>
      names.forEach((name, index) => {
        if (pending.get(name) === mine[index]) pending.delete(name);
      }),
    );
    schedule();
    return ended;
  };

  return {
    submit,
    pending: (key) => (pending.size === 0 ? undefined : pending.get(nameOf(key))),
    settled: () =>
      scheduled || writing
        ? submit([]).then(
            () => undefined,
            () => undefined,
          )
        : undefined,
    finish: () => {
      finishing = true;
      wake?.();
      return new Promise((resolve) => {
        if (scheduled || writing) drains.push(resolve);
        else setImmediate(resolve);
      });
    },
    get charged() {
      return charged;
    },
  };
};
