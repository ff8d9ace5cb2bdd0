import { describe, expect, it } from "vitest";
import { seededRandom, silentLog, systemClock } from "@sallyport/kit";
import { createEdge, edgeConfigSchema, pcscfErrors } from "../src/index.ts";
import { establishOriginating } from "./support/calls.ts";
import { baseConfig, openScenario } from "./support/scenario.ts";
import { coreSdp, sdp, ueOffer } from "./support/sdp.ts";

const deps = { clock: systemClock, random: seededRandom("start"), log: silentLog };

describe("starting and stopping", () => {
  it("starts with the real controller of Iq, tells its bound ports, and closes", async () => {
    const edge = await createEdge(edgeConfigSchema.parse(baseConfig(5060)), deps);
    expect(edge.iq).toMatchObject({ protocol: "tcp", address: "127.0.0.1" });
    expect(edge.iq?.port).toBeGreaterThan(0);
    expect(edge.gateways()).toMatchObject([{ id: "gw-a", state: "down" }]);
    expect([...edge.access, ...edge.core].every(({ port }) => port > 0)).toBe(true);
    await edge.close();
  });

  it("TS 33.328 4.2.2: without any gateway an e2ae call is refused with 503, and a plain one goes through", async () => {
    const { createIqController } = await import("@sallyport/iq");
    const scenario = await openScenario({ createIq: createIqController });
    const alice = await scenario.ue("alice");
    await alice.register();
    const refused = await alice
      .send(alice.request("INVITE", "sip:carol@far.example", { body: ueOffer(), callId: "secured" }))
      .final();
    expect(refused.status).toBe(503);
    await establishOriginating(scenario, alice, { body: sdp(), answer: coreSdp() });
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", security: "none", reason: "not-requested" });
    await scenario.close();
  });

  it("SALLY_EDGE_FILE names the file that cannot be read, and nothing stays open", async () => {
    const base = baseConfig(5060);
    const config = edgeConfigSchema.parse({
      ...base,
      access: [
        ...base.access,
        {
          protocol: "tls",
          address: "127.0.0.1",
          port: 0,
          tls: { certificate: "/nowhere/edge.pem", key: "/nowhere/edge.key" },
        },
      ],
    });
    await expect(createEdge(config, deps)).rejects.toMatchObject({
      code: "SALLY_EDGE_FILE",
      where: "/nowhere/edge.key",
    });
  });

  it("SALLY_EDGE_FILE names a file that holds something else: an edge without its key would refuse every UE", async () => {
    const base = baseConfig(5060);
    const here = import.meta.filename;
    const point = { protocol: "tls", address: "127.0.0.1", port: 0, tls: { certificate: here, key: here } };
    const config = edgeConfigSchema.parse({ ...base, access: [...base.access, point] });
    await expect(createEdge(config, deps)).rejects.toMatchObject({
      code: "SALLY_EDGE_FILE",
      where: here,
      detail: "It holds no certificate in PEM.",
    });
  });

  it("SALLY_EDGE_NEXT_HOP: no core listening point of its transport", async () => {
    const base = baseConfig(5060);
    const config = edgeConfigSchema.parse({
      ...base,
      core: { ...base.core, nextHop: "sip:core.example;transport=tls" },
    });
    await expect(createEdge(config, deps)).rejects.toMatchObject({ code: "SALLY_EDGE_NEXT_HOP" });
    expect(Object.keys(pcscfErrors.catalogue)).toContain("SALLY_EDGE_NEXT_HOP");
  });
});
