// Where a message ends, told to whoever gets it next: what a datagram left out is put in, and nothing leaves on a stream
// with a wrong Content-Length or none. RFC 3261 18.3, 20.14.
import { createSocket } from "node:dgram";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { memoryLog, systemClock } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import {
  createSipTransport,
  headerValues,
  parseMessage,
  withLength,
  writeMessage,
  type SipMessage,
} from "../src/index.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const smuggled = "INVITE sip:bank@home.example SIP/2.0\r\nContent-Length: 0\r\n\r\n";
const fields = (start: string, extra = ""): string =>
  `${start}\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1\r\nFrom: <sip:a@example.test>;tag=1\r\n` +
  `To: <sip:b@example.test>;tag=2\r\nCall-ID: one\r\nCSeq: 1 MESSAGE\r\n${extra}\r\n`;
const requestLine = "MESSAGE sip:b@example.test SIP/2.0";

const read = (text: string): SipMessage => {
  const parsed = parseMessage(Buffer.from(text, "latin1"));
  if (!parsed.ok) throw new Error(parsed.code);
  return parsed.message;
};

/** A transport, and what it writes on a stream. */
const start = async () => {
  const heard: SipMessage[] = [];
  let told: (() => void) | undefined;
  const transport = createSipTransport({
    clock: systemClock,
    log: memoryLog().log,
    onMessage: (message) => {
      heard.push(message);
      told?.();
    },
  });
  open.push(() => transport.close());
  const { port } = await transport.listen({ name: "a", protocol: "udp", address: "127.0.0.1", port: 0 });
  const sockets: Socket[] = [];
  let written = "";
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("data", (data) => (written += data.toString("latin1")));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const stream = (server.address() as AddressInfo).port;
  return {
    receive: async (text: string): Promise<SipMessage> => {
      const socket = createSocket("udp4");
      open.push(() => socket.close());
      const arrived = new Promise<void>((resolve) => (told = resolve));
      socket.send(text, port, "127.0.0.1");
      await arrived;
      return heard.at(-1) as SipMessage;
    },
    /** What a reader of the stream sees of the message. */
    write: async (message: SipMessage): Promise<string> => {
      written = "";
      const before = message.body.toString("latin1");
      await transport.send(message, { protocol: "tcp", address: "127.0.0.1", port: stream });
      await expect.poll(() => written.endsWith(before) && written.includes("\r\n\r\n")).toBe(true);
      return written;
    },
  };
};

describe("RFC 3261 18.3: the length of what came as a datagram", () => {
  for (const [what, line] of [
    ["request", requestLine],
    ["response", "SIP/2.0 200 OK"],
  ] as const) {
    it(`RFC 3261 20.14: a ${what} without Content-Length gets that of its body, so that a stream cannot cut it in two`, async () => {
      const { receive, write } = await start();
      const message = await receive(fields(line, "Content-Type: text/plain\r\n") + smuggled);
      expect(headerValues(message, "content-length")).toEqual([String(smuggled.length)]);
      expect(message.body.toString("latin1")).toBe(smuggled);
      const empty = await receive(fields(line));
      expect(headerValues(empty, "content-length")).toEqual(["0"]);
      const [head] = (await write(message)).split("\r\n\r\n");
      expect(head).toContain(`\r\nContent-Length: ${smuggled.length}`);
    });
  }

  it("a length that is there and right stays as it was written, compact form and all", async () => {
    const { receive } = await start();
    const text = `${fields(requestLine, "l : 2\r\n")}hi`;
    const message = await receive(text);
    expect(message.headers.find(({ name }) => name === "content-length")?.raw).toBe("l : 2");
  });
});

describe("RFC 3261 18.3: whatever leaves on a stream", () => {
  const message = read(`${fields(requestLine, "Content-Length: 2\r\n")}hi`);
  const field = (raw: string, value: string) => ({ name: "content-length", raw, value });
  const length = field("Content-Length: 2", "2");
  const others = message.headers.filter(({ name }) => name !== "content-length");
  for (const [what, headers] of [
    ["none", others],
    ["a wrong one", [field("Content-Length: 7", "7"), ...others]],
    ["two", [length, length, ...others]],
    ["two that differ", [field("Content-Length: 0", "0"), ...others, length]],
    ["a folded one", [...others, field("Content-Length:\r\n 2", "2")]],
    ["one with leading zeros", [...others, field("Content-Length: 0002", "0002")]],
  ] as const) {
    it(`has exactly one right Content-Length: given ${what}`, async () => {
      const { write } = await start();
      const text = await write({ ...message, headers });
      expect(text.match(/^content-length.*$/gim)).toEqual(["Content-Length: 2"]);
    });
  }

  it("is the message itself where its length is right", () => {
    expect(withLength(message)).toBe(message);
    expect(writeMessage(withLength(message)).toString("latin1")).toContain("Content-Length: 2\r\n\r\nhi");
  });
});
