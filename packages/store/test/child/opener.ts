// Opens a store, says how that went as one line of JSON, and waits to be killed when it is told to.
import { memoryLog } from "@sallyport/kit";
import { lmdbStore } from "../../src/index.ts";

const [path = "", then = "close"] = process.argv.slice(2);
const { log, records } = memoryLog();
try {
  const store = await lmdbStore({ path, log });
  const entries = (await store.list("b", { limit: 5 })).length;
  process.stdout.write(`${JSON.stringify({ ok: true, entries, records })}\n`);
  if (then === "close") await store.close();
  else setInterval(() => undefined, 1000);
} catch (error) {
  const { code, message } = error as { readonly code?: string; readonly message: string };
  process.stdout.write(`${JSON.stringify({ ok: false, code, message })}\n`);
}
