// What every driver of the StateStore port must do. Each driver's test runs it against itself, with empty stores.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StateChange, StateStore, StateValue } from "../src/index.ts";

type Step =
  | { readonly kind: "put"; readonly bucket: string; readonly key: string; readonly value: StateValue }
  | { readonly kind: "delete"; readonly bucket: string; readonly key: string }
  | { readonly kind: "get"; readonly bucket: string; readonly key: string }
  | { readonly kind: "list"; readonly bucket: string; readonly after: string | undefined; readonly limit: number }
  | { readonly kind: "batch"; readonly changes: readonly StateChange[] };

const bucket = fc.constantFrom("a", "aa", "", "\u00fc\uffff");
// Next to plain names: an empty one, one that is a prefix of another, both sides of the surrogates, a lone surrogate.
const key = fc.oneof(
  fc.constantFrom("x", "xx", "y", "__proto__", "", "\u0000", "\u00e4", "\ufffd", "\u{1f600}", "\ud800", "\ue000"),
  fc.string({ unit: "binary", maxLength: 3 }),
);
const value = fc.oneof(
  fc.jsonValue() as fc.Arbitrary<StateValue>,
  // Around the size at which a driver may keep a value somewhere else.
  fc.integer({ min: 1900, max: 9000 }).map((length) => "v".repeat(length)),
);
const put = fc.record({ kind: fc.constant("put" as const), bucket, key, value });
const remove = fc.record({ kind: fc.constant("delete" as const), bucket, key });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: put },
  { weight: 2, arbitrary: remove },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("get" as const), bucket, key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      bucket,
      after: fc.option(key, { nil: undefined }),
      limit: fc.integer({ min: 0, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("batch" as const),
      changes: fc.array(fc.oneof(put, remove), { maxLength: 6 }),
    }),
  },
);

// The port in a few lines over maps of JSON text: what any driver is held against.
const createModel = () => {
  const buckets = new Map<string, Map<string, string>>();
  const of = (name: string): Map<string, string> => {
    const found = buckets.get(name) ?? new Map<string, string>();
    buckets.set(name, found);
    return found;
  };
  const change = (one: StateChange): boolean => {
    const had = of(one.bucket).has(one.key);
    if (one.kind === "put") of(one.bucket).set(one.key, JSON.stringify(one.value));
    else of(one.bucket).delete(one.key);
    return had;
  };
  return (one: Step): unknown => {
    switch (one.kind) {
      case "put":
        change(one);
        return undefined;
      case "delete":
        return change(one);
      case "get": {
        const text = of(one.bucket).get(one.key);
        return text === undefined ? undefined : JSON.parse(text);
      }
      case "list":
        return [...of(one.bucket)]
          .filter(([name]) => one.after === undefined || name > one.after)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .slice(0, one.limit)
          .map(([name, text]) => ({ key: name, value: JSON.parse(text) as StateValue }));
      default:
        one.changes.forEach(change);
        return undefined;
    }
  };
};

const perform = (store: StateStore, one: Step): Promise<unknown> => {
  switch (one.kind) {
    case "put":
      return store.put(one.bucket, one.key, one.value);
    case "delete":
      return store.delete(one.bucket, one.key);
    case "get":
      return store.get(one.bucket, one.key);
    case "list":
      return store.list(one.bucket, { limit: one.limit, ...(one.after === undefined ? {} : { after: one.after }) });
    default:
      return store.batch(one.changes);
  }
};

export const stateStoreContract = (name: string, open: () => Promise<StateStore>): void => {
  describe(`StateStore contract: ${name}`, () => {
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

    it("takes the value as it was when the call was made", async () => {
      const store = await open();
      const value = { routes: ["a"] };
      const done = store.put("b", "k", value);
      value.routes.push("b");
      await done;
      expect(await store.get("b", "k")).toEqual({ routes: ["a"] });
      await store.close();
    });

    it("says whether a deletion found something, and is quiet about the second", async () => {
      const store = await open();
      await store.put("b", "k", 1);
      expect(await store.delete("b", "k")).toBe(true);
      expect(await store.delete("b", "k")).toBe(false);
      expect(await store.list("b")).toEqual([]);
      await store.put("b", "k", 2);
      expect(await Promise.all([store.delete("b", "k"), store.delete("b", "k")])).toEqual([true, false]);
      await store.close();
    });

    it("lets calls take effect in the order in which they were made, awaited or not", async () => {
      const store = await open();
      const puts = [store.put("b", "k", 1), store.put("b", "k", 2)];
      const first = store.get("b", "k");
      const rest = [store.delete("b", "k"), store.put("b", "l", 3)];
      const listed = store.list("b");
      expect(await first).toBe(2);
      expect(await listed).toEqual([{ key: "l", value: 3 }]);
      await Promise.all([...puts, ...rest]);
      await store.close();
    });

    it("lets a list see what was asked for before it and nothing that was asked for after it", async () => {
      const store = await open();
      await store.put("b", "old", 1);
      const calls: Promise<unknown>[] = [store.put("b", "a", 1), store.delete("b", "old")];
      const first = store.list("b");
      calls.push(store.put("b", "b", 2), store.delete("b", "a"));
      const second = store.list("b");
      calls.push(store.put("b", "c", 3));
      expect(await first).toEqual([{ key: "a", value: 1 }]);
      expect(await second).toEqual([{ key: "b", value: 2 }]);
      await Promise.all(calls);
      await store.close();
    });

    it("does not let a read wait for ever under a load of changes", async () => {
      const store = await open();
      const load = { on: true, count: 0 };
      const pairs = (async () => {
        while (load.on) await Promise.all([store.put("b", "x", load.count++), store.put("b", "y", load.count++)]);
      })();
      const singles = (async () => {
        while (load.on) await store.put("c", "x", load.count++);
      })();
      for (let round = 0; round < 20; round += 1) await Promise.all([store.get("b", "x"), store.list("b")]);
      load.on = false;
      await Promise.all([pairs, singles]);
      expect(load.count).toBeGreaterThan(0);
      await store.close();
    });

    it("lists a bucket in key order, page by page, without the neighbours", async () => {
      const store = await open();
      for (const key of ["c", "a", "d", "b"]) await store.put("b", key, key);
      await store.put("b2", "aa", 1);
      await store.put("a", "zz", 1);
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

    it("refuses what JSON would change on the way, and values that are too long", async () => {
      const store = await open();
      const cyclic: Record<string, unknown> = {};
      cyclic["self"] = cyclic;
      const long = "x".repeat(70_000);
      for (const value of [Number.NaN, undefined, 1n, new Date(0), { x: undefined }, new Map(), cyclic, long]) {
        await expect(store.put("b", "k", value as unknown as StateValue)).rejects.toMatchObject({
          code: "SALLY_STORE_VALUE",
        });
      }
      expect(await store.get("b", "k")).toBeUndefined();
      await store.close();
    });

    it("bounds names: 250 octets for a bucket, 1500 with the key", async () => {
      const store = await open();
      await store.put("b".repeat(250), "k".repeat(1250), 1);
      await store.put("\uffff".repeat(83), "\u0800".repeat(417), 2);
      expect(await store.get("b".repeat(250), "k".repeat(1250))).toBe(1);
      expect(await store.list("\uffff".repeat(83))).toEqual([{ key: "\u0800".repeat(417), value: 2 }]);
      for (const [bucket, key] of [
        ["b".repeat(251), "k"],
        ["b".repeat(250), "k".repeat(1251)],
        ["b", "\u0800".repeat(500)],
      ] as const) {
        const calls: Promise<unknown>[] = [store.put(bucket, key, 1), store.get(bucket, key)];
        calls.push(
          store.delete(bucket, key),
          store.batch([{ kind: "delete", bucket, key }]),
          store.list(bucket, { after: key }),
        );
        for (const call of calls) await expect(call).rejects.toMatchObject({ code: "SALLY_STORE_VALUE" });
      }
      await store.close();
    });

    it("finishes on close what was asked for, and rejects every call after it", async () => {
      const store = await open();
      const last = [store.put("b", "k", 1), store.get("b", "k"), store.delete("b", "k")];
      const closing = store.close();
      for (const call of [store.get("b", "k"), store.put("b", "k", 1), store.list("b"), store.batch([])]) {
        await expect(call).rejects.toMatchObject({ code: "SALLY_STORE_CLOSED" });
      }
      await expect(store.delete("b", "k")).rejects.toMatchObject({ code: "SALLY_STORE_CLOSED" });
      expect(await Promise.all(last)).toEqual([undefined, 1, true]);
      await Promise.all([closing, store.close()]);
    });

    it("answers any sequence of calls as a model does, one after the other and all at once", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, atOnce) => {
          const store = await open();
          const model = createModel();
          const expected = steps.map(model);
          const answers: unknown[] = [];
          if (atOnce) {
            const calls = steps.map((one) => perform(store, one));
            answers.push(...(await Promise.all(calls)));
          } else for (const one of steps) answers.push(await perform(store, one));
          expect(answers).toEqual(expected);
          for (const name of ["a", "aa", "", "\u00fc\uffff"]) {
            const all = { kind: "list", bucket: name, after: undefined, limit: 1000 } as const;
            expect(await perform(store, all)).toEqual(model(all));
          }
          await store.close();
        }),
        { seed: 3, numRuns: 60 },
      );
    });
  });
};
