// How requests reach the core: its servers as the DNS has them, the next one when one fails, TCP for what is too long for UDP.
import { afterEach, describe, expect, it } from "vitest";
import type { Resolver } from "@sallyport/sip";
import { bodyOf, establishOriginating, originate } from "./support/calls.ts";
import { createFakeIq } from "./support/fake-iq.ts";
import { createPeer, type Peer } from "./support/peer.ts";
import { registerRaw } from "./support/registering.ts";
import { openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { sdp, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
const peers: Peer[] = [];
afterEach(async () => {
  await scenario.close();
  for (const peer of peers.splice(0)) await peer.close();
});

const extra = async (name: string, protocol: "tcp" | "udp", clock: Scenario["clock"], port?: number): Promise<Peer> => {
  const peer = await createPeer({
    name,
    clock,
    protocol,
    ...(port === undefined ? {} : { port }),
    target: () => ({ protocol, address: "127.0.0.1", port: scenario.edge.core[0]?.port ?? 0 }),
  });
  peers.push(peer);
  return peer;
};

const long = "x".repeat(1400);

describe("RFC 3263: the servers of the next hop", () => {
  let ports: number[] = [];
  const resolver: Resolver = {
    naptr: async () => [],
    srv: async (name) =>
      name === "_sip._tcp.core.home.example"
        ? ports.map((port, at) => ({ name: "127.0.0.1", port, priority: at, weight: 1 }))
        : [],
    addresses: async () => [],
  };

  const open = async (before: readonly number[] = []): Promise<void> => {
    scenario = await openScenario({
      resolver,
      change: (config) => {
        ports = [...before, Number(/:(\d+);/.exec(config.core.nextHop)?.[1])];
        return {
          ...config,
          core: { ...config.core, nextHop: "sip:core.home.example", trusted: { addresses: ["127.0.0.1"] } },
        };
      },
    });
  };

  it("a gateway that is up before the DNS has answered is no fault, and serves the calls", async () => {
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (answer = resolve));
    const iq = createFakeIq();
    const opening = openScenario({
      resolver: { ...resolver, srv: async (name) => asked.then(() => resolver.srv(name)) },
      createIq: iq.create,
      change: (config) => {
        ports = [Number(/:(\d+);/.exec(config.core.nextHop)?.[1])];
        return {
          ...config,
          core: { ...config.core, nextHop: "sip:core.home.example", trusted: { addresses: ["127.0.0.1"] } },
        };
      },
    });
    await until(() => iq.known.length === 1, "the controller");
    iq.up();
    answer();
    scenario = await opening;
    expect(scenario.logs.filter(({ level }) => level === "error")).toEqual([]);
    const alice = await scenario.ue("alice");
    await alice.register();
    const { arrived } = await originate(scenario, alice);
    expect(bodyOf(arrived.request)).toContain("RTP/AVP");
  });

  it("RFC 3263 4.2: a name without port and transport leads to its SRV record, by a transport the edge listens on", async () => {
    await open();
    const alice = await scenario.ue("alice");
    await alice.register();
    expect(scenario.edge.registrations()).toMatchObject([{ mode: "e2ae" }]);
  });

  it("RFC 3263 4.3: the first server does not take connections: the next one gets the REGISTER, and those after it at once", async () => {
    // Nobody listens on port 9 of loopback.
    await open([9]);
    const alice = await scenario.ue("alice");
    await alice.register();
    const sent = alice.send(alice.request("MESSAGE", "sip:carol@far.example"));
    scenario.core.respond(await scenario.core.expect("MESSAGE"), 200);
    expect((await sent.final()).status).toBe(200);
  });

  it("RFC 3263 4.3: a 503 of the first sends the request on to the second, and is not told to the UE; alone it is", async () => {
    await open();
    const busy = await extra("busy", "tcp", scenario.clock);
    ports = [busy.port, ...ports];
    scenario.clock.advance(60_001);
    const alice = await scenario.ue("alice");
    const options = () =>
      alice.request("REGISTER", "sip:home.example", { headers: [["Expires", "600"]], to: `<${alice.aor}>` });
    const first = alice.send(options());
    // The answer that ran out is used while it is asked for anew; the next request goes by the new one.
    scenario.core.respond(await scenario.core.expect("REGISTER"), 403);
    await first.final();
    await until(() => true, "the DNS has answered");
    const second = alice.send(
      alice.request("REGISTER", "sip:home.example", { seq: 2, callId: "second", to: `<${alice.aor}>` }),
    );
    busy.respond(await busy.expect("REGISTER"), 503, { headers: [["Retry-After", "600"]] });
    scenario.core.respond(await scenario.core.expect("REGISTER"), 403);
    expect((await second.final()).status).toBe(403);
    expect(second.responses.all.map(({ status }) => status)).toEqual([403]);
    // Its Retry-After is kept: the third goes straight to the other, whose own 503 is the last word.
    const third = alice.send(
      alice.request("REGISTER", "sip:home.example", { seq: 3, callId: "third", to: `<${alice.aor}>` }),
    );
    scenario.core.respond(await scenario.core.expect("REGISTER"), 503);
    busy.respond(await busy.expect("REGISTER"), 503);
    expect((await third.final()).status).toBe(503);
  });
});

describe("RFC 3261 16.6 step 7: an element that a route names", () => {
  const routes = ["<sip:orig@scscf.home.example;lr>", "<sip:orig@scscf.home.example;transport=tcp;lr>"];

  it.each(routes)(
    "RFC 3263 4.2: %s leads to its SRV records, and to the next of them when the first fails",
    async (route) => {
      let ports: readonly number[] = [];
      const resolver: Resolver = {
        naptr: async () => [],
        srv: async (name) =>
          name === "_sip._tcp.scscf.home.example"
            ? ports.map((port, at) => ({ name: "s.home.example", port, priority: at, weight: 1 }))
            : [],
        addresses: async (name) => (name === "s.home.example" ? ["127.0.0.1"] : []),
      };
      scenario = await openScenario({ resolver });
      const scscf = await extra("scscf", "tcp", scenario.clock);
      // Nobody listens on port 9 of loopback.
      ports = [9, scscf.port];
      const alice = await scenario.ue("alice");
      const register = { aor: alice.aor, contacts: [`<${alice.contact}>`], seq: 1 };
      await registerRaw(scenario, alice, register, { headers: [["Service-Route", route]] });
      const first = alice.send(alice.request("MESSAGE", "sip:carol@far.example", { callId: "one" }));
      scscf.respond(await scscf.expect("MESSAGE"), 200);
      expect((await first.final()).status).toBe(200);
      const second = alice.send(alice.request("INVITE", "sip:carol@far.example", { callId: "two", body: sdp() }));
      scscf.respond(await scscf.expect("INVITE"), 486);
      expect((await second.final()).status).toBe(486);
    },
  );

  it("RFC 3263 4.2: with a port it names a host, and no SRV record is asked for", async () => {
    const asked: string[] = [];
    const resolver: Resolver = {
      naptr: async (name) => (asked.push(name), []),
      srv: async (name) => (asked.push(name), []),
      addresses: async (name) => (asked.push(name), []),
    };
    scenario = await openScenario({ resolver });
    const scscf = await extra("scscf", "tcp", scenario.clock);
    const alice = await scenario.ue("alice");
    const route = `<sip:orig@localhost:${scscf.port};transport=tcp;lr>`;
    const register = { aor: alice.aor, contacts: [`<${alice.contact}>`], seq: 1 };
    await registerRaw(scenario, alice, register, { headers: [["Service-Route", route]] });
    const sent = alice.send(alice.request("MESSAGE", "sip:carol@far.example"));
    scscf.respond(await scscf.expect("MESSAGE"), 200);
    expect((await sent.final()).status).toBe(200);
    expect(asked).toEqual([]);
  });
});

describe("RFC 3261 18.1.1: what is too long for a datagram", () => {
  const open = async (): Promise<void> => {
    scenario = await openScenario({
      core: { protocol: "udp" },
      change: (config) => ({
        ...config,
        core: {
          nextHop: config.core.nextHop.replace("tcp", "udp"),
          listen: [
            { protocol: "udp", address: "127.0.0.1", port: 0 },
            { protocol: "tcp", address: "127.0.0.1", port: 0 },
          ],
          trusted: { addresses: ["127.0.0.1"] },
        },
      }),
    });
  };
  const text = { type: "text/plain" } as const;
  /** Without a Service-Route, so that its requests go to the next hop itself. */
  const register = (ue: TestUe) =>
    registerRaw(scenario, ue, {
      aor: ue.aor,
      contacts: [`<${ue.contact}>`],
      seq: 1,
      headers: [["Security-Client", "sdes-srtp;mediasec"]],
    });

  it("RFC 3261 18.1.1: goes by TCP to the same port with TCP in its Via; a short one goes by UDP", async () => {
    await open();
    const stream = await extra("stream", "tcp", scenario.clock, scenario.core.port);
    const alice = await scenario.ue("alice");
    await register(alice);
    const short = alice.send(
      alice.request("MESSAGE", "sip:carol@far.example", { ...text, body: "short", callId: "short" }),
    );
    scenario.core.respond(await scenario.core.expect("MESSAGE"), 200);
    expect((await short.final()).status).toBe(200);
    const sent = alice.send(
      alice.request("REGISTER", "sip:home.example", { ...text, body: long, callId: "long", to: `<${alice.aor}>` }),
    );
    const arrived = await stream.expect("REGISTER");
    expect(arrived.request.headers.find(({ name }) => name === "via")?.value).toContain("SIP/2.0/TCP");
    expect(bodyOf(arrived.request)).toBe(long);
    stream.respond(arrived, 403);
    expect((await sent.final()).status).toBe(403);
  });

  it("RFC 3261 18.1.1: nobody takes the connection: it goes by UDP after all, and a CANCEL finds it", async () => {
    await open();
    const alice = await scenario.ue("alice");
    await register(alice);
    const body = ueOffer({ lines: [`a=x-long:${long}`] });
    const sent = alice.send(alice.request("INVITE", "sip:carol@far.example", { body }));
    const arrived = await scenario.core.expect("INVITE");
    expect(arrived.request.headers.find(({ name }) => name === "via")?.value).toContain("SIP/2.0/UDP");
    let cancelled = false;
    arrived.onCancel = () => (cancelled = true);
    scenario.core.respond(arrived, 180);
    await sent.responses.next(({ status }) => status === 180);
    sent.cancel();
    await until(() => cancelled, "the CANCEL arrived");
    scenario.core.respond(arrived, 487);
    expect((await sent.final()).status).toBe(487);
    await until(() => scenario.iq.open.size === 0, "the context given back");
    expect(scenario.edge.counts().calls).toBe(0);
  });
});

it("RFC 3261 8.1.2, RFC 3263 4.1: ACK and BYE go by the transport that the remote target names, where no route leads on", async () => {
  scenario = await openScenario({
    change: (config) => ({
      ...config,
      core: {
        ...config.core,
        listen: (["tcp", "udp"] as const).map((protocol) => ({ protocol, address: "127.0.0.1", port: 0 })),
      },
    }),
  });
  const alice = await scenario.ue("alice");
  await alice.register();
  // The core is there on TCP alone, and its Contact says so.
  const dialog = await establishOriginating(scenario, alice);
  const bye = alice.send(dialog.byCaller("BYE", 2));
  scenario.core.respond(await scenario.core.expect("BYE"), 200);
  expect((await bye.final()).status).toBe(200);
});
