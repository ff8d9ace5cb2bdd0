import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import {
  Secret,
  SallyportError,
  VirtualClock,
  defineErrors,
  memoryLog,
  redactKeys,
  seededRandom,
  systemRandom,
  token,
} from "../src/index.ts";
import { pooledRandom } from "../src/random.ts";

describe("Secret", () => {
  const octets = Buffer.from("0123456789abcdef0123456789abcdef", "hex");
  const shapes = ["hex", "base64", "base64url", "latin1"] as const;

  it("invariant 7: cannot be printed by toString, JSON, inspect, template or concatenation", () => {
    const secret = Secret.copyOf(octets);
    const printed = [
      String(secret),
      ["", secret].join(""),
      JSON.stringify({ secret }),
      inspect(secret, { depth: 9, showHidden: true }),
      inspect({ deep: [secret] }, { depth: 9, showHidden: true, getters: true }),
    ].join("\n");
    for (const shape of shapes) expect(printed).not.toContain(octets.toString(shape));
    expect(printed).toContain(secret.fingerprint);
    expect(secret.fingerprint).toMatch(/^[0-9a-f]{2}:[0-9a-f]{2}$/);
  });

  it("invariant 7: is zeroised on release and refuses further use", () => {
    const secret = Secret.copyOf(octets);
    const lent = secret.use((inside) => inside);
    expect(lent.equals(octets)).toBe(true);
    secret.release();
    expect(lent.every((octet) => octet === 0)).toBe(true);
    expect(() => secret.use((inside) => inside)).toThrow(/SALLY_SECRET_RELEASED/);
    expect(secret.equals(secret)).toBe(false);
  });

  it("takes the octets away from the caller", () => {
    const mine = Buffer.from(octets);
    const secret = Secret.take(mine);
    expect(mine.every((octet) => octet === 0)).toBe(true);
    expect(secret.equals(Secret.copyOf(octets))).toBe(true);
  });
});

describe("VirtualClock", () => {
  it("fires timers in order of time, then of setting, nested ones included", () => {
    const clock = new VirtualClock(1000);
    const fired: string[] = [];
    clock.after(20, () => fired.push("b"));
    clock.after(10, () => {
      fired.push("a");
      clock.after(10, () => fired.push("c"));
    });
    const cancelled = clock.after(5, () => fired.push("never"));
    cancelled.cancel();
    clock.advance(20);
    expect(fired).toEqual(["a", "b", "c"]);
    expect(clock.now()).toBe(1020);
    expect(clock.waiting).toBe(0);
  });
});

describe("errors", () => {
  const error = defineErrors({ SALLY_TEST_SHUT: { summary: "The door is shut.", action: "Knock.", sipStatus: 503 } });

  it("say what, where and what to do, and keep the cause", () => {
    const cause = new Error("hinge");
    const shut = error("SALLY_TEST_SHUT", "Since noon.", { where: "gate.yaml:3:1", cause });
    expect(shut).toBeInstanceOf(SallyportError);
    expect(shut.message).toBe("gate.yaml:3:1: The door is shut. Since noon. Knock. (SALLY_TEST_SHUT)");
    expect(shut.cause).toBe(cause);
    expect(shut.sipStatus).toBe(503);
  });
});

describe("redactKeys", () => {
  it("removes inline keys, key-mgmt data and k= lines, and nothing else", () => {
    const text =
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\na=key-mgmt:mikey AQAFgM0X\r\nk=clear:hello\r\na=sendrecv\r\n";
    expect(redactKeys(text)).toBe(
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<redacted>|2^20|1:4\r\na=key-mgmt:mikey <redacted>\r\nk=clear:<redacted>\r\na=sendrecv\r\n",
    );
  });
});

describe("random and log", () => {
  it("a seeded generator repeats and makes tokens of any length", () => {
    expect(seededRandom(7).bytes(50)).toEqual(seededRandom(7).bytes(50));
    expect(token(seededRandom(7), 9)).toMatch(/^[0-9a-f]{9}$/);
  });

  it("the memory log keeps bound fields", () => {
    const { log, records } = memoryLog();
    log.child({ element: "edge" }).info("up", { port: 1 });
    expect(records).toEqual([{ level: "info", event: "up", fields: { element: "edge", port: 1 } }]);
  });
});

describe("the pool of random octets", () => {
  it("hands every octet out once, as a copy, and keeps none that it handed out", () => {
    let next = 0;
    const pool = Buffer.alloc(64);
    const random = pooledRandom((whole) => {
      for (let at = 0; at < whole.length; at += 1) whole[at] = next = (next % 251) + 1;
    }, pool);
    const seen: number[] = [];
    for (const length of [1, 16, 30, 16, 30, 7]) {
      const piece = random.bytes(length);
      expect(piece.length).toBe(length);
      expect(piece.buffer).not.toBe(pool.buffer);
      seen.push(...piece);
      for (const octet of piece) expect(pool.includes(octet), `octet ${octet} is still in the pool`).toBe(false);
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(random.bytes(1000).length).toBe(1000);
  });

  it("gives different octets each time", () => {
    const pieces = Array.from({ length: 2000 }, () => systemRandom.bytes(16).toString("hex"));
    expect(new Set(pieces).size).toBe(2000);
  });
});
