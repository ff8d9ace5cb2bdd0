// The interface over a real edge, with a real core, gateway and UEs on loopback: one protected call that crosses it twice.
import { createGateway, gatewayConfigSchema } from "@sallyport/access-gateway";
import { coreConfigSchema, createCore } from "@sallyport/ims-core";
import { silentLog, systemClock, systemDatagrams, systemRandom } from "@sallyport/kit";
import { createEdge, edgeConfigSchema } from "@sallyport/pcscf";
import { createUe, ueConfigSchema, type Ue } from "@sallyport/ue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  apiConfigSchema,
  callDetailSchema,
  createApi,
  explanationsSchema,
  gatewaysSchema,
  registrationsSchema,
  statusSchema,
  type Api,
} from "../src/index.ts";
import { ask } from "./support/ask.ts";

const loopback = "127.0.0.1";
const domain = "lab.example";
const deps = { clock: systemClock, random: systemRandom, log: silentLog, openDatagram: systemDatagrams };
const firstMediaPort = 26_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * 100;

const until = async (what: string, done: () => boolean): Promise<void> => {
  for (const limit = Date.now() + 5000; !done();) {
    if (Date.now() > limit) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

describe("over a real edge", () => {
  const closing: (() => Promise<void>)[] = [];
  let api: Api;
  let alice: Ue;
  let bob: Ue;

  beforeAll(async () => {
    const users = ["alice", "bob"].map((name) => ({
      impu: `sip:${name}@${domain}`,
      impi: `${name}@${domain}`,
      password: `${name}-of-the-lab`,
    }));
    const core = await createCore(
      coreConfigSchema.parse({ domain, listen: [{ protocol: "udp", address: loopback, port: 0 }], users }),
      deps,
    );
    closing.push(() => core.close());
    const edge = await createEdge(
      edgeConfigSchema.parse({
        name: "edge-a",
        homeNetwork: domain,
        access: [{ name: "gm", protocol: "udp", address: loopback, port: 0, trusted: true }],
        core: {
          listen: [{ name: "mw", protocol: "udp", address: loopback, port: 0 }],
          nextHop: `sip:${loopback}:${core.listening[0]?.port};transport=udp`,
        },
        iq: {
          mid: "<edge-a.lab.example>",
          listen: { protocol: "udp", address: loopback, port: 0 },
          gateways: [{ id: "gw-a", mid: "<gw-a.lab.example>" }],
          lab: true,
        },
        policy: { rules: [{ e2ae: "offered" }] },
      }),
      deps,
    );
    closing.push(() => edge.close());
    const gateway = await createGateway(
      gatewayConfigSchema.parse({
        id: "gw-a.lab.example",
        controllers: [{ address: loopback, port: edge.iq?.port ?? 0, protocol: "udp" }],
        interfaces: { access: { address: loopback }, core: { address: loopback } },
        ports: { first: firstMediaPort, last: firstMediaPort + 99 },
        lab: true,
      }),
      deps,
    );
    closing.push(() => gateway.close());
    await until("the registration of the gateway", () => edge.gateways()[0]?.state === "up");
    const ue = async (name: string): Promise<Ue> => {
      const started = await createUe(
        ueConfigSchema.parse({
          impu: `sip:${name}@${domain}`,
          impi: `${name}@${domain}`,
          password: `${name}-of-the-lab`,
          domain,
          edge: { address: loopback, port: edge.access[0]?.port ?? 0, protocol: "udp" },
          local: { address: loopback },
          security: { trustedAccess: true },
        }),
        deps,
      );
      closing.push(() => started.close());
      await started.register();
      return started;
    };
    alice = await ue("alice");
    bob = await ue("bob");
    api = await createApi(apiConfigSchema.parse({ listen: { port: 0 } }), edge, { ...deps, version: "0.1.0" });
    closing.push(() => api.close());
  });
  afterAll(async () => {
    for (const close of closing.toReversed()) await close();
  });

  it("tells registrations, gateways and the latest call with both crossings, and why it is protected", async () => {
    bob.onCall(() => ({}));
    const call = await alice.call(`sip:bob@${domain}`);
    const status = statusSchema.strict().parse((await ask(api, "/v1/status")).json());
    expect(status).toMatchObject({ name: "edge-a", counts: { calls: 2, registrations: 2, contexts: 2 } });
    expect(status.warnings).toEqual([expect.stringContaining("declared trusted")]);
    const registrations = registrationsSchema.strict().parse((await ask(api, "/v1/registrations")).json());
    expect(registrations.registrations.map(({ aor, indications }) => [aor, indications.networkE2ae])).toEqual([
      [`sip:alice@${domain}`, true],
      [`sip:bob@${domain}`, true],
    ]);
    expect(gatewaysSchema.strict().parse((await ask(api, "/v1/gateways")).json()).gateways).toMatchObject([
      { id: "gw-a", state: "up", contexts: 2 },
    ]);
    const explained = explanationsSchema.strict().parse((await ask(api, "/v1/calls/latest/explain")).json());
    expect(explained.calls.map(({ direction, reason }) => `${direction} ${reason}`)).toEqual([
      "originating secured",
      "terminating secured",
    ]);
    for (const leg of explained.calls) {
      expect(leg.protected).toBe(true);
      expect(leg.decisions.length).toBeGreaterThan(3);
      expect(leg.removed.map(({ from }) => from)).toContain("access");
    }
    const detail = callDetailSchema.strict().parse((await ask(api, "/v1/calls/latest")).json());
    expect(detail.calls[0]?.streams).toMatchObject([{ fromUe: expect.stringMatching(/^[0-9a-f]{2}:[0-9a-f]{2}$/) }]);
    expect(detail.calls[0]?.gateway).toMatchObject({ gateway: "gw-a" });
    await call.hangup();
    const ended = callDetailSchema.parse((await ask(api, `/v1/calls/${detail.calls[0]?.id}`)).json());
    expect(ended.calls).toMatchObject([{ phase: "ended", ended: { reason: "bye" } }]);
    const metrics = await ask(api, "/metrics");
    expect(metrics.text).toMatch(/^sallyport_registrations\{e2ae="yes"\} 2$/m);
  });
});
