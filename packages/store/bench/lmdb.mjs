// Measures the lmdb driver with values of a binding's size: `npx tsc -b packages/store && node packages/store/bench/lmdb.mjs [directory]`.
// The directory decides which disk is measured. One line a case; CPU is user and system time of the whole process.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { silentLog } from "@sallyport/kit";
import { lmdbStore, memoryStore } from "../dist/index.js";

const root = mkdtempSync(join(process.argv[2] ?? tmpdir(), "sallyport-bench-"));
const value = {
  aor: "sip:alice@home.example",
  contact: `<sip:alice@192.0.2.17:5060;transport=tls>;+sip.instance="<urn:uuid:${"0".repeat(36)}>"`,
  path: ["<sip:edge.visited.example;lr>"],
  serviceRoute: ["<sip:scscf.home.example;lr>"],
  securityVerify: Array.from({ length: 4 }, (_, index) => `sdes-srtp;mediasec;q=0.${index}`),
  fill: "x".repeat(300),
};
const keys = 20_000;
let seed = 1;
const anyKey = () => {
  seed = (seed * 48_271) % 2_147_483_647;
  return `sip:user${seed % keys}@home.example`;
};

const measure = async (name, operations, run) => {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  await run();
  const ms = performance.now() - started;
  const cpu = process.cpuUsage(cpuBefore);
  delay.disable();
  const perSecond = Math.round((operations * 1000) / ms);
  const micros = ((cpu.user + cpu.system) / operations).toFixed(1);
  process.stdout.write(
    `${name.padEnd(44)} ${String(perSecond).padStart(8)}/s ${micros.padStart(8)} us CPU each, loop p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms\n`,
  );
};

// `callers` at once, each waiting for its last call before the next.
const closedLoop = (callers, each, call) =>
  Promise.all(
    Array.from({ length: callers }, async () => {
      for (let count = 0; count < each; count += 1) await call();
    }),
  );

// `rate` calls a second, whatever becomes of them: what an edge under load does.
const openLoop = (rate, seconds, call) =>
  new Promise((resolve, reject) => {
    const calls = [];
    const started = performance.now();
    const timer = setInterval(() => {
      const due = Math.min(rate * seconds, Math.floor(((performance.now() - started) * rate) / 1000));
      while (calls.length < due) calls.push(call());
      if (calls.length < rate * seconds) return;
      clearInterval(timer);
      Promise.all(calls).then(resolve, reject);
    }, 1);
  });

const put = (store) => () => store.put("bindings", anyKey(), value);
const batch = (store) => () =>
  store.batch([
    { kind: "put", bucket: "bindings", key: anyKey(), value },
    { kind: "put", bucket: "dialogs", key: anyKey(), value },
    { kind: "delete", bucket: "calls", key: anyKey() },
  ]);

for (const paceMs of [5, 0]) {
  const path = join(root, `pace${paceMs}`);
  const store = await lmdbStore({ path, log: silentLog, paceMs });
  process.stdout.write(`lmdb, paceMs ${paceMs}\n`);
  await measure("  put, all keys for the first time", keys, () =>
    Promise.all(
      Array.from({ length: keys }, (_, index) => store.put("bindings", `sip:user${index}@home.example`, value)),
    ),
  );
  await measure("  put, one caller", 200, () => closedLoop(1, 200, put(store)));
  await measure("  put, 100 callers", 10_000, () => closedLoop(100, 100, put(store)));
  await measure("  put, 1000 callers", 50_000, () => closedLoop(1000, 50, put(store)));
  await measure("  put, 1000/s offered", 3000, () => openLoop(1000, 3, put(store)));
  await measure("  put, 3000/s offered", 9000, () => openLoop(3000, 3, put(store)));
  await measure("  batch of 3, 100 callers", 5000, () => closedLoop(100, 50, batch(store)));
  await measure("  batch of 3, 1000/s offered", 3000, () => openLoop(1000, 3, batch(store)));
  await measure("  get", 50_000, () => closedLoop(10, 5000, () => store.get("bindings", anyKey())));
  await measure("  list, all of it by pages of 1000", keys, async () => {
    for (let page = await store.list("bindings"); page.length > 0;) {
      page = await store.list("bindings", { after: page.at(-1).key });
    }
  });
  await store.close();
  await measure("  open", 1, async () => (await lmdbStore({ path, log: silentLog })).close());
}
const memory = memoryStore();
process.stdout.write("memory\n");
await measure("  put, 1000 callers", 50_000, () => closedLoop(1000, 50, put(memory)));
rmSync(root, { recursive: true });
