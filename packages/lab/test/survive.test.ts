// The short form of the survival run (packages/lab/bench/survive.mjs): the edge is killed twice under calls with media.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const program = fileURLToPath(new URL("../bench/survive.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sallyport-survive-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `SALLYPORT_SURVIVE=all` runs it over connections too. */
const transports = process.env["SALLYPORT_SURVIVE"] === "all" ? (["udp", "tcp", "tls"] as const) : (["udp"] as const);

interface Result {
  readonly broken: readonly string[];
  readonly kills: readonly unknown[];
  readonly calls: { readonly total: number; readonly survived: number };
  readonly media: { readonly sent: number; readonly lost: number };
}

const run = (args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stdout.on("data", (octets: Buffer) => (said += octets.toString()));
    child.stderr.on("data", (octets: Buffer) => (said += octets.toString()));
    child.once("close", (code) => resolve({ code, said }));
  });

describe("kill -9 of the edge under calls", () => {
  it.each(transports)(
    "invariant 10: over %s no registration, no established call and no packet is lost, and nothing is left",
    { timeout: 300_000 },
    async (protocol) => {
      const json = join(folder, `${protocol}.json`);
      // Less than the full run asks for: this one shares the machine with all other tests.
      const pace = [
        "--rate",
        "5",
        "--seconds",
        "22",
        "--every",
        "7",
        "--hold",
        "5",
        "--phones",
        "10",
        "--sample",
        "10",
      ];
      const wait = ["--unacknowledged", "6", "--linger", "no"];
      const { code, said } = await run(["--transports", protocol, ...pace, ...wait, "--json", json]);
      const [result] = (JSON.parse(readFileSync(json, "utf8")) as { readonly results: readonly Result[] }).results;
      expect(result?.broken, said).toEqual([]);
      expect(code).toBe(0);
      expect(result?.kills.length).toBeGreaterThanOrEqual(2);
      expect(result?.calls.survived).toBeGreaterThan(10);
      expect(result?.media.sent).toBeGreaterThan(500);
      expect(result?.media.lost).toBe(0);
    },
  );
});
