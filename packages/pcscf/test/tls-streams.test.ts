// A UE on TLS whose octets come as they like: RFC 3261 18.3 and 7.5, RFC 5626 4.4.1, RFC 6223 4.3, RFC 9325 3.1.1; and what is
// left of it when its connection ends well, badly, or not at all.
import { connect as connectTcp, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { openScenario, settled, until, type Scenario } from "./support/scenario.ts";
import { openTls, type TestTls } from "./support/tls.ts";

let scenario: Scenario;
let tls: TestTls;
const sockets: TLSSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await scenario.close();
  tls.close();
});

const open = async (): Promise<void> => {
  tls = await openTls();
  scenario = await openScenario({
    change: (config) => ({ ...config, access: [{ protocol: "tls", address: "127.0.0.1", port: 0, tls: tls.files }] }),
  });
};

interface Raw {
  readonly socket: TLSSocket;
  readonly tcp: Socket;
  readonly heard: () => string;
}

const dial = async (version: "TLSv1.2" | "TLSv1.3" = "TLSv1.3"): Promise<Raw> => {
  const tcp = connectTcp({ host: "127.0.0.1", port: scenario.edge.access[0]?.port ?? 0 });
  tcp.on("error", () => undefined);
  const socket = connect({
    socket: tcp,
    host: "127.0.0.1",
    ca: tls.ue.ca,
    minVersion: version,
    maxVersion: version,
  });
  sockets.push(socket);
  tcp.setNoDelay(true);
  let heard = "";
  socket.on("data", (octets: Buffer) => (heard += octets.toString("latin1")));
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  return { socket, tcp, heard: () => heard };
};

const register = (name: string, { port }: { readonly port: number }, seq = 1, compact = false): string => {
  const head = (long: string, short: string): string => (compact ? short : long);
  return [
    "REGISTER sip:home.example SIP/2.0",
    `${head("Via", "v")}: SIP/2.0/TLS 127.0.0.1:${port};rport;keep;branch=z9hG4bK${name}${seq}`,
    "Max-Forwards: 70",
    `${head("From", "f")}: <sip:${name}@home.example>;tag=${name}`,
    `${head("To", "t")}: <sip:${name}@home.example>`,
    `${head("Call-ID", "i")}: ${name}`,
    `CSeq: ${seq} REGISTER`,
    `${head("Contact", "m")}:`,
    ` <sip:${name}@127.0.0.1:${port};transport=tls>`,
    "\t;expires=600",
    "Security-Client: sdes-srtp;mediasec",
    `${head("Content-Length", "l")}: 0`,
    "",
    "",
  ].join("\r\n");
};
const portOf = ({ tcp }: Raw) => ({ port: tcp.localPort ?? 0 });
const grant = async (name: string, at: { readonly port: number }): Promise<void> => {
  const arrived = await scenario.core.expect("REGISTER");
  scenario.core.respond(arrived, 200, {
    headers: [["Contact", `<sip:${name}@127.0.0.1:${at.port};transport=tls>;expires=600`]],
  });
};
const answers = (raw: Raw, status: number): number => raw.heard().split(`SIP/2.0 ${status} `).length - 1;

describe("RFC 3261 18.3: a REGISTER over TLS", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "RFC 3261 7.5: one octet a record, folded and in compact form, with CRLFs before it (%s): is registered, and asked to keep alive",
    async (version) => {
      await open();
      const raw = await dial(version);
      const text = `\r\n\r\n${register("alice", portOf(raw), 1, true)}`;
      for (const octet of Buffer.from(text, "latin1")) raw.socket.write(Buffer.from([octet]));
      await grant("alice", portOf(raw));
      await until(() => answers(raw, 200) === 1, "registered");
      // RFC 5626 4.4.1: the pong of the two CRLFs came first; RFC 6223 4.3.
      expect(raw.heard()).toMatch(/^\r\nSIP\/2\.0 200 [^]*;keep=120;/);
      expect(scenario.edge.registrations()).toMatchObject([{ transport: "tls", mode: "e2ae" }]);
    },
  );

  it("RFC 3261 18.3: three messages and pings in one record, the last one cut in its header: each is answered, in order", async () => {
    await open();
    const raw = await dial();
    const at = portOf(raw);
    const last = register("carol", at);
    raw.socket.write(`${register("alice", at)}\r\n\r\n${register("bob", at)}\r\n\r\n${last.slice(0, 90)}`);
    for (const name of ["alice", "bob"]) await grant(name, at);
    await until(() => answers(raw, 200) === 2, "two are registered");
    expect(scenario.core.requests.all).toHaveLength(2);
    raw.socket.write(last.slice(90));
    await grant("carol", at);
    await until(() => answers(raw, 200) === 3, "the third is registered");
    expect(scenario.edge.registrations().map(({ aor }) => aor)).toEqual([
      "sip:alice@home.example",
      "sip:bob@home.example",
      "sip:carol@home.example",
    ]);
  });

  it.each([
    ["two lengths that differ", "Content-Length: 0\r\nl: 5", "400"],
    ["a length that is none", "Content-Length: -1", "400"],
    ["none", "X-None: 1", "400"],
    ["one above all bounds", "Content-Length: 99999999", "513"],
  ])(
    "RFC 3261 18.3: %s: is answered and the connection closed; nobody behind it is believed",
    async (_, length, status) => {
      await open();
      const raw = await dial();
      const closed = new Promise((resolve) => raw.socket.once("close", resolve));
      const at = portOf(raw);
      raw.socket.write(register("alice", at).replace("Content-Length: 0", length) + register("mallory", at));
      await closed;
      expect(raw.heard()).toMatch(new RegExp(`^SIP/2\\.0 ${status} `));
      await settled();
      expect(scenario.core.requests.all).toEqual([]);
    },
  );

  it.each([
    ["NUL in a value", (text: string) => text.replace("tag=alice", "tag=al\0ice")],
    ["lines that end in LF alone", (text: string) => text.replaceAll("\r\n", "\n").replace(/\n\n$/, "\r\n\r\n")],
    ["lines that end in CR alone", (text: string) => text.replaceAll("\r\n", "\r").replace(/\r\r$/, "\r\n\r\n")],
  ])("RFC 3261 7.3.1, 25.1: %s: does not reach the core", async (_, change) => {
    await open();
    const raw = await dial();
    raw.socket.write(change(register("alice", portOf(raw))));
    raw.socket.write("\r\n\r\n");
    await settled();
    expect(scenario.core.requests.all).toEqual([]);
    expect(scenario.edge.registrations()).toEqual([]);
  });
});

describe("RFC 8446 6.1: a connection ends", () => {
  it.each([
    ["by close_notify", ({ socket }: Raw) => void socket.end()],
    ["by a reset", ({ tcp }: Raw) => void tcp.resetAndDestroy()],
    ["in the middle of a message", ({ socket }: Raw) => void socket.write("INVITE sip:x", () => socket.destroy())],
  ])("RFC 5626 5.3: %s: the UE is served from its next one, once it has registered there", async (_, end) => {
    await open();
    const raw = await dial();
    const at = portOf(raw);
    raw.socket.write(register("alice", at));
    await grant("alice", at);
    await until(() => answers(raw, 200) === 1, "registered");
    end(raw);
    await until(() => scenario.logs.some(({ event }) => event === "connection closed"), "closed");
    const again = await dial();
    again.socket.write(register("alice", portOf(again), 2));
    await grant("alice", portOf(again));
    await until(() => answers(again, 200) === 1, "registered again");
    expect(scenario.edge.registrations().some(({ remote }) => remote.endsWith(`:${again.tcp.localPort}`))).toBe(true);
  });
});
