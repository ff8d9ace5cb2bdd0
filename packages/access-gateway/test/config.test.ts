// The gateway's configuration: what is filled in, what is refused and where, and files that are not there.
import { describe, expect, it } from "vitest";
import { seededRandom, silentLog, systemClock } from "@sallyport/kit";
import { createGateway, gatewayConfigSchema } from "../src/index.ts";

const tls = { certificate: "/nowhere/cert.pem", key: "/nowhere/key.pem", ca: "/nowhere/ca.pem" };

const good = {
  id: "gw-a.example",
  controllers: [{ address: "127.0.0.1", port: 2945, tls }],
  interfaces: { access: { address: "192.0.2.20" }, core: { address: "2001:db8::20", realm: "core" } },
  ports: { first: 40_000, last: 40_999 },
};

const problems = (value: unknown): readonly string[] => {
  const parsed = gatewayConfigSchema.safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map((issue) => issue.path.join("."));
};

describe("configuration", () => {
  it("TS 29.334 5.1: the profile is ETSI_BGF/2, version 2, TLS, unless told otherwise", () => {
    expect(gatewayConfigSchema.parse(good)).toMatchObject({
      profile: { name: "ETSI_BGF", version: 2 },
      version: 2,
      lab: false,
      media: { engine: "auto", interfaces: [], threads: 1, batchUs: 250, highestLoad: 0.85 },
      controllers: [{ protocol: "tls", protectedBelow: false }],
    });
  });

  it.each<readonly [string, unknown]>([
    ["controllers.0.tls", { ...good, controllers: [{ address: "127.0.0.1", port: 2945 }] }],
    ["controllers", { ...good, controllers: [] }],
    ["interfaces.access.address", { ...good, interfaces: { ...good.interfaces, access: { address: "[::1]" } } }],
    ["ports.last", { ...good, ports: { first: 40_000, last: 40_000 } }],
    ["id", { ...good, id: "gw a" }],
    ["", { ...good, surprise: true }],
    ["media.interfaces", { ...good, media: { engine: "xdp" } }],
    ["media.interfaces.0", { ...good, media: { interfaces: ["eth0:1"] } }],
    ["controllers.0.port", { ...good, controllers: [{ address: "127.0.0.1", port: 70_000, tls }] }],
  ])("a wrong value is refused at its place: %s", (path, value) => {
    expect(problems(value)).toEqual([path]);
  });

  it("every field is explained", () => {
    for (const [name, field] of Object.entries(gatewayConfigSchema.shape)) {
      expect(field.description ?? "", name).not.toBe("");
    }
  });

  it("a file that is not there is named", async () => {
    const config = gatewayConfigSchema.parse(good);
    const deps = { clock: systemClock, random: seededRandom(1), log: silentLog };
    await expect(createGateway(config, deps)).rejects.toMatchObject({ code: "SALLY_GW_FILE" });
    await expect(createGateway(config, deps)).rejects.toThrow(/\/nowhere\/(cert|key|ca)\.pem/);
  });
});
