import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { silentLog } from "@sallyport/kit";
import { afterAll, describe, expect, it } from "vitest";
import { cliErrors, configurationPage, elementKinds } from "../src/index.ts";
import { paperOf } from "../src/screen/paper.ts";
import { sallyport } from "./support/run.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const sample = (name: string): string => join(root, "config", `${name}.yaml`);
const folder = mkdtempSync(join(tmpdir(), "sallyport-cli-"));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
afterAll(() => rmSync(folder, { recursive: true }));

describe("usage", () => {
  it.each([
    [[], "Usage: sallyport"],
    [["call"], "Usage: sallyport call"],
    [["reg"], "Usage: sallyport reg"],
    [["policy"], "Usage: sallyport policy"],
    [["config"], "Usage: sallyport config"],
    [["edge"], "--config"],
    [["policy", "test"], "--config"],
    [["edge", "--config", "x", "--log-level", "loud"], "Allowed choices are trace"],
    [["statsu"], "(Did you mean status?)"],
    [["call", "explian"], "(Did you mean explain?)"],
    [["reg", "lsit"], "(Did you mean list?)"],
    [["status", "--jsno"], "(Did you mean --json?)"],
    [["gw", "list", "too", "many"], "too many arguments"],
    [["config", "check", "egde", "x.yaml"], "Allowed choices are edge, gateway, core, ue"],
    [["config", "keys", "cluster"], "Allowed choices are edge, gateway, core, ue"],
    [["call", "show", ""], "leave it out for the latest"],
    [["call", "list", "--limit", "0"], "from 1 to 1000"],
    [["reg", "list", "--limit", "1e3"], "from 1 to 1000"],
    [["policy", "test", "-c", "x", "--direction", "sideways"], "Allowed choices are originating"],
  ])("%j exits 2 and says what is expected", async (args, says) => {
    const { code, out, err } = await sallyport(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(says);
  });

  it("help and version exit 0, on standard output", async () => {
    expect(await sallyport(["--version"])).toEqual({ code: 0, out: "0.1.0\n", err: "" });
    for (const args of [["--help"], ["call", "--help"], ["help", "reg"], ["policy", "test", "--help"]]) {
      const { code, out, err } = await sallyport(args);
      expect({ code, err }, args.join(" ")).toEqual({ code: 0, err: "" });
      expect(out).toMatch(/^Usage: sallyport/);
    }
  });

  it("colour and width come from a terminal only, and NO_COLOR is obeyed", () => {
    const terminal = { isTTY: true, columns: 132 };
    expect(paperOf(terminal, {})).toEqual({ columns: 132, colour: true });
    expect(paperOf(terminal, { NO_COLOR: "1" }).colour).toBe(false);
    expect(paperOf(terminal, { TERM: "dumb" }).colour).toBe(false);
    expect(paperOf({ isTTY: true, columns: 20 }, {}).columns).toBe(60);
    expect(paperOf({ columns: 132 }, {})).toEqual({ columns: 80, colour: false });
  });
});

describe("config", () => {
  it.each(["edge", "gateway", "core", "ue"])("check: the sample of %s is good", async (name) => {
    expect(await sallyport(["config", "check", name, sample(name)])).toEqual({
      code: 0,
      out: `${sample(name)}: ok\n`,
      err: "",
    });
  });

  it("SALLY_CONFIG_READ: a file that is not there, and one that is too large", async () => {
    const missing = await sallyport(["config", "check", "edge", join(folder, "nowhere.yaml")]);
    expect(missing).toMatchObject({ code: 1, err: expect.stringMatching(/ENOENT.*SALLY_CONFIG_READ/) });
    const large = await sallyport(["config", "check", "edge", file("large.yaml", `# ${"x".repeat(1_048_576)}\n`)]);
    expect(large).toMatchObject({ code: 1, err: expect.stringMatching(/1 MiB.*SALLY_CONFIG_READ/) });
  });

  it("SALLY_CONFIG_SYNTAX and SALLY_CONFIG_VALUE with line and column", async () => {
    const syntax = await sallyport(["config", "check", "core", file("tabs.yaml", "domain: x\nlisten:\n\t- a\n")]);
    expect(syntax).toMatchObject({ code: 1, err: expect.stringMatching(/tabs\.yaml:3:\d+: .*SALLY_CONFIG_SYNTAX/) });
    const text = readFileSync(sample("edge"), "utf8").replace("port: 15080", "port: 15080x");
    const value = await sallyport(["config", "check", "edge", file("edge.yaml", text)]);
    expect(value).toMatchObject({
      code: 1,
      err: expect.stringMatching(/edge\.yaml:\d+:11: .*api\.listen\.port.*SALLY_CONFIG_VALUE/s),
    });
  });

  it("config check refuses what the element would refuse: a gateway listed twice, a message identifier that is none", async () => {
    const edge = readFileSync(sample("edge"), "utf8");
    const twice = edge.replace(
      "    - id: gw-a\n",
      "    - id: gw-a\n      mid: <gw-b.lab.example>\n      certificateName: gw-b.lab.example\n    - id: gw-a\n",
    );
    expect(await sallyport(["config", "check", "edge", file("twice.yaml", twice)])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/twice\.yaml:\d+:11: .*iq\.gateways\[1\]\.id: another gateway has this id/),
    });
    const named = edge.replace("mid: <edge-a.lab.example>", "mid: edge a");
    expect(await sallyport(["config", "check", "edge", file("named.yaml", named)])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/iq\.mid: must be a message identifier of H\.248/),
    });
    const gateway = `${readFileSync(sample("gateway"), "utf8")}mid: gw a\n`;
    expect(await sallyport(["config", "check", "gateway", file("gateway.yaml", gateway)])).toMatchObject({
      code: 1,
      err: expect.stringContaining("mid: must be a message identifier"),
    });
  });

  it("an api section off loopback without token is refused at its place", async () => {
    const text = readFileSync(sample("edge"), "utf8").replace(
      /address: 127\.0\.0\.1 # anything but loopback/,
      "address: 0.0.0.0 # anything but loopback",
    );
    const { code, err } = await sallyport(["config", "check", "edge", file("open.yaml", text)]);
    expect(code).toBe(1);
    expect(err).toContain("a token file is needed");
  });

  it("keys lists those of the api section beside the edge's, and so does the page", async () => {
    const { out } = await sallyport(["config", "keys", "edge"]);
    for (const key of ["homeNetwork", "policy.rules[].e2ae", "api.listen.port", "api.token"])
      expect(out.split("\n"), key).toContain(key);
    expect(configurationPage()).toContain("| `api.listen.port` |");
  });
});

describe("the process", () => {
  it("SALLY_API_LISTEN: an edge whose api port is taken does not start, and leaves its SIP ports", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    // The same SIP port both times: the second start finds it free only when the first gave it back.
    const probe = createSocket("udp4");
    await new Promise<void>((resolve) => probe.bind(0, "127.0.0.1", resolve));
    const sip = probe.address().port;
    await new Promise<void>((resolve) => probe.close(resolve));
    const config = (apiPort: number): string =>
      file(
        "start.yaml",
        [
          "name: edge-a",
          "homeNetwork: lab.example",
          `access: [{ protocol: udp, address: 127.0.0.1, port: ${sip}, trusted: true }]`,
          "core: { listen: [{ protocol: udp, address: 127.0.0.1, port: 0 }], nextHop: 'sip:127.0.0.1:9;transport=udp' }",
          "iq:",
          "  mid: <edge-a.lab.example>",
          "  listen: { protocol: udp, address: 127.0.0.1, port: 0 }",
          "  gateways: [{ id: gw-a, mid: <gw-a.lab.example> }]",
          "  lab: true",
          "policy: { rules: [{ e2ae: offered }] }",
          "store: { driver: memory }",
          `api: { listen: { port: ${apiPort} } }`,
          "",
        ].join("\n"),
      );
    try {
      await expect(elementKinds.edge.start(config(port), silentLog)).rejects.toMatchObject({
        code: "SALLY_API_LISTEN",
      });
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
    const running = await elementKinds.edge.start(config(0), silentLog);
    try {
      const api = /api (http:\S+)$/.exec(running.ready)?.[1] ?? "";
      const { code, out } = await sallyport(["status", "--api", api]);
      expect(code).toBe(0);
      expect(out).toContain("warning   no access gateway is up");
    } finally {
      await running.close();
    }
  });

  const command = join(root, "packages", "sallyport", "bin", "sallyport.mjs");
  const built = existsSync(join(root, "packages", "sallyport", "dist", "main.js"));

  it.skipIf(!built)("a reader that has seen enough is no error (EPIPE) [needs npm run build]", async () => {
    const child = spawn(process.execPath, [command, "config", "keys", "edge"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let said = "";
    child.stderr.on("data", (octets: Buffer) => (said += octets.toString()));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect({ code, said }).toEqual({ code: 0, said: "" });
  });

  it.skipIf(!built || !existsSync("/dev/full"))(
    "a full disk under the output is said in a sentence, without a stack [needs npm run build]",
    async () => {
      const full = openSync("/dev/full", "w");
      const child = spawn(process.execPath, [command, "config", "keys", "edge"], { stdio: ["ignore", full, "pipe"] });
      let said = "";
      child.stderr?.on("data", (octets: Buffer) => (said += octets.toString()));
      const code = await new Promise((resolve) => child.once("close", resolve));
      closeSync(full);
      expect({ code, said }).toEqual({
        code: 1,
        said: "The answer could not be written to standard output: ENOSPC.\n",
      });
    },
  );

  it.skipIf(!built).each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends an element in order, with exit code 0 [needs npm run build]",
    async (signal) => {
      const config = file(
        "core.yaml",
        "domain: lab.example\nlisten: [{ protocol: udp, address: 127.0.0.1, port: 0 }]\nusers: [{ impu: sip:a@lab.example, impi: a@lab.example, password: secret }]\n",
      );
      const child = spawn(process.execPath, [command, "core", "--config", config], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      child.kill(signal);
      expect(await new Promise((resolve) => child.once("close", (code, by) => resolve({ code, by })))).toEqual({
        code: 0,
        by: null,
      });
    },
  );

  it("every code of this package has a test that triggers it", () => {
    const tests = ["ask", "usage", "policy", "configuration", "gateway"]
      .map((name) => readFileSync(new URL(`${name}.test.ts`, import.meta.url), "utf8"))
      .join("");
    for (const code of Object.keys(cliErrors.catalogue)) expect(tests, code).toContain(code);
  });
});
