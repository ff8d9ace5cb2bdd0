import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { lookup } from "node:dns/promises";
import { VirtualClock, memoryLog, silentLog, systemClock } from "@sallyport/kit";
import type { Clock, Endpoint } from "@sallyport/kit";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAssociation, createH248Transport } from "../src/index.ts";
import type { Association, H248Peer, H248TlsMaterial, H248Transport, H248TransportLimits } from "../src/index.ts";
import { namesOf } from "../src/transport/names.ts";
import { createTpktReader, tpktFrame } from "../src/transport/tpkt.ts";
import { createAuthority, type TestAuthority } from "@sallyport/test-authority";
import { audit, audited } from "./wire.ts";

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

/** Waits for events, bounded by the test's own time limit. */
const inbox = () => {
  const messages: { readonly text: string; readonly peer: H248Peer }[] = [];
  const closed: H248Peer[] = [];
  const waiting: (() => void)[] = [];
  const wake = (): void => waiting.splice(0).forEach((run) => run());
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise<void>((resolve) => void waiting.push(resolve));
  };
  return {
    messages,
    closed,
    until,
    onMessage: (octets: Buffer, peer: H248Peer) => {
      messages.push({ text: octets.toString("latin1"), peer });
      wake();
    },
    onPeerClosed: (peer: H248Peer) => {
      closed.push(peer);
      wake();
    },
  };
};

const end = (clock: Clock = systemClock, limits: Partial<H248TransportLimits> = {}) => {
  const box = inbox();
  const { log, records } = memoryLog();
  const transport = createH248Transport({
    clock,
    log,
    limits,
    onMessage: box.onMessage,
    onPeerClosed: box.onPeerClosed,
  });
  undo.push(() => transport.close());
  return { ...box, transport, records };
};

const closing = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.on("error", () => undefined);
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
const dial = (port: number): Socket => {
  const socket = connectTcp({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  undo.push(() => void socket.destroy());
  return socket;
};
const listenOn = (transport: H248Transport, protocol: "udp" | "tcp") =>
  transport.listen({ protocol, address: "127.0.0.1", port: 0 });

describe("RFC 1006 section 6: TPKT", () => {
  const all = (stream: Buffer, sizes: readonly number[], max = 65_531) => {
    const reader = createTpktReader(max);
    const messages: string[] = [];
    let at = 0;
    for (const size of sizes) {
      if (!reader.push(stream.subarray(at, at + size), (message) => messages.push(message.toString())))
        return "refused";
      at += size;
    }
    return { messages, partial: reader.partial };
  };
  const two = Buffer.concat([
    tpktFrame(Buffer.from("hello")) ?? Buffer.alloc(0),
    tpktFrame(Buffer.from("x")) ?? Buffer.alloc(0),
  ]);

  it("reads the same messages however the stream is cut", () => {
    for (let cut = 0; cut <= two.length; cut++) {
      expect(all(two, [cut, two.length - cut])).toEqual({ messages: ["hello", "x"], partial: false });
    }
    expect(
      all(
        two,
        two.toJSON().data.map(() => 1),
      ),
    ).toEqual({ messages: ["hello", "x"], partial: false });
    expect(all(two, [two.length - 1])).toEqual({ messages: ["hello"], partial: true });
  });

  it("refuses another version, a reserved octet, an empty and an over-long frame at once", () => {
    expect(all(Buffer.from([4]), [1])).toBe("refused");
    expect(all(Buffer.from([3, 1]), [2])).toBe("refused");
    expect(all(Buffer.from([3, 0, 0, 4]), [4])).toBe("refused");
    expect(all(Buffer.from([3, 0, 0, 3]), [4])).toBe("refused");
    expect(all(Buffer.from([3, 0, 0, 15]), [4], 10)).toBe("refused");
    expect(all(Buffer.from([3, 0, 0, 14]), [4], 10)).not.toBe("refused");
  });

  it("H.248.1 D.2: the length counts its own four octets, so that 65,531 octets are the most", () => {
    expect(tpktFrame(Buffer.alloc(1))?.toString("hex")).toBe("0300000500");
    expect(tpktFrame(Buffer.alloc(65_531))?.length).toBe(65_535);
    expect(tpktFrame(Buffer.alloc(65_532))).toBeUndefined();
  });
});

describe("H.248.1 D.1: UDP", () => {
  it("answers go to the address and port the message came from", async () => {
    const gateway = end();
    const controller = end();
    const point = await listenOn(controller.transport, "udp");
    const towards = await gateway.transport.connect({ protocol: "udp", address: "127.0.0.1", port: point.port });
    expect(towards).toMatchObject({ protocol: "udp", protected: false, peerNames: [] });
    gateway.transport.send(Buffer.from("ask"), towards);
    await controller.until(() => controller.messages.length === 1);
    const [asked] = controller.messages;
    if (asked === undefined) throw new Error("no message");
    controller.transport.send(Buffer.from("answer"), asked.peer);
    await gateway.until(() => gateway.messages.length === 1);
    expect(gateway.messages[0]?.peer.remote.port).toBe(point.port);
  });

  it("sends from a listening point where asked to, and refuses what a datagram cannot hold", async () => {
    const controller = end();
    const gateway = end();
    const point = await listenOn(controller.transport, "udp");
    const from = await listenOn(gateway.transport, "udp");
    const peer = await gateway.transport.connect({ protocol: "udp", address: "127.0.0.1", port: point.port, from });
    expect(gateway.transport.send(Buffer.alloc(65_508), peer)).toBe(false);
    gateway.transport.send(Buffer.from("ask"), peer);
    await controller.until(() => controller.messages.length === 1);
    expect(controller.messages[0]?.peer.remote.port).toBe(from.port);
  });

  it("a peer that is let go takes its socket along, however often it was tried; a listening point stays", async () => {
    const opened: Endpoint[] = [];
    const open = new Set<Endpoint>();
    const told: string[] = [];
    const transport = createH248Transport({
      clock: systemClock,
      log: silentLog,
      onMessage: () => undefined,
      onPeerClosed: ({ id }) => told.push(id),
      openDatagram: async ({ address }) => {
        const local = { address, port: 40_000 + opened.length };
        opened.push(local);
        open.add(local);
        return { local, send: () => undefined, close: async () => void open.delete(local) };
      },
    });
    undo.push(() => transport.close());
    const from = await listenOn(transport, "udp");
    for (let attempt = 0; attempt < 3; attempt++) {
      const peer = await transport.connect({ protocol: "udp", address: "192.0.2.1", port: 2944 });
      transport.disconnect(peer);
      transport.disconnect(peer);
      expect(transport.send(Buffer.from("late"), peer)).toBe(false);
      // So that who waits for its answers does not wait on, and nothing is remembered of it.
      expect(told.splice(0)).toEqual([peer.id]);
    }
    transport.disconnect(await transport.connect({ protocol: "udp", address: "192.0.2.1", port: 2944, from }));
    expect(told).toEqual([]);
    expect(opened).toHaveLength(4);
    expect([...open]).toEqual([opened[0]]);
  });

  it("a peer that is named by its host name is known by the address its answers come from", async () => {
    const { address, family } = await lookup("localhost");
    const controller = end();
    const gateway = end();
    const point = await controller.transport.listen({ protocol: "udp", address, port: 0 });
    const named = await gateway.transport.connect({ protocol: "udp", address: "localhost", port: point.port });
    expect(named.remote.address).toBe(address);
    expect(named.local.address).toBe(family === 6 ? "::" : "0.0.0.0");
    gateway.transport.send(Buffer.from("ask"), named);
    await controller.until(() => controller.messages.length === 1);
    const [asked] = controller.messages;
    if (asked !== undefined) controller.transport.send(Buffer.from("answer"), asked.peer);
    await gateway.until(() => gateway.messages.length === 1);
    expect(gateway.messages[0]?.peer.id).toBe(named.id);
    const nobody = gateway.transport.connect({ protocol: "udp", address: "nobody.invalid", port: 2944 });
    await expect(nobody).rejects.toMatchObject({ code: "SALLY_H248_CONNECT" });
  });
});

describe("H.248.1 D.2: TPKT over TCP", () => {
  it("carries whole messages both ways and tells when the peer has gone", async () => {
    const controller = end();
    const gateway = end();
    const point = await listenOn(controller.transport, "tcp");
    const peer = await gateway.transport.connect({ protocol: "tcp", address: "127.0.0.1", port: point.port });
    const large = "x".repeat(65_531);
    gateway.transport.send(Buffer.from("one"), peer);
    gateway.transport.send(Buffer.from(large), peer);
    await controller.until(() => controller.messages.length === 2);
    expect(controller.messages.map((message) => message.text.length)).toEqual([3, 65_531]);
    const back = controller.messages[0]?.peer;
    if (back === undefined) throw new Error("no peer");
    controller.transport.disconnect(back);
    await gateway.until(() => gateway.closed.length === 1);
    await controller.until(() => controller.closed.length === 1);
    expect(gateway.transport.send(Buffer.from("late"), peer)).toBe(false);
    expect(gateway.closed[0]?.id).toBe(peer.id);
  });

  it("cuts off who speaks no TPKT, and who does not finish a frame in time", async () => {
    const clock = new VirtualClock();
    const { transport, records } = end(clock);
    const { port } = await listenOn(transport, "tcp");
    const loud = dial(port);
    loud.write("GET / HTTP/1.1\r\n\r\n");
    await closing(loud);
    const slow = dial(port);
    const gone = closing(slow);
    slow.write(Buffer.from([3, 0, 0]));
    // The stall timer is set when the octets arrive.
    while (clock.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(9999);
    expect(slow.destroyed).toBe(false);
    clock.advance(1);
    await gone;
    expect(
      records.filter((record) => record.event === "h248 connection ended").map((record) => record.fields["reason"]),
    ).toEqual(["framing", "slow"]);
    expect(clock.waiting).toBe(0);
  });

  it("takes no more connections than its limits, in all and from one address", async () => {
    const one = end(systemClock, { maxConnections: 2 });
    const { port } = await listenOn(one.transport, "tcp");
    const kept = [dial(port), dial(port)];
    for (const socket of kept) await new Promise((resolve) => void socket.once("connect", resolve));
    await closing(dial(port));
    expect(one.transport.connections).toBe(2);
    const other = end(systemClock, { maxConnectionsPerAddress: 1 });
    const second = await listenOn(other.transport, "tcp");
    const first = dial(second.port);
    await new Promise((resolve) => void first.once("connect", resolve));
    await closing(dial(second.port));
    first.destroy();
    await other.until(() => other.closed.length === 1);
    while (other.transport.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    const again = dial(second.port);
    again.write(tpktFrame(Buffer.from("hello")) ?? "");
    await other.until(() => other.messages.length === 1);
  });

  it("cuts off a peer that does not read", async () => {
    const server = end(systemClock, { maxUnsent: 200_000 });
    const { port } = await listenOn(server.transport, "tcp");
    const deaf = dial(port);
    deaf.pause();
    deaf.write(tpktFrame(Buffer.from("hello")) ?? "");
    await server.until(() => server.messages.length === 1);
    const peer = server.messages[0]?.peer;
    if (peer === undefined) throw new Error("no peer");
    let sent = 0;
    while (sent < 5000 && server.transport.send(Buffer.alloc(65_000), peer)) sent++;
    expect(sent).toBeLessThan(5000);
    expect(server.closed.map((gone) => gone.id)).toEqual([peer.id]);
  });

  it("says which port is taken and which cannot be reached", async () => {
    const { transport } = end();
    const { port } = await listenOn(transport, "tcp");
    await expect(transport.listen({ protocol: "tcp", address: "127.0.0.1", port })).rejects.toThrow(
      /SALLY_H248_LISTEN/,
    );
    await transport.close();
    await expect(end().transport.connect({ protocol: "tcp", address: "127.0.0.1", port })).rejects.toThrow(
      /SALLY_H248_CONNECT/,
    );
  });
});

describe("TS 33.328 6.2.1.3 (d): Iq over mutually authenticated TLS 1.3", () => {
  let authority: TestAuthority;
  let controllerTls: H248TlsMaterial;
  let gatewayTls: H248TlsMaterial;
  beforeAll(async () => {
    authority = await createAuthority();
    controllerTls = await authority.issue([{ type: "dns", value: "edge.example" }]);
    gatewayTls = await authority.issue([
      { type: "dns", value: "GW-A.example" },
      { type: "url", value: "urn:example:gw-a" },
      { type: "ip", value: "127.0.0.1" },
    ]);
  });
  const serve = async () => {
    const controller = end();
    const point = await controller.transport.listen({
      protocol: "tls",
      address: "127.0.0.1",
      port: 0,
      tls: controllerTls,
    });
    return { controller, port: point.port };
  };
  const toController = (port: number, tls: H248TlsMaterial, serverName = "edge.example") =>
    ({ protocol: "tls", address: "127.0.0.1", port, tls, serverName }) as const;
  const raw = (port: number, options: ConnectionOptions): TLSSocket => {
    const socket = connectTls({ host: "127.0.0.1", port, ca: authority.ca, servername: "edge.example", ...options });
    socket.on("error", () => undefined);
    undo.push(() => void socket.destroy());
    return socket;
  };

  it("each end knows the other's verified names and that the path is protected", async () => {
    const { controller, port } = await serve();
    const gateway = end();
    const peer = await gateway.transport.connect(toController(port, gatewayTls));
    expect(peer).toMatchObject({ protocol: "tls", protected: true, peerNames: ["edge.example"] });
    gateway.transport.send(Buffer.from("hello"), peer);
    await controller.until(() => controller.messages.length === 1);
    expect(controller.messages[0]?.peer).toMatchObject({
      protected: true,
      peerNames: ["gw-a.example", "urn:example:gw-a", "127.0.0.1"],
    });
  });

  it("refuses a client without certificate, and one of another authority", async () => {
    const { controller, port } = await serve();
    await closing(raw(port, {}).resume());
    const stranger = await (await createAuthority()).issue([{ type: "dns", value: "gw-a.example" }]);
    const gateway = end();
    // In TLS 1.3 the client's side is done before the server has seen its certificate.
    await gateway.transport.connect(toController(port, { ...stranger, ca: authority.ca })).then(
      () => gateway.until(() => gateway.closed.length === 1),
      () => undefined,
    );
    expect(controller.messages).toEqual([]);
    expect(controller.records.filter((record) => record.event === "h248 connection open")).toEqual([]);
    // Each is told why in words: a stranger's certificate is a matter for the operator at night.
    const failed = controller.records.filter((record) => record.event === "h248 tls handshake failed");
    expect(failed.map(({ fields }) => fields["reason"])).toEqual([
      "peer did not return a certificate",
      expect.stringContaining("not of a CA that is trusted here"),
    ]);
  });

  it("refuses a server of another name or another authority", async () => {
    const { port } = await serve();
    const gateway = end();
    await expect(gateway.transport.connect(toController(port, gatewayTls, "other.example"))).rejects.toThrow(
      /SALLY_H248_CONNECT/,
    );
    const elsewhere = (await createAuthority()).ca;
    await expect(gateway.transport.connect(toController(port, { ...gatewayTls, ca: elsewhere }))).rejects.toThrow(
      /SALLY_H248_CONNECT/,
    );
    while (gateway.transport.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it("RFC 8446: TLS 1.2 is refused, the suite is an AEAD, no session can be resumed", async () => {
    const { port } = await serve();
    const old = raw(port, { ...gatewayTls, maxVersion: "TLSv1.2" });
    await closing(old);
    expect(old.getProtocol()).not.toBe("TLSv1.2");
    const sound = raw(port, { ...gatewayTls });
    const tickets: Buffer[] = [];
    sound.on("session", (session) => tickets.push(session));
    await new Promise((resolve) => void sound.once("secureConnect", resolve));
    expect(sound.getProtocol()).toBe("TLSv1.3");
    expect(sound.getCipher().name).toMatch(/GCM|CHACHA20/);
    for (const session of tickets) {
      const again = raw(port, { ...gatewayTls, session });
      await new Promise((resolve) => void again.once("secureConnect", resolve));
      expect(again.isSessionReused()).toBe(false);
    }
  });

  it("without TLS material there is no TLS", async () => {
    const { transport } = end();
    await expect(transport.listen({ protocol: "tls", address: "127.0.0.1", port: 0 })).rejects.toThrow(
      /SALLY_H248_LISTEN/,
    );
    await expect(transport.connect({ protocol: "tls", address: "127.0.0.1", port: 1 })).rejects.toThrow(
      /SALLY_H248_CONNECT/,
    );
    const broken = { key: "no", cert: "no", ca: "no" };
    await expect(transport.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: broken })).rejects.toThrow(
      /SALLY_H248_LISTEN/,
    );
  });

  it("close cuts a handshake that does not get on and leaves nothing behind", async () => {
    const { controller, port } = await serve();
    const silent = dial(port);
    await new Promise((resolve) => void silent.once("connect", resolve));
    while (controller.transport.connections === 0) await new Promise((resolve) => setImmediate(resolve));
    const gone = closing(silent);
    await controller.transport.close();
    await gone;
    expect(controller.transport.connections).toBe(0);
  });

  it("RFC 5280 4.2.1.6: a quoted name is none of ours", () => {
    expect(
      namesOf('DNS:a.example, DNS:"x, DNS:evil.example", IP Address:2001:DB8:0:0:0:0:0:1, URI:urn:x, email:a@b'),
    ).toEqual(["a.example", "2001:db8:0:0:0:0:0:1", "urn:x"]);
  });
});

describe("associations over real sockets", () => {
  it.each(["udp", "tcp"] as const)("%s: requests both ways, then nothing is left", async (protocol) => {
    const make = (mid: string) => {
      const { log } = memoryLog();
      const transport = createH248Transport({
        clock: systemClock,
        log,
        onMessage: (octets, peer) => association.receive(octets, peer),
        onPeerClosed: (peer) => association.peerClosed(peer),
      });
      const seen: H248Peer[] = [];
      const association: Association = createAssociation({
        mid,
        transport,
        clock: systemClock,
        log,
        onRequest: ({ peer }) => {
          seen.push(peer);
          return Promise.resolve(audited);
        },
      });
      undo.push(async () => {
        association.close();
        await transport.close();
      });
      return { transport, association, seen };
    };
    const controller = make("<edge.example>");
    const gateway = make("<gw-a.example>");
    const point = await listenOn(controller.transport, protocol);
    const peer = await gateway.transport.connect({ protocol, address: "127.0.0.1", port: point.port });
    expect(await gateway.association.request(audit, { peer, mid: "<edge.example>" })).toEqual(audited);
    const [back] = controller.seen;
    if (back === undefined) throw new Error("no peer");
    const replies = Array.from({ length: 50 }, () => controller.association.request(audit, { peer: back }));
    expect(await Promise.all(replies)).toHaveLength(50);
    if (protocol === "tcp") {
      await controller.transport.close();
      await expect(gateway.association.request(audit, { peer })).rejects.toThrow(/SALLY_H248_CLOSED/);
    }
  });
});
