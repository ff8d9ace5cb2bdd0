// The transaction layer's shell: matching, CANCEL, bounds and lossy networks, all on a virtual clock.
import { VirtualClock, memoryLog, seededRandom } from "@sallyport/kit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createRequest,
  createResponse,
  createTransactions,
  headerList,
  headerValue,
  parseMessage,
  prependHeader,
  setHeader,
  tagOf,
  writeMessage,
} from "../src/index.ts";
import { createSpent } from "../src/transaction/spent.ts";
import type {
  Flow,
  ServerTransaction,
  SipMessage,
  SipRequest,
  SipResponse,
  Transactions,
  TransactionsOptions,
} from "../src/index.ts";

const request = (method: string, n = 1): SipRequest =>
  createRequest({
    method,
    uri: "sip:bob@example.test",
    headers: [
      ["Route", "<sip:proxy.example.test;lr>"],
      ["Max-Forwards", "70"],
      ["From", "<sip:alice@example.test>;tag=a1"],
      ["To", "<sip:bob@example.test>"],
      ["Call-ID", `call ${n}`.replace(" ", "-")],
      ["CSeq", `${n} ${method}`],
    ],
  });

type Fate = "pass" | "lose" | "double";

/** Two elements with a wire between them that loses and doubles what it is told to. */
const createPair = (
  fate: (message: SipMessage) => Fate = () => "pass",
  protocol: "udp" | "tcp" = "udp",
  ofBob: Partial<TransactionsOptions> = {},
) => {
  const clock = new VirtualClock(1_000);
  const { log, records } = memoryLog();
  const got: ServerTransaction[] = [];
  const acks: SipRequest[] = [];
  const stray: SipResponse[] = [];
  const wire: string[] = [];
  const flow = (address: string): Flow => ({
    id: `to-${address}`,
    protocol,
    local: { address: address === "192.0.2.1" ? "192.0.2.2" : "192.0.2.1", port: 5060 },
    remote: { address, port: 5060 },
    peerNames: [],
  });
  const transportTo = (from: string, to: string, there: () => Transactions) => ({
    viaFor: () => ({ protocol: protocol === "udp" ? ("UDP" as const) : ("TCP" as const), host: from, port: 5060 }),
    send: (message: SipMessage) => {
      const parsed = parseMessage(writeMessage(message));
      if (!parsed.ok) throw new Error(`unreadable: ${parsed.code}`);
      const what = fate(message);
      const label = message.kind === "request" ? message.method : String(message.status);
      wire.push(what === "lose" ? `(${label})` : label);
      for (let copy = what === "lose" ? 0 : what === "double" ? 2 : 1; copy > 0; copy -= 1) {
        clock.after(20, () => there().receive(parsed.message, flow(from)));
      }
      return Promise.resolve(flow(to));
    },
  });
  const options = { clock, log, validation: { role: "user-agent" as const } };
  const alice: Transactions = createTransactions({
    ...options,
    random: seededRandom("alice"),
    transport: transportTo("192.0.2.1", "192.0.2.2", () => bob),
    onRequest: () => undefined,
    onAck: () => undefined,
    onStrayResponse: (response) => stray.push(response),
  });
  const bob: Transactions = createTransactions({
    ...options,
    random: seededRandom("bob"),
    limits: { maxServer: 4 },
    transport: transportTo("192.0.2.2", "192.0.2.1", () => alice),
    onRequest: (server) => got.push(server),
    onAck: (ack) => acks.push(ack),
    ...ofBob,
  });
  const send = (message: SipRequest) => {
    const responses: number[] = [];
    const events: string[] = [];
    const transaction = alice.request(message, flow("192.0.2.2"), {
      onResponse: (response) => {
        responses.push(response.status);
        expect(headerList(response, "via")).toEqual([]);
      },
      onTimeout: () => events.push("timeout"),
      onTransportError: (error) => events.push(error.message),
    });
    return { transaction, responses, events };
  };
  return { clock, alice, bob, got, acks, stray, wire, send, flow, records };
};

const reply = (server: ServerTransaction | undefined, status: number): void => {
  server?.respond(createResponse(server.request, status, undefined, { toTag: server.toTag }));
};

describe("RFC 3261 17 transaction layer", () => {
  it("RFC 3261 17.1.1.3: the ACK of a refusal has the INVITE's branch, Route, Call-ID and number, and the response's To", () => {
    const pair = createPair();
    const call = pair.send(request("INVITE"));
    pair.clock.advance(20);
    let ack: SipRequest | undefined;
    const [server] = pair.got;
    if (server !== undefined) server.onAck = (received) => (ack = received);
    reply(server, 486);
    pair.clock.advance(40);
    expect(call.responses).toEqual([486]);
    if (ack === undefined || server === undefined) throw new Error("no ACK");
    expect(headerList(ack, "via")).toEqual(headerList(server.request, "via"));
    expect(headerValue(ack, "route")).toBe("<sip:proxy.example.test;lr>");
    expect(headerValue(ack, "cseq")).toBe("1 ACK");
    expect(tagOf(ack, "to")).toBe(server.toTag);
    expect(pair.acks).toEqual([]);
    pair.clock.advance(40_000);
    expect([pair.alice.counts, pair.bob.counts, pair.clock.waiting]).toEqual([
      { client: 0, server: 0 },
      { client: 0, server: 0 },
      0,
    ]);
  });

  it("RFC 6026 8.4: copies of a 2xx go up, and those after Timer M are strays", () => {
    const pair = createPair();
    const call = pair.send(request("INVITE"));
    pair.clock.advance(20);
    for (let n = 0; n < 3; n += 1) {
      reply(pair.got[0], 200);
      pair.clock.advance(500);
    }
    expect(call.responses).toEqual([200, 200, 200]);
    pair.clock.advance(31_000);
    expect(pair.alice.counts.client).toBe(0);
    const late = createResponse(
      prependHeader(request("INVITE"), "Via", headerList(pair.got[0]?.request ?? request("INVITE"), "via")[0] ?? ""),
      200,
    );
    pair.alice.receive(late, pair.flow("192.0.2.2"));
    expect(pair.stray).toHaveLength(1);
  });

  it("RFC 6026 8.4: forgotten by its owner, a transaction takes in the copies and tells nobody, not even of its end", () => {
    const pair = createPair();
    const told: string[] = [];
    const handlers = {
      onResponse: (response: SipResponse) => told.push(String(response.status)),
      onTimeout: () => told.push("timeout"),
      onTransportError: () => told.push("error"),
      onEnd: () => told.push("end"),
    };
    const call = pair.alice.request(request("INVITE"), pair.flow("192.0.2.2"), handlers);
    pair.clock.advance(20);
    reply(pair.got[0], 200);
    pair.clock.advance(20);
    expect(told).toEqual(["200"]);
    call.forget();
    for (let n = 0; n < 3; n += 1) {
      reply(pair.got[0], 200);
      pair.clock.advance(500);
    }
    expect([call.state, pair.alice.counts.client]).toEqual(["accepted", 1]);
    pair.clock.advance(31_000);
    expect([told, pair.alice.counts.client, pair.stray]).toEqual([["200"], 0, []]);
    // A refusal is still acknowledged, as often as it comes (17.1.1.2).
    const refused = pair.alice.request(request("INVITE", 2), pair.flow("192.0.2.2"), handlers);
    pair.clock.advance(20);
    refused.forget();
    let acks = 0;
    const server = pair.got.at(-1);
    if (server !== undefined) server.onAck = () => (acks += 1);
    reply(server, 486);
    pair.clock.advance(40);
    expect([told, acks, server?.state]).toEqual([["200"], 1, "confirmed"]);
  });

  it("RFC 3261 13.2.2.4, 16.11: every copy of the ACK of a 2xx is octet for octet the same, and no other ACK has its branch", async () => {
    const pair = createPair();
    const ackOf = (n: number, toTag: string, via?: string): SipRequest => {
      const ack = setHeader(request("ACK", n), "to", `<sip:bob@example.test>;tag=${toTag}`);
      return via === undefined ? ack : prependHeader(ack, "via", `SIP/2.0/UDP 192.0.2.9;branch=${via}`);
    };
    const sent = async (ack: SipRequest): Promise<string> => {
      const before = pair.acks.length;
      await pair.alice.sendAck(ack, pair.flow("192.0.2.2"));
      pair.clock.advance(20);
      const got = pair.acks[before];
      if (got === undefined) throw new Error("no ACK arrived");
      return writeMessage(got).toString("latin1");
    };
    const first = await sent(ackOf(1, "b1"));
    expect(await sent(ackOf(1, "b1"))).toBe(first);
    const relayed = await sent(ackOf(1, "b1", "z9hG4bKx"));
    expect(await sent(ackOf(1, "b1", "z9hG4bKx"))).toBe(relayed);
    const all = [first, relayed];
    for (const other of [ackOf(2, "b1"), ackOf(1, "b2"), ackOf(1, "b1", "z9hG4bKy")]) all.push(await sent(other));
    const branches = all.map((text) => /branch=(?<branch>[^;\r]*)/.exec(text)?.groups?.["branch"]);
    expect(branches.every((branch) => branch?.startsWith("z9hG4bK"))).toBe(true);
    expect(new Set(branches).size).toBe(all.length);
  });

  it("RFC 3261 17.2.1: an INVITE nobody touches gets a 100 after 200 ms, and no more copies come", () => {
    const pair = createPair();
    const call = pair.send(request("INVITE"));
    pair.clock.advance(5_000);
    expect(call.responses).toEqual([100]);
    expect(pair.wire).toEqual(["INVITE", "100"]);
  });

  it("RFC 3261 17.2.1: Timer G repeats a refusal ten times until Timer H; to a stranger as often as its owner lets it", () => {
    for (const [stranger, allowed, copies] of [
      [false, 0, 11],
      [true, 0, 1],
      [true, 3, 4],
      [true, Infinity, 11],
    ] as const) {
      const pair = createPair(
        (message) => (message.kind === "request" && message.method === "ACK" ? "lose" : "pass"),
        "udp",
        {
          isStranger: () => stranger,
          mayRepeat: () => (left -= 1) >= 0,
        },
      );
      let left: number = allowed;
      const call = pair.send(request("INVITE"));
      pair.clock.advance(20);
      reply(pair.got[0], 486);
      pair.clock.advance(40_000);
      expect(call.responses).toEqual([486]);
      expect(pair.wire.filter((label) => label === "486")).toHaveLength(copies);
      expect(pair.got[0]?.state).toBe("terminated");
    }
  });

  it("RFC 3261 9.1, 9.2: CANCEL waits for the first 1xx, is answered 200 with the INVITE's tag, and comes with the INVITE's branch", () => {
    const pair = createPair();
    const call = pair.send(request("INVITE"));
    pair.clock.advance(20);
    call.transaction.cancel([["Reason", "SIP;cause=200"]]);
    pair.clock.advance(100);
    expect(pair.wire).toEqual(["INVITE"]);
    const [server] = pair.got;
    let cancel: SipRequest | undefined;
    if (server !== undefined) {
      server.onCancel = (received) => {
        cancel = received;
        reply(server, 487);
      };
    }
    reply(server, 180);
    pair.clock.advance(100);
    expect(pair.wire).toEqual(["INVITE", "180", "CANCEL", "200", "487", "ACK"]);
    expect(call.responses).toEqual([180, 487]);
    if (cancel === undefined || server === undefined) throw new Error("no CANCEL");
    expect(headerList(cancel, "via")).toEqual(headerList(server.request, "via"));
    expect([headerValue(cancel, "cseq"), headerValue(cancel, "reason")]).toEqual(["1 CANCEL", "SIP;cause=200"]);
    expect(pair.got).toHaveLength(1);
    pair.clock.advance(40_000);
    expect(pair.clock.waiting).toBe(0);
  });

  it("RFC 3261 9.2: a CANCEL that matches nothing gets 481, one that comes too late 200 without effect", () => {
    const pair = createPair();
    const via = ["Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx"] as const;
    pair.bob.receive(prependHeader(request("CANCEL"), ...via), pair.flow("192.0.2.1"));
    expect(pair.wire).toEqual(["481"]);
    pair.bob.receive(prependHeader(request("INVITE"), ...via), pair.flow("192.0.2.1"));
    const [server] = pair.got;
    let cancelled = false;
    if (server !== undefined) server.onCancel = () => (cancelled = true);
    reply(server, 200);
    // Another hop's CANCEL with the same branch is another transaction's.
    pair.bob.receive(prependHeader(request("CANCEL"), ...via), { ...pair.flow("192.0.2.66"), id: "other" });
    expect(pair.wire).toEqual(["481", "200", "481"]);
    expect(cancelled).toBe(false);
  });

  it("RFC 3261 17.2.3: branch, sent-by and method make the transaction; a stranger's branch does not absorb it", () => {
    const pair = createPair();
    const receive = (message: SipRequest, via: string, address = "192.0.2.1"): void =>
      pair.bob.receive(prependHeader(message, "Via", via), pair.flow(address));
    receive(request("OPTIONS"), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa");
    receive(request("OPTIONS"), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa");
    expect(pair.got).toHaveLength(1);
    receive(request("OPTIONS"), "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa");
    receive(request("INFO"), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa");
    receive(request("OPTIONS"), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa", "192.0.2.66");
    expect(pair.got).toHaveLength(4);
  });

  it("RFC 3261 17.2.3: a branch of RFC 2543 is matched by URI, tags, Call-ID, number and Via; its ACK by the To tag too", () => {
    const pair = createPair();
    const via = ["Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=1"] as const;
    const invite = prependHeader(request("INVITE"), ...via);
    pair.bob.receive(invite, pair.flow("192.0.2.1"));
    pair.bob.receive(invite, pair.flow("192.0.2.1"));
    pair.bob.receive(prependHeader(request("INVITE", 2), ...via), pair.flow("192.0.2.1"));
    expect(pair.got).toHaveLength(2);
    const [server] = pair.got;
    let acknowledged = 0;
    if (server !== undefined) server.onAck = () => (acknowledged += 1);
    reply(server, 404);
    const ack = prependHeader(setHeader(request("ACK"), "CSeq", "1 ACK"), ...via);
    pair.bob.receive(setHeader(ack, "To", "<sip:bob@example.test>;tag=other"), pair.flow("192.0.2.1"));
    expect([acknowledged, pair.acks.length]).toEqual([0, 1]);
    pair.bob.receive(setHeader(ack, "To", `<sip:bob@example.test>;tag=${server?.toTag}`), pair.flow("192.0.2.1"));
    expect([acknowledged, pair.acks.length]).toEqual([1, 1]);
  });

  it("RFC 3261 18.1.2, RFC 4475 3.1.2.5: responses for another sent-by, and malformed ones, are discarded", () => {
    const pair = createPair(() => "lose");
    const call = pair.send(request("OPTIONS"));
    const response = createResponse(call.transaction.request, 200);
    const via = headerList(response, "via")[0] ?? "";
    pair.alice.receive(setHeader(response, "Via", via.replace("192.0.2.1", "192.0.2.9")), pair.flow("192.0.2.2"));
    pair.alice.receive(prependHeader(response, "Via", via), pair.flow("192.0.2.2"));
    pair.alice.receive(setHeader(response, "CSeq", "36893488147419103232 OPTIONS"), pair.flow("192.0.2.2"));
    expect(call.responses).toEqual([]);
    pair.alice.receive(response, pair.flow("192.0.2.2"));
    expect(call.responses).toEqual([200]);
  });

  it("RFC 3261 8.2: malformed requests are answered by the layer and never handed up", () => {
    const pair = createPair();
    const via = ["Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKm"] as const;
    pair.bob.receive(setHeader(prependHeader(request("OPTIONS"), ...via), "To", "<sip:bob"), pair.flow("192.0.2.1"));
    pair.bob.receive(setHeader(prependHeader(request("ACK"), ...via), "To", "<sip:bob"), pair.flow("192.0.2.1"));
    expect([pair.wire, pair.got, pair.acks]).toEqual([["400"], [], []]);
  });

  it("the number of transactions is bounded: 503 with Retry-After for strangers, SALLY_SIP_LIMIT for ourselves", async () => {
    const pair = createPair();
    for (let n = 1; n <= 6; n += 1) {
      const via = `SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKn${n}`;
      pair.bob.receive(prependHeader(request("MESSAGE", n), "Via", via), pair.flow("192.0.2.1"));
    }
    expect([pair.got.length, pair.bob.counts.server, pair.wire]).toEqual([4, 4, ["503", "503"]]);
    pair.clock.advance(32_000);
    expect(pair.bob.counts.server).toBe(0);
    const one = pair.alice.request(
      request("OPTIONS"),
      pair.flow("192.0.2.2"),
      { onResponse: () => undefined, onTimeout: () => undefined, onTransportError: () => undefined },
      { branch: "z9hG4bKsame" },
    );
    const errors: Error[] = [];
    const two = pair.alice.request(
      request("OPTIONS"),
      pair.flow("192.0.2.2"),
      { onResponse: () => undefined, onTimeout: () => undefined, onTransportError: (error) => errors.push(error) },
      { branch: "z9hG4bKsame" },
    );
    expect([one.state, errors]).toEqual(["trying", []]);
    await Promise.resolve();
    await Promise.resolve();
    expect([two.state, errors]).toMatchObject(["terminated", [{ code: "SALLY_SIP_LIMIT" }]]);
    expect(pair.alice.counts.client).toBe(1);
  });

  it("RFC 3261 17.2.2: answered requests do not count against the bound; copies get the same answer until Timer J fires", () => {
    const pair = createPair();
    const copies = Array.from({ length: 12 }, (_, n) =>
      prependHeader(request("MESSAGE", n), "Via", `SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKj${n}`),
    );
    let ended = 0;
    for (const copy of copies) {
      pair.bob.receive(copy, pair.flow("192.0.2.1"));
      const server = pair.got.at(-1);
      if (server !== undefined) server.onEnd = () => (ended += 1);
      reply(server, 202);
      expect(server?.state).toBe("completed");
      // RFC 3261 17.2.2: any other final response is discarded.
      reply(server, 500);
    }
    expect([pair.got.length, pair.bob.counts.server, ended]).toEqual([12, 12, 12]);
    expect(new Set(pair.wire)).toEqual(new Set(["202"]));
    pair.clock.advance(31_000);
    const before = pair.wire.length;
    for (const copy of copies) pair.bob.receive(copy, pair.flow("192.0.2.1"));
    expect([pair.got.length, pair.wire.slice(before)]).toEqual([12, copies.map(() => "202")]);
    pair.clock.advance(1_000);
    expect([pair.bob.counts.server, pair.clock.waiting]).toEqual([0, 0]);
    pair.bob.receive(copies[0] ?? request("MESSAGE"), pair.flow("192.0.2.1"));
    expect(pair.got.length).toBe(13);
  });

  it("RFC 6026 7.1, RFC 3261 9.2: forgotten by its owner, an accepted INVITE takes in copies and answers a late CANCEL 200", () => {
    const pair = createPair();
    const call = pair.send(request("INVITE"));
    pair.clock.advance(20);
    const server = pair.got[0];
    if (server === undefined) throw new Error("no INVITE");
    server.onTransportError = () => undefined;
    reply(server, 200);
    pair.clock.advance(20);
    server.forget();
    expect([server.onCancel, server.onEnd, server.onTransportError, server.onAck]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    const before = pair.wire.length;
    pair.bob.receive(call.transaction.request, pair.flow("192.0.2.1"));
    expect([pair.got.length, pair.wire.length, pair.bob.counts.server]).toEqual([1, before, 1]);
    const cancel = setHeader(request("CANCEL"), "CSeq", "1 CANCEL");
    const via = headerList(server.request, "via")[0] ?? "";
    pair.bob.receive(prependHeader(cancel, "Via", via), pair.flow("192.0.2.1"));
    expect(pair.wire.slice(before)).toEqual(["200"]);
    pair.clock.advance(32_000);
    expect([pair.bob.counts.server, pair.clock.waiting]).toEqual([0, 0]);
  });

  it("RFC 3261 17.1.2.2: an answered request takes in copies of its answer until Timer K, and its branch stays its own", async () => {
    const pair = createPair();
    const call = pair.send(request("OPTIONS"));
    pair.clock.advance(20);
    reply(pair.got[0], 200);
    pair.clock.advance(20);
    expect([call.responses, call.transaction.state, pair.alice.counts.client]).toEqual([[200], "completed", 1]);
    const copy = createResponse(call.transaction.request, 200);
    pair.clock.advance(4_970);
    pair.alice.receive(copy, pair.flow("192.0.2.2"));
    expect([call.responses, pair.stray]).toEqual([[200], []]);
    const branch = /branch=([^;]+)/.exec(headerList(call.transaction.request, "via")[0] ?? "")?.[1] ?? "";
    const errors: Error[] = [];
    pair.alice.request(
      request("OPTIONS"),
      pair.flow("192.0.2.2"),
      { onResponse: () => undefined, onTimeout: () => undefined, onTransportError: (error) => errors.push(error) },
      { branch },
    );
    await Promise.resolve();
    await Promise.resolve();
    expect(errors).toMatchObject([{ code: "SALLY_SIP_LIMIT" }]);
    pair.clock.advance(30);
    pair.alice.receive(copy, pair.flow("192.0.2.2"));
    expect([pair.alice.counts.client, pair.stray.length]).toEqual([0, 1]);
  });

  it("what is kept for copies is bounded by number and by octets; the oldest goes first", () => {
    const clock = new VirtualClock(0);
    const spent = createSpent<string>(clock, 1_000, { entries: 3, weight: 100 });
    for (const key of ["a", "b", "c", "d"]) spent.put(key, key, 1);
    expect(["a", "b", "c", "d"].map((key) => spent.get(key))).toEqual([undefined, "b", "c", "d"]);
    spent.put("e", "e", 99);
    expect([spent.size, spent.get("d"), spent.get("e")]).toEqual([2, "d", "e"]);
    clock.advance(999);
    expect(spent.size).toBe(2);
    spent.put("f", "f", 1);
    clock.advance(1);
    expect([spent.size, spent.get("f")]).toEqual([1, "f"]);
    clock.advance(1_000);
    expect([spent.size, clock.waiting]).toEqual([0, 0]);
    spent.put("g", "g", 1);
    spent.clear();
    expect([spent.size, clock.waiting]).toEqual([0, 0]);
  });

  it("a handler that throws is answered 500 or logged, and the layer goes on", () => {
    const clock = new VirtualClock();
    const { log, records } = memoryLog();
    const sent: SipMessage[] = [];
    const flow: Flow = {
      id: "f",
      protocol: "udp",
      local: { address: "192.0.2.2", port: 1 },
      remote: { address: "192.0.2.1", port: 1 },
      peerNames: [],
    };
    const layer = createTransactions({
      clock,
      log,
      random: seededRandom(1),
      transport: {
        send: (message) => {
          sent.push(message);
          return Promise.resolve(flow);
        },
        viaFor: () => ({ protocol: "UDP", host: "192.0.2.2", port: 1 }),
      },
      onRequest: () => {
        throw new Error("defect");
      },
      onAck: () => undefined,
    });
    layer.receive(prependHeader(request("OPTIONS"), "Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"), flow);
    expect(sent).toMatchObject([{ status: 500 }]);
    const call = layer.request(request("OPTIONS"), flow, {
      onResponse: () => {
        throw new Error("defect");
      },
      onTimeout: () => undefined,
      onTransportError: () => undefined,
    });
    layer.receive(createResponse(call.request, 200), flow);
    expect(call.state).toBe("completed");
    expect(records.filter((record) => record.level === "error")).toHaveLength(2);
    layer.close();
    expect(clock.waiting).toBe(0);
  });

  it("close() forgets every transaction and leaves no timer", () => {
    const pair = createPair();
    pair.send(request("INVITE"));
    pair.send(request("OPTIONS", 2));
    pair.clock.advance(20);
    pair.alice.close();
    pair.bob.close();
    expect([pair.clock.waiting, pair.alice.counts, pair.bob.counts]).toEqual([
      0,
      { client: 0, server: 0 },
      { client: 0, server: 0 },
    ]);
  });
});

describe("RFC 3261 18.4: a connection closes under requests it has taken", () => {
  /** What was sent has been told as sent; then the connection is gone, and everybody concerned has heard. */
  const lose = async (pair: ReturnType<typeof createPair>, address = "192.0.2.2"): Promise<void> => {
    await new Promise(setImmediate);
    pair.alice.flowClosed(pair.flow(address));
    await new Promise(setImmediate);
  };

  it.each(["INVITE", "OPTIONS"])(
    "RFC 3261 17.1.4: %s that nobody has answered fails at once, and leaves no timer",
    async (method) => {
      const pair = createPair(() => "lose", "tcp");
      const call = pair.send(request(method));
      await lose(pair);
      expect(call.events).toEqual([expect.stringContaining("192.0.2.2:5060")]);
      expect([call.transaction.state, pair.clock.waiting, pair.alice.counts.client]).toEqual(["terminated", 0, 0]);
      // Nobody is told twice.
      await lose(pair);
      pair.clock.advance(200_000);
      expect(call.events).toHaveLength(1);
    },
  );

  it.each(["INVITE", "OPTIONS"])(
    "RFC 3261 18.2.2: %s with a provisional answer waits on; the final one comes on a connection of the server's own",
    async (method) => {
      const pair = createPair(() => "pass", "tcp");
      const call = pair.send(request(method));
      pair.clock.advance(20);
      reply(pair.got[0], method === "INVITE" ? 180 : 100);
      pair.clock.advance(20);
      await lose(pair);
      expect([call.events, call.responses]).toEqual([[], [method === "INVITE" ? 180 : 100]]);
      reply(pair.got[0], 486);
      pair.clock.advance(20);
      expect([call.events, call.responses.at(-1)]).toEqual([[], 486]);
    },
  );

  it("a request on another connection, one over UDP and one that has its answer are none of its business", async () => {
    const answered = createPair(() => "pass", "tcp");
    const done = answered.send(request("INVITE"));
    answered.clock.advance(20);
    reply(answered.got[0], 200);
    answered.clock.advance(20);
    await lose(answered);
    expect([done.events, done.transaction.state]).toEqual([[], "accepted"]);
    const other = createPair(() => "lose", "tcp");
    const call = other.send(request("INVITE"));
    await lose(other, "192.0.2.3");
    expect([call.events, call.transaction.state]).toEqual([[], "calling"]);
    const datagrams = createPair(() => "lose");
    const over = datagrams.send(request("INVITE"));
    await lose(datagrams);
    expect([over.events, over.transaction.state]).toEqual([[], "calling"]);
  });

  it("a layer that closes in the same moment tells nobody", async () => {
    const pair = createPair(() => "lose", "tcp");
    const call = pair.send(request("INVITE"));
    await new Promise(setImmediate);
    pair.alice.flowClosed(pair.flow("192.0.2.2"));
    pair.alice.close();
    await new Promise(setImmediate);
    expect(call.events).toEqual([]);
  });
});

describe("RFC 3261 17 over a network that loses and doubles", () => {
  const fates = fc.array(fc.constantFrom<Fate>("pass", "pass", "lose", "double"), { minLength: 4, maxLength: 40 });

  it.each(["OPTIONS", "INVITE"])(
    "%s: one request handed up, one final response handed down, nothing left",
    (method) => {
      fc.assert(
        fc.property(fates, fc.constantFrom(200, 486), fc.integer({ min: 0, max: 3_000 }), (plan, status, delay) => {
          let at = 0;
          const pair = createPair(() => plan[at++] ?? "pass");
          const call = pair.send(request(method));
          pair.clock.advance(16_000);
          expect(pair.got).toHaveLength(1);
          pair.clock.advance(delay);
          reply(pair.got[0], status);
          // RFC 3261 13.3.1.4: copies of a 2xx are the user agent's.
          const copies = method === "INVITE" && status === 200 ? 40 : 0;
          for (let copy = 0; copy < copies; copy += 1) {
            pair.clock.advance(400);
            reply(pair.got[0], status);
          }
          pair.clock.advance(200_000);
          const finals = call.responses.filter((response) => response >= 200);
          expect(new Set(finals).size).toBe(1);
          if (status !== 200 || method !== "INVITE") expect(finals).toHaveLength(1);
          expect(call.events).toEqual([]);
          expect([pair.got.length, pair.alice.counts.client, pair.bob.counts.server, pair.clock.waiting]).toEqual([
            1, 0, 0, 0,
          ]);
        }),
        { numRuns: 150, seed: 17 },
      );
    },
  );
});
