// The forms a message identifier may have (H.248.1 annex B.2, mId), on both ends, over UDP and over TLS.
import { seededRandom, silentLog, systemClock } from "@sallyport/kit";
import { createAuthority } from "@sallyport/test-authority";
import { afterEach, describe, expect, it } from "vitest";
import { createIqController, createIqGateway, type IqTlsMaterial } from "../src/index.ts";
import { recordingHandler } from "./handler.ts";
import { until } from "./house.ts";
import { must, reservation } from "./plans.ts";

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

interface Names {
  readonly edge: string;
  readonly gateway: string;
  /** How the edge has the gateway configured, where it differs. */
  readonly listed?: string;
  readonly certificateName?: string;
}

const meet = async (names: Names, tls?: { readonly edge: IqTlsMaterial; readonly gateway: IqTlsMaterial }) => {
  const protocol = tls === undefined ? "udp" : "tls";
  const common = { clock: systemClock, log: silentLog };
  const controller = await createIqController({
    ...common,
    config: {
      mid: names.edge,
      listen: [{ protocol, address: "127.0.0.1", port: 0, ...(tls === undefined ? {} : { tls: tls.edge }) }],
      gateways: [
        {
          id: "gw",
          mid: names.listed ?? names.gateway,
          ...(names.certificateName === undefined ? {} : { certificateName: names.certificateName }),
        },
      ],
      lab: tls === undefined,
    },
    random: seededRandom(names.edge),
    onGateway: () => undefined,
    onNotify: () => undefined,
  });
  open.push(controller);
  const { port } = must(controller.listening[0]);
  const iq = await createIqGateway({
    ...common,
    config: {
      mid: names.gateway,
      lab: tls === undefined,
      firstRetryMs: 20,
      controllers: [
        {
          protocol,
          address: "127.0.0.1",
          port,
          ...(tls === undefined ? {} : { tls: tls.gateway, certificateName: "edge.example" }),
        },
      ],
    },
    random: seededRandom(names.gateway),
    handler: recordingHandler(),
  });
  open.push(iq);
  await until("registered", () => iq.state().registered && controller.gateways()[0]?.state === "up");
  return controller;
};

describe("H.248.1 annex B.2: message identifiers", () => {
  it.each<Names>([
    { edge: "<edge.example>", gateway: "<gw.example>" },
    { edge: "<Edge.Example>:2944", gateway: "<GW.example>:2945", listed: "<gw.EXAMPLE>:2945" },
    { edge: "[192.0.2.1]", gateway: "[192.0.2.2]:2944" },
    { edge: "[2001:db8::1]:2944", gateway: "[2001:DB8:0:0:0:0:0:2]", listed: "[2001:db8::2]" },
    { edge: "edge/slot1", gateway: "gw/slot2@rack" },
    { edge: "MTP{00ab}", gateway: "MTP{00ac}" },
  ])("$edge and $gateway: a call is reserved and released", async (names) => {
    const controller = await meet(names);
    const { context } = await controller.add(undefined, reservation);
    await controller.subtract(context);
    expect((await controller.audit("gw")).contexts).toEqual([]);
  });

  it("TS 33.328 6.2.1.3: over TLS an address is held against the addresses of the certificate, a device name against the name listed for it", async () => {
    const authority = await createAuthority();
    const edge = await authority.issue([{ type: "dns", value: "edge.example" }]);
    const byAddress = await authority.issue([{ type: "ip", value: "127.0.0.1" }]);
    const byName = await authority.issue([{ type: "dns", value: "gw.example" }]);
    await meet({ edge: "<edge.example>", gateway: "[127.0.0.1]:2944" }, { edge, gateway: byAddress });
    await meet(
      { edge: "<edge.example>", gateway: "gw/slot2", certificateName: "gw.example" },
      { edge, gateway: byName },
    );
    await expect(meet({ edge: "<edge.example>", gateway: "gw/slot2" }, { edge, gateway: byName })).rejects.toThrow(
      "did not happen",
    );
  });
});
