// The gateway's configuration: what is filled in, what is refused and where, and files that are not there.
import { describe, expect, it } from "vitest";
import { memoryLog, seededRandom, silentLog, systemClock } from "@sallyport/kit";
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

  it.each(["0.0.0.0", "::", "239.1.1.1", "255.255.255.255", "ff02::1"])(
    "RFC 3264 8.4, RFC 4566 5.7: media is not bound to %s: it would be told to the far end, for which that is hold or nobody",
    (address) => {
      expect(problems({ ...good, interfaces: { ...good.interfaces, access: { address } } })).toEqual([
        "interfaces.access.address",
      ]);
      const more = [{ side: "core", address }];
      expect(problems({ ...good, interfaces: { ...good.interfaces, more } })).toEqual(["interfaces.more.0.address"]);
    },
  );

  describe("H.248.41: ports of a realm's own", () => {
    const at = (access: object, core: object, ...more: readonly object[]) => ({
      ...good,
      interfaces: { access, core, more },
    });
    const [low, high] = [
      { first: 40_000, last: 40_499 },
      { first: 40_500, last: 40_999 },
    ];
    const more = { side: "access", address: "192.0.2.20", realm: "b" };

    it.each<readonly [string, unknown]>([
      ["none of its own, one range shared on one address", at({ address: "192.0.2.20" }, { address: "192.0.2.20" })],
      [
        "two ranges apart on one address",
        at({ address: "192.0.2.20", ports: low }, { address: "192.0.2.20", ports: high }),
      ],
      ["the same range again", at({ address: "192.0.2.20", ports: low }, { address: "192.0.2.20", ports: low })],
      ["overlapping, on other addresses", at({ address: "192.0.2.20", ports: low }, { address: "192.0.2.21" })],
      ["overlapping, of other families", at({ address: "192.0.2.20", ports: low }, { address: "2001:db8::20" })],
    ])("%s", (_, value) => {
      expect(problems(value)).toEqual([]);
    });

    it.each<readonly [string, string, unknown]>([
      [
        "interfaces.core.ports",
        "40000 to 40499 of interfaces.access",
        at({ address: "::1", ports: low }, { address: "::1" }),
      ],
      [
        "interfaces.core.ports",
        "interfaces.access",
        at({ address: "2001:DB8:0::20", ports: low }, { address: "2001:db8::20" }),
      ],
      [
        "interfaces.more.0.ports",
        "interfaces.access",
        at({ address: "192.0.2.20" }, good.interfaces.core, { ...more, ports: low }),
      ],
      [
        "interfaces.more.0.ports",
        "interfaces.core",
        at(
          { address: "192.0.2.20", ports: low },
          { address: "192.0.2.20", ports: high },
          { ...more, ports: { first: 40_999, last: 41_001 } },
        ),
      ],
    ])("ranges that overlap on one address are refused at the second one: %s", (path, what, value) => {
      const parsed = gatewayConfigSchema.safeParse(value);
      const issue = parsed.error?.issues[0];
      expect([issue?.path.join("."), parsed.error?.issues.length]).toEqual([path, 1]);
      expect(issue?.message).toContain(what);
    });

    it("each is judged as the gateway's own is", () => {
      const ports = { first: 41_000, last: 40_000 };
      expect(problems(at({ address: "192.0.2.20", ports }, good.interfaces.core))).toEqual([
        "interfaces.access.ports.last",
      ]);
    });
  });

  it("every field is explained", () => {
    for (const [name, field] of Object.entries(gatewayConfigSchema.shape)) {
      expect(field.description ?? "", name).not.toBe("");
    }
  });

  it("an interface whose address this machine does not have is told at the start: every call there would fail", async () => {
    const config = gatewayConfigSchema.parse({
      ...good,
      controllers: [{ address: "127.0.0.1", port: 9, protocol: "udp" }],
      interfaces: { access: { address: "192.0.2.20" }, core: { address: "2001:DB8:0::20" } },
      media: { engine: "portable" },
    });
    const toldWith = async (...here: readonly string[]): Promise<readonly unknown[]> => {
      const { log, records } = memoryLog();
      const addresses = () => new Set(here);
      const gateway = await createGateway(config, { clock: systemClock, random: seededRandom(1), log, addresses });
      await gateway.close();
      return records.flatMap(({ event, level, fields }) =>
        event === "media address is not of this machine" ? [[level, fields["address"]]] : [],
      );
    };
    expect(await toldWith("192.0.2.20", "2001:db8::20")).toEqual([]);
    expect(await toldWith("192.0.2.20")).toEqual([["warn", "2001:db8::20"]]);
  });

  it("a file that is not there is named", async () => {
    const config = gatewayConfigSchema.parse(good);
    const deps = { clock: systemClock, random: seededRandom(1), log: silentLog };
    await expect(createGateway(config, deps)).rejects.toMatchObject({ code: "SALLY_GW_FILE" });
    await expect(createGateway(config, deps)).rejects.toThrow(/\/nowhere\/(cert|key|ca)\.pem/);
  });
});
