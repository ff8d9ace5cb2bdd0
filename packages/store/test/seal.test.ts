import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inspect } from "node:util";
import { Secret, seededRandom, systemRandom } from "@sallyport/kit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryStore, readSealingKey, sealer } from "../src/index.ts";
import { storePath } from "./paths.ts";

const keyOf = (seed: string): Secret => Secret.take(seededRandom(seed).bytes(32));
const secretOf = (octets: Uint8Array): Secret => Secret.copyOf(octets);
const octetsOf = (secret: Secret): Buffer => secret.use((octets) => Buffer.from(octets));
const refusal = (code: string) => expect.objectContaining({ name: "SallyportError", code });

describe("sealer", () => {
  it("opens what it sealed, also after a restart, through a store", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), fc.string(), fc.string(), async (plain, bucket, key) => {
        const store = memoryStore();
        const one = sealer({ key: keyOf("k"), random: systemRandom });
        await store.put("b", "k", { key: one.seal(bucket, key, secretOf(plain)) });
        one.close();
        const two = sealer({ key: keyOf("k"), random: systemRandom });
        const kept = (await store.get("b", "k")) as { readonly key: string };
        expect(octetsOf(two.open(bucket, key, kept.key)).equals(Buffer.from(plain))).toBe(true);
        expect(two.isOutdated(kept.key)).toBe(false);
        two.close();
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  it("SP 800-38D 8.2.2: seals the same secret differently each time, under a salt of its own", () => {
    const random = seededRandom("n");
    const one = sealer({ key: keyOf("k"), random });
    const two = sealer({ key: keyOf("k"), random });
    const plain = secretOf(Buffer.alloc(30, 7));
    const texts = Array.from({ length: 500 }, () => [one.seal("b", "k", plain), two.seal("b", "k", plain)]).flat();
    const nonces = texts.map((text) =>
      Buffer.from(text.split(".")[2] ?? "", "base64url")
        .toString("hex")
        .slice(0, 56),
    );
    expect(new Set(nonces.map((nonce) => nonce.slice(32))).size).toBe(1000);
    expect(new Set(nonces.map((nonce) => nonce.slice(0, 32))).size).toBe(2);
    expect(octetsOf(one.open("b", "k", texts[1] ?? "")).equals(Buffer.alloc(30, 7))).toBe(true);
    for (const text of texts) expect(text).not.toContain(Buffer.alloc(30, 7).toString("base64url"));
  });

  it("opens nowhere else: the place is bound, and bucket and key do not run together", () => {
    const seal = sealer({ key: keyOf("k"), random: seededRandom("s") });
    const sealed = seal.seal("calls", "a/b", secretOf(Buffer.from("secret")));
    for (const [bucket, key] of [
      ["calls", "a"],
      ["call", "sa/b"],
      ["calls/a", "b"],
      ["a/b", "calls"],
      ["calls", "a/b "],
    ]) {
      expect(() => seal.open(bucket ?? "", key ?? "", sealed)).toThrow(refusal("SALLY_STORE_SEALED"));
    }
  });

  it("refuses every text that is not exactly what was sealed", () => {
    const seal = sealer({ key: keyOf("k"), random: seededRandom("s") });
    const sealed = seal.seal("b", "k", secretOf(Buffer.from("a media key and its salt, 30 o")));
    const bits = Buffer.from(sealed.split(".")[2] ?? "", "base64url");
    for (let bit = 0; bit < bits.length * 8; bit += 1) {
      const changed = Buffer.from(bits);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const text = `s1.${seal.keyId}.${changed.toString("base64url")}`;
      expect(() => seal.open("b", "k", text)).toThrow(refusal("SALLY_STORE_SEALED"));
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(() => seal.open("b", "k", sealed.slice(0, length))).toThrow(refusal("SALLY_STORE_SEALED"));
    }
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `s1.${seal.keyId}.${text}`),
        ),
        (text) => {
          expect(() => seal.open("b", "k", text)).toThrow(refusal("SALLY_STORE_SEALED"));
        },
      ),
      { seed: 2, numRuns: 200 },
    );
  });

  it("rotates: previous keys open and are outdated, unknown ones are named by their id only", () => {
    const random = seededRandom("s");
    const old = sealer({ key: keyOf("old"), random });
    const sealed = old.seal("b", "k", secretOf(Buffer.from("plain")));
    const now = sealer({ key: keyOf("new"), previous: [keyOf("older"), keyOf("old"), keyOf("new")], random });
    expect(now.keyId).not.toBe(old.keyId);
    expect(octetsOf(now.open("b", "k", sealed)).toString()).toBe("plain");
    expect(now.isOutdated(sealed)).toBe(true);
    const anew = now.seal("b", "k", secretOf(Buffer.from("plain")));
    expect(now.isOutdated(anew)).toBe(false);
    expect(() => old.open("b", "k", anew)).toThrow(`key ${now.keyId}`);
    // The other key under our id is told by the tag.
    expect(() => old.open("b", "k", anew.replace(now.keyId, old.keyId))).toThrow(refusal("SALLY_STORE_SEALED"));
  });

  it("invariant 7: no key and no plain text in what it throws or prints; nothing works after close", () => {
    const key = keyOf("k");
    const shown = [key, Secret.copyOf(Buffer.from("plain text that is secret"))].map((secret) =>
      secret.use((octets) => [octets.toString("hex"), octets.toString("base64"), octets.toString("latin1")]),
    );
    const seal = sealer({ key, random: seededRandom("s") });
    const plain = secretOf(Buffer.from("plain text that is secret"));
    const sealed = seal.seal("b", "k", plain);
    const said = [sealed, inspect(seal, { depth: 9, showHidden: true }), JSON.stringify(seal)];
    for (const attempt of [
      () => seal.open("x", "k", sealed),
      () => seal.seal("b", "k", secretOf(Buffer.alloc(4097))),
    ]) {
      try {
        attempt();
      } catch (error) {
        said.push(inspect(error, { depth: 9 }));
      }
    }
    expect(said.length).toBe(5);
    for (const text of shown.flat()) for (const each of said) expect(each).not.toContain(text);
    // The caller's key is its own: released, the sealer still works; closed, it does not.
    key.release();
    expect(octetsOf(seal.open("b", "k", sealed)).toString()).toBe("plain text that is secret");
    seal.close();
    seal.close();
    expect(() => seal.seal("b", "k", plain)).toThrow(refusal("SALLY_STORE_CLOSED"));
    expect(() => seal.open("b", "k", sealed)).toThrow(refusal("SALLY_STORE_CLOSED"));
  });

  it("refuses keys of other lengths, and secrets above 4096 octets", () => {
    for (const length of [0, 16, 31, 33, 64]) {
      const key = Secret.take(seededRandom("k").bytes(length));
      expect(() => sealer({ key, random: systemRandom })).toThrow(refusal("SALLY_STORE_SEALING_KEY"));
      expect(() => sealer({ key: keyOf("k"), previous: [key], random: systemRandom })).toThrow(`${length} octets`);
    }
    const seal = sealer({ key: keyOf("k"), random: systemRandom });
    const large = secretOf(Buffer.alloc(4096, 1));
    expect(seal.open("b", "k", seal.seal("b", "k", large)).equals(large)).toBe(true);
    expect(() => seal.seal("b", "k", secretOf(Buffer.alloc(4097)))).toThrow(refusal("SALLY_STORE_VALUE"));
  });
});

describe("readSealingKey", () => {
  const octets = seededRandom("sealing key").bytes(32);
  const texts = [
    octets.toString("hex"),
    octets.toString("hex").toUpperCase(),
    octets.toString("base64"),
    octets.toString("base64url"),
    octets.toString("base64").replace("=", ""),
  ];
  const fileOf = (content: string | Uint8Array, mode = 0o600): string => {
    const file = join(dirname(storePath()), "key");
    writeFileSync(file, content);
    chmodSync(file, mode);
    return file;
  };
  const same = (secret: Secret): boolean => octetsOf(secret).equals(octets);

  it("reads 32 octets raw, as base64 or as hex, from a file and from the environment", () => {
    expect(same(readSealingKey({ file: fileOf(octets) }))).toBe(true);
    expect(same(readSealingKey({ file: fileOf(octets, 0o400) }))).toBe(true);
    for (const text of texts) {
      expect(same(readSealingKey({ file: fileOf(text) }))).toBe(true);
      expect(same(readSealingKey({ file: fileOf(`${text}\n`) }))).toBe(true);
      expect(same(readSealingKey({ env: "KEY", environment: { KEY: text } }))).toBe(true);
      expect(same(readSealingKey({ env: "KEY", environment: { KEY: ` ${text}\n` } }))).toBe(true);
    }
  });

  it("refuses a file that others may use, whatever they may do with it", () => {
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666]) {
      const file = fileOf(octets, mode);
      expect(() => readSealingKey({ file })).toThrow(mode.toString(8).padStart(4, "0"));
    }
    // A link has no rights of its own: those of the file count.
    const link = `${fileOf(octets, 0o644)}.link`;
    symlinkSync(link.replace(".link", ""), link);
    expect(() => readSealingKey({ file: link })).toThrow(refusal("SALLY_STORE_SEALING_KEY"));
  });

  it("says what is missing or wrong, and never what was read", () => {
    const environment = {
      EMPTY: "",
      SHORT: texts[0]?.slice(1),
      LONG: `${texts[0]}0`,
      WORD: "correct horse battery staple",
    };
    const missing = join(dirname(storePath()), "none");
    const directory = join(dirname(storePath()), "directory");
    mkdirSync(directory);
    const cases: (readonly [Parameters<typeof readSealingKey>[0], string])[] = [
      [{}, "file or an environment variable"],
      [{ file: missing, env: "KEY" }, "not both"],
      [{ file: missing }, "ENOENT"],
      [{ file: directory }, "not a file"],
      [{ env: "KEY", environment }, "not set"],
      [{ env: "EMPTY", environment }, "not set"],
      [{ env: "SHORT", environment }, "not 32 octets"],
      [{ env: "LONG", environment }, "not 32 octets"],
      [{ env: "WORD", environment }, "not 32 octets"],
      [{ file: fileOf(octets.subarray(1)) }, "not 32 octets"],
      [{ file: fileOf(Buffer.concat([octets, octets])) }, "not 32 octets"],
      [{ file: fileOf("") }, "not 32 octets"],
      [{ file: fileOf(Buffer.alloc(32)) }, "the same"],
      // The last character of base64 has two bits to spare: one writing of a key only.
      [{ env: "KEY", environment: { KEY: `${"A".repeat(42)}B=` } }, "not 32 octets"],
    ];
    for (const [source, words] of cases) {
      expect(() => readSealingKey(source)).toThrow(refusal("SALLY_STORE_SEALING_KEY"));
      expect(() => readSealingKey(source)).toThrow(words);
      try {
        readSealingKey(source);
      } catch (error) {
        const said = inspect(error, { depth: 9 });
        for (const text of ["horse", ...texts.map((text) => text.slice(1, 20))]) expect(said).not.toContain(text);
      }
    }
  });
});
