// Published call flows through one edge: the same script for a UE that calls and one that is called, with media protected up
// to the gateway and without. Says at each hop what a proxy may not have changed, and at the end that nothing is left.
import { createRequest, createResponse, headerList, headerValue, tagOf, type SipRequest } from "@sallyport/sip";
import { networkInterfaces } from "node:os";
import type { VirtualClock } from "@sallyport/kit";
import { expect, it } from "vitest";
import { bodyOf, checkHop, describe, judge, same, type End, type FlowKind } from "./flow-checks.ts";
import type { Dialog, Flow, Headers, Party, RequestParts } from "./flow-types.ts";
import { openScenario, until } from "./scenario.ts";
import { coreSdp, sdp, ueAnswer, ueOffer } from "./sdp.ts";

export const reliable = (rseq: number): Headers => [
  ["Require", "100rel"],
  ["RSeq", String(rseq)],
];
const uriIn = (value: string | undefined): string => /<([^>]+)>/.exec(value ?? "")?.[1] ?? "";

const other = (party: Party): Party => (party === "caller" ? "called" : "caller");

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

/** 64*T1 of what lingers, and again of what that set, until `done`. */
const passTime = async (clock: VirtualClock, done: () => boolean): Promise<void> => {
  for (let round = 0; round < 6; round += 1) {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    if (round > 1 && done()) return;
    clock.advance(70_000);
  }
};

const openFlow = async (kind: FlowKind): Promise<Flow> => {
  const { protocol, family } = kind;
  const address = family === "IPv6" ? "::1" : "127.0.0.1";
  const scenario = await openScenario({
    ...(protocol === "udp" ? { core: { protocol } } : {}),
    change: (config) => ({
      ...config,
      access: [{ name: "flow", protocol, address, port: 0, trusted: true }],
      core: {
        listen: [{ protocol, address: "127.0.0.1", port: 0 }],
        nextHop: config.core.nextHop.replace("tcp", protocol),
      },
    }),
  });
  const { core, clock, iq, edge } = scenario;
  const ue = await scenario.ue("alice", { protocol, address });
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

const kinds = (protocol: FlowKind["protocol"], family: FlowKind["family"]): readonly FlowKind[] =>
  (["e2ae", "plain"] as const).flatMap((mode) =>
    (["originating", "terminating"] as const).map((direction) => ({ mode, direction, protocol, family })),
  );

const hasIpv6 = Object.values(networkInterfaces()).some(
  (all) => all?.some(({ address }) => address === "::1") === true,
);

/** A flow in both directions, in the clear and protected; afterwards nothing may be left of it. */
export const flows = (
  title: string,
  run: (flow: Flow) => Promise<void>,
  { protocol = "tcp", family = "IPv4", mode }: Partial<FlowKind> = {},
): void => {
  for (const kind of kinds(protocol, family)) {
    if (mode !== undefined && mode !== kind.mode) continue;
    it.skipIf(family === "IPv6" && !hasIpv6)(`${title} (${kind.direction}, ${kind.mode})`, async () => {
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
