// Five processes from the sample configurations: core, edge, gateway and two scripted UEs make a protected call.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mediaPorts } from "./support/lab.ts";
import { endAll, freePorts, root, sallyport } from "./support/processes.ts";

const samples = ["core", "edge", "gateway", "ue", "ue-bob"] as const;

describe("the sallyport command", () => {
  let folder: string;
  const config = (name: string): string => join(folder, "config", `${name}.yaml`);
  const sample = (name: string): string => readFileSync(join(root, "config", `${name}.yaml`), "utf8");

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "sallyport-"));
    mkdirSync(join(folder, "config"));
    // The samples name certificates and speech relative to themselves: so do the copies.
    for (const neighbour of [".sallyport", "packages"]) symlinkSync(join(root, neighbour), join(folder, neighbour));
    const named = samples.flatMap((name) => [...sample(name).matchAll(/(?:\bport: |127\.0\.0\.1:)(\d+)/g)]);
    const used = [...new Set(named.map(([, port]) => port ?? ""))];
    const ports = await freePorts(used.length);
    const { a } = mediaPorts();
    for (const name of samples) {
      const text = used
        .reduce((out, port, at) => out.replaceAll(port, String(ports[at])), sample(name))
        .replace("first: 23000", `first: ${a.first}`)
        .replace("last: 23999", `last: ${a.last}`);
      writeFileSync(config(name), text);
    }
  });
  afterAll(() => {
    endAll();
    rmSync(folder, { recursive: true, force: true });
  });

  it(
    "runs the five samples: both scripts exit 0, and SIGTERM ends the servers with 0",
    { timeout: 60_000 },
    async () => {
      const start = (kind: string, name: string) => sallyport([kind, "--config", config(name)], tmpdir());
      const core = start("core", "core");
      await core.says(/^core: tls 127\.0\.0\.1:\d+$/m);
      const edge = start("edge", "edge");
      await edge.says(/^edge edge-a: access tls .*; core tls .*; iq tls/m);
      const gateway = start("gateway", "gateway");
      await gateway.says(/"event":"iq registered"/);
      const bob = start("ue", "ue-bob");
      await bob.says(/"event":"registered"/);
      const alice = start("ue", "ue");
      expect(await alice.ended, alice.stderr).toBe(0);
      expect(await bob.ended, bob.stderr).toBe(0);
      expect(alice.stderr).toMatch(/"security":"e2ae"/);
      const servers = [core, edge, gateway];
      for (const server of servers) server.kill("SIGTERM");
      expect(await Promise.all(servers.map(({ ended }) => ended))).toEqual([0, 0, 0]);
      for (const { stdout, stderr } of [alice, bob, ...servers]) {
        expect(`${stdout}${stderr}`).not.toMatch(/inline:(?!<)/);
        expect(stderr).not.toMatch(/"level":"error"/);
      }
    },
  );

  it("names file, line and column of a mistake in a configuration, and exits 1", async () => {
    const wrong = join(folder, "config", "wrong.yaml");
    writeFileSync(wrong, sample("edge").replace("    protocol: tls # udp", "    protocol: tsl # udp"));
    const run = sallyport(["edge", "--config", wrong], tmpdir());
    expect(await run.ended).toBe(1);
    const line =
      sample("edge")
        .split("\n")
        .findIndex((text) => text.includes("protocol: tls # udp")) + 1;
    expect(run.stderr).toContain(`${wrong}:${line}:15`);
    expect(run.stderr).toMatch(/access\[0\]\.protocol/);
    expect(run.stderr).not.toMatch(/^\s+at /m);
  });

  it("names a certificate that is not there, and exits 1", async () => {
    const missing = join(folder, "config", "missing.yaml");
    writeFileSync(missing, readFileSync(config("gateway"), "utf8").replace("gw-a.crt", "nobody.crt"));
    const run = sallyport(["gateway", "--config", missing], tmpdir());
    expect(await run.ended).toBe(1);
    expect(run.stderr).toContain(join(folder, ".sallyport", "certificates", "nobody.crt"));
  });

  it("exits 1 when a script's expectation fails, and says which step", async () => {
    const alone = join(folder, "config", "alone.yaml");
    const [port] = await freePorts(1);
    writeFileSync(alone, sample("ue").replace("15061", String(port)));
    const run = sallyport(["ue", "--config", alone], tmpdir());
    expect(await run.ended).toBe(1);
    expect(run.stderr).toMatch(/step 1 \(register\)/);
  });

  it("exits 2 for what is no usage of it", async () => {
    const wrong = [["nonsense"], [], ["edge"], ["edge", "--config"], ["config", "check", "nonsense", "x.yaml"]];
    const runs = wrong.map((args) => sallyport(args, tmpdir()));
    expect(await Promise.all(runs.map(({ ended }) => ended))).toEqual(wrong.map(() => 2));
    for (const { stderr } of runs) expect(stderr).not.toBe("");
  });

  it("checks every sample configuration", async () => {
    const runs = samples.map((name) =>
      sallyport(["config", "check", name === "ue-bob" ? "ue" : name, config(name)], tmpdir()),
    );
    expect(await Promise.all(runs.map(({ ended }) => ended))).toEqual(samples.map(() => 0));
    expect(runs.map(({ stdout }) => stdout)).toEqual(samples.map((name) => `${config(name)}: ok\n`));
  });
});
