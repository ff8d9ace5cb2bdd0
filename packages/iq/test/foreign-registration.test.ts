// What controllers of another make answer to a registration: no version, another address to go on with. UDP and TLS on loopback.
import type { ActionRequest, Association, H248Peer, H248Protocol, H248TlsMaterial } from "@sallyport/h248";
import { createAssociation, createH248Transport } from "@sallyport/h248";
import { SallyportError, seededRandom, silentLog, systemClock } from "@sallyport/kit";
import { createAuthority } from "@sallyport/test-authority";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { IqControllerAddress, IqGateway, IqGatewayConfig, IqWireEvent } from "../src/index.ts";
import { elsewhere } from "../src/gateway/mgc.ts";
import { createIqGateway } from "../src/index.ts";
import { recordingHandler } from "./handler.ts";
import { actionsOf, must } from "./plans.ts";

const open: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

const until = async (what: string, holds: () => boolean): Promise<void> => {
  const end = Date.now() + 4000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

const actions = (text: string): readonly ActionRequest[] => actionsOf(`MEGACO/2 <x> Transaction = 1 { ${text} }`);

interface Point {
  readonly association: Association;
  readonly port: number;
  /** Commands heard here, as `command of termination`. */
  readonly heard: string[];
  /** Who was heard here last. */
  peer: H248Peer | undefined;
}

/** One place a controller is heard at; `reply` is the Services descriptor it answers a registration with. */
const point = async (
  reply: () => string,
  how: { readonly protocol?: H248Protocol; readonly tls?: H248TlsMaterial; readonly takes?: number } = {},
): Promise<Point> => {
  const { protocol = "udp", takes = 3, tls } = how;
  const heard: string[] = [];
  const transport = createH248Transport({
    clock: systemClock,
    log: silentLog,
    onMessage: (octets, peer) => association.receive(octets, peer),
    onPeerClosed: (peer) => association.peerClosed(peer),
  });
  const association = createAssociation({
    mid: "<mgc.example>",
    transport,
    clock: systemClock,
    log: silentLog,
    random: seededRandom(`point ${Math.random()}`),
    onRequest: async ({ actions: asked, peer }) => {
      const command = must(asked[0]?.commands[0]);
      const [services] = command.descriptors;
      heard.push(`${command.command} of ${command.termination}`);
      self.peer = peer;
      const bare = { command: command.command, termination: command.termination, descriptors: [] };
      if (services?.kind === "services" && (services.version ?? 1) > takes)
        return [{ context: "-", commands: [{ ...bare, error: { code: 406, text: "" } }] }];
      if (services?.kind !== "services" || reply() === "") return [{ context: "-", commands: [bare] }];
      const [said] = actions(`Context = - { ServiceChange = ROOT { Services { ${reply()} } } }`);
      return [{ context: "-", commands: [{ ...bare, descriptors: must(said?.commands[0]).descriptors }] }];
    },
  });
  const { port } = await transport.listen({ protocol, address: "127.0.0.1", port: 0, ...(tls && { tls }) });
  const self: Point = { association, port, heard, peer: undefined };
  open.push({
    close: async () => {
      association.close();
      await transport.close();
    },
  });
  return self;
};

const gatewayOf = async (
  controller: Omit<IqControllerAddress, "address">,
  more: Partial<IqGatewayConfig> = {},
): Promise<{ readonly iq: IqGateway; readonly sent: IqWireEvent[] }> => {
  const sent: IqWireEvent[] = [];
  const iq = await createIqGateway({
    config: {
      mid: "<gw-a.example>",
      controllers: [{ address: "127.0.0.1", ...controller }],
      lab: true,
      firstRetryMs: 20,
      longestRetryMs: 50,
      ...more,
    },
    clock: systemClock,
    log: silentLog,
    random: seededRandom("registered abroad"),
    handler: recordingHandler(),
    observe: (event) => {
      if (event.direction === "out") sent.push(event);
    },
  });
  open.push(iq);
  return { iq, sent };
};

const notify = { context: 5, termination: "ip/1/access/1", request: 1, name: "g/cause" };
const audit = actions("Context = - { AuditValue = ROOT { Audit { } } }");

const codeOf = async (asked: Promise<unknown>): Promise<number | undefined> =>
  asked.then(
    () => undefined,
    (error: unknown) => (error instanceof SallyportError ? error.h248Error : 0),
  );

let material: {
  readonly controller: H248TlsMaterial;
  readonly gateway: H248TlsMaterial;
  readonly other: H248TlsMaterial;
};
beforeAll(async () => {
  const authority = await createAuthority();
  const issue = (name: string): Promise<H248TlsMaterial> => authority.issue([{ type: "dns", value: name }]);
  material = {
    controller: await issue("mgc.example"),
    gateway: await issue("gw-a.example"),
    other: await issue("other.example"),
  };
});

describe("the version", () => {
  it.each([
    { offered: 3, takes: 3, spoken: 3 },
    { offered: 2, takes: 2, spoken: 2 },
    { offered: 2, takes: 1, spoken: 1 },
  ] as const)(
    "H.248.1 11.3: a reply without one agrees to what was offered: of $offered, $takes is taken",
    async ({ offered, spoken, takes }) => {
      const at = await point(() => "", { takes });
      const { iq, sent } = await gatewayOf({ protocol: "udp", port: at.port }, { version: offered });
      await until("registered", () => iq.state().registered);
      await iq.notify(notify);
      expect(sent.at(-1)?.octets.toString("latin1")).toMatch(new RegExp(`^(?:MEGACO|!)/${spoken} `));
    },
  );
});

describe("ServiceChangeAddress", () => {
  it("invariant 6: what an operator vouches for is the way to the address that is configured, and no other", () => {
    const vouched = { protocol: "udp", address: "192.0.2.1", port: 2944, protectedBelow: true } as const;
    expect(elsewhere(vouched, "2950")).toEqual({ ...vouched, port: 2950 });
    expect(elsewhere(vouched, "[192.0.2.1]:2950")).toEqual({ ...vouched, port: 2950 });
    expect(elsewhere(vouched, "[192.0.2.2]")).toEqual({ ...vouched, address: "192.0.2.2", protectedBelow: false });
    expect(elsewhere(vouched, "mgc/slot1")).toBeUndefined();
    const named = { protocol: "tls", address: "mgc.example", port: 2945 } as const;
    expect(elsewhere(named, "[192.0.2.2]")).toMatchObject({ address: "192.0.2.2", certificateName: "mgc.example" });
  });

  it.each([
    ["a port", (port: number) => String(port)],
    ["an address and port", (port: number) => `[127.0.0.1]:${port}`],
  ])(
    "H.248.1 7.2.8: %s over UDP: commands come from there and reports go there, from the socket that registered",
    async (_, said) => {
      const there = await point(() => "Version = 2");
      const here = await point(() => `Version = 2, ServiceChangeAddress = ${said(there.port)}`);
      const { iq } = await gatewayOf({ protocol: "udp", port: here.port });
      await until("registered", () => iq.state().registered);
      const { remote } = must(here.peer);
      await iq.notify(notify);
      expect([here.heard, there.heard]).toEqual([["ServiceChange of ROOT"], ["Notify of ip/1/access/1"]]);
      expect(must(there.peer).remote).toEqual(remote);
      expect(await codeOf(there.association.request(audit, { peer: must(there.peer) }))).toBeUndefined();
      expect(await codeOf(here.association.request(audit, { peer: must(here.peer) }))).toBe(504);
    },
  );

  it("H.248.1 7.2.8: over TLS the gateway goes there, and asks for the name of the same controller", async () => {
    const tls = { protocol: "tls", tls: material.controller } as const;
    const there = await point(() => "", tls);
    const here = await point(() => `Version = 2, ServiceChangeAddress = ${there.port}`, tls);
    const spec = { protocol: "tls", tls: material.gateway, certificateName: "mgc.example" } as const;
    const { iq } = await gatewayOf({ ...spec, port: here.port });
    await until("registered", () => iq.state().registered);
    await iq.notify(notify);
    expect(there.heard).toEqual(["Notify of ip/1/access/1"]);
    expect(await codeOf(there.association.request(audit, { peer: must(there.peer) }))).toBeUndefined();
  });

  it("TS 33.328 6.2.1.3: one with another's certificate, or where nobody is, is not gone on with", async () => {
    const stranger = await point(() => "", { protocol: "tls", tls: material.other });
    let where = stranger.port;
    const here = await point(() => `Version = 2, ServiceChangeAddress = ${where}`, {
      protocol: "tls",
      tls: material.controller,
    });
    const spec = { protocol: "tls", tls: material.gateway, certificateName: "mgc.example" } as const;
    const { iq } = await gatewayOf({ ...spec, port: here.port });
    await until("tried again", () => here.heard.length > 1);
    where = 1;
    await until("tried once more", () => here.heard.length > 3);
    expect(iq.state().registered).toBe(false);
    expect(stranger.heard).toEqual([]);
  });
});
