// docs/operations.md against the sources: every metric, path and log event it names is there, and none is left out.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (...path: string[]): string => readFileSync(join(root, ...path), "utf8");
const page = read("docs", "operations.md");
const found = (text: string, pattern: RegExp): readonly string[] =>
  [...new Set(Array.from(text.matchAll(pattern), ([, name = ""]) => name))].toSorted();

const sources = (folder: string): string =>
  readdirSync(join(root, "packages", folder, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => read("packages", folder, "src", name))
    .join("\n");

describe("docs/operations.md", () => {
  it("names every metric, and none that is not there", () => {
    const counters = found(read("packages", "pcscf", "src", "counters.ts"), /^ {2}\| "([a-z_]+)"/gm);
    const api = ["metrics", "gateway-app", "certificates"].map((name) => read("packages", "api", "src", `${name}.ts`));
    const written = [
      ...counters.map((name) => `sallyport_${name}`),
      ...found(api.join("\n"), /"((?:sallyport|process)_[a-z_]+)"/g),
      ...found(api.join("\n"), /\["(media_[a-z_]+)"/g).map((name) => `sallyport_${name}`),
    ].toSorted();
    expect(counters.length).toBeGreaterThan(8);
    expect(found(page, /`((?:sallyport|process)_[a-z_]+)`/g)).toEqual(written);
  });

  it("names every path of both interfaces", () => {
    const paths = found(read("packages", "api", "src", "schema.ts"), /"(\/v1\/[a-z:/]+)"/g);
    expect(found(page, /`(\/v1\/[a-z:/]+)`/g)).toEqual([...paths, "/v1/schemas"].toSorted());
  });

  it("names events that are logged, at their level", () => {
    const text = ["pcscf", "access-gateway", "iq", "h248", "sip", "cli"].map(sources).join("\n");
    for (const [, level = "", events = ""] of page.matchAll(/^\| (info|warn|error) +\| (`[^|]+`) +\|/gm))
      for (const event of found(events, /`([^`]+)`/g)) {
        const told = new RegExp(`(?:${level}|complain)\\([^;]{0,60}"${event}"`).test(text);
        expect({ event, level, told }).toEqual({ event, level, told: true });
      }
  });
});
