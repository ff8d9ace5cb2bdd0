// What a source that never showed it can hear is sent: RFC 3261 17.2.1 over UDP, where anybody writes any source.
import { createSocket, type Socket } from "node:dgram";
import { afterEach, describe, expect, it } from "vitest";
import { openScenario, settled, until, type Scenario } from "./support/scenario.ts";

let scenario: Scenario;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await scenario.close();
});

const heard: string[] = [];
const socketAt = async (address: string): Promise<Socket> => {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, address, () => resolve()));
  socket.on("message", (octets) => heard.push(octets.toString("latin1")));
  sockets.push(socket);
  return socket;
};

const sosCall = (branch: string, address: string, port: number): string =>
  [
    "INVITE urn:service:sos SIP/2.0",
    `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${branch}`,
    "Max-Forwards: 70",
    "From: <sip:anonymous@anonymous.invalid>;tag=1",
    "To: <urn:service:sos>",
    `Call-ID: ${branch}`,
    "CSeq: 1 INVITE",
    `Contact: <sip:anonymous@${address}:${port}>`,
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");

const refusals = (): number => heard.filter((text) => text.startsWith("SIP/2.0 486")).length;

/** Emergency calls of one address, each refused by the core; how many copies of the refusals came within 64*T1. */
const refusedCalls = async (socket: Socket, calls: number): Promise<number> => {
  heard.length = 0;
  const { address, port } = socket.address();
  const edge = scenario.edge.access.find(({ protocol }) => protocol === "udp")?.port ?? 0;
  for (let at = 0; at < calls; at += 1) {
    socket.send(sosCall(`${address}-${port}-${at}`, address, port), edge, "127.0.0.1");
    scenario.core.respond(await scenario.core.expect("INVITE"), 486);
  }
  await until(() => refusals() === calls, "every call was refused");
  for (let second = 0; second < 33; second += 1) {
    scenario.clock.advance(1_000);
    await settled();
  }
  return refusals();
};

describe("RFC 3261 17.2.1: refusals of emergency calls without registration", () => {
  it("a caller that loses every copy but the last hears that one; a source in whose name many call is not flooded", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, emergency: { unregistered: true } }) });
    expect(await refusedCalls(await socketAt("127.0.0.1"), 1)).toBe(11);
    const flooded = await refusedCalls(await socketAt("127.0.0.7"), 12);
    // Ten copies each would be 120.
    expect(flooded - 12).toBeGreaterThanOrEqual(40);
    expect(flooded - 12).toBeLessThan(60);
    expect(scenario.edge.counts()).toMatchObject({ calls: 0 });
  });
});
