// Published call flows through one edge: the same script for a UE that calls and one that is called, with media protected up
// to the gateway and without. Says at each hop what a proxy may not have changed, and at the end that nothing is left.
import {
  createRequest,
  createResponse,
  headerList,
  headerValue,
  tagOf,
  type ServerTransaction,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import type { VirtualClock } from "@sallyport/kit";
import { expect, it } from "vitest";
import type { Peer, Sent } from "./peer.ts";
import { openScenario, until, type Scenario, type TestUe } from "./scenario.ts";
import { coreSdp, crypto, keyOf, sdp, ueAnswer, ueOffer, type SdpParts } from "./sdp.ts";

export type Headers = readonly (readonly [string, string])[];
export type Party = "caller" | "called";

export interface FlowKind {
  readonly mode: "e2ae" | "plain";
  readonly direction: "originating" | "terminating";
  readonly protocol: "tcp" | "udp";
}

/** One of the two ends: the UE or the core. */
export interface End {
  readonly side: "UE" | "core";
  readonly peer: Peer;
  readonly contact: string;
  offer(parts?: SdpParts): string;
  answer(parts?: SdpParts): string;
  /** A whole description, as an offer or, with `answers`, as the answer to one. */
  describe(lines: readonly Line[], parts?: { readonly version?: number; readonly answers?: true }): string;
}

/** One m-line. `port` 0: taken away, or not wanted. */
export interface Line {
  readonly media?: "audio" | "video";
  readonly port: number;
  readonly formats?: string;
  readonly attributes?: readonly string[];
}

export interface RequestParts {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: Headers;
  readonly seq?: number;
  readonly contact?: string;
  /** Parameters of the Contact. */
  readonly params?: string;
}

export interface InitialParts extends RequestParts {
  readonly callId?: string;
  readonly uri?: string;
  /** A whole From, where it is that of a request before. */
  readonly from?: string;
}

export interface Passed {
  readonly sent: Sent;
  readonly asked: SipRequest;
  /** As it came to the other end. */
  readonly arrived: ServerTransaction;
  readonly by: Party;
}

export interface ResponseParts {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: Headers;
  readonly tag?: string;
  readonly contact?: string;
  readonly params?: string;
}

export const bodyOf = (message: SipMessage): string => message.body.toString("latin1");
export const reliable = (rseq: number): Headers => [
  ["Require", "100rel"],
  ["RSeq", String(rseq)],
];
const uriIn = (value: string | undefined): string => /<([^>]+)>/.exec(value ?? "")?.[1] ?? "";

/** Both views of one dialog. RFC 3261 12.1. */
export interface Dialog {
  readonly tag: string;
  /** Sends a request of one end; nobody has taken it yet. */
  send(by: Party, method: string, parts?: RequestParts): { readonly sent: Sent; readonly asked: SipRequest };
  /** Sends it, and takes it at the other end. */
  pass(by: Party, method: string, parts?: RequestParts): Promise<Passed>;
  /** The ACK of a 2xx to an INVITE with the number `seq`; what came of it at the other end. */
  ack(by: Party, seq: number, parts?: RequestParts): Promise<SipRequest>;
  /** Sends the ACK only. */
  sendAck(by: Party, seq: number, parts?: RequestParts): Promise<void>;
  /** A whole BYE. */
  bye(by: Party): Promise<void>;
  /** Where the end is from now on, after a target refresh. */
  moved(party: Party, contact: string): void;
}

export interface Flow {
  readonly kind: FlowKind;
  readonly scenario: Scenario;
  readonly ue: TestUe;
  readonly path: string;
  readonly caller: End;
  readonly called: End;
  /** Contexts the gateway has lost by itself. */
  lost: number;
  end(party: Party): End;
  /** The INVITE of the caller, taken by the called. `body` "" offers nothing. */
  invite(parts?: InitialParts): Promise<Passed>;
  /** A request that opens no dialog here, or one that is no call. */
  outside(by: Party, method: string, parts?: InitialParts): Promise<Passed>;
  /** Answers, and takes that answer at whoever asked. */
  reply(passed: Passed, status: number, parts?: ResponseParts): Promise<SipResponse>;
  /** Answers and waits for nothing. */
  say(passed: Passed, status: number, parts?: ResponseParts): void;
  dialog(passed: Passed, response: SipResponse): Dialog;
  /** The dialog of a place that has not answered yet: its first word is a NOTIFY (RFC 6665 4.1.2.4). */
  placed(passed: Passed, tag: string): Dialog;
  /** INVITE, 180, 200, ACK. */
  call(parts?: { readonly offer?: string; readonly answer?: string }): Promise<{
    readonly dialog: Dialog;
    readonly passed: Passed;
    readonly offered: string;
    readonly answered: string;
  }>;
  /** What the gateway was told to do, in order. */
  orders(): readonly string[];
  nothingLeft(): Promise<void>;
  close(): Promise<void>;
}

const other = (party: Party): Party => (party === "caller" ? "called" : "caller");

/** Of SDP that has come to an end: its own address, keys and words are those it may see. TS 33.328 7.2.1, 7.3.1. */
const judge = (flow: FlowKind, to: End, came: string, said: string): void => {
  if (flow.mode === "plain") return expect(came).toBe(said);
  const formats = (body: string) =>
    body.match(/^m=.*$/gm)?.map((line) => line.replace(/^(m=\S+ )(0?)\d* RTP\/\S+/, "$1$2"));
  expect(formats(came)).toEqual(formats(said));
  expect(came.match(/^a=(?:rtpmap|curr|des|conf|sendonly|recvonly|inactive).*$/gm)).toEqual(
    said.match(/^a=(?:rtpmap|curr|des|conf|sendonly|recvonly|inactive).*$/gm),
  );
  const lines = (came.match(/^m=.*$/gm) ?? []).filter((line) => !/^m=\S+ 0 /.test(line));
  const held = /^c=IN IP4 0\.0\.0\.0/m.test(said);
  if (to.side === "core") {
    expect(came).not.toMatch(/crypto|3ge2ae|inline:|SAVP/i);
    if (lines.length > 0 && !held) expect(came).toMatch(/^c=IN IP4 192\.0\.2\.10/m);
  } else if (lines.length > 0) {
    expect(came.match(/^a=3ge2ae:applied/gm)).toHaveLength(lines.length);
    expect(lines.every((line) => line.includes("RTP/SAVP"))).toBe(true);
    if (!held) expect(came).toMatch(/^c=IN IP4 198\.51\.100\.5/m);
    expect(came.match(/^a=crypto:/gm)?.length ?? 0).toBeGreaterThanOrEqual(lines.length);
  }
};

/** As the UE writes it, protected or in the clear, or as the core does. */
const describe =
  (side: End["side"], protectedMedia: boolean): End["describe"] =>
  (lines, { version = 1, answers } = {}) => {
    const address = side === "UE" ? "10.0.0.7" : "192.0.2.77";
    const secure = side === "UE" && protectedMedia;
    const head = ["v=0", `o=- 4711 ${version} IN IP4 ${address}`, "s=-", `c=IN IP4 ${address}`, "t=0 0"];
    const sections = lines.flatMap(({ media = "audio", port, formats = "8", attributes = [] }, at) => [
      `m=${media} ${port} RTP/${secure ? "SAVP" : "AVP"} ${formats}`,
      ...attributes,
      ...(secure && port !== 0 ? [crypto(keyOf(0x31 + at))] : []),
      ...(secure && port !== 0 && answers !== true ? ["a=3ge2ae:requested"] : []),
    ]);
    return [...head, ...sections, ""].join("\r\n");
  };

const isSdp = (message: SipMessage): boolean => headerValue(message, "content-type") === "application/sdp";

/** What an end made of a message is what the other end gets, save for what belongs to the hop. RFC 3261 16.6, 16.7. */
const same = (flow: FlowKind, to: End, came: SipMessage, said: SipMessage): void => {
  for (const name of ["from", "to", "call-id", "cseq", "contact", "content-type", "rack", "rseq", "replaces", "reason"])
    if (name !== "to" || said.kind === "request") expect(headerValue(came, name), name).toBe(headerValue(said, name));
  if (isSdp(said) && said.body.length > 0) judge(flow, to, bodyOf(came), bodyOf(said));
  else expect(came.body.equals(said.body)).toBe(true);
};

const pairsOf = (method: string, parts: RequestParts & { readonly contact: string }): Headers => [
  ["Max-Forwards", "70"],
  ["CSeq", `${parts.seq} ${method}`],
  ...(["ACK", "BYE", "PRACK"].includes(method)
    ? []
    : [["Contact", `<${parts.contact}>${parts.params ?? ""}`] as const]),
  ...(parts.headers ?? []),
  ...(parts.body === undefined || parts.body === ""
    ? []
    : [["Content-Type", parts.type ?? "application/sdp"] as const]),
];

const bodyPart = (body: string | undefined): { readonly body?: Buffer } =>
  body === undefined || body === "" ? {} : { body: Buffer.from(body, "latin1") };

const checkHop = (request: SipRequest, to: End, initial: boolean): void => {
  expect(request.uri).toBe(to.contact);
  expect(headerList(request, "route")).toEqual([]);
  expect(headerValue(request, "max-forwards")).toBe("69");
  expect(headerList(request, "via")).toHaveLength(2);
  if (!initial) expect(headerList(request, "record-route")).toEqual([]);
};

/** 64*T1 of what lingers, and again of what that set, until `done`. */
const passTime = async (clock: VirtualClock, done: () => boolean): Promise<void> => {
  for (let round = 0; round < 6; round += 1) {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    if (round > 1 && done()) return;
    clock.advance(70_000);
  }
};

export const openFlow = async (kind: FlowKind): Promise<Flow> => {
  const scenario = await openScenario(
    kind.protocol === "udp"
      ? {
          core: { protocol: "udp" },
          change: (config) => ({
            ...config,
            core: {
              listen: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
              nextHop: config.core.nextHop.replace("tcp", "udp"),
            },
          }),
        }
      : {},
  );
  const { core, clock, iq, edge } = scenario;
  const ue = await scenario.ue("alice", { protocol: kind.protocol });
  const { path } = await ue.register({ expires: 3600, ...(kind.mode === "plain" ? { dialect: "none" } : {}) });
  // Both connections stand before anything is counted.
  const probe = createRequest({
    method: "OPTIONS",
    uri: `sip:127.0.0.1:${edge.core[0]?.port}`,
    headers: [
      ["Max-Forwards", "70"],
      ["From", "<sip:core@far.example>;tag=probe"],
      ["To", "<sip:edge@home.example>"],
      ["Call-ID", "probe"],
      ["CSeq", "1 OPTIONS"],
    ],
  });
  expect((await core.send(probe).final()).status).toBe(200);
  await passTime(clock, () => edge.counts().transactions === 0);
  const timers = clock.waiting;
  const protectedMedia = kind.mode === "e2ae";
  const ueEnd: End = {
    side: "UE",
    peer: ue,
    contact: ue.contact,
    offer: (parts) => (protectedMedia ? ueOffer(parts) : sdp(parts)),
    answer: (parts) => (protectedMedia ? ueAnswer(1, parts) : sdp(parts)),
    describe: describe("UE", protectedMedia),
  };
  const coreEnd: End = {
    side: "core",
    peer: core,
    contact: `sip:carol@127.0.0.1:${core.port};transport=${kind.protocol}`,
    offer: coreSdp,
    answer: coreSdp,
    describe: describe("core", protectedMedia),
  };
  const [caller, called] = kind.direction === "originating" ? [ueEnd, coreEnd] : [coreEnd, ueEnd];
  const end = (party: Party): End => (party === "caller" ? caller : called);
  let calls = 0;

  const outside: Flow["outside"] = async (by, method, parts = {}) => {
    calls += 1;
    const from = end(by);
    const to = end(other(by));
    // Along the edge's own knowledge of the UE: its service route upwards, its Path downwards.
    const uri = parts.uri ?? (to.side === "UE" ? to.contact : "sip:carol@far.example");
    const names = from.side === "UE" ? [ue.aor, "sip:carol@far.example"] : ["sip:carol@far.example", ue.aor];
    const body = parts.body ?? (method === "INVITE" ? from.offer() : undefined);
    const asked = createRequest({
      method,
      uri,
      headers: [
        ...(from.side === "core" ? [["Route", path] as const] : []),
        ["From", parts.from ?? `<${names[0]}>;tag=${by}-${calls}`],
        ["To", `<${names[1]}>`],
        ["Call-ID", parts.callId ?? `flow-${calls}`],
        ...pairsOf(method, {
          seq: 1,
          contact: from.contact,
          ...parts,
          ...(body === undefined ? {} : { body }),
        }),
      ],
      ...bodyPart(body),
    });
    const sent = from.peer.send(asked);
    const arrived = await to.peer.expect(method);
    expect(arrived.request.uri).toBe(uri);
    const routes = headerList(arrived.request, "route");
    expect(routes).toEqual(to.side === "UE" ? [] : [`<sip:orig@127.0.0.1:${core.port};transport=tcp;lr>`]);
    same(kind, to, arrived.request, asked);
    return { sent, asked, arrived, by };
  };

  const say: Flow["say"] = ({ arrived, by }, status, parts = {}) => {
    const from = end(other(by));
    const { method } = arrived.request;
    const contact =
      method === "BYE" || method === "PRACK"
        ? []
        : [["Contact", `<${parts.contact ?? from.contact}>${parts.params ?? ""}`] as const];
    const headers = [
      ...(status > 100 && status < 300 ? contact : []),
      ...(parts.headers ?? []),
      ...(parts.type === undefined ? [] : [["Content-Type", parts.type] as const]),
    ];
    const { body, tag } = parts;
    from.peer.respond(arrived, status, {
      headers,
      ...(body === undefined ? {} : { body }),
      ...(tag === undefined ? {} : { tag }),
    });
  };

  const reply: Flow["reply"] = async (passed, status, parts = {}) => {
    say(passed, status, parts);
    const to = end(passed.by);
    const response = await passed.sent.responses.next((each) => each.status === status);
    const said = passed.arrived;
    // The peer has taken its own off.
    expect(headerList(response, "via")).toEqual([]);
    expect(headerValue(response, "cseq")).toBe(headerValue(passed.asked, "cseq"));
    expect(headerValue(response, "from")).toBe(headerValue(passed.asked, "from"));
    expect(tagOf(response, "to")).toBe(tagOf(passed.asked, "to") ?? parts.tag ?? said.toTag);
    for (const [name, value] of parts.headers ?? []) expect(headerValue(response, name), name).toBe(value);
    if (parts.body !== undefined && parts.type === undefined && status < 300)
      judge(kind, to, bodyOf(response), parts.body);
    return response;
  };

  const dialogFrom: Flow["dialog"] = (passed, response) => {
    const { asked, arrived, by } = passed;
    const toTag = tagOf(response, "to");
    const contacts = { [by]: end(by).contact, [other(by)]: uriIn(headerValue(response, "contact")) } as Record<
      Party,
      string
    >;
    const remoteOfCalled = uriIn(headerValue(arrived.request, "contact"));
    expect(remoteOfCalled).toBe(end(by).contact);
    const routes: Record<Party, readonly string[]> = {
      [by]: headerList(response, "record-route").toReversed(),
      [other(by)]: headerList(arrived.request, "record-route"),
    } as Record<Party, readonly string[]>;
    const local = headerValue(asked, "from") ?? "";
    const remote = `${headerValue(asked, "to")}${toTag === undefined ? "" : `;tag=${toTag}`}`;
    const start = Number(headerValue(asked, "cseq")?.split(" ")[0]);
    const seqs: Record<Party, number> = { caller: start, called: start };
    const request = (who: Party, method: string, parts: RequestParts = {}): SipRequest => {
      if (parts.seq === undefined) seqs[who] += 1;
      const seq = parts.seq ?? seqs[who];
      const uri = contacts[other(who)];
      return createRequest({
        method,
        uri,
        headers: [
          ...routes[who].map((route) => ["Route", route] as const),
          ["From", who === by ? local : remote],
          ["To", who === by ? remote : local],
          ["Call-ID", headerValue(asked, "call-id") ?? ""],
          ...pairsOf(method, { contact: contacts[who], ...parts, seq }),
        ],
        ...bodyPart(parts.body),
      });
    };
    const send: Dialog["send"] = (who, method, parts) => {
      const made = request(who, method, parts);
      return { asked: made, sent: end(who).peer.send(made) };
    };
    const pass: Dialog["pass"] = async (who, method, parts) => {
      const { asked: made, sent } = send(who, method, parts);
      const to = end(other(who));
      const came = await to.peer.expect(method);
      checkHop(came.request, { ...to, contact: contacts[other(who)] }, false);
      same(kind, to, came.request, made);
      for (const [name, value] of parts?.headers ?? []) expect(headerValue(came.request, name), name).toBe(value);
      return { sent, asked: made, arrived: came, by: who };
    };
    const sendAck: Dialog["sendAck"] = (who, seq, parts) => end(who).peer.ack(request(who, "ACK", { ...parts, seq }));
    return {
      tag: toTag ?? "",
      send,
      pass,
      sendAck,
      ack: async (who, seq, parts) => {
        await sendAck(who, seq, parts);
        const to = end(other(who));
        const came = await to.peer.acks.next();
        checkHop(came, { ...to, contact: contacts[other(who)] }, false);
        expect(headerValue(came, "cseq")).toBe(`${seq} ACK`);
        if (parts?.body !== undefined) judge(kind, to, bodyOf(came), parts.body);
        return came;
      },
      bye: async (who) => {
        expect((await reply(await pass(who, "BYE"), 200)).status).toBe(200);
      },
      moved: (party, contact) => {
        contacts[party] = contact;
      },
    };
  };

  const placed: Flow["placed"] = (passed, tag) => {
    const { request } = passed.arrived;
    const headers = [["Contact", `<${end(other(passed.by)).contact}>`] as const];
    return dialogFrom(passed, createResponse(request, 200, undefined, { toTag: tag, headers }));
  };

  const invite: Flow["invite"] = (parts) => outside("caller", "INVITE", parts);

  const flow: Flow = {
    kind,
    lost: 0,
    scenario,
    ue,
    path,
    caller,
    called,
    end,
    invite,
    outside,
    reply,
    say,
    dialog: dialogFrom,
    placed,
    call: async ({ offer = caller.offer(), answer = called.answer() } = {}) => {
      const passed = await invite({ body: offer });
      await reply(passed, 180, {});
      const ok = await reply(passed, 200, { body: answer });
      const dialog = dialogFrom(passed, ok);
      await dialog.ack("caller", 1);
      return { dialog, passed, offered: bodyOf(passed.arrived.request), answered: bodyOf(ok) };
    },
    orders: () => iq.commands.map(({ kind: order }) => order),
    nothingLeft: async () => {
      await until(() => edge.counts().calls === 0, "the calls' end");
      await until(() => iq.open.size === 0, "the contexts given back");
      await passTime(clock, () => edge.counts().transactions === 0 && clock.waiting <= timers);
      expect(edge.counts()).toMatchObject({ calls: 0, contexts: 0, transactions: 0 });
      expect(edge.calls().map(({ phase }) => phase)).toEqual(edge.calls().map(() => "ended"));
      expect(clock.waiting).toBeLessThanOrEqual(timers);
      const adds = iq.commands.filter(({ kind: order }) => order === "add").length;
      expect(iq.commands.filter(({ kind: order }) => order === "subtract")).toHaveLength(adds - flow.lost);
      if (kind.mode === "plain") expect(iq.commands).toEqual([]);
      const keys = iq.commands.flatMap(({ streams }) =>
        streams.flatMap(({ access }) => [...(access?.localCrypto?.keys ?? []), ...(access?.remoteCrypto?.keys ?? [])]),
      );
      expect(keys.every(({ master }) => master.released)).toBe(true);
    },
    close: () => scenario.close(),
  };
  return flow;
};

const kinds = (protocol: "tcp" | "udp"): readonly FlowKind[] =>
  (["e2ae", "plain"] as const).flatMap((mode) =>
    (["originating", "terminating"] as const).map((direction) => ({ mode, direction, protocol })),
  );

/** A flow in both directions, in the clear and protected; afterwards nothing may be left of it. */
export const flows = (
  title: string,
  run: (flow: Flow) => Promise<void>,
  { protocol = "tcp", only }: { readonly protocol?: "tcp" | "udp"; readonly only?: Partial<FlowKind> } = {},
): void => {
  for (const kind of kinds(protocol)) {
    if (only?.mode !== undefined && only.mode !== kind.mode) continue;
    if (only?.direction !== undefined && only.direction !== kind.direction) continue;
    it(`${title} (${kind.direction}, ${kind.mode})`, async () => {
      const flow = await openFlow(kind);
      try {
        await run(flow);
        await flow.nothingLeft();
      } finally {
        await flow.close();
      }
    });
  }
};
