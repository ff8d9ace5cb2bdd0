// Writes without end, several callers at once, and says each acknowledged change on stdout before the next one.
import { writeSync } from "node:fs";
import { silentLog } from "@sallyport/kit";
import { lmdbStore, type StateChange, type StateStore } from "../../src/index.ts";

/** What caller `caller` writes as its change number `seq`, all of it in one batch. */
const changesOf = (caller: string, seq: number): readonly StateChange[] => {
  const fill = String(seq % 10).repeat((seq * 37) % 5000);
  const third = { bucket: "third", key: caller };
  return [
    { kind: "put", bucket: "first", key: caller, value: { seq, fill } },
    { kind: "put", bucket: "second", key: caller, value: { seq, fill } },
    seq % 2 === 0 ? { kind: "delete", ...third } : { kind: "put", ...third, value: { seq, fill } },
    { kind: "put", bucket: "log", key: `${caller}/${seq % 50}`, value: { seq, fill } },
  ];
};

const run = async (store: StateStore, caller: string): Promise<never> => {
  const before = (await store.get("first", caller)) as { readonly seq: number } | undefined;
  for (let seq = (before?.seq ?? 0) + 1; ; seq += 1) {
    await store.batch(changesOf(caller, seq));
    writeSync(1, `${caller} ${seq}\n`);
  }
};

const [path = "", callers = "1", paceMs = "0"] = process.argv.slice(2);
const store = await lmdbStore({ path, log: silentLog, paceMs: Number(paceMs) });
await Promise.all(Array.from({ length: Number(callers) }, (_, index) => run(store, `caller ${index}`)));
