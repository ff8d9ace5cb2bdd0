// Who may speak in a transaction, and what strangers can make it keep. RFC 3261 8.2.7, 17.1.3, 17.2.1, 18.1.2.
import { memoryLog, seededRandom, VirtualClock } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import {
  createRequest,
  createResponse,
  createTransactions,
  isFlow,
  parseMessage,
  prependHeader,
  tagOf,
  validateRequest,
  validateResponse,
  writeMessage,
  type Flow,
  type ServerTransaction,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  type TransactionsOptions,
} from "../src/index.ts";

const flowTo = (address: string, protocol: Flow["protocol"] = "udp", port = 5060): Flow => ({
  id: `${protocol}/${address}:${port}`,
  protocol,
  local: { address: "192.0.2.1", port: 5060 },
  remote: { address, port },
  listener: "a",
  peerNames: [],
});

const request = (method: string, branch: string, via = `SIP/2.0/UDP 192.0.2.9;branch=${branch}`): SipRequest =>
  createRequest({
    method,
    uri: "sip:bob@example.test",
    headers: [
      ["Via", via],
      ["Max-Forwards", "70"],
      ["From", "<sip:alice@example.test>;tag=1"],
      ["To", "<sip:bob@example.test>"],
      ["Call-ID", "one"],
      ["CSeq", `1 ${method}`],
    ],
  });

const start = (more: Partial<TransactionsOptions> = {}) => {
  const clock = new VirtualClock(0);
  const sent: { readonly message: SipMessage; readonly to: Flow }[] = [];
  const got: ServerTransaction[] = [];
  const stray: SipResponse[] = [];
  const dropped: string[] = [];
  const layer = createTransactions({
    clock,
    random: seededRandom("senders"),
    log: memoryLog().log,
    transport: {
      viaFor: () => ({ protocol: "UDP", host: "192.0.2.1", port: 5060 }),
      send: (message, to) => {
        const flow = isFlow(to) ? to : flowTo(to.address, to.protocol, to.port);
        sent.push({ message, to: flow });
        return Promise.resolve(flow);
      },
    },
    onRequest: (server) => got.push(server),
    onAck: () => undefined,
    onStrayResponse: (response) => stray.push(response),
    onDiscarded: (why) => dropped.push(why),
    ...more,
  });
  const answers = (): readonly number[] =>
    sent.flatMap(({ message }) => (message.kind === "response" ? [message.status] : []));
  return { clock, layer, sent, got, stray, dropped, answers };
};

describe("RFC 3261 18.1.2: an answer comes from where the request went", () => {
  const asked = (to: Flow | { protocol: "udp"; address: string; port: number }) => {
    const seen: (readonly [string, boolean])[] = [];
    const played = start({
      mayAnswer: (flow, went) => {
        const from = isFlow(went) ? went.remote.address : `target ${went.address}`;
        seen.push([from, isFlow(went)]);
        return flow.remote.address === "192.0.2.2";
      },
    });
    const heard: number[] = [];
    const plain = request("INVITE", "unused");
    const bare = { ...plain, headers: plain.headers.filter(({ name }) => name !== "via") };
    played.layer.request(bare, to, {
      onResponse: ({ status }) => heard.push(status),
      onTimeout: () => undefined,
      onTransportError: () => undefined,
    });
    const [first] = played.sent;
    if (first === undefined || first.message.kind !== "request") throw new Error("nothing sent");
    const own = first.message;
    const answer = (status: number, from: string): void =>
      played.layer.receive(createResponse(own, status, undefined, { toTag: "2" }), flowTo(from));
    return { ...played, heard, seen, answer };
  };

  it("whoever else knows the branch is not believed; the one asked is, after and before that", async () => {
    const { heard, answer, dropped, layer, seen } = asked(flowTo("192.0.2.2"));
    await Promise.resolve();
    answer(486, "192.0.2.66");
    answer(180, "192.0.2.2");
    answer(200, "192.0.2.66");
    answer(200, "192.0.2.2");
    expect(heard).toEqual([180, 200]);
    expect(dropped).toEqual(["sender", "sender"]);
    expect(seen.map(([from]) => from)).toEqual(Array(4).fill("192.0.2.2"));
    layer.close();
  });

  it("a request to a target is judged by the flow it left on, and by the target while that is not known", async () => {
    const { answer, seen, layer } = asked({ protocol: "udp", address: "192.0.2.2", port: 5060 });
    answer(100, "192.0.2.2");
    await Promise.resolve();
    answer(180, "192.0.2.2");
    expect(seen).toEqual([
      ["target 192.0.2.2", false],
      ["192.0.2.2", true],
    ]);
    layer.close();
  });
});

describe("RFC 3261 8.2.7: what is refused of strangers is not kept", () => {
  const stranger = flowTo("192.0.2.66");
  const known = flowTo("192.0.2.9");
  const invite = (branch: string): SipRequest => request("INVITE", `z9hG4bK${branch}`);
  const open = (more: Partial<TransactionsOptions> = {}) =>
    start({ isStranger: (flow) => flow.remote.address === "192.0.2.66", ...more });

  it("a refused INVITE leaves nothing and is answered once; its copies get the same answer, its ACK goes under", () => {
    const acks: string[] = [];
    const { layer, got, answers, clock, sent } = open({ onAck: ({ method }) => acks.push(method) });
    for (let copy = 0; copy < 3; copy += 1) {
      layer.receive(invite("x"), stranger);
      got.at(-1)?.refuse(403, "Not Registered", [["Warning", "399 a b"]]);
      expect(layer.counts.server).toBe(0);
    }
    expect(answers()).toEqual([403, 403, 403]);
    const tags = sent.map(({ message }) => tagOf(message, "to"));
    expect([new Set(tags).size, tags[0]?.length]).toEqual([1, 16]);
    layer.receive({ ...request("ACK", "z9hG4bKx") }, stranger);
    clock.advance(64_000);
    expect([answers().length, clock.waiting, acks]).toEqual([3, 0, ["ACK"]]);
  });

  it("two requests of strangers get two tags", () => {
    const { layer, got, sent } = open();
    for (const branch of ["x", "y"]) {
      layer.receive(invite(branch), stranger);
      got.at(-1)?.refuse(403);
    }
    expect(new Set(sent.map(({ message }) => tagOf(message, "to"))).size).toBe(2);
  });

  it("RFC 3261 17.2.1: a refusal to somebody known is repeated until its ACK", () => {
    const { layer, got, answers, clock } = open();
    layer.receive(invite("x"), known);
    got.at(-1)?.refuse(403);
    clock.advance(1_600);
    expect(answers()).toEqual([403, 403, 403]);
    expect(layer.counts.server).toBe(1);
    layer.close();
  });

  it("RFC 3261 8.2: malformed requests and CANCELs of strangers are answered and forgotten as well", () => {
    const { layer, answers } = open();
    layer.receive(prependHeader(invite("x"), "Call-ID", "two"), stranger);
    layer.receive(request("CANCEL", "z9hG4bKy"), stranger);
    expect(answers()).toEqual([400, 481]);
    expect(layer.counts.server).toBe(0);
  });

  it("strangers fill half of the table, and there is room for the others", () => {
    const { layer, got, answers, sent } = open({ limits: { maxServer: 8 } });
    for (let each = 0; each < 20; each += 1) layer.receive(invite(`s${each}`), stranger);
    expect([got.length, answers().filter((status) => status === 503).length]).toEqual([4, 16]);
    expect(sent.map(({ message }) => tagOf(message, "to")?.length)).toEqual(Array(16).fill(16));
    for (let each = 0; each < 20; each += 1) layer.receive(invite(`k${each}`), known);
    expect([got.length, layer.counts.server]).toEqual([8, 8]);
    // What ended gives its place back.
    got[0]?.refuse(403);
    layer.receive(invite("again"), stranger);
    expect(layer.counts.server).toBe(8);
    layer.close();
  });
});

describe("RFC 3261 8.1.1.6: no message has passed more than 70 hops", () => {
  const elements = (count: number): string => Array(count).fill("<sip:192.0.2.1;lr>").join(", ");
  const vias = (count: number): string => Array(count).fill("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx").join(", ");
  const filled = (name: string, count: number): SipRequest => {
    if (name === "Via") return request("INVITE", "", vias(count));
    const half = Math.floor(count / 2);
    const first = prependHeader(request("INVITE", "z9hG4bKx"), name, elements(half));
    return prependHeader(first, name, elements(count - half));
  };
  for (const name of ["Via", "Route", "Record-Route", "Path"]) {
    it(`70 ${name} entries pass, 71 are refused, however they are spread over fields`, () => {
      expect(validateRequest(filled(name, 70))).toEqual({ ok: true });
      expect(validateRequest(filled(name, 71))).toEqual({
        ok: false,
        status: 400,
        reason: `Too Many ${name} Entries`,
      });
      const response = (count: number): SipResponse => {
        const { headers } = filled(name, count);
        return { ...createResponse(filled(name, 1), 200), headers };
      };
      expect(validateResponse(response(70)).ok).toBe(true);
      expect(validateResponse(response(71))).toEqual({ ok: false, reason: `too many ${name} entries` });
    });
  }

  it("RFC 6026 8.9: a 2xx of nobody's transaction that is longer is nobody's stray, but counted", () => {
    const { layer, stray, dropped } = start();
    const ok = createResponse(request("INVITE", "z9hG4bKx"), 200, undefined, { toTag: "2" });
    layer.receive(ok, flowTo("192.0.2.2"));
    layer.receive(prependHeader(ok, "Record-Route", elements(71)), flowTo("192.0.2.2"));
    expect([stray.length, dropped]).toEqual([1, ["malformed"]]);
    expect(parseMessage(writeMessage(ok)).ok).toBe(true);
  });
});
