// Second judges: implementations by others. Skipped by name where they are not installed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseH248, writeH248 } from "../src/index.ts";
import { commonMessage } from "./arbitrary.ts";
import { capture } from "./capture.ts";
import { comparable, decodeAll, haveDecoder } from "./peers/megaco.ts";
import { mustParse, validNames, validOctets } from "./vectors.ts";

const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;

const tshark = has("tshark", "--version");

const vectors = validNames.flatMap((name) => {
  const message = mustParse(validOctets(name, "long"));
  return (["pretty", "compact"] as const).map((style) => ({
    vector: name,
    name: `${name} ${style}`,
    message,
    octets: writeH248(message, style),
  }));
});

describe("Erlang/OTP megaco (Debian erlang-base, erlang-megaco)", () => {
  it.skipIf(!haveDecoder)("decodes every message we write, and we read what it writes as the same", () => {
    const answers = decodeAll(vectors.map((vector) => vector.octets));
    vectors.forEach(({ name, message }, at) => {
      const [verdict, ...written] = (answers[at] ?? "").split(" ");
      expect(`${name}: ${verdict === "ok" ? "ok" : answers[at]}`).toBe(`${name}: ok`);
      for (const hex of written) {
        if (hex === "-") continue;
        expect(comparable(mustParse(Buffer.from(hex, "hex"))), name).toEqual(comparable(message));
      }
    });
  });

  it.skipIf(!haveDecoder)("decodes random properties, signals and events", () => {
    const messages = fc.sample(commonMessage, { seed: 11, numRuns: 40 });
    const octets = messages.flatMap((message) => [writeH248(message, "pretty"), writeH248(message, "compact")]);
    const refusals = decodeAll(octets).flatMap((answer, at) =>
      answer.startsWith("ok") ? [] : [`${octets[at]?.toString("latin1")}\n${answer}`],
    );
    expect(refusals.slice(0, 3)).toEqual([]);
  });

  it.skipIf(!haveDecoder)("refuses what we refuse as broken syntax", () => {
    const broken = [
      "!/2 [127.0.0.1] T=7{C=1{A=a}}}",
      "!/2 [127.0.0.1] T=7{C=1{}}",
      '!/2 [127.0.0.1] P=7{ER=500{"a\nb"}}',
      "!/2 [127.0.0.1] T=1{}",
    ];
    for (const text of broken) expect(parseH248(Buffer.from(text)).ok).toBe(false);
    for (const answer of decodeAll(broken.map((text) => Buffer.from(text)))) expect(answer).toMatch(/^refused/);
  });
});

const fields = (octets: readonly Buffer[], ...names: string[]): string[][] => {
  const folder = mkdtempSync(join(tmpdir(), "h248-"));
  try {
    const file = join(folder, "wire.pcap");
    writeFileSync(file, capture(octets));
    const wanted = names.flatMap((name) => ["-e", name]);
    const run = spawnSync("tshark", ["-r", file, "-T", "fields", "-E", "separator=;", ...wanted], {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    if (run.status !== 0) throw new Error(run.stderr);
    return run.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => line.split(";"));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

describe("tshark (Debian tshark)", () => {
  // What it says of these is about itself: context lists, `{` of Mux, bare Signals version 3 and its segments are not in its reading.
  const known: Readonly<Record<string, RegExp>> = {
    "audit-contexts-reply": /^(No Descriptor detectable,?)+$/,
    "signals-events": /^(No Descriptor detectable,?)+$/,
    stop: /^Empty Signal Descriptor(,No Descriptor detectable)?$/,
    segment: /^Sorry, can't understand/,
    "version-3": /^(Parse error.*|No Command detectable)$/,
  };

  it.skipIf(!tshark)("dissects every message we write, with no complaints but those known", () => {
    const octets = vectors.map((vector) => vector.octets);
    const dissected = fields(octets, "_ws.col.Protocol", "_ws.malformed", "_ws.expert.message");
    expect(dissected).toHaveLength(vectors.length);
    vectors.forEach(({ name, vector }, at) => {
      const [protocol, malformed, complaint = ""] = dissected[at] ?? [];
      expect(protocol, name).toMatch(/^MEGACO/);
      const allowed = known[vector];
      if (allowed !== undefined) expect(complaint, name).toMatch(allowed);
      else expect([malformed, complaint], name).toEqual(["", ""]);
    });
  });

  it.skipIf(!tshark)("reads the transaction, contexts, terminations and error codes we wrote, in both styles", () => {
    const expected: Readonly<Record<string, readonly string[]>> = {
      // It has bound the request to its reply, from which it knows the context.
      reserve: ["1", "4294967294,17,17,17", "ip/1/access/$,ip/1/core/$", ""],
      "reserve-reply": ["1", "17,17,17", "ip/1/access/1,ip/1/core/2", ""],
      notify: ["10", "17", "ip/1/access/1", ""],
      heartbeat: ["11", "0", "ROOT", ""],
      errors: ["30", "17,18", "ip/1/access/1", "449,449,411"],
    };
    const chosen = vectors.filter(({ vector }) => Object.hasOwn(expected, vector));
    const wanted = ["megaco.transid", "megaco.context", "megaco.termid", "megaco.error_code"];
    const octets = chosen.map((vector) => vector.octets);
    expect(fields(octets, ...wanted)).toEqual(chosen.map(({ vector }) => expected[vector]));
  });
});
