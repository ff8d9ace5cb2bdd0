// Fills a store until it is full, works on while it is, and says what it saw as one line of JSON. The limit comes from
// outside.
import { memoryLog } from "@sallyport/kit";
import { lmdbStore } from "../../src/index.ts";

const [path = ""] = process.argv.slice(2);
const { log, records } = memoryLog();
const store = await lmdbStore({ path, log, paceMs: 0 });
const value = "v".repeat(3000);
const said = { acknowledged: 0, refused: 0, deleted: 0, readsWhileFull: 0, codes: [""], messages: [""] };
said.acknowledged = (await store.list("b", { limit: 1_000_000 })).length;
const errors: { readonly code: string; readonly message: string }[] = [];
while (said.refused < 15) {
  const key = `key ${said.acknowledged}`;
  try {
    await store.batch([
      { kind: "put", bucket: "b", key, value },
      { kind: "put", bucket: "c", key, value: said.acknowledged },
    ]);
    said.acknowledged += 1;
  } catch (error) {
    errors.push(error as { readonly code: string; readonly message: string });
    said.refused += 1;
    said.readsWhileFull += Number((await store.get("b", "key 0")) === value);
    // What needs no room of its own goes on: an entry leaves and comes back smaller.
    said.deleted += Number(await store.delete("c", "key 0"));
    await store.put("c", "key 0", 0);
  }
}
await store.close();
said.codes = [...new Set(errors.map(({ code }) => code))];
said.messages = [...new Set(errors.map(({ message }) => message))];
process.stdout.write(`${JSON.stringify({ ...said, records })}\n`);
