// Strangers: who may answer, what is kept of what they ask, and how much of it. RFC 3261 8.2.7, 17.1.3, 18.1.2.
import { createSocket, type Socket } from "node:dgram";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { headerValue, headerValues, type Flow, type SipRequest } from "@sallyport/sip";
import { createStanding } from "../src/admission/standing.ts";
import type { EdgeConfigInput } from "../src/index.ts";
import { createPoints, type ListeningPoint } from "../src/listening/points.ts";
import { hasLooped } from "../src/routing/hops.ts";
import { arrive } from "../src/routing/route.ts";
import { createTokens } from "../src/routing/token.ts";
import { originate } from "./support/calls.ts";
import { coreRequest, openScenario, settled, until, type Scenario } from "./support/scenario.ts";
import { coreSdp, sdp } from "./support/sdp.ts";

let scenario: Scenario | undefined;
const sockets: (() => void)[] = [];
afterEach(async () => {
  for (const end of sockets.splice(0)) end();
  await scenario?.close();
  scenario = undefined;
});

const count = (name: string, labels: Readonly<Record<string, string>> = {}): number =>
  scenario?.edge
    .counters()
    .find((each) => each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value))
    ?.value ?? 0;

const elsewhere = (): number => count("admission_refused_total", { reason: "answer-from-elsewhere" });

/** An answer as somebody writes it who has seen the request on its way. */
const forge = (asked: SipRequest, start: string): string =>
  [
    start,
    ...headerValues(asked, "via").map((via) => `Via: ${via}`),
    `From: ${headerValue(asked, "from")}`,
    `To: ${headerValue(asked, "to")};tag=evil`,
    `Call-ID: ${headerValue(asked, "call-id")}`,
    `CSeq: ${headerValue(asked, "cseq")}`,
    "P-Asserted-Identity: <sip:bank@home.example>",
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");

const overTcp = (port: number, localAddress: string, text: string): void => {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  socket.on("error", () => undefined);
  socket.write(text);
  sockets.push(() => socket.destroy());
};

const udpSocket = async (address: string): Promise<Socket> => {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, address, () => resolve()));
  sockets.push(() => socket.close());
  return socket;
};

describe("RFC 3261 17.1.3: an answer is believed from whom was asked", () => {
  it("not from the access side, nor from a stranger on the core side, when the core was asked", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    const { sent, arrived } = await originate(scenario, alice, { body: sdp() });
    overTcp(scenario.edge.access[0]?.port ?? 0, "127.0.0.1", forge(arrived.request, "SIP/2.0 486 Busy Here"));
    await until(() => elsewhere() === 1, "dropped");
    overTcp(scenario.edge.core[0]?.port ?? 0, "127.0.0.66", forge(arrived.request, "SIP/2.0 603 Decline"));
    await until(() => elsewhere() === 2, "dropped");
    scenario.core.respond(arrived, 480);
    expect((await sent.final()).status).toBe(480);
  });

  it("not from another UE, nor on another connection of its own address, when a UE was asked", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const { path } = await alice.register();
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
    );
    const arrived = await alice.expect("INVITE");
    overTcp(scenario.edge.access[0]?.port ?? 0, "127.0.0.1", forge(arrived.request, "SIP/2.0 486 Busy Here"));
    await until(() => elsewhere() === 1, "dropped");
    alice.respond(arrived, 480);
    expect((await sent.final()).status).toBe(480);
  });

  const point = (side: "access" | "core", protocol: Flow["protocol"], at: number): ListeningPoint => ({
    name: `${side}/${protocol}${at}`,
    side,
    protocol,
    address: `192.0.2.${at}`,
    port: 5060,
    host: `192.0.2.${at}`,
    trusted: false,
  });
  const points = createPoints([
    point("access", "udp", 1),
    point("access", "tcp", 1),
    point("core", "udp", 2),
    point("core", "udp", 3),
    point("core", "tls", 2),
  ]);
  const flow = (
    listener: string,
    address: string,
    id = `${listener}-${address}`,
    names: readonly string[] = [],
  ): Flow => ({
    id,
    protocol: listener.includes("udp") ? "udp" : listener.includes("tls") ? "tls" : "tcp",
    local: { address: "192.0.2.1", port: 5060 },
    remote: { address, port: 5060 },
    listener,
    peerNames: names,
  });
  const closed = new Set<string>();
  const standing = createStanding({
    points,
    trust: (each) => each.remote.address === "198.51.100.7" || each.peerNames.includes("core.example"),
    isRegistered: (id) => id.startsWith("registered"),
    isOpen: (id) => !closed.has(id),
  });

  it.each([
    ["the same flow", flow("access/tcp1", "10.0.0.1"), flow("access/tcp1", "10.0.0.1"), true],
    [
      "a UE over UDP, from another port",
      flow("access/udp1", "10.0.0.1", "a"),
      flow("access/udp1", "10.0.0.1", "b"),
      true,
    ],
    ["a UE over UDP, from another address", flow("access/udp1", "10.0.0.1"), flow("access/udp1", "10.0.0.2"), false],
    ["a UE, by another protocol", flow("access/udp1", "10.0.0.1"), flow("access/tcp1", "10.0.0.1"), false],
    ["a UE, on another connection", flow("access/tcp1", "10.0.0.1", "a"), flow("access/tcp1", "10.0.0.1", "b"), false],
    [
      "a registered one on another",
      flow("access/tcp1", "10.0.0.1", "a"),
      flow("access/tcp1", "10.0.0.1", "registered"),
      false,
    ],
    [
      "a trusted core element at another point",
      flow("core/udp2", "198.51.100.1"),
      flow("core/udp3", "198.51.100.7"),
      true,
    ],
    [
      "the core's address that was asked, unnamed",
      flow("core/udp2", "198.51.100.1", "a"),
      flow("core/udp2", "198.51.100.1", "b"),
      true,
    ],
    ["a stranger on the core side", flow("core/udp2", "198.51.100.1"), flow("core/udp2", "198.51.100.2"), false],
    [
      "over TLS the address without the name",
      flow("core/tls2", "198.51.100.1", "a"),
      flow("core/tls2", "198.51.100.1", "b"),
      false,
    ],
    [
      "over TLS the name",
      flow("core/tls2", "198.51.100.1", "a"),
      flow("core/tls2", "198.51.100.9", "b", ["core.example"]),
      true,
    ],
    ["the core for a UE", flow("access/udp1", "10.0.0.1"), flow("core/udp2", "198.51.100.7"), false],
    ["a UE for the core", flow("core/udp2", "10.0.0.1"), flow("access/udp1", "10.0.0.1"), false],
  ] as const)("RFC 3261 18.1.2: %s", (_what, sent, from, may) => {
    expect(standing.mayAnswer(from, sent)).toBe(may);
  });

  it("RFC 3261 18.2.2: after its connection is gone a UE answers on the one it registered again on", () => {
    closed.add("gone");
    const sent = flow("access/tcp1", "10.0.0.1", "gone");
    expect(standing.mayAnswer(flow("access/tcp1", "10.0.0.1", "registered"), sent)).toBe(true);
    expect(standing.mayAnswer(flow("access/tcp1", "10.0.0.1", "fresh"), sent)).toBe(false);
  });
});

const invite = (branch: string, address: string, port: number): Buffer =>
  Buffer.from(
    [
      "INVITE sip:x@y.example SIP/2.0",
      `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${branch}`,
      "From: <sip:a@b.example>;tag=1",
      "To: <sip:a@b.example>",
      `Call-ID: ${branch}`,
      "CSeq: 1 INVITE",
      "Content-Length: 0",
      "",
      "",
    ].join("\r\n"),
  );

describe("RFC 3261 8.2.7: strangers' requests", () => {
  it("an INVITE of nobody registered is answered once, and a copy again alike; nothing is kept and nothing repeated", async () => {
    scenario = await openScenario();
    const port = scenario.edge.access.find(({ protocol }) => protocol === "udp")?.port ?? 0;
    const socket = await udpSocket("127.0.0.1");
    const heard: string[] = [];
    socket.on("message", (text) => heard.push(text.toString()));
    for (let copy = 1; copy <= 3; copy += 1) {
      socket.send(invite("one", "127.0.0.1", socket.address().port), port, "127.0.0.1");
      await until(() => heard.length === copy, "answered");
      expect(scenario.edge.counts().transactions).toBe(0);
    }
    scenario.clock.advance(40_000);
    await settled();
    expect(heard.length).toBe(3);
    expect(new Set(heard).size).toBe(1);
    expect(heard[0]).toMatch(/^SIP\/2.0 403 Not Registered\r\n[^]*\r\nTo: [^\r]*;tag=[0-9a-f]{16}\r\n/);
  });

  it("RFC 6357: all strangers together have a rate, whatever sources they claim; who has registered has not", async () => {
    const change = (config: EdgeConfigInput): EdgeConfigInput => ({
      ...config,
      limits: { sources: { strangersPerSecond: 1, strangersBurst: 8 } },
    });
    scenario = await openScenario({ change });
    const alice = await scenario.ue("alice");
    await alice.register();
    const port = scenario.edge.access.find(({ protocol }) => protocol === "udp")?.port ?? 0;
    let heard = 0;
    for (let each = 1; each <= 12; each += 1) {
      const address = `127.0.7.${each}`;
      const socket = await udpSocket(address);
      socket.on("message", () => (heard += 1));
      socket.send(invite(`s${each}`, address, socket.address().port), port, "127.0.0.1");
    }
    // Two of the eight were alice's, before she had registered.
    await until(() => count("admission_refused_total", { reason: "strangers-rate" }) === 6, "dropped");
    await until(() => heard === 6, "answered");
    expect((await originate(scenario, alice)).arrived.request.method).toBe("INVITE");
  });

  it("answers of the access side have a rate as well", async () => {
    const change = (config: EdgeConfigInput): EdgeConfigInput => ({
      ...config,
      limits: { sources: { requestsPerSecond: 1, burst: 4 } },
    });
    scenario = await openScenario({ change });
    const alice = await scenario.ue("alice");
    await alice.register();
    const socket = connect(scenario.edge.access[0]?.port ?? 0, "127.0.0.1");
    sockets.push(() => socket.destroy());
    const stray = forge(
      alice.request("INVITE", "sip:x@y.example"),
      "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx",
    );
    socket.write(stray.repeat(9));
    // Four, and a reserve of one.
    await until(() => count("admission_refused_total", { reason: "response-rate" }) === 4, "dropped");
  });

  it("on the core side they fill no log: one line a minute says how many there were", async () => {
    const change = (config: EdgeConfigInput): EdgeConfigInput => ({
      ...config,
      core: { ...config.core, nextHop: config.core.nextHop.replace("127.0.0.1", "127.0.0.2") },
    });
    scenario = await openScenario({ change });
    const { core, clock, logs } = scenario;
    const ask = async (): Promise<number> =>
      (await core.send(coreRequest(core, "INVITE", "sip:bob@127.0.0.1", { body: coreSdp() })).final()).status;
    for (let each = 0; each < 5; each += 1) expect(await ask()).toBe(403);
    clock.advance(60_000);
    // Its connection was a stranger's as well, and is given up.
    await settled();
    expect(await ask()).toBe(403);
    const lines = logs.filter(({ event }) => event === "stranger on the core side");
    expect(lines.map(({ fields }) => fields["untold"])).toEqual([0, 4]);
    expect(count("strangers_refused_total")).toBe(6);
  });
});

describe("RFC 3261 18.2: connections of strangers", () => {
  const junk = "X\r\nContent-Length: 0\r\n\r\n";
  const hold = (port: number, address: string): (() => boolean) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: address });
    let open = true;
    socket.on("error", () => undefined).on("close", () => (open = false));
    socket.write(junk);
    sockets.push(() => socket.destroy());
    return () => open;
  };

  it("fill no place that a UE needs, nor one of the core, and are given up unless somebody registers over them", async () => {
    const change = (config: EdgeConfigInput): EdgeConfigInput => ({
      ...config,
      limits: { transport: { maxConnections: 30, maxConnectionsPerAddress: 10 } },
    });
    scenario = await openScenario({ change });
    const { edge, clock } = scenario;
    const port = edge.access[0]?.port ?? 0;
    const alice = await scenario.ue("alice");
    await alice.register();
    const held: (() => boolean)[] = [];
    for (let each = 0; each < 30; each += 1) {
      held.push(hold(port, `127.0.4.${1 + (each % 3)}`));
      await until(() => count("malformed_total") === each + 1, "heard");
    }
    const left = (): number => held.filter((open) => open()).length;
    // Of 30 places the core and our own connections have three each, alice one.
    await until(() => left() === 23, "room made");
    expect([held[6]?.(), held[7]?.()]).toEqual([false, true]);
    const bob = await scenario.ue("bob");
    await bob.register();
    await until(() => left() === 22, "room made for bob");
    clock.advance(41_000);
    await until(() => left() === 0, "given up");
    expect((await originate(scenario, alice)).arrived.request.method).toBe("INVITE");
    expect((await originate(scenario, bob)).arrived.request.method).toBe("INVITE");
  });

  it("TS 24.229 5.2.10: an emergency call without registration keeps its connection", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, emergency: { unregistered: true } }) });
    const mallory = await scenario.ue("mallory");
    const { sent, arrived } = await originate(scenario, mallory, { to: "urn:service:sos", body: sdp() });
    scenario.core.respond(arrived, 180);
    await sent.responses.next(({ status }) => status === 180);
    for (let each = 0; each < 3; each += 1) scenario.clock.advance(41_000);
    await settled();
    scenario.core.respond(arrived, 486);
    expect((await sent.final()).status).toBe(486);
  });
});

describe("RFC 3261 16.4 and 16.3: what a long message costs", () => {
  const own = createPoints([
    {
      name: "access/a",
      side: "access",
      protocol: "udp",
      address: "192.0.2.1",
      port: 5060,
      host: "192.0.2.1",
      trusted: false,
    },
  ]);
  const filled = (name: string, element: string, times: number): SipRequest => ({
    kind: "request",
    method: "INVITE",
    uri: "sip:x",
    startLine: "INVITE sip:x SIP/2.0",
    headers: [{ name: name.toLowerCase(), raw: "", value: Array(times).fill(element).join(", ") }],
    body: Buffer.alloc(0),
  });

  it("each Route entry is looked at once", () => {
    let looks = 0;
    const counting = { ...own, ownUri: (value: string) => ((looks += 1), own.ownUri(value)) };
    const request = filled("Route", "<sip:192.0.2.1;lr>", 2000);
    const arrived = arrive(request, counting, createTokens(Buffer.alloc(32, 1)));
    expect([arrived.addressed, headerValue(arrived.request, "route")]).toEqual([true, undefined]);
    expect(looks).toBeLessThanOrEqual(2001);
  });

  it("the mark of a loop is computed once, however many Vias carry our name", () => {
    let marks = 0;
    const request = filled("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx.y", 2000);
    expect(hasLooped(request, () => ((marks += 1), "z"), own.isOurs)).toBe(false);
    expect(marks).toBe(1);
    expect(hasLooped(request, () => "y", own.isOurs)).toBe(true);
  });
});
