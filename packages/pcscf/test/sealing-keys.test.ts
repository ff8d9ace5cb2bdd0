// The sealing key over restarts: replaced, taken away, lost. What was acknowledged is there, or the edge does not start.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryStore, storeErrors, type StateStore } from "@sallyport/store";
import { establishOriginating, establishTerminating } from "./support/calls.ts";
import { openScenario, type Scenario } from "./support/scenario.ts";

let scenario: Scenario;
let store: StateStore;

const sealedWith = (env: string, previous: readonly { readonly env: string }[] = []) => ({
  store: { driver: "memory" as const, sealing: { env, previous: [...previous] } },
});
const [first, second] = ["FIRST_SEALING_KEY", "SECOND_SEALING_KEY"] as const;

const calling = async () => {
  const ue = await scenario.ue("alice", { protocol: "udp" });
  const { path } = await ue.register();
  await establishOriginating(scenario, ue);
  await establishTerminating(scenario, ue, path);
  return { ue, path };
};

/** The keys that sealed what lies in the store. */
const sealers = async (): Promise<readonly string[]> => {
  const values = [...(await store.list("pcscf/calls")), ...(await store.list("pcscf/tokens"))];
  return [...new Set([...JSON.stringify(values).matchAll(/s1\.([0-9a-f]{8})\./g)].map(([, id]) => id ?? ""))];
};

beforeEach(async () => {
  vi.stubEnv(first, Buffer.from("the first sealing key of a test.").toString("base64"));
  vi.stubEnv(second, Buffer.from("the other sealing key of a test.").toString("base64"));
  store = memoryStore();
  scenario = await openScenario({
    store: { ...store, batch: (changes) => store.batch(changes) },
    change: (config) => ({ ...config, ...sealedWith(first) }),
  });
});
afterEach(async () => {
  await scenario.close();
  vi.unstubAllEnvs();
});

describe("issue 3, state that survives: a sealing key that is replaced", () => {
  it("seals all that is kept at the first start, so that the key of before may be let go at the second", async () => {
    const { ue, path } = await calling();
    const before = await sealers();
    expect(before).toHaveLength(1);
    await scenario.restart((config) => ({ ...config, ...sealedWith(second, [{ env: first }]) }));
    const after = await sealers();
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
    await scenario.restart((config) => ({ ...config, ...sealedWith(second) }));
    expect(scenario.edge.counts().calls).toBe(2);
    expect(scenario.logs.some(({ event }) => event === "call not restored")).toBe(false);
    await establishTerminating(scenario, ue, path);
  });

  it("writes nothing anew where the key is the same", async () => {
    await calling();
    const kept = JSON.stringify(await store.list("pcscf/calls"));
    await scenario.restart((config) => ({ ...config, ...sealedWith(first, [{ env: second }]) }));
    expect(JSON.stringify(await store.list("pcscf/calls"))).toBe(kept);
  });

  it("SALLY_STORE_FULL: where there is no room for that the edge does not start, and nothing is lost", async () => {
    await calling();
    const inner = store;
    store = { ...inner, batch: () => Promise.reject(storeErrors("SALLY_STORE_FULL")) };
    await expect(
      scenario.restart((config) => ({ ...config, ...sealedWith(second, [{ env: first }]) })),
    ).rejects.toMatchObject({
      code: "SALLY_STORE_FULL",
    });
    store = inner;
    await scenario.restart((config) => ({ ...config, ...sealedWith(second, [{ env: first }]) }));
    expect(scenario.edge.counts().calls).toBe(2);
  });
});

describe("issue 3, state that survives: a sealing key that is taken away", () => {
  it("SALLY_STORE_SEALED: the edge says so and does not start: its UEs could not be called, its calls not be taken up", async () => {
    const { ue, path } = await calling();
    await expect(scenario.restart((config) => ({ ...config, store: { driver: "memory" } }))).rejects.toMatchObject({
      code: "SALLY_STORE_SEALED",
      message: expect.stringContaining("store.sealing names no key"),
    });
    await scenario.restart((config) => ({ ...config, ...sealedWith(first) }));
    expect(scenario.edge.counts().calls).toBe(2);
    await establishTerminating(scenario, ue, path);
  });
});
