// The edge as a process whose store is damaged, full or not its own: it says what is wrong and what to do, exits 1, and
// whatever it had acknowledged is there once the reason is gone.
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { UeCall } from "@sallyport/ue";
import { until } from "../src/demo/await.ts";
import { contexts, openKillableLab, type KillableLab } from "./support/edge-process.ts";
import { endAll, sallyport } from "./support/processes.ts";

let open: KillableLab | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
  endAll();
});

type Registered = Awaited<ReturnType<KillableLab["addUe"]>>["ue"];
interface Scene {
  readonly lab: KillableLab;
  readonly alice: Registered;
  readonly bob: Registered;
  readonly data: string;
}

/** Two registered UEs and a call between them; then the edge is killed. */
const killed = async (): Promise<Scene & { readonly calling: UeCall; readonly called: UeCall }> => {
  const lab = await openKillableLab("udp");
  open = lab;
  const [alice, bob] = [(await lab.addUe("alice")).ue, (await lab.addUe("bob")).ue];
  await alice.register();
  await bob.register();
  let called: UeCall | undefined;
  bob.onCall((call) => {
    called = call;
    return {};
  });
  const calling = await alice.call(bob.impu);
  await until("bob to be answered", () => called?.state === "answered");
  await lab.kill();
  if (called === undefined) throw new TypeError("unreachable: waited for it");
  return { lab, alice, bob, calling, called, data: join(lab.folder, "state", "data.mdb") };
};

/** A start that must fail: what it says, on one screen, without a stack trace. */
const refused = async ({ folder }: KillableLab, shell?: string): Promise<string> => {
  const run = sallyport(["edge", "--config", join(folder, "edge.yaml")], folder, shell);
  expect(await run.ended, run.stderr).toBe(1);
  expect(run.stderr).not.toMatch(/^\s+at /m);
  expect(run.stdout).toBe("");
  return run.stderr;
};

/** Everything that had been acknowledged is there: the call ends with a BYE, and both are called without registering. */
const allThere = async ({ lab, alice, bob, calling, called }: Awaited<ReturnType<typeof killed>>): Promise<void> => {
  const registers = lab.records.filter(({ event }) => event === "registered").length;
  await lab.start();
  await contexts(lab, 2);
  await called.hangup();
  await calling.ended;
  await contexts(lab, 0);
  alice.onCall(() => ({}));
  const again = await bob.call(alice.impu);
  await again.hangup();
  await contexts(lab, 0);
  expect(lab.records.filter(({ event }) => event === "registered").length).toBe(registers);
};

describe("the store of an edge in service", () => {
  it(
    "a damaged file: SALLY_STORE_CORRUPT with its path, exit 1; with the file put back nothing is missing",
    { timeout: 120_000 },
    async () => {
      const scene = await killed();
      const { lab, data } = scene;
      copyFileSync(data, `${data}.copy`);
      const file = openSync(data, "r+");
      // Every page behind the two that say where to begin.
      for (let at = 8192; at < statSync(data).size; at += 4096)
        writeSync(file, Buffer.alloc(512, 0xa5), 0, 512, at + 64);
      closeSync(file);
      const said = await refused(lab);
      expect(said).toContain("SALLY_STORE_CORRUPT");
      expect(said).toContain(join(lab.folder, "state"));
      expect(said).toContain("put a copy back");
      copyFileSync(`${data}.copy`, data);
      await allThere(scene);
    },
  );

  it("a file that was cut short: the same", { timeout: 120_000 }, async () => {
    const scene = await killed();
    const { lab, data } = scene;
    copyFileSync(data, `${data}.copy`);
    truncateSync(data, 3 * 4096);
    expect(await refused(lab)).toContain("SALLY_STORE_CORRUPT");
    // It was looked at, not mended in silence.
    expect(statSync(data).size).toBe(3 * 4096);
    copyFileSync(`${data}.copy`, data);
    await allThere(scene);
  });

  it("a torn write behind what was committed is passed over", { timeout: 120_000 }, async () => {
    const scene = await killed();
    const { data } = scene;
    const size = statSync(data).size;
    writeFileSync(data, Buffer.concat([readFileSync(data), Buffer.alloc(5000, 0x5a)]));
    expect(statSync(data).size).toBe(size + 5000);
    await allThere(scene);
  });

  it(
    "a full disk: no store is begun, SALLY_STORE_FULL, exit 1; the one that was there is whole",
    { timeout: 120_000 },
    async () => {
      const scene = await killed();
      const { lab } = scene;
      const state = join(lab.folder, "state");
      renameSync(state, `${state}.aside`);
      // The system refuses a file above this many blocks just as it refuses one on a full disk.
      const said = await refused(lab, "ulimit -f 8");
      expect(said).toContain("SALLY_STORE_FULL");
      expect(said).toContain("Free disk space");
      rmSync(state, { recursive: true, force: true });
      renameSync(`${state}.aside`, state);
      await allThere(scene);
    },
  );

  it(
    "another edge on the same store: SALLY_STORE_IN_USE, exit 1; the first is not disturbed",
    { timeout: 120_000 },
    async () => {
      const scene = await killed();
      const { lab } = scene;
      await lab.start();
      expect(await refused(lab)).toContain("SALLY_STORE_IN_USE");
      await lab.kill();
      await allThere(scene);
    },
  );

  it(
    "invariant 7: a sealing key that is another one: SALLY_STORE_SEALED, exit 1, and no key is shown",
    { timeout: 120_000 },
    async () => {
      const scene = await killed();
      const { lab } = scene;
      const key = join(lab.folder, "sealing.key");
      const right = readFileSync(key);
      writeFileSync(key, randomBytes(32), { mode: 0o600 });
      const said = await refused(lab);
      expect(said).toContain("SALLY_STORE_SEALED");
      for (const form of ["hex", "base64"] as const) expect(said).not.toContain(right.toString(form));
      writeFileSync(key, right, { mode: 0o600 });
      await allThere(scene);
    },
  );
});
