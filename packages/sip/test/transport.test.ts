// The transports over real loopback sockets: framing, routes back, limits, TLS, failures, closing.
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { createSocket } from "node:dgram";
import { connect as connectTls } from "node:tls";
import { memoryLog, systemClock, VirtualClock } from "@sallyport/kit";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRequest, createResponse, createSipTransport, headerValue, resolveTarget } from "../src/index.ts";
import type {
  Flow,
  ListenSpec,
  MalformedInput,
  SipMessage,
  SipTransport,
  TlsMaterial,
  TransportLimits,
} from "../src/index.ts";
import { createAuthority, type TestAuthority } from "@sallyport/test-authority";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A queue one can wait on. */
const createInbox = <T>() => {
  const items: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  return {
    push: (item: T) => {
      const next = waiting.shift();
      if (next === undefined) items.push(item);
      else next(item);
    },
    next: (): Promise<T> => {
      const item = items.shift();
      return item === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(item);
    },
    get size() {
      return items.length;
    },
  };
};

const start = (options: { limits?: Partial<TransportLimits>; answersAnew?: (flow: Flow) => boolean } = {}) => {
  const messages = createInbox<{ message: SipMessage; flow: Flow }>();
  const malformed = createInbox<MalformedInput>();
  const closed = createInbox<Flow>();
  const { log, records } = memoryLog();
  const transport = createSipTransport({
    clock: systemClock,
    log,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.answersAnew === undefined ? {} : { answersAnew: options.answersAnew }),
    onMessage: (message, flow) => messages.push({ message, flow }),
    onMalformed: (input) => malformed.push(input),
    onFlowClosed: (flow) => closed.push(flow),
  });
  open.push(() => transport.close());
  return { transport, messages, malformed, closed, records };
};

const spec = (name: string, protocol: ListenSpec["protocol"], tls?: TlsMaterial): ListenSpec => ({
  name,
  protocol,
  address: "127.0.0.1",
  port: 0,
  ...(tls === undefined ? {} : { tls }),
});

const request = (via: string, body = "") =>
  createRequest({
    method: "MESSAGE",
    uri: "sip:bob@example.test",
    headers: [
      ["Via", via],
      ["Max-Forwards", "70"],
      ["From", "<sip:alice@example.test>;tag=1"],
      ["To", "<sip:bob@example.test>"],
      ["Call-ID", "one"],
      ["CSeq", "1 MESSAGE"],
    ],
    ...(body === "" ? {} : { body: Buffer.from(body, "latin1") }),
  });

const text = (via: string, extra = "Content-Length: 0\r\n", cseq = "1 MESSAGE"): string =>
  `MESSAGE sip:bob@example.test SIP/2.0\r\nVia: ${via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@example.test>;tag=1\r\n` +
  `To: <sip:bob@example.test>\r\nCall-ID: one\r\nCSeq: ${cseq}\r\n${extra}\r\n`;

const rawTcp = async (port: number) => {
  const inbox = createInbox<string>();
  const ended = createInbox<true>();
  const socket: Socket = connect({ host: "127.0.0.1", port });
  socket.on("data", (data) => inbox.push(data.toString("latin1")));
  socket.on("error", () => undefined);
  socket.on("close", () => ended.push(true));
  await new Promise((resolve) => socket.once("connect", resolve));
  open.push(() => socket.destroy());
  return { socket, inbox, ended };
};

const rawUdp = async () => {
  const inbox = createInbox<string>();
  const socket = createSocket("udp4");
  socket.on("message", (data) => inbox.push(data.toString("latin1")));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  open.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return { socket, inbox, port: socket.address().port };
};

describe("UDP", () => {
  it("RFC 3581 4: a filled rport and received, and the answer to the source port", async () => {
    const { transport, messages } = start();
    const { port } = await transport.listen(spec("a", "udp"));
    const peer = await rawUdp();
    peer.socket.send(text("SIP/2.0/UDP 192.0.2.9:5999;branch=z9hG4bK1;rport;received=198.51.100.1"), port, "127.0.0.1");
    const { message, flow } = await messages.next();
    expect(headerValue(message, "via")).toBe(
      `SIP/2.0/UDP 192.0.2.9:5999;branch=z9hG4bK1;rport=${peer.port};received=127.0.0.1`,
    );
    if (message.kind !== "request") throw new Error("not a request");
    await transport.send(createResponse(message, 200), flow);
    expect(await peer.inbox.next()).toMatch(/^SIP\/2.0 200 OK\r\n/);
  });

  it("RFC 4291 2.5.5.2: a listening point on all addresses (::) answers over IPv4, and sends there too", async () => {
    const a = start();
    const { port } = await a.transport.listen({ ...spec("a", "udp"), address: "::" });
    const b = await rawUdp();
    b.socket.send(text("SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1"), port, "127.0.0.1");
    const { message, flow } = await a.messages.next();
    expect(flow.remote).toEqual({ address: "127.0.0.1", port: b.port });
    if (message.kind === "request") await a.transport.send(createResponse(message, 200), flow);
    expect(await b.inbox.next()).toMatch(/^SIP\/2\.0 200 [^]*received=127\.0\.0\.1/);
    const target = { protocol: "udp", address: "127.0.0.1", port: b.port, listener: "a" } as const;
    await a.transport.send(request("SIP/2.0/UDP edge.example;branch=z9hG4bK2"), target);
    expect(await b.inbox.next()).toMatch(/^MESSAGE /);
  });

  it("RFC 3261 18.2.2: without rport the answer goes to the port the Via names", async () => {
    const { transport, messages } = start();
    const { port } = await transport.listen(spec("a", "udp"));
    const sender = await rawUdp();
    const named = await rawUdp();
    sender.socket.send(text(`SIP/2.0/UDP 192.0.2.9:${named.port};branch=z9hG4bK1`), port, "127.0.0.1");
    const { message, flow } = await messages.next();
    expect(headerValue(message, "via")).toBe(`SIP/2.0/UDP 192.0.2.9:${named.port};branch=z9hG4bK1;received=127.0.0.1`);
    if (message.kind === "request") await transport.send(createResponse(message, 200), flow);
    expect(await named.inbox.next()).toMatch(/^SIP\/2.0 200/);
    expect(sender.inbox.size).toBe(0);
  });

  it("RFC 3261 18.2.1: a Via that tells the truth is not touched", async () => {
    const { transport, messages } = start();
    const { port } = await transport.listen(spec("a", "udp"));
    const peer = await rawUdp();
    const via = `SIP/2.0/udp  127.0.0.1:${peer.port} ;branch=z9hG4bK1`;
    peer.socket.send(text(via), port, "127.0.0.1");
    const { message } = await messages.next();
    expect(message.headers[0]?.raw).toBe(`Via: ${via}`);
  });

  it("RFC 3261 18.2.1: what the sender itself claims to be its source is removed", async () => {
    const { transport, messages } = start();
    const { port } = await transport.listen(spec("a", "udp"));
    const peer = await rawUdp();
    const lies = "received=198.51.100.1;received=198.51.100.2";
    peer.socket.send(text(`SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK1;${lies}`), port, "127.0.0.1");
    expect(headerValue((await messages.next()).message, "via")).toBe(
      `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK1`,
    );
    peer.socket.send(text(`SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK2;${lies};rport=9`), port, "127.0.0.1");
    expect(headerValue((await messages.next()).message, "via")).toBe(
      `SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK2;rport=${peer.port};received=127.0.0.1`,
    );
  });

  it("RFC 5626 4.4: keep-alive datagrams are ignored; RFC 3261 21.4.1: garbage is reported, half a request answered 400", async () => {
    const { transport, malformed, messages } = start();
    const { port } = await transport.listen(spec("a", "udp"));
    const peer = await rawUdp();
    peer.socket.send("\r\n\r\n", port, "127.0.0.1");
    peer.socket.send(Buffer.alloc(4), port, "127.0.0.1");
    peer.socket.send("\x7fELF nonsense", port, "127.0.0.1");
    expect(await malformed.next()).toMatchObject({ closed: false });
    peer.socket.send(text("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK2;rport", "Content-Length: 999\r\n"), port, "127.0.0.1");
    expect(await peer.inbox.next()).toMatch(/^SIP\/2.0 400 /);
    expect(await malformed.next()).toMatchObject({ answered: 400 });
    expect(malformed.size + messages.size).toBe(0);
  });

  it("a datagram that does not fit and a flow of a listening point that is not there are refused by name", async () => {
    const { transport } = start();
    const { port } = await transport.listen(spec("a", "udp"));
    const big = request("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1", "x".repeat(66_000));
    const target = { protocol: "udp", address: "127.0.0.1", port } as const;
    await expect(transport.send(big, target)).rejects.toMatchObject({ code: "SALLY_SIP_TOO_LARGE" });
    await expect(transport.send(big, { ...target, listener: "b" })).rejects.toMatchObject({
      code: "SALLY_SIP_NO_LISTENER",
    });
    await expect(transport.send(big, { ...target, address: "::1" })).rejects.toMatchObject({
      code: "SALLY_SIP_NO_LISTENER",
    });
  });

  it("a UDP flow can be found again by its id alone", async () => {
    const { transport, messages } = start();
    const { port } = await transport.listen(spec("a/b", "udp"));
    const peer = await rawUdp();
    peer.socket.send(text("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport"), port, "127.0.0.1");
    const { flow } = await messages.next();
    expect(transport.flow(flow.id)).toEqual(flow);
    expect(transport.flow("udp/none/127.0.0.1:1")).toBeUndefined();
  });
});

describe("TCP", () => {
  it("RFC 3261 18.3: messages are cut by Content-Length wherever the segments end", async () => {
    const { transport, messages } = start();
    const { port } = await transport.listen(spec("a", "tcp"));
    const peer = await rawTcp(port);
    const one = text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1", "l : \r\n 5\r\n") + "hello";
    const all = Buffer.from(`\r\n${one}${one}\r\n\r\n${one}`, "latin1");
    for (let at = 0; at < all.length; at += 7) {
      peer.socket.write(all.subarray(at, at + 7));
      if (at % 210 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (let n = 0; n < 3; n += 1) expect((await messages.next()).message.body.toString()).toBe("hello");
    expect(messages.size).toBe(0);
  });

  it("RFC 5626 4.4.1: CRLF CRLF is answered CRLF, a ping is answered, a mute peer's connection closed", async () => {
    const a = start();
    const { port } = await a.transport.listen(spec("a", "tcp"));
    const peer = await rawTcp(port);
    peer.socket.write("\r\n\r\n");
    expect(await peer.inbox.next()).toBe("\r\n");
    const b = start({ limits: { pongMs: 50 } });
    const flow = await b.transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"), {
      protocol: "tcp",
      address: "127.0.0.1",
      port,
    });
    await b.transport.ping(flow);
    const { flow: back } = await a.messages.next();
    expect(a.transport.flow(back.id)).toBe(back);
    peer.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
    const mute = (await a.messages.next()).flow;
    expect(mute.remote.port).toBe(peer.socket.localPort);
    const c = start({ limits: { pongMs: 20 } });
    const there = await c.transport.listen(spec("c", "tcp"));
    const silent = await rawTcp(there.port);
    silent.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
    const { flow: towards } = await c.messages.next();
    await expect(c.transport.ping(towards)).rejects.toMatchObject({ code: "SALLY_SIP_FLOW_GONE" });
    expect(await silent.ended.next()).toBe(true);
  });

  it("RFC 3261 18: requests to one target share a connection, and responses take the way the request came", async () => {
    const a = start();
    const b = start();
    const { port } = await a.transport.listen(spec("a", "tcp"));
    await b.transport.listen(spec("b", "tcp"));
    const target = { protocol: "tcp", address: "127.0.0.1", port, listener: "b" } as const;
    const flows = await Promise.all(
      [1, 2, 3].map((n) => b.transport.send(request(`SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK${n}`), target)),
    );
    expect(new Set(flows.map((flow) => flow.id)).size).toBe(1);
    expect(flows[0]).toMatchObject({ listener: "b", remote: { address: "127.0.0.1", port } });
    const { message, flow } = await a.messages.next();
    if (message.kind === "request") await a.transport.send(createResponse(message, 200), flow);
    expect((await b.messages.next()).message.kind).toBe("response");
    expect(b.transport.viaFor(target)).toEqual({
      protocol: "TCP",
      host: "127.0.0.1",
      port: b.transport.listeners[0]?.port,
    });
    // And back over the connection the peer opened, when its far end is what a target names.
    const again = await a.transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK9"), {
      protocol: "tcp",
      address: flow.remote.address,
      port: flow.remote.port,
    });
    expect(again.id).toBe(flow.id);
  });

  it("RFC 3261 18: a connection on which nothing comes back for 64*T1 is not used for new requests, but still heard", async () => {
    const clock = new VirtualClock(0);
    const messages = createInbox<SipMessage>();
    const transport = createSipTransport({
      clock,
      log: memoryLog().log,
      onMessage: (message) => messages.push(message),
    });
    open.push(() => transport.close());
    const sockets = createInbox<Socket>();
    const server = createServer((socket) => sockets.push(socket.on("error", () => undefined).resume()));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const target = { protocol: "tcp", address: "127.0.0.1", port } as const;
    const send = async (message = request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1")): Promise<string> =>
      (await transport.send(message, target)).id;
    const first = await send();
    const socket = await sockets.next();
    clock.advance(32_000);
    expect(await send()).toBe(first);
    /** RFC 5626 4.4.1: answered, and so heard. */
    const ping = (from: Socket): Promise<void> =>
      new Promise((resolve) => {
        from.on("data", (octets: Buffer) => {
          if (octets.toString("latin1").endsWith("\r\n\r\n\r\n") || octets.length === 2) resolve();
        });
        from.write("\r\n\r\n");
      });
    await ping(socket);
    clock.advance(33_000);
    expect(await send()).toBe(first);
    clock.advance(33_000);
    const second = await send();
    expect(second).not.toBe(first);
    socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK9"));
    expect((await messages.next()).startLine).toMatch(/^MESSAGE/);
    // Responses and ACK wait for nothing.
    await ping(await sockets.next());
    await send(createRequest({ ...request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK2"), method: "ACK", headers: [] }));
    clock.advance(33_000);
    expect(await send()).toBe(second);
  });

  it("RFC 3261 18.2.2: when the connection is gone the response goes to the Via's own port", async () => {
    const a = start();
    const b = start();
    const { port } = await a.transport.listen(spec("a", "tcp"));
    const listening = await b.transport.listen(spec("b", "tcp"));
    const peer = await rawTcp(port);
    peer.socket.write(text(`SIP/2.0/TCP 127.0.0.1:${listening.port};branch=z9hG4bK1`));
    const { message, flow } = await a.messages.next();
    peer.socket.destroy();
    await a.closed.next();
    expect(a.transport.flow(flow.id)).toBeUndefined();
    if (message.kind === "request") await a.transport.send(createResponse(message, 200), flow);
    expect((await b.messages.next()).message).toMatchObject({ kind: "response", status: 200 });
    await expect(a.transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"), flow)).rejects.toMatchObject({
      code: "SALLY_SIP_FLOW_GONE",
    });
  });

  it("RFC 5626 5.3: where clients are reached by their own connections alone, no other is opened to answer them", async () => {
    const a = start({ answersAnew: ({ listener }) => listener !== "a" });
    const b = start();
    const { port } = await a.transport.listen(spec("a", "tcp"));
    const listening = await b.transport.listen(spec("b", "tcp"));
    const peer = await rawTcp(port);
    peer.socket.write(text(`SIP/2.0/TCP 127.0.0.1:${listening.port};branch=z9hG4bK1`));
    const { message, flow } = await a.messages.next();
    peer.socket.destroy();
    await a.closed.next();
    const answer = message.kind === "request" ? createResponse(message, 200) : message;
    await expect(a.transport.send(answer, flow)).rejects.toMatchObject({ code: "SALLY_SIP_FLOW_GONE" });
    expect(b.messages.size).toBe(0);
    // Elsewhere it goes the way of 18.2.2.
    await a.transport.send(answer, { ...flow, listener: "c" });
    expect((await b.messages.next()).message).toMatchObject({ kind: "response", status: 200 });
  });

  it("RFC 3261 18.3: a stream that can not be cut is answered where possible and closed", async () => {
    const { transport, malformed } = start();
    const { port } = await transport.listen(spec("a", "tcp"));
    const via = "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1";
    for (const [extra, status, code] of [
      ["", 400, "length-missing"],
      ["Content-Length: -1\r\n", 400, "length-invalid"],
      ["Content-Length: 4\r\nl: 5\r\n", 400, "length-invalid"],
      ["Content-Length: 70000\r\n", 513, "message-too-large"],
    ] as const) {
      const peer = await rawTcp(port);
      peer.socket.write(text(via, extra));
      expect(await peer.inbox.next()).toMatch(new RegExp(`^SIP/2.0 ${status} `));
      expect(await peer.ended.next()).toBe(true);
      expect(await malformed.next()).toMatchObject({ code, answered: status, closed: true });
    }
  });

  it("a header block that never ends is cut off at the limit, and held memory with it", async () => {
    const { transport, malformed } = start({ limits: { maxHeaderBlock: 4096 } });
    const { port } = await transport.listen(spec("a", "tcp"));
    const peer = await rawTcp(port);
    peer.socket.write(`OPTIONS sip:x SIP/2.0\r\n${"X: y\r\n".repeat(2000)}`);
    expect(await peer.ended.next()).toBe(true);
    expect(await malformed.next()).toMatchObject({ code: "header-block-too-long", closed: true });
  });

  it("malformed messages with sound framing are answered, and after maxMalformed the connection is closed", async () => {
    const { transport, malformed, messages } = start({ limits: { maxMalformed: 2 } });
    const { port } = await transport.listen(spec("a", "tcp"));
    const peer = await rawTcp(port);
    const bad = text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1", "no colon here\r\nContent-Length: 0\r\n");
    peer.socket.write(bad + text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK2"));
    expect(await malformed.next()).toMatchObject({ answered: 400, closed: false });
    await messages.next();
    peer.socket.write(bad);
    expect(await malformed.next()).toMatchObject({ answered: 400, closed: true });
    expect(await peer.ended.next()).toBe(true);
  });

  it("a slow sender, a stranger who says nothing and a silent connection are closed in their times", async () => {
    const { transport, messages } = start({ limits: { messageMs: 60, firstMessageMs: 80, idleMs: 100 } });
    const { port } = await transport.listen(spec("a", "tcp"));
    const slow = await rawTcp(port);
    slow.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
    await messages.next();
    const begun = performance.now();
    slow.socket.write("OPTIONS");
    expect(await slow.ended.next()).toBe(true);
    expect(performance.now() - begun).toBeGreaterThan(50);
    // Keep-alives alone do not make a stranger welcome.
    const mute = await rawTcp(port);
    const beat = setInterval(() => mute.socket.write("\r\n\r\n"), 10);
    open.push(() => clearInterval(beat));
    expect(await mute.ended.next()).toBe(true);
    clearInterval(beat);
    const idle = await rawTcp(port);
    idle.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
    await messages.next();
    expect(await idle.ended.next()).toBe(true);
  });

  it("connections are bounded in total and per source address, and places are given back", async () => {
    const { transport, messages } = start({ limits: { maxConnectionsPerAddress: 2 } });
    const { port } = await transport.listen(spec("a", "tcp"));
    const first = await rawTcp(port);
    const second = await rawTcp(port);
    for (const peer of [first, second]) {
      peer.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
      await messages.next();
    }
    const third = await rawTcp(port);
    expect(await third.ended.next()).toBe(true);
    first.socket.destroy();
    await first.ended.next();
    const fourth = await rawTcp(port);
    fourth.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
    await messages.next();
    const full = start({ limits: { maxConnections: 1 } });
    const there = await full.transport.listen(spec("f", "tcp"));
    const one = await rawTcp(there.port);
    one.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
    await full.messages.next();
    const two = await rawTcp(there.port);
    expect(await two.ended.next()).toBe(true);
    await expect(
      full.transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"), {
        protocol: "tcp",
        address: "127.0.0.1",
        port,
      }),
    ).rejects.toMatchObject({ code: "SALLY_SIP_LIMIT" });
  });

  it("a peer that does not read is cut off instead of filling memory", async () => {
    const { transport, messages, closed } = start({ limits: { maxUnsent: 100_000 } });
    const { port } = await transport.listen(spec("a", "tcp"));
    const peer = await rawTcp(port);
    peer.socket.write(text("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
    const { flow } = await messages.next();
    peer.socket.pause();
    const big = request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1", "x".repeat(60_000));
    const results: Promise<unknown>[] = [];
    for (let n = 0; n < 400 && transport.flow(flow.id) !== undefined; n += 1) {
      results.push(
        transport.send(big, flow).then(
          () => "sent",
          (error: { code: string }) => error.code,
        ),
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all(results)).toContain("SALLY_SIP_BACKLOG");
    await closed.next();
  });

  it("a refused connection and a peer without an answer give SALLY_SIP_CONNECT with the address", async () => {
    const { transport } = start();
    const probe = await start().transport.listen(spec("x", "tcp"));
    const gone = start();
    const { port } = await gone.transport.listen(spec("gone", "tcp"));
    await gone.transport.close();
    expect(port).not.toBe(probe.port);
    await expect(
      transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"), { protocol: "tcp", address: "127.0.0.1", port }),
    ).rejects.toThrow(
      new RegExp(`tcp 127\\.0\\.0\\.1:${port}: nothing listens there \\(ECONNREFUSED\\).*SALLY_SIP_CONNECT`),
    );
  });

  it("a taken port is told by name", async () => {
    const a = start();
    const { port } = await a.transport.listen(spec("a", "tcp"));
    await expect(a.transport.listen({ ...spec("b", "tcp"), port })).rejects.toThrow(/listening point "b".*EADDRINUSE/);
    await expect(a.transport.listen({ ...spec("c", "udp"), address: "192.0.2.1" })).rejects.toThrow(/EADDRNOTAVAIL/);
    await expect(a.transport.listen(spec("a", "tcp"))).rejects.toMatchObject({ code: "SALLY_SIP_LISTEN" });
  });

  it("close() leaves no connection, no listening point and no way to send", async () => {
    const a = start();
    const b = start();
    const { port } = await a.transport.listen(spec("a", "tcp"));
    const target = { protocol: "tcp", address: "127.0.0.1", port } as const;
    await b.transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"), target);
    await a.messages.next();
    await a.transport.close();
    await b.closed.next();
    expect(a.transport.listeners).toEqual([]);
    await expect(a.transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"), target)).rejects.toMatchObject({
      code: "SALLY_SIP_CLOSED",
    });
    await expect(b.transport.send(request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"), target)).rejects.toMatchObject({
      code: "SALLY_SIP_CONNECT",
    });
  });
});

describe("TLS", () => {
  let authority: TestAuthority;
  let other: TestAuthority;
  let edge: TlsMaterial;
  let ue: TlsMaterial;
  beforeAll(async () => {
    authority = await createAuthority();
    other = await createAuthority();
    edge = await authority.issue([
      { type: "dns", value: "edge.example.test" },
      { type: "url", value: "sip:example.test" },
      { type: "ip", value: "127.0.0.1" },
    ]);
    ue = await authority.issue([{ type: "dns", value: "ue.example.test" }]);
  });

  const connectTo = async (transport: SipTransport, port: number, tls: TlsMaterial | undefined, serverName?: string) =>
    transport.send(request("SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1"), {
      protocol: "tls",
      address: "127.0.0.1",
      port,
      ...(tls === undefined ? {} : { tls }),
      ...(serverName === undefined ? {} : { serverName }),
    });

  it("RFC 5922 7: both ends learn the names of the other's verified certificate", async () => {
    const a = start();
    const b = start();
    const { port } = await a.transport.listen(spec("a", "tls", { ...edge, requireClientCertificate: true }));
    const flow = await connectTo(b.transport, port, ue, "edge.example.test");
    expect(flow.peerNames).toEqual(["edge.example.test", "sip:example.test", "127.0.0.1"]);
    expect((await a.messages.next()).flow.peerNames).toEqual(["ue.example.test"]);
    expect((await connectTo(b.transport, port, ue, "example.test")).id).not.toBe(flow.id);
    expect((await connectTo(b.transport, port, ue)).id).not.toBe(flow.id);
  });

  it("RFC 5922 7.2: a server that is not the one asked for, or whose CA is unknown, is refused before anything is sent", async () => {
    const a = start();
    const b = start();
    const { port } = await a.transport.listen(spec("a", "tls", edge));
    await expect(connectTo(b.transport, port, ue, "other.example.test")).rejects.toMatchObject({
      code: "SALLY_SIP_TLS",
    });
    await expect(connectTo(b.transport, port, await other.issue([{ type: "dns", value: "x" }]))).rejects.toMatchObject({
      code: "SALLY_SIP_TLS",
    });
    expect(a.messages.size).toBe(0);
  });

  it("TLS with a client certificate required: none and a foreign one get no message through", async () => {
    const a = start();
    const { port } = await a.transport.listen(spec("a", "tls", { ...edge, requireClientCertificate: true }));
    const foreign = { ...(await other.issue([{ type: "dns", value: "ue.example.test" }])), ca: authority.ca };
    for (const tls of [foreign, undefined, undefined]) {
      const socket = connectTls({
        host: "127.0.0.1",
        port,
        ca: authority.ca,
        ...(tls === undefined ? {} : { key: tls.key, cert: tls.cert }),
      });
      socket.on("error", () => undefined);
      socket.write(text("SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1"));
      await new Promise((resolve) => socket.once("close", resolve));
    }
    expect(a.messages.size).toBe(0);
    // Told at a level that is read in service, in words, and each reason once: strangers can make it happen at will.
    const told = a.records.filter(({ event, level }) => event === "tls handshake failed" && level === "info");
    expect(told.map(({ fields }) => fields["reason"])).toEqual([
      expect.stringMatching(/not of a CA that is trusted here \(\w+\)$/),
      "peer did not return a certificate",
    ]);
  });

  it("without the requirement a client without certificate is served and has no names", async () => {
    const a = start();
    const b = start();
    const { port } = await a.transport.listen(spec("a", "tls", edge));
    await connectTo(b.transport, port, {
      ...(await other.issue([{ type: "dns", value: "liar.example.test" }])),
      ca: authority.ca,
    });
    expect((await a.messages.next()).flow.peerNames).toEqual([]);
  });

  it("TLS 1.1 is refused", async () => {
    const a = start();
    const { port } = await a.transport.listen(spec("a", "tls", edge));
    const error = await new Promise<Error>((resolve) => {
      const socket = connectTls({
        host: "127.0.0.1",
        port,
        ca: authority.ca,
        minVersion: "TLSv1",
        maxVersion: "TLSv1.1",
        ciphers: "ALL:@SECLEVEL=0",
      });
      socket.on("error", resolve);
      socket.on("secureConnect", () => resolve(new Error("accepted")));
    });
    expect(error.message).not.toBe("accepted");
  });

  it("a peer that speaks no TLS or never finishes the handshake is cut off and gives its place back", async () => {
    const a = start({ limits: { connectMs: 100, maxConnectionsPerAddress: 1 } });
    const { port } = await a.transport.listen(spec("a", "tls", edge));
    const plain = await rawTcp(port);
    plain.socket.write(text("SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1"));
    expect(await plain.ended.next()).toBe(true);
    const silent = await rawTcp(port);
    expect(await silent.ended.next()).toBe(true);
    const b = start();
    await connectTo(b.transport, port, ue);
    await a.messages.next();
  });

  it("a server that takes the connection and says nothing gives SALLY_SIP_CONNECT in time", async () => {
    const dumb = start();
    const { port } = await dumb.transport.listen(spec("dumb", "tcp"));
    const b = start({ limits: { connectMs: 50 } });
    await expect(connectTo(b.transport, port, ue)).rejects.toThrow(/127\.0\.0\.1:\d+: no answer within 50 ms/);
  });

  it("material that can not work is refused at the door", async () => {
    const { transport } = start();
    await expect(transport.listen(spec("a", "tls"))).rejects.toMatchObject({ code: "SALLY_SIP_TLS_MATERIAL" });
    const { key, cert } = edge;
    await expect(
      transport.listen(spec("b", "tls", { key, cert, requireClientCertificate: true })),
    ).rejects.toMatchObject({
      code: "SALLY_SIP_TLS_MATERIAL",
    });
    await expect(transport.listen(spec("c", "tls", { key: "no", cert: "no" }))).rejects.toMatchObject({
      code: "SALLY_SIP_TLS_MATERIAL",
    });
  });
});

describe("resolveTarget", () => {
  it("RFC 3263 4.1, 4.2 without DNS records: transport parameter, scheme and default ports", () => {
    expect(resolveTarget("sip:192.0.2.1")).toEqual({ protocol: "udp", address: "192.0.2.1", port: 5060 });
    expect(resolveTarget("sip:a@[2001:db8::1]:5070;transport=TCP;lr")).toEqual({
      protocol: "tcp",
      address: "2001:db8::1",
      port: 5070,
    });
    expect(resolveTarget("sips:a@edge.example.test")).toEqual({
      protocol: "tls",
      address: "edge.example.test",
      port: 5061,
    });
    expect(resolveTarget("sip:a@edge.example.test;transport=tls", { listener: "core" })).toEqual({
      protocol: "tls",
      address: "edge.example.test",
      port: 5061,
      listener: "core",
    });
    expect(resolveTarget("sip:x;transport=ws")).toBeUndefined();
    expect(resolveTarget("sips:x;transport=udp")).toBeUndefined();
    expect(resolveTarget("tel:+1")).toBeUndefined();
  });
});
