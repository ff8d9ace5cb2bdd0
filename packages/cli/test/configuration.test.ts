import { resolve } from "node:path";
import { SallyportError } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { parseConfiguration } from "../src/config/load.ts";

const schema = z.strictObject({
  name: z.string().min(1),
  listen: z.array(z.strictObject({ protocol: z.enum(["udp", "tls"]), port: z.int().min(0).max(65_535) })).min(1),
  tls: z.strictObject({ key: z.string().meta({ path: true }) }).optional(),
});

const good = [
  "name: edge-a",
  "listen:",
  "  - protocol: tls",
  "    port: 5061",
  "tls:",
  "  key: ../keys/edge.key",
  "",
].join("\n");

const complaint = (text: string): string => {
  try {
    parseConfiguration("config/edge.yaml", text, schema);
  } catch (error) {
    if (error instanceof SallyportError) return error.message;
    throw error;
  }
  return "no complaint";
};

describe("a configuration file", () => {
  it("SALLY_CONFIG_VALUE: an empty path is no path, least of all the folder of the file", () => {
    const paths = z.strictObject({ key: z.string().min(1).meta({ path: true }) });
    expect(() => parseConfiguration("config/edge.yaml", 'key: ""\n', paths)).toThrow(/config\/edge\.yaml:1:6.*key/s);
    expect(parseConfiguration("config/edge.yaml", "key: a.key\n", paths)).toEqual({ key: resolve("config/a.key") });
  });

  it("gives its values, with paths taken from its own folder", () => {
    expect(parseConfiguration("config/edge.yaml", good, schema)).toEqual({
      name: "edge-a",
      listen: [{ protocol: "tls", port: 5061 }],
      tls: { key: resolve("keys/edge.key") },
    });
  });

  it("names file, line and column of a wrong value, and what is allowed", () => {
    const said = complaint(good.replace("protocol: tls", "protocol: tsl"));
    expect(said).toMatch(/^config\/edge\.yaml:3:15: /);
    expect(said).toContain("listen[0].protocol");
    expect(said).toMatch(/"udp".*"tls"/);
  });

  it("names an unknown key at its place, with the keys that are known there", () => {
    const said = complaint(good.replace("    port: 5061", "    port: 5061\n    prot: 5"));
    expect(said).toMatch(/^config\/edge\.yaml:5:5: /);
    expect(said).toContain("listen[0].prot: this key is not known here. Known keys: protocol, port.");
  });

  it("of a misspelt key it says which one was meant, and lists those that are known once, not with each", () => {
    expect(complaint(good.replace("listen:", "listne:"))).toContain(
      "listne: this key is not known here. Known keys: name, listen, tls. Did you mean listen?",
    );
    expect(complaint(good.replace("    port: 5061", "    Port: 5061"))).toContain("Did you mean port?");
    const another = complaint("id: gw-a\ncontrollers: []\ninterfaces: {}\n");
    expect(another.match(/this key is not known here/g)).toHaveLength(3);
    expect(another.match(/Known keys/g)).toHaveLength(1);
  });

  it("of a file without keys it says what it holds", () => {
    expect(complaint("# only a comment\n")).toMatch(/^config\/edge\.yaml:1:1: .*the file is empty;/);
    expect(complaint("- name: edge-a\n")).toContain("the file holds a list, where keys are expected");
    expect(complaint("edge-a\n")).toContain("the file holds a text, where keys are expected");
    const two = complaint(`${good}---\n${good}`);
    expect(two).toContain("more than one document; take the line --- out.");
    expect(two).toContain("SALLY_CONFIG_SYNTAX");
  });

  it("names a missing key at the section it belongs to", () => {
    const said = complaint(good.replace("    port: 5061\n", ""));
    expect(said).toMatch(/^config\/edge\.yaml:3:5: .*listen\[0\]\.port: is missing/);
  });

  it("names the place of a YAML mistake", () => {
    expect(complaint("name: edge-a\nlisten:\n\t- protocol: tls\n")).toMatch(
      /^config\/edge\.yaml:3:\d+: .*SALLY_CONFIG_SYNTAX/,
    );
    expect(complaint("name: a\nname: b\n")).toMatch(/^config\/edge\.yaml:2:\d+: .*unique/);
  });

  it("lists every complaint, each at its place", () => {
    const said = complaint("name: ''\nlisten: []\n");
    expect(said).toMatch(/config\/edge\.yaml:1:7: /);
    expect(said).toMatch(/config\/edge\.yaml:2:9: /);
  });

  it("survives an empty file and a bomb of aliases", () => {
    expect(complaint("")).toContain("SALLY_CONFIG_VALUE");
    const bomb = `a: &a [${"x,".repeat(9)}x]\n${Array.from("bcdefghij")
      .map((key, index) => `${key}: &${key} [${`*${"abcdefghij"[index]},`.repeat(9)}x]`)
      .join("\n")}\n`;
    expect(complaint(bomb)).toContain("SALLY_CONFIG_");
  });
});
