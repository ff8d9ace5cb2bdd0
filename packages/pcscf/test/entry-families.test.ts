// IPv4 and IPv6 beside each other: from which listening point a request leaves, and what stands in its headers.
// RFC 3263 4.2, RFC 5118, RFC 4291 2.5.5.2, RFC 3581 4.
import { createSocket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { headerList, type Resolver } from "@sallyport/sip";
import { edgeConfigSchema, type EdgeConfigInput } from "../src/index.ts";
import { establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { createPeer, type Peer } from "./support/peer.ts";
import { registerRaw } from "./support/registering.ts";
import { baseConfig, coreRequest, openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { sdp } from "./support/sdp.ts";

let scenario: Scenario;
const closing: (() => unknown)[] = [];
afterEach(async () => {
  await scenario?.close();
  for (const close of closing.splice(0)) await close();
});

const hasIpv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === "::1"));

/** A core element on ::1, beside the scenario's on 127.0.0.1. */
const sixthCore = async (protocol: "udp" | "tcp"): Promise<Peer> => {
  const peer = await createPeer({
    name: "six",
    clock: scenario.clock,
    protocol,
    address: "::1",
    target: () => ({ protocol, address: "::1", port: scenario.edge.core[1]?.port ?? 0 }),
  });
  closing.push(() => peer.close());
  return peer;
};

const bothFamilies = (config: EdgeConfigInput, protocol: "udp" | "tcp") => ({
  ...config,
  core: {
    ...config.core,
    nextHop: config.core.nextHop.replace("tcp", protocol),
    listen: ["127.0.0.1", "::1"].map((address) => ({ protocol, address, port: 0 })),
    trusted: { addresses: ["::1"] },
  },
});

describe.skipIf(!hasIpv6).each(["udp", "tcp"] as const)(
  "RFC 3263 4.2: two families towards the core (%s)",
  (protocol) => {
    const open = async (resolver?: Resolver): Promise<TestUe> => {
      scenario = await openScenario({
        ...(protocol === "udp" ? { core: { protocol } } : {}),
        ...(resolver === undefined ? {} : { resolver }),
        change: (config) => bothFamilies(config, protocol),
      });
      return scenario.ue("alice");
    };

    it("RFC 3608 6.1: a Service-Route over IPv6 is taken from the IPv6 listening point, with its Via and Record-Route, and back", async () => {
      const alice = await open();
      const six = await sixthCore(protocol);
      const { path } = await registerRaw(
        scenario,
        alice,
        { aor: alice.aor, contacts: [`<${alice.contact}>`], seq: 1 },
        { headers: [["Service-Route", `<sip:orig@[::1]:${six.port};transport=${protocol};lr>`]] },
      );
      const sent = alice.send(alice.request("INVITE", "sip:carol@far.example", { body: sdp() }));
      const arrived = await six.expect("INVITE");
      const port = scenario.edge.core[1]?.port;
      expect(headerList(arrived.request, "via")[0]).toContain(`SIP/2.0/${protocol.toUpperCase()} [::1]:${port};`);
      expect(headerList(arrived.request, "record-route")[0]).toContain(`@[::1]:${port};`);
      six.respond(arrived, 486);
      expect((await sent.final()).status).toBe(486);
      // What the IPv6 element sends along the Path of the IPv4 one.
      const message = six.send(
        coreRequest(six, "MESSAGE", alice.contact, { route: [path.replace(/127\.0\.0\.1:\d+/, `[::1]:${port}`)] }),
      );
      alice.respond(await alice.expect("MESSAGE"), 200);
      expect((await message.final()).status).toBe(200);
    });

    it("RFC 3263 4.3: of a server's addresses those that no listening point reaches are passed over", async () => {
      let port = 0;
      scenario = await openScenario({
        ...(protocol === "udp" ? { core: { protocol } } : {}),
        resolver: { naptr: async () => [], srv: async () => [], addresses: async () => ["2001:db8::1", "127.0.0.1"] },
        change: (config) => {
          port = Number(/:(\d+);/.exec(config.core.nextHop)?.[1]);
          return {
            ...config,
            core: {
              listen: [{ protocol, address: "127.0.0.1", port: 0 }],
              nextHop: `sip:core.home.example:${port};transport=${protocol}`,
              trusted: { addresses: ["127.0.0.1"] },
            },
          };
        },
      });
      const alice = await scenario.ue("alice");
      await alice.register();
      expect(scenario.edge.registrations()).toHaveLength(1);
    });
  },
);

describe.skipIf(!hasIpv6)("RFC 5118: a UE over IPv6", () => {
  it.each(["udp", "tcp"] as const)(
    "RFC 5118 4.5: registers, calls and is called over %s, in brackets wherever a host stands",
    async (protocol) => {
      scenario = await openScenario({
        change: (config) => ({
          ...config,
          access: [{ protocol, address: "::1", port: 0, trusted: true }],
        }),
      });
      const alice = await scenario.ue("alice", { protocol, address: "::1" });
      const { path } = await alice.register();
      expect(scenario.edge.registrations()).toMatchObject([{ contact: alice.contact }]);
      const { sent, arrived } = await originate(scenario, alice, { callId: "first" });
      const own = headerList(arrived.request, "record-route");
      expect(own[1]).toContain(`@[::1]:${scenario.edge.access[0]?.port};`);
      scenario.core.respond(arrived, 486);
      await sent.final();
      await establishOriginating(scenario, alice);
      const message = scenario.core.send(coreRequest(scenario.core, "MESSAGE", alice.contact, { route: [path] }));
      const got = await alice.expect("MESSAGE");
      expect(headerList(got.request, "via")[0]).toContain(`[::1]:${scenario.edge.access[0]?.port};`);
      alice.respond(got, 200);
      expect((await message.final()).status).toBe(200);
    },
  );

  describe("RFC 6157 3, H.248.1 7.1.8: a call to it is offered media", () => {
    const called = async (refused?: "SALLY_IQ_MEDIA_REFUSED" | "SALLY_IQ_NO_RESOURCES") => {
      scenario = await openScenario({
        change: (config) => ({
          ...config,
          access: [
            { protocol: "tcp", address: "::1", port: 0, trusted: true },
            { protocol: "tcp", address: "127.0.0.1", port: 0, trusted: true },
          ],
        }),
      });
      const bob = await scenario.ue("bob", { address: "::1" });
      const { path } = await bob.register();
      if (refused !== undefined) scenario.iq.failNext("add", refused);
      return { bob, path };
    };
    const families = () =>
      scenario.iq.commands.flatMap(({ kind, streams: [line] }) =>
        kind === "add" ? [[line?.access?.family, line?.core?.family]] : [],
      );

    it("in its own family, whatever that of the core", async () => {
      const { bob, path } = await called();
      await establishTerminating(scenario, bob, path);
      expect(families()).toEqual([["IP6", undefined]]);
      const carol = await scenario.ue("carol", { listener: 1 });
      const other = await carol.register();
      await establishTerminating(scenario, carol, other.path, { callId: "to-carol" });
      expect(families()[1]).toEqual([undefined, undefined]);
    });

    it("in what the gateway has where that is refused, and in nothing when the gateway is full", async () => {
      const { bob, path } = await called("SALLY_IQ_MEDIA_REFUSED");
      await establishTerminating(scenario, bob, path);
      expect(families()).toEqual([
        ["IP6", undefined],
        [undefined, undefined],
      ]);
      scenario.iq.failNext("add", "SALLY_IQ_NO_RESOURCES");
      const invite = coreRequest(scenario.core, "INVITE", bob.contact, {
        route: [path],
        body: sdp(),
        callId: "full",
      });
      expect((await scenario.core.send(invite).final()).status).toBe(503);
      expect(families()).toHaveLength(3);
    });
  });

  it("RFC 4291 2.5.5.2, RFC 3581 4: a listening point on all addresses serves UEs of both families, under the name it advertises", async () => {
    scenario = await openScenario({
      change: (config) => ({
        ...config,
        access: [{ protocol: "udp", address: "::", port: 0, trusted: true, advertised: "edge.example" }],
      }),
    });
    const port = scenario.edge.access[0]?.port ?? 0;
    for (const [address, name] of [
      ["127.0.0.1", "four"],
      ["::1", "six"],
    ] as const) {
      const ue = await scenario.ue(name, { protocol: "udp", address });
      await ue.register();
      const { sent, arrived } = await originate(scenario, ue, { body: sdp(), callId: name });
      expect(headerList(arrived.request, "record-route")[1]).toContain(`@edge.example:${port};`);
      scenario.core.respond(arrived, 486);
      expect((await sent.final()).status).toBe(486);
    }
    expect(scenario.edge.registrations().map(({ remote }) => remote.includes("ffff"))).toEqual([false, false]);
    // A stranger over IPv4 is told where it comes from.
    const socket = createSocket("udp4");
    closing.push(() => socket.close());
    const heard = new Promise<string>((resolve) =>
      socket.once("message", (octets) => resolve(octets.toString("latin1"))),
    );
    const text = [
      "OPTIONS sip:edge.example SIP/2.0",
      "Via: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1",
      "Max-Forwards: 70",
      "From: <sip:a@b>;tag=1",
      "To: <sip:edge.example>",
      "Call-ID: o",
      "CSeq: 1 OPTIONS",
      "",
      "",
    ].join("\r\n");
    socket.send(text, port, "127.0.0.1");
    expect(await heard).toContain(";received=127.0.0.1");
  });
});

describe("configuration", () => {
  it.each(["0.0.0.0", "::"])(
    "RFC 3327: a listening point on all addresses (%s) has to say by which it is found",
    (address) => {
      const base = baseConfig(5060);
      for (const [bad, good] of [
        [
          { ...base, access: [{ protocol: "udp", address, port: 0 }] },
          { ...base, access: [{ protocol: "udp", address, port: 0, advertised: "edge.example" }] },
        ],
        [
          { ...base, core: { ...base.core, listen: [{ protocol: "tcp", address, port: 0 }] } },
          {
            ...base,
            core: { ...base.core, listen: [{ protocol: "tcp", address, port: 0, advertised: "edge.example" }] },
          },
        ],
      ] as const) {
        const refused = edgeConfigSchema.safeParse(bad);
        expect(refused.error?.issues.map(({ path, message }) => [path.at(-1), message])).toEqual([
          ["advertised", expect.stringContaining("all addresses")],
        ]);
        expect(edgeConfigSchema.safeParse(good).success).toBe(true);
      }
    },
  );
});
