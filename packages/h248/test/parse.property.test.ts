import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseH248, writeH248 } from "../src/index.ts";
import { anyMessage } from "./arbitrary.ts";
import { mustParse, validNames, validOctets } from "./vectors.ts";

const seeds = validNames.flatMap((name) => [validOctets(name, "long"), validOctets(name, "short")]);

/** Parses; what parsed must be written back, in both styles, to what parses equal. */
const survives = (octets: Uint8Array): void => {
  const parsed = parseH248(octets);
  if (!parsed.ok) {
    expect(parsed.offset).toBeGreaterThanOrEqual(0);
    expect(parsed.offset).toBeLessThanOrEqual(octets.length);
    return;
  }
  for (const style of ["pretty", "compact"] as const) {
    const again = parseH248(writeH248(parsed.message, style), { maxMessage: 1 << 20 });
    expect(again).toEqual(parsed);
  }
};

/** A valid message with pieces cut out, doubled, moved and overwritten. */
const mutated = fc
  .tuple(
    fc.constantFrom(...seeds),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat({ max: 12 }),
        fc.oneof(
          fc.constantFrom(
            "{",
            "}",
            "=",
            ",",
            '"',
            ";",
            "[",
            "]",
            ":",
            "\\}",
            "O-",
            "W-",
            "\r\n",
            "ST=1",
            "L{v=0}",
            "ER=1{}",
          ),
          fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
          fc.constant(""),
        ),
      ),
      { minLength: 1, maxLength: 4 },
    ),
  )
  .map(([seed, edits]) => {
    let text = seed.toString("latin1");
    for (const [where, cut, put] of edits) {
      const at = where % (text.length + 1);
      text = text.slice(0, at) + put + text.slice(at + cut);
    }
    return Buffer.from(text, "latin1");
  });

const tokens = fc
  .array(
    fc.constantFrom(
      "!/2 [1.1.1.1] ",
      "T=1",
      "P=1",
      "C=1",
      "{",
      "}",
      "A=a",
      "AV=b",
      "M",
      "ST=1",
      "L{",
      "v=0\r\n",
      "}",
      ",",
      "=",
      "[",
      "]",
      '"',
      "E=1",
      "SG",
      "x/y",
      "EM",
      "AT",
      "SV",
      "MT=RS",
      "ER=400",
      "K",
      ";",
      "\n",
      "O",
      "MO=SR",
    ),
    { maxLength: 40 },
  )
  .map((list) => Buffer.from(`!/2 [1.1.1.1] T=1{C=1{${list.join("")}`));

describe("H.248 parser as an enemy sees it", () => {
  it("any octets: a result, never an exception", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), survives), { seed: 1, numRuns: 2000 });
  });

  it("mutated messages: refused, or written back to what reads equal in both styles", () => {
    fc.assert(fc.property(mutated, survives), { seed: 2, numRuns: 6000 });
  });

  it("token soup: refused, or written back to what reads equal in both styles", () => {
    fc.assert(fc.property(tokens, survives), { seed: 3, numRuns: 3000 });
  });

  it("random trees: read back equal from both styles", () => {
    fc.assert(
      fc.property(anyMessage, fc.constantFrom("pretty" as const, "compact" as const), (message, style) => {
        expect(mustParse(writeH248(message, style))).toEqual(message);
      }),
      { seed: 4, numRuns: 1500 },
    );
  });

  it("every prefix of every vector is refused or whole", () => {
    for (const seed of seeds) for (let end = 0; end < seed.length; end++) survives(seed.subarray(0, end));
  });
});

describe("H.248 parser: limits", () => {
  const head = "!/2 [1.1.1.1] ";
  const code = (text: string, limits = {}): unknown => {
    const parsed = parseH248(Buffer.from(text), limits);
    return parsed.ok ? "ok" : parsed.code;
  };

  it("refuses a message longer than the limit without reading it", () => {
    expect(code(head.padEnd(65_532, " "))).toBe("too-long");
  });

  it("refuses more transactions, list elements, name and value characters than the limits", () => {
    expect(code(head + "PN=1{}".repeat(64))).toBe("ok");
    expect(code(head + "PN=1{}".repeat(65))).toBe("too-many");
    expect(code(`${head}K{${"1,".repeat(5000)}1}`, { maxItems: 4096 })).toBe("too-many");
    expect(code(`${head}T=1{C=1{A=a{M{O{a/b=[${"1,".repeat(5000)}1]}}}}}`, { maxItems: 4096 })).toBe("too-many");
    expect(code(`${head}T=1{C=1{TP{${"a,b,IS,".repeat(5000)}a,b,IS},A=a}}`, { maxItems: 4096 })).toBe("too-many");
    expect(code(`${head}T=1{C=1{A=${"a".repeat(65)}}}`)).toBe("name");
    expect(code(`${head}T=1{C=1{A=a{M{O{a/b=${"a".repeat(4097)}}}}}}`)).toBe("name");
    expect(code(`${head}T=1{C=1{A=a{M{O{a/b="${"a".repeat(4097)}"}}}}}`)).toBe("too-long");
    expect(code(`${head}K{${"1,".repeat(16_384)}1}`)).toBe("too-many");
    expect(code(`${"a".repeat(65)} `)).toBe("header");
    expect(code(`!/2 ${"a".repeat(65)} PN=1{}`)).toBe("mid");
  });

  it("H.248.1 11.5: a list of contexts that fills a message is read", () => {
    const text = `${head}P=1{${Array.from({ length: 4100 }, (_, at) => `C=${at + 1}{AV=ROOT}`).join(",")}}`;
    expect(text.length).toBeLessThan(65_531);
    expect(code(text)).toBe("ok");
  });

  it("refuses nesting deeper than the limit, in audits and in embedded events", () => {
    expect(code(`${head}T=1{C=1{AV=a{AT{M${"{M".repeat(30_000)}`)).toBe("too-deep");
    expect(code(`${head}T=1{C=1{A=a{E=1${"{x/y{EM{E=1".repeat(5000)}`)).toBe("too-deep");
  });

  it("reads the largest messages of repeated openings in linear time", () => {
    const hostile = ["{", "[", '"', ";", "\\}", "L{", "a/b=", "\r\n", "ST=1{", "T=1{C=1{A=a{"].map((piece) =>
      `${head}T=1{C=1{A=a{M{O{${piece.repeat(65_000)}`.slice(0, 65_531),
    );
    const before = process.cpuUsage();
    for (const text of hostile) code(text);
    for (const text of hostile) code(`${head}T=1{C=1{A=a{M{L{${text}`.slice(0, 65_531));
    // 1.3 MB of input; a quadratic scan would take minutes.
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(4000);
  });
});
