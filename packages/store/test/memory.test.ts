import { describe, expect, it } from "vitest";
import { memoryStore } from "../src/index.ts";
import { stateStoreContract } from "./contract.ts";

stateStoreContract("memory", async () => memoryStore());

describe("memoryStore bounds", () => {
  it("refuses one entry too many, and takes it once there is room", async () => {
    const store = memoryStore({ maxEntries: 2 });
    await store.put("b", "1", 1);
    await store.put("c", "2", 2);
    await expect(store.put("b", "3", 3)).rejects.toMatchObject({ code: "SALLY_STORE_FULL", sipStatus: 503 });
    await store.put("b", "1", "replaced");
    await store.batch([
      { kind: "delete", bucket: "c", key: "2" },
      { kind: "put", bucket: "b", key: "3", value: 3 },
    ]);
    expect((await store.list("b")).map((entry) => entry.key)).toEqual(["1", "3"]);
  });

  it("refuses a value above its size, counted in octets of JSON", async () => {
    const store = memoryStore({ maxValue: 6 });
    await store.put("b", "k", "1234");
    await expect(store.put("b", "k", "12345")).rejects.toMatchObject({ code: "SALLY_STORE_VALUE" });
    await expect(store.put("b", "k", "äöü")).rejects.toMatchObject({ code: "SALLY_STORE_VALUE" });
    expect(await store.get("b", "k")).toBe("1234");
  });
});
