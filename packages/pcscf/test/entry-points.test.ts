// The entry points of the home network: which is asked when one keeps silent or turns a request away, and what the UE is told
// when none is left. TS 24.229 5.2.2 and 5.2.6.3.2A, RFC 3263 4.3, RFC 4320 4.2, TS 23.380 4.4.3.
import { createSocket } from "node:dgram";
import { afterEach, describe, expect, it } from "vitest";
import { VirtualClock } from "@sallyport/kit";
import { headerValue, type ServerTransaction } from "@sallyport/sip";
import { edgeConfigSchema } from "../src/index.ts";
import { createCoreTrust } from "../src/routing/trust.ts";
import { bodyOf, originate } from "./support/calls.ts";
import { createPeer, type Peer, type Sent } from "./support/peer.ts";
import { contactOf, rawRegister, registerRaw } from "./support/registering.ts";
import { baseConfig, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, sdp } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
/** The entry point after the scenario's core. */
let other: Peer;
const peers: Peer[] = [];
afterEach(async () => {
  await scenario.close();
  for (const peer of peers.splice(0)) await peer.close();
});

const address = "127.0.0.1";
const freePort = async (protocol: "tcp" | "udp"): Promise<number> => {
  const probe = await createPeer({ name: "probe", clock: new VirtualClock(0), protocol, target: () => nowhere });
  await probe.close();
  return probe.port;
};
const nowhere = { protocol: "udp", address, port: 9 } as const;
const open = async (protocol: "tcp" | "udp"): Promise<void> => {
  // It runs by the scenario's clock, whose configuration has to name its port first.
  const port = await freePort(protocol);
  scenario = await openScenario({
    ...(protocol === "udp" ? { core: { protocol } } : {}),
    change: (config) => ({
      ...config,
      core: {
        ...config.core,
        listen: [{ protocol, address, port: 0 }],
        nextHop: config.core.nextHop.replace("tcp", protocol),
        alternatives: [`sip:${address}:${port};transport=${protocol}`],
      },
    }),
  });
  other = await createPeer({
    name: "other",
    clock: scenario.clock,
    protocol,
    port,
    target: () => ({ protocol, address, port: scenario.edge.core[0]?.port ?? 0 }),
  });
  peers.push(other);
  alice = await scenario.ue("alice", { protocol });
};

let seq = 0;
const register = (headers: readonly (readonly [string, string])[] = []): Sent =>
  alice.send(rawRegister(alice, { aor: alice.aor, contacts: [contactOf(alice)], seq: (seq += 1), headers }));
const granted = () => ({ headers: [["Contact", contactOf(alice)] as const] });
/** Time goes on in small steps, with the sockets between. */
const pass = async (ms: number): Promise<void> => {
  for (let left = ms; left > 0; left -= 500) {
    scenario.clock.advance(Math.min(left, 500));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await settled();
};
const arrivals = (peer: Peer, method: string): number =>
  peer.requests.all.filter(({ request }) => request.method === method).length;
const finals = (sent: Sent): readonly number[] =>
  sent.responses.all.flatMap(({ status }) => (status >= 200 ? [status] : []));

describe.each(["udp", "tcp"] as const)("TS 24.229 5.2.2: a REGISTER and the entry points (%s)", (protocol) => {
  it("TS 24.229 5.2.2: one that does not respond: the next is asked in time, and first from then on", async () => {
    await open(protocol);
    const first = register();
    const late = await scenario.core.expect("REGISTER");
    await pass(5_500);
    expect(arrivals(other, "REGISTER")).toBe(0);
    await pass(1_000);
    const asked = await other.expect("REGISTER");
    // The same but for what is each hop's own.
    expect(headerValue(asked.request, "path")).toBe(headerValue(late.request, "path"));
    other.respond(asked, 200, granted());
    expect((await first.final()).status).toBe(200);
    expect(scenario.edge.registrations()).toHaveLength(1);
    // It wakes up: nobody is told anything any more.
    scenario.core.respond(late, 403);
    const second = register();
    other.respond(await other.expect("REGISTER"), 200, granted());
    expect((await second.final()).status).toBe(200);
    await settled();
    expect([finals(first), finals(second)]).toEqual([[200], [200]]);
    expect(arrivals(scenario.core, "REGISTER")).toBe(1);
  });

  it("TS 24.229 5.2.2: one that answers after all while another is asked has answered", async () => {
    await open(protocol);
    const sent = register();
    const late = await scenario.core.expect("REGISTER");
    await pass(6_500);
    const asked = await other.expect("REGISTER");
    scenario.core.respond(late, 200, granted());
    expect((await sent.final()).status).toBe(200);
    other.respond(asked, 403);
    await settled();
    expect([finals(sent), scenario.edge.registrations().length]).toEqual([[200], 1]);
  });

  it.each([305, 302, 480, 503, 408])(
    "TS 24.229 5.2.2, RFC 3263 4.3: one that answers %i: the next is asked at once",
    async (status) => {
      await open(protocol);
      const sent = register();
      scenario.core.respond(await scenario.core.expect("REGISTER"), status);
      other.respond(await other.expect("REGISTER"), 401);
      expect((await sent.final()).status).toBe(401);
      await settled();
      expect(finals(sent)).toEqual([401]);
    },
  );

  it.each([403, 404, 500, 600])("RFC 3261 16.7: what says %i has answered for all", async (status) => {
    await open(protocol);
    const sent = register();
    scenario.core.respond(await scenario.core.expect("REGISTER"), status);
    expect((await sent.final()).status).toBe(status);
    expect(arrivals(other, "REGISTER")).toBe(0);
  });

  it.each([
    [480, 503, 503],
    [503, 305, 305],
    [480, 408, 480],
    [408, 408, 504],
  ])("RFC 3261 16.7 step 6, RFC 4320 4.2: %i and %i: the UE is told %i", async (one, two, told) => {
    await open(protocol);
    const sent = register();
    scenario.core.respond(await scenario.core.expect("REGISTER"), one);
    other.respond(await other.expect("REGISTER"), two);
    expect((await sent.final()).status).toBe(told);
  });

  it("TS 24.229 5.2.2, RFC 4320 4.2: none responds: 504 while the UE still waits, once, and nothing is left", async () => {
    await open(protocol);
    const sent = register();
    await scenario.core.expect("REGISTER");
    await pass(27_500);
    expect(finals(sent)).toEqual([]);
    await pass(1_000);
    expect((await sent.final()).status).toBe(504);
    expect([arrivals(scenario.core, "REGISTER"), arrivals(other, "REGISTER")]).toEqual([1, 1]);
    await pass(5_000);
    expect(finals(sent)).toEqual([504]);
    await pass(40_000);
    expect(scenario.edge.counts()).toMatchObject({ registrations: 0, transactions: 0 });
  });

  it("TS 24.229 5.2.2: one that said 100 is at work: nobody else is asked", async () => {
    await open(protocol);
    const sent = register();
    const arrived = await scenario.core.expect("REGISTER");
    scenario.core.respond(arrived, 100);
    await pass(20_000);
    expect(arrivals(other, "REGISTER")).toBe(0);
    scenario.core.respond(arrived, 200, granted());
    expect((await sent.final()).status).toBe(200);
  });
});

describe("RFC 3261 16.7: an INVITE and the entry points", () => {
  /** Registered without Service-Route: calls go to the entry points too. */
  const registered = async (protocol: "udp" | "tcp" = "udp"): Promise<void> => {
    await open(protocol);
    await registerRaw(scenario, alice, { aor: alice.aor, contacts: [contactOf(alice)], seq: (seq += 1) });
  };
  const silent = async (): Promise<{
    readonly sent: Sent;
    readonly late: ServerTransaction;
    readonly asked: ServerTransaction;
  }> => {
    const { sent, arrived } = await originate(scenario, alice, { body: sdp(), callId: `c${(seq += 1)}` });
    await pass(6_500);
    return { sent, late: arrived, asked: await other.expect("INVITE") };
  };
  const contact = (peer: Peer) => [["Contact", `<sip:carol@${address}:${peer.port}>`] as const];

  it("RFC 3263 4.3: one that does not respond: the next is asked; the first, when it wakes up, is sent a CANCEL", async () => {
    await registered();
    const { sent, late, asked } = await silent();
    other.respond(asked, 180);
    await sent.responses.next(({ status }) => status === 180);
    let cancelled = false;
    late.onCancel = () => (cancelled = true);
    scenario.core.respond(late, 183, { headers: contact(scenario.core), body: coreSdp() });
    await until(() => cancelled, "the CANCEL");
    scenario.core.respond(late, 487);
    other.respond(asked, 486);
    expect((await sent.final()).status).toBe(486);
    await settled();
    expect(sent.responses.all.map(({ status }) => status).filter((status) => status > 100)).toEqual([180, 486]);
    await until(() => scenario.edge.counts().calls === 0, "nothing left");
  });

  it("RFC 3261 16.7 step 5: its 2xx passes all the same", async () => {
    await registered();
    const { sent, late } = await silent();
    scenario.core.respond(late, 200, { headers: contact(scenario.core), body: coreSdp() });
    expect((await sent.final()).status).toBe(200);
  });

  it("RFC 3261 9.1: cancelled while nobody responds: nobody else is asked, and whoever wakes up is sent the CANCEL", async () => {
    await registered();
    const { sent, arrived } = await originate(scenario, alice, { body: sdp() });
    await pass(500);
    await sent.responses.next(({ status }) => status === 100);
    sent.cancel();
    await pass(8_000);
    expect(arrivals(other, "INVITE")).toBe(0);
    let cancelled = false;
    arrived.onCancel = () => (cancelled = true);
    scenario.core.respond(arrived, 180);
    await until(() => cancelled, "the CANCEL");
    scenario.core.respond(arrived, 487);
    expect((await sent.final()).status).toBe(487);
  });

  it.each([480, 302, 408])(
    "RFC 3261 16.7: %i is the callee's answer, for whom no other entry point is asked",
    async (status) => {
      await registered();
      const { sent, arrived } = await originate(scenario, alice, { body: sdp() });
      scenario.core.respond(arrived, status);
      expect((await sent.final()).status).toBe(status);
      expect(arrivals(other, "INVITE")).toBe(0);
    },
  );

  it("RFC 3608 6.1: a request with a Service-Route goes along it and to no other entry point", async () => {
    await open("udp");
    await alice.register({ grant: [] });
    const { sent } = await originate(scenario, alice, { body: sdp() });
    await pass(33_000);
    expect((await sent.final()).status).toBe(504);
    expect(arrivals(other, "INVITE")).toBe(0);
  });
});

describe("TS 24.229 5.2.6.3.2A: the S-CSCF does not answer a registered UE", () => {
  const told = async (sent: Sent): Promise<readonly (string | number | undefined)[]> => {
    const response = await sent.final();
    return [
      response.status,
      headerValue(response, "p-asserted-identity"),
      headerValue(response, "content-type"),
      bodyOf(response),
    ];
  };
  const restoration = (path: string) => [
    504,
    path,
    "application/3gpp-ims+xml",
    expect.stringMatching(
      /<ims-3gpp version="1"><alternative-service><type>restoration<\/type>\s*<reason>[^<]+<\/reason><action>initial-registration<\/action>/,
    ),
  ];

  it("TS 24.229 5.2.6.3.2A: 504 with the order to register anew, in the name that stood in Path: MESSAGE, SUBSCRIBE, INVITE", async () => {
    scenario = await openScenario();
    alice = await scenario.ue("alice");
    const { path } = await alice.register();
    for (const method of ["MESSAGE", "SUBSCRIBE"]) {
      const sent = alice.send(alice.request(method, "sip:carol@far.example", { callId: method }));
      await scenario.core.expect(method);
      await pass(28_500);
      expect(await told(sent)).toEqual(restoration(path));
    }
    const { sent } = await originate(scenario, alice, { body: sdp() });
    await pass(33_000);
    expect(await told(sent)).toEqual(restoration(path));
    await until(() => scenario.edge.counts().calls === 0, "nothing left");
  });

  it("RFC 5626 5.1: the Path of a flow of outbound has its ob", async () => {
    scenario = await openScenario();
    alice = await scenario.ue("alice");
    const contacts = [contactOf(alice, ';+sip.instance="<urn:uuid:1>";reg-id=1')];
    const headers = [["Supported", "outbound"]] as const;
    const { path } = await registerRaw(scenario, alice, { aor: alice.aor, contacts, seq: 1, headers });
    expect(path).toContain(";ob>");
    const sent = alice.send(alice.request("MESSAGE", "sip:carol@far.example"));
    await scenario.core.expect("MESSAGE");
    scenario.core.hangUp();
    expect(await told(sent)).toEqual(restoration(path));
  });

  it("TS 24.229 5.2.6.3.2A: not for an emergency call of who did not register", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, emergency: { unregistered: true } }) });
    alice = await scenario.ue("alice");
    const sos = await originate(scenario, alice, { to: "urn:service:sos", body: sdp(), callId: "sos" });
    await pass(33_000);
    expect((await told(sos.sent)).slice(0, 2)).toEqual([408, undefined]);
  });

  it("TS 24.229 5.2.6.3.2A: not for what was answered at all: it rang until Timer C", async () => {
    // Timer C of the transaction alone bounds it, and the caller has no timers of its own.
    scenario = await openScenario({ change: (config) => ({ ...config, limits: { setupMs: 86_400_000 } }) });
    const socket = createSocket("udp4");
    const heard: string[] = [];
    socket.on("message", (octets) => heard.push(octets.toString("latin1")));
    await new Promise<void>((resolve) => socket.bind(0, address, () => resolve()));
    const { port } = socket.address();
    const ask = (method: string, uri: string, more: readonly string[]): void =>
      socket.send(
        [
          `${method} ${uri} SIP/2.0`,
          `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${method}`,
          "Max-Forwards: 70",
          "From: <sip:raw@home.example>;tag=1",
          "To: <sip:raw@home.example>",
          `Call-ID: ${method}`,
          `CSeq: 1 ${method}`,
          `Contact: <sip:raw@${address}:${port}>`,
          ...more,
          "",
          "",
        ].join("\r\n"),
        scenario.edge.access.find(({ protocol }) => protocol === "udp")?.port ?? 0,
        address,
      );
    const last = (): string => heard.at(-1) ?? "";
    ask("REGISTER", "sip:home.example", ["Expires: 600"]);
    const registering = await scenario.core.expect("REGISTER");
    scenario.core.respond(registering, 200, { headers: [["Contact", `<sip:raw@${address}:${port}>;expires=600`]] });
    await until(() => last().startsWith("SIP/2.0 200"), "registered");
    ask("INVITE", "sip:carol@far.example", []);
    scenario.core.respond(await scenario.core.expect("INVITE"), 180);
    await until(() => last().startsWith("SIP/2.0 180"), "it rings");
    scenario.clock.advance(186_000);
    await settled();
    scenario.clock.advance(33_000);
    await until(() => !last().startsWith("SIP/2.0 180"), "it is over");
    socket.close();
    expect(last()).toMatch(/^SIP\/2\.0 408 /);
  });
});

describe("TS 24.229 5.2.2: entry points as configured", () => {
  it("SALLY_EDGE_NEXT_HOP: an alternative that nothing listens for is told by its URI", async () => {
    scenario = await openScenario();
    await expect(
      openScenario({
        change: (config) => ({ ...config, core: { ...config.core, alternatives: ["sip:192.0.2.9;transport=tls"] } }),
      }),
    ).rejects.toMatchObject({ code: "SALLY_EDGE_NEXT_HOP", where: "sip:192.0.2.9;transport=tls" });
  });

  it("each may send requests: by its address, or by the name of its certificate", async () => {
    scenario = await openScenario();
    const base = edgeConfigSchema.parse(baseConfig(5060));
    const trust = createCoreTrust({
      ...base.core,
      alternatives: ["sip:192.0.2.9", "sip:b.example;transport=tls"],
    });
    const flow = { id: "x", protocol: "tcp" as const, local: { address, port: 1 }, peerNames: [] };
    expect(trust({ ...flow, remote: { address: "192.0.2.9", port: 7 } })).toBe(true);
    expect(trust({ ...flow, remote: { address: "192.0.2.8", port: 7 } })).toBe(false);
    expect(trust({ ...flow, remote: { address: "192.0.2.8", port: 7 }, peerNames: ["b.example"] })).toBe(true);
  });
});
