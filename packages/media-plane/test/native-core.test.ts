// The unit tests of the native core, as built and under the address, undefined behaviour and thread sanitizers, and the published
// vectors through its transforms. Skipped by name where nothing can be compiled.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { build, missing, run } from "./native/toolchain.ts";

const note = missing === undefined ? "" : ` (${missing})`;
const buildMs = 600_000;

describe.each(["release", "sanitize"] as const)(`native core, %s${note}`, (variant) => {
  it.skipIf(missing !== undefined)(
    "unit tests: every case passes",
    () => {
      const lines = run(build("unit", variant), undefined, true).toString().trimEnd().split("\n");
      expect(lines.filter((line) => !line.startsWith("ok "))).toEqual([]);
      expect(lines.length).toBeGreaterThan(20);
    },
    buildMs,
  );

  it.skipIf(missing !== undefined)(
    "corpora: what the fuzzers found goes through every target",
    () => {
      const corpus = fileURLToPath(new URL("../native/test/corpus", import.meta.url));
      for (const target of ["classify", "srtp", "srtcp", "control", "record"]) {
        const inputs = readdirSync(`${corpus}/${target}`).map((name) => readFileSync(`${corpus}/${target}/${name}`));
        expect(inputs.length, target).toBeGreaterThan(3);
        const framed = inputs.flatMap((input) => {
          const length = Buffer.alloc(4);
          length.writeUInt32BE(input.length);
          return [length, input];
        });
        expect(run(build(`replay_${target}`, variant), Buffer.concat(framed)).toString()).toBe(`${inputs.length}\n`);
      }
    },
    buildMs,
  );
});

describe(`native core, thread sanitizer${note}`, () => {
  it.skipIf(missing !== undefined)(
    "changes prepared on one thread and applied on another while packets flow",
    () => {
      expect(run(build("threads", "thread")).toString()).toBe("ok threads\n");
    },
    buildMs,
  );
});

interface Transform {
  readonly suite: string;
  readonly kind: "rtp" | "rtcp";
  readonly key: string;
  readonly authentication: string;
  readonly salt: string;
  readonly mki: string;
  /** ROC, or E bit and SRTCP index. */
  readonly number: number;
  readonly plain: string;
  readonly sealed: string;
}

describe(`native core: published vectors${note}`, () => {
  let program = "";
  beforeAll(() => {
    if (missing === undefined) program = build("vectors");
  }, buildMs);

  const ask = (lines: readonly string[]): readonly string[] =>
    run(program, Buffer.from(`${lines.join("\n")}\n`))
      .toString()
      .trimEnd()
      .split("\n");

  const derive = (suite: string, master: string): Record<"srtp" | "srtcp", readonly string[]> => {
    const [srtp = "", srtcp = ""] = ask([0, 1].map((protocol) => `derive ${suite} ${master} ${protocol}`));
    return { srtp: srtp.split(" "), srtcp: srtcp.split(" ") };
  };

  const line = (what: string, vector: Transform, number: number, packet: string): string =>
    [what, vector.suite, vector.key, vector.authentication, vector.salt, vector.mki, number, packet]
      .map((field) => (field === "" ? "-" : field))
      .join(" ");

  /** Seals, opens, and does not open under another ROC or index. */
  const expectBothWays = (vector: Transform): void => {
    const { kind, number, plain, sealed } = vector;
    const answers = ask([
      line(`seal-${kind}`, vector, number, plain),
      line(`open-${kind}`, vector, number, sealed),
      line(`open-${kind}`, vector, number + 1, kind === "rtp" ? sealed : `${sealed.slice(0, -2)}00`),
    ]);
    expect(answers).toEqual([sealed, plain, "no"]);
  };

  const local = (name: string): never =>
    JSON.parse(readFileSync(new URL(`../../srtp/test/vectors/${name}.json`, import.meta.url), "utf8")) as never;
  const flag = 0x8000_0000;

  interface Derivation {
    readonly section: string;
    readonly suite: string;
    readonly masterKey: string;
    readonly masterSalt: string;
    readonly cipherKey: string;
    readonly cipherSalt: string;
    readonly authenticationKey: string;
  }
  interface KeyStream {
    readonly section: string;
    readonly sessionKey: string;
    readonly sessionSalt: string;
    readonly blocks: readonly { readonly counter: string; readonly keystream: string }[];
  }
  const streams = (["rfc3711", "rfc6188"] as const).map(
    (name) => local(name) as { readonly keyStream: readonly KeyStream[]; readonly derivation: readonly Derivation[] },
  );

  it.skipIf(missing !== undefined).each(streams.flatMap(({ derivation }) => derivation))(
    "RFC 3711 B.3, RFC 6188 7.2, 7.4 ($section): session keys of $suite",
    (vector) => {
      expect(derive(vector.suite, vector.masterKey + vector.masterSalt).srtp).toEqual([
        vector.cipherKey,
        vector.authenticationKey,
        vector.cipherSalt,
      ]);
    },
  );

  it.skipIf(missing !== undefined).each(streams.flatMap(({ keyStream }) => keyStream))(
    "RFC 3711 B.2, RFC 6188 7.1, 7.3 ($section): key stream",
    ({ sessionKey, sessionSalt, blocks }) => {
      const suite = { 32: "AES_CM_128_HMAC_SHA1_80", 48: "AES_192_CM_HMAC_SHA1_80", 64: "AES_256_CM_HMAC_SHA1_80" }[
        sessionKey.length
      ];
      const plain = `80${"00".repeat(11 + 16 * 0xff02)}`;
      const authentication = "00".repeat(20);
      const [sealed = ""] = ask([`seal-rtp ${suite} ${sessionKey} ${authentication} ${sessionSalt} - 0 ${plain}`]);
      for (const { counter, keystream } of blocks) {
        const at = 24 + 32 * Number.parseInt(counter, 16);
        expect(sealed.slice(at, at + 32)).toBe(keystream);
      }
    },
  );

  interface Galois {
    readonly section: string;
    readonly sessionKey: string;
    readonly sessionSalt: string;
    readonly rollover?: number;
    readonly index?: number;
    readonly encrypted?: boolean;
    readonly plain: string;
    readonly protected: string;
  }
  const galois = local("rfc7714") as { readonly rtp: readonly Galois[]; readonly rtcp: readonly Galois[] };
  const galoisOf = (vector: Galois, kind: "rtp" | "rtcp"): Transform => ({
    suite: vector.sessionKey.length === 32 ? "AEAD_AES_128_GCM" : "AEAD_AES_256_GCM",
    kind,
    key: vector.sessionKey,
    authentication: "",
    salt: vector.sessionSalt,
    mki: "",
    number: kind === "rtp" ? (vector.rollover ?? 0) : (vector.encrypted === true ? flag : 0) + (vector.index ?? 0),
    plain: vector.plain,
    sealed: vector.protected,
  });

  it
    .skipIf(missing !== undefined)
    .each([
      ...galois.rtp.map((vector) => galoisOf(vector, "rtp")),
      ...galois.rtcp.map((vector) => galoisOf(vector, "rtcp")),
    ])("RFC 7714 16, 17: $suite, $kind, both ways", expectBothWays);

  interface Whole {
    readonly name: string;
    readonly suite: string;
    readonly masterKey: string;
    readonly masterSalt: string;
    readonly mki?: string;
    readonly index?: number;
    readonly plain: string;
    readonly protected: string;
  }
  const packets = local("packets") as { readonly rtp: readonly Whole[]; readonly rtcp: readonly Whole[] };
  const expectWhole = (vector: Whole, kind: "rtp" | "rtcp"): void => {
    const keys = derive(vector.suite, vector.masterKey + vector.masterSalt)[kind === "rtp" ? "srtp" : "srtcp"];
    const [key = "", authentication = "", salt = ""] = keys;
    const number = kind === "rtp" ? 0 : flag + (vector.index ?? 0);
    const { suite, mki = "", plain, protected: sealed } = vector;
    expectBothWays({ suite, kind, key, authentication, salt, mki, number, plain, sealed });
  };

  it.skipIf(missing !== undefined).each(packets.rtp)("RFC 3711 3.3: SRTP $name both ways", (vector) =>
    expectWhole(vector, "rtp"),
  );
  it.skipIf(missing !== undefined).each(packets.rtcp)("RFC 3711 3.4: SRTCP $name both ways", (vector) =>
    expectWhole(vector, "rtcp"),
  );

  const shared = fileURLToPath(new URL("../../../../shared/vectors/srtp-vectors.json", import.meta.url));
  const present = existsSync(shared);
  it.skipIf(missing !== undefined || !present)(
    "published vectors beside the repository: keys and whole packets",
    () => {
      type Vector = Readonly<Record<string, string>>;
      const all = JSON.parse(readFileSync(shared, "utf8")) as Readonly<
        Record<"key_derivation" | "srtp" | "srtcp", readonly Vector[]>
      >;
      for (const vector of all.key_derivation) {
        const master = `${vector["master_key"]}${vector["master_salt"]}`;
        const suite = master.length === 60 ? "AES_CM_128_HMAC_SHA1_80" : "AES_256_CM_HMAC_SHA1_80";
        const expected = [vector["srtp_cipher_key"], vector["srtp_auth_key"], vector["srtp_salt"]];
        expect(derive(suite, master).srtp).toEqual(expected);
      }
      for (const kind of ["srtp", "srtcp"] as const) {
        expect(all[kind].length).toBeGreaterThan(0);
        for (const vector of all[kind]) {
          const field = (name: string): string => vector[name] ?? "";
          const whole = {
            name: field("name"),
            suite: field("suite"),
            masterKey: field("master_key"),
            masterSalt: field("master_salt"),
            mki: field("mki"),
            index: 1,
            plain: field(kind === "srtp" ? "rtp" : "rtcp"),
            protected: field(kind),
          };
          expectWhole(whole, kind === "srtp" ? "rtp" : "rtcp");
        }
      }
    },
  );
});
