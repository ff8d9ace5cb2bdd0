// Random walks through the pure call leg: whatever order SIP, gateway and timers come in, nothing leaks and nothing is left.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "@sallyport/kit";
import { summarise } from "@sallyport/media-security";
import { createRequest, createResponse, type SipRequest } from "@sallyport/sip";
import { openCall, step } from "../src/call/step.ts";
import type { CallEffect, CallInput, CallState, Side } from "../src/call/types.ts";
import { coreSdp, crypto, keys, sdp, ueAnswer, ueOffer } from "./support/sdp.ts";

const env = {
  random: seededRandom("walk"),
  now: () => 1_800_000_000_000,
  limits: { maxQueuedPerCall: 32, maxEvidence: 256, setupMs: 1, acknowledgeMs: 1, flowLostMs: 1 },
};

type Direction = CallState["direction"];

const bodies: Readonly<Record<Side, readonly string[]>> = {
  access: [
    ueOffer(),
    ueAnswer(),
    sdp(),
    sdp({ protocol: "RTP/SAVP", lines: [crypto(keys.k22, 9), "a=3ge2ae:requested"] }),
    "",
    "v=1",
  ],
  core: [
    coreSdp(),
    coreSdp({ port: 0 }),
    coreSdp({ lines: ["a=3ge2ae:applied"] }),
    sdp({ protocol: "RTP/SAVP" }),
    "",
    "v=1",
  ],
};

/** One move: what happens, and which of the bodies, tags and exchanges it is about. */
const move = fc.record({
  kind: fc.constantFrom(
    "response",
    "response",
    "response",
    "gateway",
    "gateway",
    "ack",
    "cancel",
    "request",
    "bye",
    "timer",
    "flow",
    "unanswered",
    "lost",
    "asked",
    "asked",
  ),
  status: fc.constantFrom(100, 180, 183, 183, 200, 200, 200, 302, 408, 481, 486, 488),
  body: fc.nat({ max: 5 }),
  tag: fc.constantFrom("one", "two"),
  from: fc.constantFrom<Side>("access", "core"),
  pick: fc.nat({ max: 7 }),
  fail: fc.integer({ min: 0, max: 4 }).map((value) => value === 0),
  timer: fc.constantFrom(
    "setup" as const,
    "acknowledge" as const,
    "session" as const,
    "flow" as const,
    "re-offer" as const,
  ),
  method: fc.constantFrom("INVITE", "UPDATE", "INFO", "PRACK"),
});
type Move = typeof move extends fc.Arbitrary<infer T> ? T : never;

interface World {
  state: CallState;
  contexts: number;
  pending: { readonly request: number; readonly plan: (CallEffect & { readonly kind: "gateway" })["plan"] }[];
  readonly finals: Map<number, number>;
  readonly requests: Map<number, { readonly from: Side; readonly request: SipRequest; readonly forwarded: boolean }>;
  finished: boolean;
  seq: number;
  /** The gateway has lost the context, and how often. */
  lost: boolean;
  losses: number;
  /** What the edge asked last in its own name. */
  ask: { readonly towards: Side; readonly seq: number; readonly request: SipRequest } | undefined;
  asks: number;
}

const request = (
  direction: Direction,
  from: Side,
  method: string,
  seq: number,
  tag: string | undefined,
  body: string,
): SipRequest => {
  const upstream = (direction === "originating") === (from === "access");
  const called = `<sip:called@x>${tag === undefined ? "" : `;tag=${tag}`}`;
  const caller = "<sip:caller@x>;tag=caller";
  return createRequest({
    method,
    uri: "sip:target@x",
    headers: [
      ["From", upstream ? caller : called],
      ["To", upstream ? called : caller],
      ["Call-ID", "walk"],
      ["CSeq", `${seq} ${method}`],
      ["Contact", `<sip:${from}@10.0.0.1>`],
      ["Allow", "INVITE, ACK, UPDATE, PRACK"],
      ...(body === "" ? [] : ([["Content-Type", "application/sdp"]] as const)),
    ],
    body: Buffer.from(body, "latin1"),
  });
};

/** What the core must not see; keys of SRTP between the UEs are none of our business (invariant 9). */
const hidden = ({ state }: World): RegExp =>
  summarise(state.negotiation).security === "e2e" ? /3ge2ae/ : /3ge2ae|ERERERER/;

/** What a UE is told beside a clear line is not ours, nor is what it is told twice. */
const judgeTold = (text: string): void => {
  for (const section of text.split(/^(?=m=)/m)) {
    const told = section.match(/3ge2ae/g)?.length ?? 0;
    expect(told, "invariant 2").toBeLessThan(/^m=\S+ [1-9]\d* RTP\/SAVP/.test(section) ? 2 : 1);
  }
};

const judge = (world: World, effect: CallEffect): void => {
  switch (effect.kind) {
    case "forward":
    case "acknowledge": {
      const text = effect.request.body.toString("latin1");
      if (effect.towards === "core") expect(text, "invariant 1").not.toMatch(hidden(world));
      else judgeTold(text);
      expect(world.pending.length, "invariant 6: nothing overtakes the gateway").toBe(0);
      if (effect.kind === "forward") {
        const known = world.requests.get(effect.exchange);
        if (known !== undefined) world.requests.set(effect.exchange, { ...known, forwarded: true });
      }
      return;
    }
    case "respond":
      if (effect.from === "access")
        expect(effect.response.body.toString("latin1"), "invariant 1").not.toMatch(hidden(world));
      else judgeTold(effect.response.body.toString("latin1"));
      if (effect.response.status >= 200)
        world.finals.set(effect.exchange, (world.finals.get(effect.exchange) ?? 0) + 1);
      return;
    case "refuse":
      expect(world.finals.get(effect.exchange) ?? 0, "one final response").toBe(0);
      world.finals.set(effect.exchange, 1);
      return;
    case "gateway":
      world.pending.push(effect);
      return;
    case "ask": {
      const text = effect.request.body.toString("latin1");
      if (effect.towards === "core") expect(text, "invariant 1").not.toMatch(hidden(world));
      else judgeTold(text);
      expect(world.pending.length, "invariant 6: nothing is offered before the gateway has it").toBe(0);
      world.ask = effect;
      world.asks += 1;
      return;
    }
    case "release-gateway":
      // The leg knows that there is nothing to give back.
      if (world.lost) return;
      expect(world.contexts, "released once").toBe(1);
      world.contexts = 0;
      return;
    case "finished":
      expect(world.pending.length, "invariant 10: whoever has a gateway at work for it is not forgotten").toBe(0);
      world.finished = true;
      return;
    default:
  }
};

const isSameList = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length &&
  a.every((each, index) => {
    const other = b[index];
    return Array.isArray(each) && Array.isArray(other) ? each[1] === other[1] && each[0] === other[0] : each === other;
  });

/** Everything one state refers to, one level into its tables: what a step may not write to. */
const contents = (state: CallState): readonly unknown[] =>
  Object.values(state).map((value: unknown) =>
    value instanceof Map ? Array.from(value) : Array.isArray(value) ? value.slice() : value,
  );

const shape = Object.keys(
  openCall({
    id: "shape",
    token: "",
    direction: "originating",
    callId: "",
    bindingId: "",
    media: {
      registration: { ueE2ae: false, ueE2eSdes: false, ueE2eKms: false, networkE2ae: false },
      policy: { e2ae: "off", suites: [], announceUnasked: false },
      confidential: false,
      ueRole: "originating",
    },
  }),
);

const feed = (world: World, input: CallInput): void => {
  const before = world.state;
  const held = contents(before);
  const next = step(before, input, env);
  world.state = next.state;
  const after = contents(before);
  for (const [index, value] of held.entries()) {
    const now = after[index];
    const same = Array.isArray(value) && Array.isArray(now) ? isSameList(value, now) : value === now;
    if (!same) throw new Error(`the state before the step was changed: ${shape[index]}`);
  }
  if (Object.keys(next.state).join() !== shape.join()) throw new Error("a state of another shape");
  for (const effect of next.effects) judge(world, effect);
};

const answerGateway = (world: World, refuse: boolean): void => {
  const [first] = world.pending.splice(0, 1);
  if (first === undefined) return;
  if (refuse) return feed(world, { kind: "gateway-refused", request: first.request, status: 503 });
  // What an earlier order made in the place of a lost context goes back when the call moves.
  if (first.plan.context === "new" && world.losses === 0) world.contexts += 1;
  else if (first.plan.context === "new" || world.lost) world.contexts = 1;
  world.lost = false;
  expect(world.contexts, "one context").toBe(1);
  const ends = (side: Side) =>
    first.plan.streams.flatMap((stream) =>
      stream[side] === undefined
        ? []
        : [
            {
              stream: stream.stream,
              address: "192.0.2.1",
              port: 20_000 + stream.stream * 4,
              rtcpPort: 20_001 + stream.stream * 4,
            },
          ],
    );
  return feed(world, { kind: "gateway-done", request: first.request, access: ends("access"), core: ends("core") });
};

const play = (world: World, direction: Direction, play: Move): void => {
  const forwarded = [...world.requests].filter(([, each]) => each.forwarded);
  const [id, about] = forwarded[play.pick % Math.max(1, forwarded.length)] ?? [];
  const other: Side = about?.from === "access" ? "core" : "access";
  switch (play.kind) {
    case "response":
      if (id === undefined || about === undefined) return;
      return feed(world, {
        kind: "response",
        exchange: id,
        response: createResponse(about.request, play.status, undefined, {
          ...(play.status === 100 ? {} : { toTag: play.tag }),
          headers: [
            ["Contact", "<sip:peer@10.0.0.2>"],
            ["Allow", "INVITE, ACK, UPDATE, PRACK"],
            ...(play.status > 100 && play.status < 200 && play.pick % 2 === 0
              ? ([
                  ["Require", "100rel"],
                  ["RSeq", "1"],
                ] as const)
              : []),
            ["Content-Type", "application/sdp"],
          ],
          body: Buffer.from(bodies[other][play.body] ?? "", "latin1"),
        }),
      });
    case "gateway":
      return answerGateway(world, play.fail);
    case "ack":
      return feed(world, {
        kind: "ack",
        from: play.from,
        request: request(
          direction,
          play.from,
          "ACK",
          play.pick === 0 ? 1 : world.seq,
          play.tag,
          bodies[play.from][play.body] ?? "",
        ),
      });
    case "cancel":
      return id === undefined ? undefined : feed(world, { kind: "cancel", exchange: id });
    case "unanswered":
      return id === undefined || play.pick > 2
        ? undefined
        : feed(world, { kind: "unanswered", exchange: id, status: 408 });
    case "timer":
      return play.pick > 1 ? undefined : feed(world, { kind: "timer", timer: play.timer });
    case "lost":
      if (world.contexts === 0 || world.pending.length > 0) return;
      world.contexts = 0;
      world.lost = true;
      world.losses += 1;
      return feed(world, { kind: "re-offer", why: "gateway-lost", detail: "silence" });
    case "asked": {
      const { ask } = world;
      if (ask === undefined) return;
      const response = createResponse(ask.request, play.status === 302 ? 491 : play.status, undefined, {
        headers: [["Content-Type", "application/sdp"]],
        body: Buffer.from(bodies[ask.towards][play.body] ?? "", "latin1"),
      });
      return feed(world, { kind: "own-response", towards: ask.towards, seq: ask.seq, response });
    }
    case "flow":
      return feed(world, { kind: play.fail ? "flow-lost" : "flow-back" });
    default: {
      const method = play.kind === "bye" ? "BYE" : play.method;
      world.seq += 1;
      const next = world.requests.size + 1;
      const made = request(
        direction,
        play.from,
        method,
        world.seq,
        play.tag,
        method === "BYE" ? "" : (bodies[play.from][play.body] ?? ""),
      );
      world.requests.set(next, { from: play.from, request: made, forwarded: false });
      return feed(world, { kind: "request", exchange: next, from: play.from, request: made });
    }
  }
};

type Beginning = "invite" | "early" | "confirmed";

/** The usual way to a secured early dialog with offer and answer complete, or to a confirmed one. */
const begin = (world: World, direction: Direction, beginning: Beginning, invite: SipRequest): void => {
  if (beginning === "invite") return;
  const upstream: Side = direction === "originating" ? "access" : "core";
  const downstream: Side = upstream === "access" ? "core" : "access";
  const early = beginning === "early";
  answerGateway(world, false);
  const answer = createResponse(invite, early ? 183 : 200, undefined, {
    toTag: "one",
    headers: [
      ["Contact", "<sip:peer@10.0.0.2>"],
      ["Allow", "INVITE, ACK, UPDATE, PRACK"],
      ...(early
        ? ([
            ["Require", "100rel"],
            ["RSeq", "1"],
          ] as const)
        : []),
      ["Content-Type", "application/sdp"],
    ],
    body: Buffer.from(downstream === "access" ? ueAnswer() : coreSdp(), "latin1"),
  });
  feed(world, { kind: "response", exchange: 1, response: answer });
  answerGateway(world, false);
  if (!early)
    return feed(world, { kind: "ack", from: upstream, request: request(direction, upstream, "ACK", 1, "one", "") });
  world.seq = 2;
  const prack = request(direction, upstream, "PRACK", 2, "one", "");
  world.requests.set(2, { from: upstream, request: prack, forwarded: false });
  feed(world, { kind: "request", exchange: 2, from: upstream, request: prack });
  feed(world, { kind: "response", exchange: 2, response: createResponse(prack, 200) });
};

const walk = (direction: Direction, first: number, beginning: Beginning, moves: readonly Move[]): World => {
  const upstream: Side = direction === "originating" ? "access" : "core";
  const world: World = {
    state: openCall({
      id: "leg",
      token: "c.leg.mac",
      direction,
      callId: "walk",
      bindingId: "binding",
      media: {
        registration: { ueE2ae: true, ueE2eSdes: false, ueE2eKms: false, networkE2ae: true },
        policy: { e2ae: "offered", suites: ["AES_CM_128_HMAC_SHA1_80"], announceUnasked: false },
        confidential: true,
        ueRole: direction,
      },
    }),
    contexts: 0,
    pending: [],
    finals: new Map(),
    requests: new Map(),
    finished: false,
    seq: 1,
    lost: false,
    losses: 0,
    ask: undefined,
    asks: 0,
  };
  const body = bodies[upstream][beginning === "invite" ? first : 0] ?? "";
  const invite = request(direction, upstream, "INVITE", 1, undefined, body);
  world.requests.set(1, { from: upstream, request: invite, forwarded: false });
  feed(world, { kind: "request", exchange: 1, from: upstream, request: invite });
  begin(world, direction, beginning, invite);
  for (const each of moves) play(world, direction, each);
  // However far it came, the end comes, and the gateway answers what it was asked.
  feed(world, { kind: "end", reason: "closing", status: 503, detail: "end of the walk" });
  for (let turn = 0; turn < 50 && world.pending.length > 0; turn += 1) answerGateway(world, false);
  feed(world, { kind: "timer", timer: "linger" });
  return world;
};

const beginnings = fc.constantFrom<Beginning>("invite", "early", "confirmed");

describe("invariants 1, 2, 6 and 10 on every path", () => {
  for (const direction of ["originating", "terminating"] as const) {
    it(`TS 33.328 ${direction === "originating" ? "7.2.1" : "7.3.1"}: random walks of a leg (${direction}) end with nothing left`, () => {
      const seen = new Map<string, number>();
      let asks = 0;
      fc.assert(
        fc.property(fc.nat({ max: 5 }), beginnings, fc.array(move, { maxLength: 25 }), (first, beginning, moves) => {
          const world = walk(direction, first, beginning, moves);
          expect(world.contexts, "invariant 10").toBe(0);
          expect([world.state.phase, world.finished, world.state.waiting]).toEqual(["ending", true, []]);
          for (const [
            id,
            {
              request: { method, headers },
            },
          ] of world.requests) {
            expect(world.finals.get(id) ?? 0, `${method} ${headers.length} answered`).toBeGreaterThan(0);
            if (method !== "INVITE") expect(world.finals.get(id), `${method} answered once`).toBe(1);
          }
          asks += world.asks;
          const reason = world.state.ended?.reason ?? "none";
          seen.set(reason, (seen.get(reason) ?? 0) + 1);
        }),
        { seed: 11, numRuns: 500 },
      );
      // The walks are worth something: they reached many different ends.
      expect(seen.size).toBeGreaterThan(5);
      expect(asks, "offers of the edge's own").toBeGreaterThan(20);
    });
  }
});
