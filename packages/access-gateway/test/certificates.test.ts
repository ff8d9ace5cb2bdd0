// Certificates are renewed while a gateway runs: a new connection is made with the files as they are then.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IqController, IqTlsMaterial } from "@sallyport/iq";
import { createIqController } from "@sallyport/iq";
import { memoryLog, silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { createAuthority } from "@sallyport/test-authority";
import { afterEach, describe, expect, it } from "vitest";
import type { Gateway } from "../src/index.ts";
import { createGateway, gatewayConfigSchema } from "../src/index.ts";
import { paperPlane } from "./plane.ts";
import { must, until } from "./rig.ts";

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

interface Hand {
  readonly edge: IqTlsMaterial;
  readonly gateway: IqTlsMaterial;
}

/** What an authority of its own gives both ends. */
const hand = async (): Promise<Hand> => {
  const authority = await createAuthority();
  const issue = (name: string): Promise<IqTlsMaterial> => authority.issue([{ type: "dns", value: name }]);
  return { edge: await issue("edge-a.example"), gateway: await issue("gw-a.example") };
};

const edgeWith = (tls: IqTlsMaterial, port = 0): Promise<IqController> =>
  createIqController({
    config: {
      mid: "<edge-a.example>",
      listen: [{ protocol: "tls", address: "127.0.0.1", port, tls }],
      gateways: [{ id: "gw-a", mid: "<gw-a.example>" }],
    },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    onNotify: () => undefined,
    onGateway: () => undefined,
  });

describe("certificates", () => {
  it("TS 33.310 renewal: the next connection is made with the files as they are; half of a pair is not used, and is told", async () => {
    const folder = await mkdtemp(join(tmpdir(), "certificates-"));
    undo.push(() => rm(folder, { recursive: true }));
    const files = { certificate: join(folder, "cert"), key: join(folder, "key"), ca: join(folder, "ca") };
    const put = (own: IqTlsMaterial): Promise<unknown> =>
      Promise.all([writeFile(files.certificate, own.cert), writeFile(files.key, own.key), writeFile(files.ca, own.ca)]);
    const [first, second] = [await hand(), await hand()];
    await put(first.gateway);
    let edge = await edgeWith(first.edge);
    undo.push(() => edge.close());
    const { port } = must(edge.listening[0]);
    const { log, records } = memoryLog();
    const gateway: Gateway = await createGateway(
      gatewayConfigSchema.parse({
        id: "gw-a.example",
        controllers: [{ address: "127.0.0.1", port, tls: files, certificateName: "edge-a.example" }],
        interfaces: { access: { address: "192.0.2.20" }, core: { address: "10.0.0.20" } },
        ports: { first: 20_000, last: 20_999 },
        retry: { firstMs: 20, longestMs: 50 },
      }),
      { clock: systemClock, random: systemRandom, log, plane: paperPlane() },
    );
    undo.push(() => gateway.close());
    const registered = (): boolean => gateway.registration().registered && must(edge.gateways()[0]).state === "up";
    await until("registered", registered);

    await edge.close();
    await put(second.gateway);
    edge = await edgeWith(second.edge, port);
    await until("registered with what was renewed", registered);

    await edge.close();
    await writeFile(files.key, first.gateway.key);
    edge = await edgeWith(second.edge, port);
    await until("registered with what was good", registered);
    const told = records.filter(({ event }) => event.startsWith("certificates"));
    expect(told.length).toBeGreaterThan(0);
    expect(JSON.stringify(told)).not.toMatch(/PRIVATE KEY|BEGIN/);
  });
});
