// Every order of inputs into each of the four transaction tables, to a depth, with the invariants checked at every node.
import { describe, expect, it } from "vitest";
import { createRequest, createResponse } from "../src/message/index.ts";
import { startClient, stepClient } from "../src/transaction/client.ts";
import type { ClientInput, ClientState, ClientTimer } from "../src/transaction/client.ts";
import { startInviteClient, stepInviteClient } from "../src/transaction/invite-client.ts";
import type { InviteClientInput, InviteClientState, InviteClientTimer } from "../src/transaction/invite-client.ts";
import { startInviteServer, stepInviteServer } from "../src/transaction/invite-server.ts";
import type { InviteServerInput, InviteServerState, InviteServerTimer } from "../src/transaction/invite-server.ts";
import { defaultTimers } from "../src/transaction/machine.ts";
import type { Effect } from "../src/transaction/machine.ts";
import { startServer, stepServer } from "../src/transaction/server.ts";
import type { ServerInput, ServerState, ServerTimer } from "../src/transaction/server.ts";
import { applyStep, explore, settle } from "./transaction-explorer.ts";
import type { Machine, Node } from "./transaction-explorer.ts";

const request = createRequest({
  method: "INVITE",
  uri: "sip:bob@example.test",
  headers: [
    ["Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKexplore"],
    ["From", "<sip:alice@example.test>;tag=a"],
    ["To", "<sip:bob@example.test>"],
    ["Call-ID", "explore"],
    ["CSeq", "1 INVITE"],
  ],
});
const statuses = [100, 180, 200, 202, 404, 503];
const responses = new Map(statuses.map((status) => [status, createResponse(request, status)]));
const response = (status: number) => {
  const found = responses.get(status);
  if (found === undefined) throw new Error("no such response");
  return found;
};
const error = new Error("no route");

const inviteClient = (reliable: boolean): Machine<InviteClientState, InviteClientTimer, InviteClientInput> => ({
  first: startInviteClient({ timers: defaultTimers, reliable }),
  step: stepInviteClient,
  timer: (timer) => ({ kind: "timer", timer }),
  inputs: [
    ...statuses.map((status) => [`${status}`, { kind: "response", response: response(status) }] as const),
    ["transport error", { kind: "transport-error", error }],
    ["connection lost", { kind: "connection-lost", error }],
    ["cancel", { kind: "cancel" }],
  ],
});

const client = (reliable: boolean): Machine<ClientState, ClientTimer, ClientInput> => ({
  first: startClient({ timers: defaultTimers, reliable }),
  step: stepClient,
  timer: (timer) => ({ kind: "timer", timer }),
  inputs: [
    ...[100, 200, 404].map((status) => [`${status}`, { kind: "response", response: response(status) }] as const),
    ["transport error", { kind: "transport-error", error }],
    ["connection lost", { kind: "connection-lost", error }],
  ],
});

const inviteServer = (reliable: boolean): Machine<InviteServerState, InviteServerTimer, InviteServerInput> => ({
  first: startInviteServer({ timers: defaultTimers, reliable }),
  step: stepInviteServer,
  timer: (timer) => ({ kind: "timer", timer }),
  inputs: [
    ...[180, 200, 202, 404, 503].map(
      (status) => [`answer ${status}`, { kind: "respond", response: response(status) }] as const,
    ),
    ["request again", { kind: "request" }],
    ["ack", { kind: "ack" }],
    ["transport error", { kind: "transport-error", error }],
  ],
});

const server = (reliable: boolean): Machine<ServerState, ServerTimer, ServerInput> => ({
  first: startServer({ timers: defaultTimers, reliable }),
  step: stepServer,
  timer: (timer) => ({ kind: "timer", timer }),
  inputs: [
    ...[100, 200, 404].map((status) => [`answer ${status}`, { kind: "respond", response: response(status) }] as const),
    ["request again", { kind: "request" }],
    ["transport error", { kind: "transport-error", error }],
  ],
});

const statusesUp = (log: readonly Effect<string>[]): number[] =>
  log.flatMap((effect) =>
    effect.kind === "up" && effect.event.kind === "response" ? [effect.event.response.status] : [],
  );
const statusesSent = (log: readonly Effect<string>[]): number[] =>
  log.flatMap((effect) => (effect.kind === "send-response" ? [effect.response.status] : []));
const count = (log: readonly Effect<string>[], kind: Effect<string>["kind"]): number =>
  log.filter((effect) => effect.kind === kind).length;
const failures = (log: readonly Effect<string>[]): number =>
  log.filter(
    (effect) => effect.kind === "up" && (effect.event.kind === "timeout" || effect.event.kind === "transport-error"),
  ).length;

/** Expectations run some hundred thousand times: only a failing one is worth an `expect`. */
const hold = (node: Node<unknown, string>, truth: boolean, what: string): void => {
  if (!truth) expect.fail(`${what}: ${node.path.join(", ")}`);
};

/** What holds for all four: a dead machine is dumb, a running timer means something, and time ends everything. */
const common = <S extends { readonly name: string }, T extends string, I>(
  machine: Machine<S, T, I>,
  node: Node<S, T>,
): void => {
  if (node.state.name === "terminated") {
    for (const [, input] of machine.inputs) {
      const next = machine.step(node.state, input);
      hold(node, next.effects.length === 0 && next.state.name === "terminated", "a terminated machine acts");
    }
    return;
  }
  for (const timer of node.timers.keys()) {
    const next = machine.step(node.state, machine.timer(timer));
    hold(node, next.effects.length > 0 || next.state.name !== node.state.name, `timer ${timer} runs for nothing`);
  }
};

const ends = <S extends { readonly name: string }, T extends string, I>(
  machine: Machine<S, T, I>,
  node: Node<S, T>,
): void => {
  const last = settle(machine, node);
  hold(node, last.state.name === "terminated", `ends in ${last.state.name}`);
  hold(node, last.timers.size === 0, "a timer is left");
};

for (const reliable of [false, true]) {
  const over = reliable ? "TCP and TLS" : "UDP";
  describe(`RFC 3261 17 state machines over ${over}, every order of inputs`, () => {
    it(`RFC 3261 17.1.1, RFC 6026 8.4: INVITE client over ${over}`, () => {
      const machine = inviteClient(reliable);
      const visited = explore(machine, 5, (node) => {
        common(machine, node);
        ends(machine, node);
        const up = statusesUp(node.log);
        const finals = up.filter((status) => status >= 200);
        const refusals = finals.filter((status) => status >= 300);
        hold(node, refusals.length <= 1, "two final refusals handed up");
        hold(node, refusals.length === 0 || finals.length === 1, "a 2xx and a refusal handed up");
        const firstFinal = up.findIndex((status) => status >= 200);
        hold(
          node,
          firstFinal === -1 || up.slice(firstFinal).every((status) => status >= 200),
          "1xx after a final response",
        );
        hold(node, failures(node.log) <= 1, "two failures told");
        hold(node, count(node.log, "send-ack") === 0 || refusals.length === 1, "ACK without a refusal");
        hold(node, count(node.log, "send-cancel") <= 1, "two CANCELs");
        const cancel = node.log.findIndex((effect) => effect.kind === "send-cancel");
        const before = statusesUp(node.log.slice(0, Math.max(0, cancel)));
        hold(node, cancel === -1 || before.some((status) => status < 200), "CANCEL before a provisional response");
        hold(node, cancel === -1 || before.every((status) => status < 200), "CANCEL after a final response");
        if (reliable) hold(node, count(node.log, "send-request") === 1, "request repeated on a stream");
      });
      expect(visited).toBeGreaterThan(20_000);
    });

    it(`RFC 3261 17.1.2: other clients over ${over}`, () => {
      const machine = client(reliable);
      const visited = explore(machine, 7, (node) => {
        common(machine, node);
        ends(machine, node);
        const finals = statusesUp(node.log).filter((status) => status >= 200);
        hold(node, finals.length <= 1, "two final responses handed up");
        hold(node, finals.length + failures(node.log) <= 1, "two endings told");
        if (reliable) hold(node, count(node.log, "send-request") === 1, "request repeated on a stream");
      });
      expect(visited).toBeGreaterThan(20_000);
    });

    it(`RFC 3261 17.2.1, RFC 6026 7.1: INVITE server over ${over}`, () => {
      const machine = inviteServer(reliable);
      const visited = explore(machine, 5, (node) => {
        common(machine, node);
        // The wait of Proceeding belongs to the transaction user: once it has answered, time alone must end it.
        const answered =
          node.state.name === "proceeding"
            ? applyStep(node, machine.step(node.state, { kind: "respond", response: response(503) }), "answer 503")
            : node;
        ends(machine, answered);
        const sent = statusesSent(node.log);
        const finals = sent.filter((status) => status >= 200);
        const refusals = new Set(finals.filter((status) => status >= 300));
        hold(node, refusals.size <= 1, "two different final refusals sent");
        hold(node, refusals.size === 0 || finals.every((status) => status >= 300), "a 2xx and a refusal sent");
        const firstFinal = sent.findIndex((status) => status >= 200);
        hold(
          node,
          firstFinal === -1 || sent.slice(firstFinal).every((status) => status >= 200),
          "1xx after a final response",
        );
        const answer = node.log.findIndex((effect) => effect.kind === "send-response" && effect.response.status >= 200);
        hold(node, answer === -1 || count(node.log.slice(answer), "send-trying") === 0, "100 after a final response");
        if (reliable) hold(node, !node.timers.has("G"), "Timer G on a stream");
      });
      expect(visited).toBeGreaterThan(20_000);
    });

    it(`RFC 4320 4.1: a request other than INVITE that nobody answers hears 100 when Timer E would be at T2 (${over})`, () => {
      const started = startServer({ timers: defaultTimers, reliable });
      expect(started.effects).toEqual([{ kind: "start", timer: "silent", ms: 3_500 }]);
      const told = stepServer(started.state, { kind: "timer", timer: "silent" });
      expect(told.effects).toEqual([{ kind: "send-trying" }, { kind: "start", timer: "unanswered", ms: 28_500 }]);
      expect(stepServer(told.state, { kind: "request" }).effects).toEqual([{ kind: "send-trying" }]);
      const own = stepServer(started.state, { kind: "respond", response: response(100) });
      expect(stepServer(own.state, { kind: "timer", timer: "silent" }).effects).not.toContainEqual({
        kind: "send-trying",
      });
      const never = startServer({ timers: { ...defaultTimers, trying: Infinity }, reliable });
      const quiet = stepServer(never.state, { kind: "timer", timer: "silent" });
      expect(quiet.effects).toEqual([{ kind: "start", timer: "unanswered", ms: 28_500 }]);
    });

    it(`RFC 3261 17.2.2: other servers over ${over}`, () => {
      const machine = server(reliable);
      const visited = explore(machine, 6, (node) => {
        common(machine, node);
        ends(machine, node);
        const sent = statusesSent(node.log);
        hold(node, new Set(sent.filter((status) => status >= 200)).size <= 1, "two different final responses sent");
        const firstFinal = sent.findIndex((status) => status >= 200);
        hold(
          node,
          firstFinal === -1 || sent.slice(firstFinal).every((status) => status >= 200),
          "1xx after a final response",
        );
      });
      expect(visited).toBeGreaterThan(10_000);
    });
  });
}

describe("RFC 3261 17 timers, to the millisecond", () => {
  /** Only time passes; when each message was sent. */
  const times = <S extends { readonly name: string }, T extends string, I>(
    machine: Machine<S, T, I>,
    node: Node<S, T>,
    kinds: readonly Effect<T>["kind"][],
  ): number[] => {
    const out: number[] = [];
    let here: Node<S, T> | undefined = node;
    let seen = 0;
    while (here !== undefined) {
      for (const effect of here.log.slice(seen)) if (kinds.includes(effect.kind)) out.push(here.now);
      seen = here.log.length;
      const due: number = Math.min(...here.timers.values());
      const timer: T | undefined = [...here.timers].find(([, at]) => at === due)?.[0];
      if (timer === undefined) return out;
      const timers: Map<T, number> = new Map(here.timers);
      timers.delete(timer);
      here = applyStep({ ...here, now: due, timers }, machine.step(here.state, machine.timer(timer)), timer);
    }
    return out;
  };
  const from = <S extends { readonly name: string }, T extends string, I>(
    machine: Machine<S, T, I>,
    ...inputs: I[]
  ): Node<S, T> => {
    let node = applyStep<S, T>({ now: 0, timers: new Map<T, number>(), log: [], path: [] }, machine.first, "start");
    for (const input of inputs) node = applyStep({ ...node, log: [] }, machine.step(node.state, input), "input");
    return node;
  };

  it("RFC 3261 17.1.1.2: an INVITE nobody answers is sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, and given up at 32 s", () => {
    const machine = inviteClient(false);
    const node = from(machine);
    expect(times(machine, node, ["send-request"])).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    expect(times(machine, node, ["up"])).toEqual([32_000]);
  });
  it("RFC 3261 17.1.2.2: another request is repeated up to every T2 = 4 s, and given up at 32 s", () => {
    const machine = client(false);
    expect(times(machine, from(machine), ["send-request"])).toEqual([
      0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
  });
  it("RFC 3261 17.2.1: a refusal nobody acknowledges is repeated by Timer G and given up by Timer H", () => {
    const machine = inviteServer(false);
    const node = from(machine, { kind: "respond", response: response(404) });
    expect(times(machine, node, ["send-response"])).toEqual([
      0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expect(times(machine, node, ["up"])).toEqual([32_000]);
  });
  it("RFC 3261 17.2.1: an INVITE nobody answers for 200 ms gets a 100", () => {
    const machine = inviteServer(false);
    expect(times(machine, from(machine), ["send-trying"])).toEqual([200]);
  });
  it("RFC 3261 9.1: an INVITE cancelled in vain ends 64*T1 after the CANCEL", () => {
    const machine = inviteClient(false);
    const node = from(machine, { kind: "response", response: response(180) }, { kind: "cancel" });
    expect(settle(machine, node)).toMatchObject({ now: 32_000, state: { name: "terminated" } });
  });
  it("RFC 3261 16.8: a proceeding INVITE without news for more than three minutes is cancelled", () => {
    const machine = inviteClient(true);
    const node = from(machine, { kind: "response", response: response(180) });
    expect(times(machine, node, ["send-cancel"])).toEqual([defaultTimers.C]);
    expect(defaultTimers.C).toBeGreaterThan(180_000);
  });
});
