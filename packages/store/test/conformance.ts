// What every driver of the StateStore port must do. Each driver's test runs it against itself.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StateStore, StateValue } from "../src/index.ts";

export const storeConformance = (name: string, open: () => Promise<StateStore>): void => {
  describe(`StateStore conformance: ${name}`, () => {
    it("gives back an equal value that shares nothing with what was put", async () => {
      const store = await open();
      const value = { aor: "sip:alice@home.example", routes: ["a", "b"], expires: 12, gone: null };
      await store.put("bindings", "k", value);
      value.routes.push("c");
      const got = await store.get("bindings", "k");
      expect(got).toEqual({ aor: "sip:alice@home.example", routes: ["a", "b"], expires: 12, gone: null });
      expect(await store.get("other", "k")).toBeUndefined();
      await store.close();
    });

    it("says whether a deletion found something, and is quiet about the second", async () => {
      const store = await open();
      await store.put("b", "k", 1);
      expect(await store.delete("b", "k")).toBe(true);
      expect(await store.delete("b", "k")).toBe(false);
      expect(await store.list("b")).toEqual([]);
      await store.close();
    });

    it("lists a bucket in key order, page by page, without the neighbours", async () => {
      const store = await open();
      for (const key of ["c", "a", "d", "b"]) await store.put("b", key, key);
      await store.put("b2", "aa", 1);
      expect((await store.list("b", { limit: 3 })).map((entry) => entry.key)).toEqual(["a", "b", "c"]);
      expect(await store.list("b", { after: "c" })).toEqual([{ key: "d", value: "d" }]);
      await store.close();
    });

    it("applies a batch as a whole or not at all", async () => {
      const store = await open();
      await store.put("b", "k", 1);
      const bad = { kind: "put", bucket: "b", key: "x", value: (() => 1) as unknown as StateValue } as const;
      await expect(store.batch([{ kind: "delete", bucket: "b", key: "k" }, bad])).rejects.toMatchObject({
        code: "SALLY_STORE_VALUE",
      });
      expect(await store.get("b", "k")).toBe(1);
      await store.batch([
        { kind: "delete", bucket: "b", key: "k" },
        { kind: "put", bucket: "b", key: "l", value: 2 },
        { kind: "put", bucket: "c", key: "m", value: 3 },
      ]);
      expect([await store.get("b", "k"), await store.get("b", "l"), await store.get("c", "m")]).toEqual([
        undefined,
        2,
        3,
      ]);
      await store.close();
    });

    it("refuses what JSON would change on the way", async () => {
      const store = await open();
      const cyclic: Record<string, unknown> = {};
      cyclic["self"] = cyclic;
      for (const value of [Number.NaN, undefined, 1n, new Date(0), { x: undefined }, new Map(), cyclic]) {
        await expect(store.put("b", "k", value as unknown as StateValue)).rejects.toMatchObject({
          code: "SALLY_STORE_VALUE",
        });
      }
      expect(await store.get("b", "k")).toBeUndefined();
      await store.close();
    });

    it("rejects every call after close", async () => {
      const store = await open();
      await store.close();
      for (const call of [store.get("b", "k"), store.put("b", "k", 1), store.list("b"), store.batch([])]) {
        await expect(call).rejects.toMatchObject({ code: "SALLY_STORE_CLOSED" });
      }
      await expect(store.delete("b", "k")).rejects.toMatchObject({ code: "SALLY_STORE_CLOSED" });
    });

    it("behaves like a map under any sequence of changes", async () => {
      const change = fc.record({
        put: fc.boolean(),
        bucket: fc.constantFrom("a", "b"),
        key: fc.constantFrom("x", "y", "__proto__", ""),
        value: fc.jsonValue(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(change, { maxLength: 20 }), async (changes) => {
          const store = await open();
          const model = new Map<string, string>();
          for (const { put, bucket, key, value } of changes) {
            if (put) await store.put(bucket, key, value as StateValue);
            else await store.delete(bucket, key);
            if (put) model.set(`${bucket}/${key}`, JSON.stringify(value));
            else model.delete(`${bucket}/${key}`);
          }
          for (const bucket of ["a", "b"]) {
            const kept = (await store.list(bucket)).map(({ key, value }) => [
              `${bucket}/${key}`,
              JSON.stringify(value),
            ]);
            expect(new Map(kept as [string, string][])).toEqual(
              new Map([...model].filter(([place]) => place.startsWith(`${bucket}/`))),
            );
          }
          await store.close();
        }),
        { seed: 3, numRuns: 100 },
      );
    });
  });
};
